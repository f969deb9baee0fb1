"""Checks whose finding is made while a file is read: the rule only words the fix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wfgen_inspector.diagnostics import Fix
from wfgen_inspector.facts import Project, Replace
from wfgen_inspector.rules.rule import Finding


def reported(code: str, *, fix: str = "") -> Callable[[Project], Iterable[Finding]]:
    """A check that passes on the problems of one code.

    Args:
        code: the problems' code.
        fix: what the edits of such a problem do, in the imperative; needed if it comes with edits. They are safe.
    """

    def check(project: Project) -> Iterator[Finding]:
        for facts in project.files:
            for problem in facts.problems:
                if problem.code == code:
                    mended = None
                    if problem.edits and isinstance(problem.rewrite, Replace):
                        mended = Fix(problem.rewrite.message, problem.rewrite.applicability, problem.edits)
                    elif problem.edits:
                        mended = Fix(fix, "safe", problem.edits)
                    file = problem.file or facts.path
                    yield Finding(file, problem.span, problem.message, problem.hint, problem.related, mended)

    return check
