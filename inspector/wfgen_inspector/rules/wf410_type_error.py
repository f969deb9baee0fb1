"""WF410: what mypy finds in sources and in the generated package."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF410",
    name="type-error",
    severity="error",
    summary="Types do not agree, says mypy.",
    what="Runs mypy over the workflow and worker files and the generated package, with the project's own mypy "
    "configuration, and reports its errors; mypy's code stands in brackets at the end. What another rule has found in "
    "the same place is not reported again.",
    why="A step that is given another type than its worker takes fails when the run gets to it, which may be days "
    "after its start.",
    remedy="Make the types agree. mypy's own `# type: ignore[…]` counts too; `wfgen check --no-types` leaves types "
    "out.",
    separate=True,
)
