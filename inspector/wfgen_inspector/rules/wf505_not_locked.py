"""WF505: a workflow version is not in the lock file."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF505",
    name="not-locked",
    severity="info",
    summary="A workflow version is not in the lock file.",
    what="Reports versions that `wfgen.lock.json` does not know. Without a lock file nothing is reported.",
    why="What is not in the lock file has nothing to be compared with: a change that breaks its runs is not noticed.",
    remedy="Run `wfgen lock` when the version is released, and commit the file.",
    separate=True,
)
