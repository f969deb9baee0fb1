"""Reads workflow source into a manifest and diagnostics, without importing it.

Names are loaded when they are first used: a command that finds nothing changed needs `wfgen_inspector.inputs` alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix, Related
    from wfgen_inspector.explanation import explain
    from wfgen_inspector.inspection import Inspection, inspect
    from wfgen_inspector.rules import RULES

__all__ = ["RULES", "Diagnostic", "Edit", "Fix", "Inspection", "Related", "explain", "inspect"]

_HOMES = {
    "RULES": "rules",
    "Diagnostic": "diagnostics",
    "Edit": "diagnostics",
    "Fix": "diagnostics",
    "Inspection": "inspection",
    "Related": "diagnostics",
    "explain": "explanation",
    "inspect": "inspection",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
