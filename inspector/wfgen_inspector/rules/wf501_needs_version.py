"""WF501: runs in flight would not be reproduced by the changed code."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF501",
    name="needs-version",
    severity="error",
    summary="Runs in flight would not be reproduced by the changed code.",
    what="Compares each version of a workflow with its release (`wfgen.lock.json`, or what `--against` names) "
    "and reports operations that were inserted, removed, renamed or moved, that have another form or "
    "target, and conditions and loops that decide otherwise.",
    why="A run that is taken up again replays its history through today's code. Where the code asks for "
    "something else than what is recorded, the run fails.",
    remedy="Give the changed function the next version and keep the old one for runs in flight; or take the new "
    'path in new runs only: `if workflow.patched("what changes"):`. docs/compatibility.md has an example.',
    fixes="unsafe",
    separate=True,
)
