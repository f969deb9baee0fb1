"""Typed references to workers and workflows, as the generated package offers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from wfgen.ids import WorkerId, WorkflowId

if TYPE_CHECKING:
    from wfgen.registry import Registry

I_contra = TypeVar("I_contra", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class WorkerRef(Generic[I_contra, O_co]):
    """A worker: the target of a step, or, inside a step, the plain function."""

    def __init__(self, id: str, registry: Registry) -> None:
        self.id = WorkerId(id)
        self._registry = registry

    def _call(self, *data: Any) -> Any:
        return self._registry.worker(self.id).function(*data)

    def __repr__(self) -> str:
        return f"<worker {self.id}>"


class AsyncWorkerRef(WorkerRef[I_contra, O_co]):
    """A worker that is an `async def`."""

    # `async def`, not `-> Coroutine`: mypy takes a spelt-out `Coroutine[Any, Any, T]` for ambiguous in overloads.
    @overload
    async def __call__(self: AsyncWorkerRef[None, O_co], /) -> O_co: ...
    @overload
    async def __call__(self, data: I_contra, /) -> O_co: ...
    def __call__(self, *data: Any) -> Any:
        """Call the worker's function plainly: inside a step, or in a test."""
        return self._call(*data)


class SyncWorkerRef(WorkerRef[I_contra, O_co]):
    """A worker that is a plain `def`."""

    @overload
    def __call__(self: SyncWorkerRef[None, O_co], /) -> O_co: ...
    @overload
    def __call__(self, data: I_contra, /) -> O_co: ...
    def __call__(self, *data: Any) -> Any:
        """Call the worker's function plainly: inside a step, or in a test."""
        return self._call(*data)


class WorkflowRef(Generic[I_contra, O_co]):
    """A workflow."""

    def __init__(self, id: str, registry: Registry) -> None:
        self.id = WorkflowId(id)
        self._registry = registry

    def __repr__(self) -> str:
        return f"<workflow {self.id}>"
