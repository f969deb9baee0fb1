"""Operations of the handle that run other workflows as children."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, overload

from wfgen.children import Child, OnParentEnd
from wfgen.definitions import MISSING
from wfgen.errors import HandleError
from wfgen.handle_core import HandleCore
from wfgen.operations import Operation, wait_for_operation
from wfgen.references import WorkflowRef

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class ChildCalls(HandleCore):
    """Children that are waited for, and children that are not."""

    @overload
    def call(
        self,
        step: str,
        target: WorkflowRef[I, O],
        data: I,
        *,
        on_parent_end: OnParentEnd = "cancel",
        description: str | None = None,
    ) -> Coroutine[Any, Any, O]: ...

    @overload
    def call(
        self,
        step: str,
        target: WorkflowRef[None, O],
        *,
        on_parent_end: OnParentEnd = "cancel",
        description: str | None = None,
    ) -> Coroutine[Any, Any, O]: ...

    @overload
    def call(
        self,
        step: str,
        target: str,
        data: Any = MISSING,
        *,
        on_parent_end: OnParentEnd = "cancel",
        description: str | None = None,
    ) -> Coroutine[Any, Any, Any]: ...

    def call(
        self,
        step: str,
        target: WorkflowRef[Any, Any] | str,
        data: Any = MISSING,
        *,
        on_parent_end: OnParentEnd = "cancel",
        description: str | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run another workflow as a child, and wait for its result.

        The child is a run of its own, started once, in the latest version; any process may work it.

        Args:
            step: the operation's name.
            target: a workflow's name or reference.
            data: the child's input.
            on_parent_end: what becomes of the child when this run ends first, or no longer waits for it: `"cancel"`
                or `"abandon"` (it goes on).
            description: one line for people.

        Raises:
            RunFailedError: the child failed; carries the recorded error.
            RunCancelledError: somebody cancelled it.
            UnknownWorkflowError, InvalidInputError: it cannot be started.
        """
        return wait_for_operation(self._reserve_child(step, "call", target, data, on_parent_end))

    @overload
    async def start(
        self,
        step: str,
        target: WorkflowRef[I, O],
        data: I,
        *,
        on_parent_end: OnParentEnd = "abandon",
        description: str | None = None,
    ) -> Child[O]: ...

    @overload
    async def start(
        self,
        step: str,
        target: WorkflowRef[None, O],
        *,
        on_parent_end: OnParentEnd = "abandon",
        description: str | None = None,
    ) -> Child[O]: ...

    @overload
    async def start(
        self,
        step: str,
        target: str,
        data: Any = MISSING,
        *,
        on_parent_end: OnParentEnd = "abandon",
        description: str | None = None,
    ) -> Child[Any]: ...

    def start(
        self,
        step: str,
        target: WorkflowRef[Any, Any] | str,
        data: Any = MISSING,
        *,
        on_parent_end: OnParentEnd = "abandon",
        description: str | None = None,
    ) -> Coroutine[Any, Any, Child[Any]]:
        """Start another workflow as a child and go on; await what this gives for the child's result.

        Arguments and errors as for `call`, but a child that is started goes on alone when this run ends.
        """
        operation = self._reserve_child(step, "start", target, data, on_parent_end)

        async def started() -> Child[Any]:
            operation.ask()
            return Child(operation)

        return started()

    def _reserve_child(self, step: str, form: str, target: Any, data: Any, on_parent_end: OnParentEnd) -> Operation:
        if on_parent_end not in ("cancel", "abandon"):
            raise HandleError(
                f"{form} {step!r}: on_parent_end={on_parent_end!r:.80} is unknown.", hint='It is "cancel" or "abandon".'
            )
        name = target.id if isinstance(target, WorkflowRef) else target
        if not isinstance(name, str):
            raise HandleError(
                f"{form} {step!r}: {target!r:.80} is no workflow.", hint="Give its name or `workflows.<name>`."
            )
        operation = self._reserve(step, form, name)
        self._code.prepare_child(operation, data, on_parent_end)
        return operation
