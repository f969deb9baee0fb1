"""Findings as text, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from wfgen.errors import ConfigurationError
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.formats import concise, full, github, json
from wfgen_inspector.suggestions import did_you_mean, nearest

Format = Literal["full", "concise", "json", "github"]
FORMATS: tuple[str, ...] = get_args(Format)

__all__ = ["FORMATS", "Format", "render"]


def render(diagnostics: Sequence[Diagnostic], format: str, project: Path, color: bool = False) -> str:
    """Render findings.

    Args:
        diagnostics: findings in output order.
        format: `full` (source excerpt and advice), `concise` (one line each), `json`, or `github` (annotations).
        project: project root, from which `full` reads the excerpts.
        color: whether `full` and `concise` use terminal colours.

    Returns:
        Text that ends with a newline; empty when there is nothing to say.

    Raises:
        ConfigurationError: no such format.
    """
    match format:
        case "full":
            return full.render(diagnostics, project, color=color)
        case "concise":
            return concise.render(diagnostics, color=color)
        case "json":
            return json.render(diagnostics)
        case "github":
            return github.render(diagnostics, project)
        case _:
            hint = did_you_mean(nearest(format, FORMATS)) or f"Known formats: {', '.join(FORMATS)}."
            raise ConfigurationError(f"unknown output format {format!r}.", hint=hint)
