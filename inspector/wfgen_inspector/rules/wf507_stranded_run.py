"""WF507: a run in flight belongs to a workflow version that the sources do not define."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF507",
    name="stranded-run",
    severity="error",
    summary="A run in flight belongs to a workflow version that the sources do not define.",
    what="With `--live`: reports versions that runs in flight have been started with and that are gone from "
    "the sources.",
    why="No process with this code takes the run up: it waits for ever.",
    remedy="Put the version back until its runs are done, or end them: `wfgen runs terminate`.",
    on_statement=False,
    separate=True,
)
