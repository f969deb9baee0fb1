"""WF504: a recorded step gets another input than before."""

from wfgen_inspector.rules.rule import Rule

RULE = Rule(
    code="WF504",
    name="changed-input",
    severity="warning",
    summary="A recorded step gets another input than before.",
    what="Reports steps whose input is computed otherwise than in the release.",
    why="Runs that have recorded the step keep its old result and go on, so old and new runs differ; the "
    "engine records a warning in each.",
    remedy="If that is meant, run `wfgen lock` when it is released. If runs in flight must do the step again, "
    "make it a new step.",
    separate=True,
)
