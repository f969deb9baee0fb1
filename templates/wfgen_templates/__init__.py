"""The default template pack: Jinja files, and where they are."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
"""The folder that holds the templates, each `<name>.jinja`."""

__all__ = ["FOLDER"]
