"""Reads workflow source into a manifest and diagnostics, without importing it."""

from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix, Related
from wfgen_inspector.explanation import explain
from wfgen_inspector.inspection import Inspection, inspect
from wfgen_inspector.rules import RULES

__all__ = ["RULES", "Diagnostic", "Edit", "Fix", "Inspection", "Related", "explain", "inspect"]
