"""WF502: runs in flight cannot go on, whatever version the changed code gets."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF502",
    name="breaks-runs",
    severity="error",
    summary="Runs in flight cannot go on, whatever version the changed code gets.",
    what="Reports inputs, results and hook payloads that no longer load from what is recorded, and workflows, "
    "versions and workers that are gone.",
    why="What is recorded must load into today's types, and a run needs its workflow and its workers.",
    remedy="Let old and new load alike (a default, a wider type), put back what is gone, or wait until no run "
    "needs it: `wfgen check --live` tells. `wfgen lock --prune` forgets what is gone.",
    separate=True,
)
