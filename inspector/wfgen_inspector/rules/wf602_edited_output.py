"""WF602: a generated file that somebody edited, or that wfgen did not write."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF602",
    name="edited-output",
    severity="error",
    summary="A generated file was edited by hand, or stands where wfgen would write.",
    what="Reports a file in the generated package whose content does not match the hash in its header, or that has no "
    "header of wfgen's. Nothing is written then.",
    why="The next prebuild would overwrite the edit without a trace.",
    remedy="Move the edit to the source or to a template of your own and delete the file; or let wfgen overwrite it "
    "with `wfgen prebuild --force`.",
    required=True,
)
