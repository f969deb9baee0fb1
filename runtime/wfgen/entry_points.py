"""Processes that work a part of a project: the runs of one workflow, or the jobs of one step.

The generated package has one of each for every workflow and every step that a queue may have: in `queues`, a module
for each source file.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from wfgen.durations import Duration, seconds
from wfgen.errors import ConfigurationError, WfgenError
from wfgen.names import queue_name
from wfgen.serving import Serving

if TYPE_CHECKING:
    from wfgen.client import ClientBase
    from wfgen.registry import Registry

log = logging.getLogger("wfgen.engine")

Connect = Callable[..., "AbstractAsyncContextManager[ClientBase]"]
"""The generated package's `connect`."""

DRAIN = "20s"
"""How long a process that is asked to end lets steps and jobs under way go on. With the ten seconds that cancelled ones
then have to clean up, it is what Kubernetes gives by default."""


class _EntryPoint:
    """A part of the work that a process of its own may take."""

    def __init__(self, connect: Connect, name: str, serving: Serving) -> None:
        self._connect = connect
        self.name = name
        """What the command line calls it."""
        self.serving = serving
        """The part."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    async def serve(
        self, engine: str | None = None, *, concurrency: int | None = None, drain_timeout: Duration = DRAIN
    ) -> None:
        """Work it until cancelled, or until SIGINT or SIGTERM: then nothing new is taken, and what is under way ends.

        Several may serve in one process: `asyncio.gather(one.serve(), other.serve())`.

        Args:
            engine: its URL; default the project's setting.
            concurrency: how many at once; default the setting `job_concurrency`, or `concurrency` of an orchestrator.
            drain_timeout: how long steps and jobs under way may go on after a signal; then, or at the second signal,
                they are cancelled, and begin again in another process.

        Raises:
            ConfigurationError: a setting is bad.
            StoreError: the store cannot be used.
        """
        await _serve([self], self.serving.limited(concurrency), engine, drain_timeout)

    def warning(self, registry: Registry) -> str | None:
        """Why there may be nothing to do for it, as the project is; None if there may be."""
        return None


class QueueWorker(_EntryPoint):
    """Takes the jobs of one step of a workflow.

    Args:
        connect: opens the project.
        workflow: its name.
        step: the step's name.
        workers: ids of the workers that the jobs name; none if only a run knows them.
    """

    def __init__(self, connect: Connect, workflow: str, step: str, *workers: str) -> None:
        self.workflow = workflow
        self.step = step
        self.queue = queue_name(workflow, step)
        """Its name: workflow and step."""
        self.workers = workers
        """Ids of the workers whose functions it calls; empty if they are known at run time only."""
        super().__init__(connect, self.queue, Serving(workflows=(), workers=workers or None, queues=(self.queue,)))

    @property
    def worker(self) -> str | None:
        """Id of the worker whose function it calls; None if there are several, or it is known at run time only."""
        return self.workers[0] if len(self.workers) == 1 else None

    def warning(self, registry: Registry) -> str | None:
        """Why nothing is ever put on the queue: its workers run in the run's process."""
        versions = [registry.workflow(*pair) for pair in registry.workflows if pair[0] == self.workflow]
        workers = [registry.worker(worker) for worker in self.workers]
        if not workers or any(one.is_queued(version.execution_mode) for one in workers for version in versions):
            return None
        names = ", ".join(map(repr, self.workers))
        return (
            f"nothing is put on queue {self.queue!r}: neither worker {names} nor workflow {self.workflow!r} says so "
            '(dispatch="queue", execution_mode="remote")'
        )


class Orchestrator(_EntryPoint):
    """Works the runs of one workflow, of all versions, with the steps that are not on queues; takes no jobs.

    Args:
        connect: opens the project.
        workflow: its name.
    """

    def __init__(self, connect: Connect, workflow: str) -> None:
        self.workflow = workflow
        super().__init__(connect, workflow, Serving(workflows=(workflow,), workers=(), queues=()))


def serve_module(namespace: Mapping[str, object]) -> None:
    """What a generated module of queues does when it is run: `python -m flows.wfgen_gen.queues.onboarding create_user`.

    Args:
        namespace: the module's `globals()`.
    """
    import argparse

    found = list(_entry_points(namespace))
    parser = argparse.ArgumentParser(description="Work some queues or workflows until SIGINT or SIGTERM.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default all: {_listed(found)}")
    parser.add_argument("--engine", metavar="URL", help="the engine, instead of the project's setting")
    parser.add_argument("--concurrency", metavar="N", type=int, help="how many jobs, or runs, at once")
    parser.add_argument(
        "--drain-timeout", metavar="TIME", default=DRAIN, help="how long steps under way may go on, default %(default)s"
    )
    given = parser.parse_args()
    try:
        served = [_named(name, found) for name in given.names] or found
        serving = _together([one.serving for one in served]).limited(given.concurrency)
        seconds(given.drain_timeout)  # refused before anything starts
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
        log.info("serving %s", _listed(served))
        asyncio.run(_serve(served, serving, given.engine, given.drain_timeout))
    except WfgenError as error:
        hint = f"\n  hint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error[{error.code}]: {error.message}{hint}\n")
        raise SystemExit(2) from None


async def _serve(served: Sequence[_EntryPoint], serving: Serving, engine: str | None, drain_timeout: Duration) -> None:
    from wfgen.shutdown import until_stopped

    async with served[0]._connect(engine, work=True, serving=serving) as client:
        for one in served:
            with contextlib.suppress(Exception):  # a file that does not load is told of when it is needed
                warning = one.warning(client.engine.registry)
                if warning is not None:
                    log.warning(warning)
        await until_stopped(client.engine, drain_timeout)


def _together(servings: Sequence[Serving]) -> Serving:
    """One that takes what any of them takes."""

    def union(parts: Sequence[Collection[str] | None]) -> tuple[str, ...] | None:
        named = [part for part in parts if part is not None]
        return None if len(named) < len(parts) else tuple(dict.fromkeys(name for part in named for name in part))

    return Serving(
        union([one.workflows for one in servings]),
        union([one.workers for one in servings]),
        union([one.queues for one in servings]),
    )


def _entry_points(namespace: Mapping[str, object]) -> Iterator[_EntryPoint]:
    """Those of a module, and of the classes in it."""
    for name, value in namespace.items():
        if isinstance(value, _EntryPoint):
            yield value
        elif isinstance(value, type) and not name.startswith("_"):
            yield from _entry_points(vars(value))


def _named(name: str, found: Sequence[_EntryPoint]) -> _EntryPoint:
    """By queue or workflow, or by the step alone.

    Raises:
        ConfigurationError: there is none, or several.
    """
    fitting = [one for one in found if one.name == name] or [one for one in found if _short(one) == name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ConfigurationError(f"{name!r} is ambiguous here.", hint=f"Write one of {_listed(fitting)}.")
    close = difflib.get_close_matches(name, [text for one in found for text in (one.name, _short(one))], n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There is {_listed(found)}."
    raise ConfigurationError(f"there is no queue or workflow {name!r} in this module.", hint=hint)


def _short(one: _EntryPoint) -> str:
    return one.step if isinstance(one, QueueWorker) else "orchestrator"


def _listed(found: Sequence[_EntryPoint]) -> str:
    return ", ".join(one.name for one in found)
