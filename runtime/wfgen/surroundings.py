"""What the code of one run has at hand beside its operations: context, logger, metrics, middleware."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from wfgen import middleware
from wfgen.definitions import MISSING, WorkflowDefinition
from wfgen.logs import Logger, StandardLogger
from wfgen.metrics import RunMetrics
from wfgen.middleware import Proceed, StepCall, WorkflowCall
from wfgen.runinfo import RunInfo, RunStart
from wfgen.runlog import RunLogger
from wfgen.worker_process import OpenProcess

if TYPE_CHECKING:
    from wfgen.handle import Workflow
    from wfgen.work import Work


class Surroundings:
    """Made for each run that a process takes up, again when it takes it up again, and for each job.

    Args:
        info: the run.
        definition: its workflow; None where that is not known.
        process: what the process brings.
        replaying: whether history is being replayed.
    """

    def __init__(
        self,
        info: RunInfo,
        definition: WorkflowDefinition | None,
        process: OpenProcess,
        replaying: Callable[[], bool] = lambda: False,
    ) -> None:
        self.info = info
        self.context: Any = None
        self._process = process
        self._factory = None if definition is None else definition.context
        self._replaying = replaying
        self._middleware = (*process.definition.middleware, *(() if definition is None else definition.middleware))
        self._around_steps = middleware.of_steps(self._middleware)

    @property
    def needs_run(self) -> bool:
        """Whether something is told of the run beside its names: its input, its tags."""
        return self._factory is not None or bool(self._around_steps)

    def open(self, *arguments: Any) -> None:
        """Make the run's context; what the workflow's factory raises goes through. `arguments`: its input, if any."""
        self.context = self._process.dependencies
        if self._factory is not None:
            info, given = self.info, arguments[0] if arguments else None
            start = RunStart(info.run_id, info.workflow, info.version, info.tags, given)
            self.context = self._factory(self.context, start)

    @functools.cached_property
    def _logger(self) -> Logger:
        """The process's logger with the run's ids."""
        logger = self._process.definition.logger or StandardLogger(f"wfgen.run.{self.info.workflow}")
        return logger.child(run_id=self.info.run_id, workflow=self.info.workflow, version=self.info.version)

    def log_of(self, step: str, attempt: int) -> Logger:
        """The logger of an attempt at a step."""
        return RunLogger(self._logger.child(step=step, attempt=attempt), lambda: False)

    @functools.cached_property
    def metrics(self) -> RunMetrics:
        """The process's metrics with the workflow's name and version, silent while history is replayed."""
        tags = {"workflow": self.info.workflow, "version": self.info.version}
        return RunMetrics(self._process.definition.metrics, tags, self._replaying)

    @functools.cached_property
    def log(self) -> Logger:
        """The logger of the workflow's own code: silent while history is replayed."""
        return RunLogger(self._logger, self._replaying)

    def body(self, function: Callable[..., Any], handle: Workflow[Any], *arguments: Any) -> Coroutine[Any, Any, Any]:
        """The coroutine of the workflow's function, with the middleware around it."""
        around = middleware.of_workflows(self._middleware)
        if not around:
            return function(handle, *arguments)  # type: ignore[no-any-return]
        call = WorkflowCall(self.info, handle, arguments[0] if arguments else None)
        return middleware.around_workflow(around, call, lambda: function(handle, *arguments))

    def attempt(self, work: Work, attempt: int, inner: Proceed) -> Awaitable[Any]:
        """Work an attempt of a step, with the middleware around it."""
        if not self._around_steps:
            return inner()
        given = None if work.data is MISSING else work.input_copy()
        call = StepCall(
            run=self.info,
            step=work.name,
            key=work.key,
            attempt=attempt,
            worker=work.target,
            input=given,
            context=self.context,
        )
        return middleware.around_step(self._around_steps, call, inner)
