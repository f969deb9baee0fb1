"""WF901: wfgen itself failed on a file."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF901",
    name="internal-error",
    severity="error",
    summary="wfgen failed while it read a file.",
    what="Reports a file on which the inspector stopped with an error of its own.",
    why="This is a fault of wfgen, not of the file. What the file defines is unknown, and outputs that were generated "
    "from it before are kept.",
    remedy="Report it with the file, or the smallest part of it that still shows the error. Leave the file out with "
    "`exclude` in `[tool.wfgen]` until it is mended.",
    check=reported("WF901"),
    required=True,
)
