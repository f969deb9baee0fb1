"""WF503: callers of a workflow would notice the change."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF503",
    name="breaks-clients",
    severity="error",
    summary="Callers of a workflow would notice the change.",
    what="Reports results that lost fields or changed their types, hooks and workflows that are gone, and "
    "inputs that are taken no more.",
    why="Code that starts the workflow, answers its hooks or reads its result is deployed at another time "
    "than the workflow.",
    remedy="Keep what callers use and add the new beside it, as a new version.",
    separate=True,
)
