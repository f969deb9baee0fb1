"""What a process brings to all runs that it works: dependencies, middleware, logger, metrics."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wfgen.errors import ConfigurationError, DefinitionError
from wfgen.lifecycle import LifecycleHandlers
from wfgen.logs import Logger
from wfgen.metrics import Metrics
from wfgen.middleware import Middleware, check

if TYPE_CHECKING:
    from wfgen.settings import Settings


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """A process that works runs, as its application sets it up.

    Found by the setting `process = "shop.process:process"`, or given to `connect(process=...)`.
    """

    context: Callable[[], Any] | None = None
    """Makes the dependencies of this process, once, before it works the first run: a function, an `async def`, or a
    function that gives a context manager, asynchronous or not, which is left when the engine closes. The dependencies
    are `workflow.context` and `job.context`, unless the workflow has a context factory of its own."""
    middleware: Sequence[Middleware] = ()
    """Around all steps and workflows, outermost first, outside the workflow's own."""
    logger: Logger | None = None
    """Where runs log to; default standard logging, below `wfgen.run`."""
    metrics: Metrics | None = None
    """Where the numbers of `workflow.metrics` go; default nowhere."""
    handlers: LifecycleHandlers = field(default_factory=LifecycleHandlers)
    """Called at the turns of all runs, before the workflow's own."""

    def __post_init__(self) -> None:
        check(self.middleware, "the worker process")
        if self.context is not None and not callable(self.context):
            raise DefinitionError(f"context={self.context!r:.80} of the worker process is no function.")
        for name, given, kind in (("logger", self.logger, Logger), ("metrics", self.metrics, Metrics)):
            if given is not None and not isinstance(given, kind):
                raise DefinitionError(
                    f"{name}={given!r:.80} of the worker process is no {kind.__name__}.",
                    hint=f"It needs the methods of wfgen.{kind.__name__}.",
                )


class OpenProcess:
    """A worker process that is in use.

    Args:
        definition: what the application set up.
    """

    def __init__(self, definition: WorkerProcess | None = None) -> None:
        self.definition = definition or WorkerProcess()
        self.dependencies: Any = None
        """What the process's context factory made; None without one, and in a process that works no runs."""
        self._stack = AsyncExitStack()

    async def enter(self) -> None:
        """Make the dependencies; what the factory raises goes through."""
        factory = self.definition.context
        if factory is None:
            return
        try:
            made = factory()
            if inspect.isawaitable(made) and not isinstance(made, AbstractAsyncContextManager):
                made = await made
            if isinstance(made, AbstractAsyncContextManager):
                made = await self._stack.enter_async_context(made)
            elif isinstance(made, AbstractContextManager):
                made = self._stack.enter_context(made)
        except BaseException as error:
            error.add_note(f"raised by the context factory {_shown(factory)} of the worker process")
            raise
        self.dependencies = made

    async def leave(self) -> None:
        """Leave the context manager, if the factory gave one."""
        await self._stack.aclose()


def load_process(settings: Settings) -> WorkerProcess | None:
    """Import what the setting `process` names, with the import root on `sys.path`; None without the setting.

    Raises:
        ConfigurationError: it is not there, does not load, or is no WorkerProcess.
    """
    text = settings.process
    if text is None:
        return None
    module_name, _, attribute = text.partition(":")
    where = f"bad setting 'process' ({settings.origin('process')})"
    root = str(settings.import_root)
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigurationError(
            f"{where}: {module_name} cannot be imported from {root}: {type(error).__name__}: {error}",
            hint="Name a module of the application and the WorkerProcess in it, as in 'shop.process:process'.",
        ) from error
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise ConfigurationError(
            f"{where}: {module_name} has no {attribute!r}.", hint="Define it there, as a wfgen.WorkerProcess."
        ) from None
    if not isinstance(found, WorkerProcess):
        raise ConfigurationError(
            f"{where}: {text} is a {type(found).__name__}, no WorkerProcess.",
            hint="Make it one: `process = wfgen.WorkerProcess(context=...)`.",
        )
    return found


def _shown(function: Any) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
