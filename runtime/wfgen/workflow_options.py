"""The arguments of `define_workflow`, typed once for all the ways to call it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from wfgen.around import After
from wfgen.contexts import ContextFactory
from wfgen.durations import Duration
from wfgen.lifecycle import Handler
from wfgen.middleware import Middleware
from wfgen.retry import Retry
from wfgen.targets import Target

ExecutionMode = Literal["inline", "remote"]


class WorkflowOptions(TypedDict, total=False):
    """The keyword arguments of `define_workflow`, which says what each one means."""

    name: str | None
    version: str
    description: str | None
    tags: Sequence[str]
    timeout: Duration | None
    hook_timeout: Duration | None
    execution_mode: ExecutionMode
    middleware: Sequence[Middleware]
    context: ContextFactory | None
    retry: Retry | None
    before: Sequence[Target]
    after: Sequence[Target | After]
    on_start: Handler | None
    on_sleep: Handler | None
    on_resume: Handler | None
    on_complete: Handler | None
    on_error: Handler | None
    on_cancel: Handler | None
