"""WF603: a generated file without a source."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF603",
    name="orphan-output",
    severity="warning",
    summary="A generated file belongs to a source that is gone.",
    what="Reports files that wfgen wrote for a source file which no longer exists, and that it does not delete by "
    "itself because somebody edited them.",
    why="Code that still imports the file keeps working on a workflow that no longer exists.",
    remedy="Save what is worth keeping and delete the file.",
    on_statement=False,
)
