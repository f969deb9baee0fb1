"""WF600: a setting that does not fit."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF600",
    name="bad-setting",
    severity="error",
    summary="A setting is unknown, mistyped or contradicts another.",
    what="Reports unknown names and values that do not fit in `[tool.wfgen]`, in `WFGEN_*` variables and in arguments, "
    "with the place that the value came from.",
    why="A setting that is passed over in silence leaves you believing that it is in force.",
    remedy="Correct the name or the value at the place that the message gives.",
    required=True,
)
