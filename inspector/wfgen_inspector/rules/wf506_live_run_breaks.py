"""WF506: a run in flight would not be reproduced by today's code."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF506",
    name="live-run-breaks",
    severity="error",
    summary="A run in flight would not be reproduced by today's code.",
    what="With `--live`: replays what the store has recorded of each run in flight through the graph of its "
    "workflow, without executing any code, and reports the first recorded operation that the graph cannot "
    "ask for.",
    why="The run fails when it is taken up by a process with this code.",
    remedy='Put the old steps back, or keep them for old runs: `if workflow.patched("what changes"):`.',
    on_statement=False,
    separate=True,
)
