"""WF601: generated files that no longer fit their sources."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF601",
    name="stale-output",
    severity="error",
    summary="The generated package does not match the sources.",
    what="`wfgen prebuild --check` reports generated files that are missing or differ from what the sources give now.",
    why="Clients and types describe workflows as they were, so a type checker accepts calls that fail, and new "
    "workflows cannot be started.",
    remedy="Run `wfgen prebuild` and commit the result. `wfgen prebuild --diff` shows what changes.",
    required=True,
)
