"""A store whose payloads are encrypted: it seals what goes into another store and opens what comes out.

Sealed are inputs, results, reports, payloads of hooks and events, and the texts of errors. Names, types, times, tags
and idempotency keys are not: runs are found by them.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from wfgen.encryption import MAGIC, Keys
from wfgen.errors import ConflictError, EncryptionError
from wfgen.events import Event
from wfgen.store.cipher import Cipher, no_keys
from wfgen.store.encrypted_jobs import EncryptedJobs
from wfgen.store.protocol import Store
from wfgen.store.records import LEFT_ALONE, Append, ChildEnd, Claimed, Message, NewRun, RunRecord, Verdict

if TYPE_CHECKING:
    from wfgen.ids import RunId

log = logging.getLogger("wfgen.engine")

SEALED_DATA = ("error", "traceback", "warning", "message", "reason", "given")
"""Texts in the data of events that are payloads, or repeat what a payload, or a step's code, says."""

T = TypeVar("T")


def encrypted(store: Store, keys: Keys | None) -> Store:
    """The same store with encryption. Without keys, what is encrypted there is refused with advice."""
    return cast("Store", EncryptedStore(store, keys))


class EncryptedStore(EncryptedJobs):
    """Wraps a store; what has nothing to do with payloads goes through.

    Args:
        store: keeps what is sealed.
        keys: None to encrypt nothing.
    """

    def __init__(self, store: Store, keys: Keys | None) -> None:
        super().__init__(store, Cipher(keys))
        self._keys = keys
        if keys is None:
            self.append = store.append  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    # In.

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        """Seal an append and queue it."""
        self._store.append(self._sealed_append(append), done)

    async def create(self, new: NewRun, owner: str | None = None) -> tuple[RunRecord, bool]:
        """Seal a new run and record it. Raises ConflictError, as a store does."""
        try:
            record, created = await self._store.create(self._seal_new(new), owner)
        except ConflictError:
            found = await self._same(new, lambda run, _: new.any_version or run.version == new.version)
            if found is None:
                raise
            record, created = found, False
        return self._open_record(record), created

    async def send(
        self,
        kind: Literal["hook", "cancel", "pause", "resume"],
        *,
        run_id: RunId | None = None,
        token: str | None = None,
        name: str | None = None,
        payload: bytes | None = None,
    ) -> Literal["sent", "duplicate"]:
        """Seal a message and send it.

        Raises:
            EncryptionError: the run's own payloads cannot be opened with these keys: it could not open this one either.
        """
        if run_id is not None and payload is not None and self._keys is not None:
            await self.get_run(run_id)
        return await self._store.send(kind, run_id=run_id, token=token, name=name, payload=self._seal(payload))

    async def terminate(self, run_id: str, reason: str | None = None) -> None:
        """Seal the reason and terminate a run. Raises UnknownRunError, RunStateError."""
        sealed = reason if reason is None or self._keys is None else self._keys.seal_text(reason)
        await self._store.terminate(run_id, sealed)

    async def fork(
        self, run_id: str, at: int, new: NewRun, *, replace_input: bool = False, keep: int | None = None
    ) -> tuple[RunRecord, bool]:
        """Seal the new input and fork a run. Raises what a store does."""
        try:
            record, created = await self._store.fork(
                run_id, at, self._seal_new(new), replace_input=replace_input, keep=keep
            )
        except ConflictError:
            origin = {"forked_from": run_id, "forked_at": at}
            found = await self._same(new, lambda _, start: {name: start.data.get(name) for name in origin} == origin)
            if found is None:
                raise
            record, created = found, False
        return self._open_record(record), created

    async def _same(self, new: NewRun, fits: Callable[[RunRecord, Event], bool]) -> RunRecord | None:
        """The run that has the idempotency key of a new one, if it has its input and fits: a store cannot tell.

        No value is sealed twice alike: whether it is the same input shows only when it is open.
        """
        if self._keys is None or new.idempotency_key is None:
            return None
        found = await self._store.list_runs(workflow=new.workflow, idempotency_key=new.idempotency_key, limit=1)
        if not found:
            return None
        start = (await self._store.history(found[0].run_id))[0]
        return found[0] if fits(found[0], start) and self._open(start.payload) == new.input else None

    def _sealed_append(self, append: Append) -> Append:
        keys = self._keys
        assert keys is not None
        error = append.error
        return dataclasses.replace(
            append,
            events=[self._seal_event(event) for event in append.events],
            output=self._seal(append.output),
            error=None if error is None else (error[0], keys.seal_text(error[1]), error[2]),
            children=[self._seal_new(child) for child in append.children],
            jobs=[self._seal_job(job) for job in append.jobs],
        )

    def _seal_event(self, event: Event) -> Event:
        return Event(
            event.seq,
            event.type,
            event.time,
            event.key,
            self._texts(event.data, self._keys.seal_text) if self._keys else event.data,
            self._seal(event.payload),
        )

    def _seal_new(self, new: NewRun) -> NewRun:
        return dataclasses.replace(new, input=self._seal(new.input))

    def _seal(self, payload: bytes | None) -> bytes | None:
        return self._cipher.seal(payload)

    # Out.

    async def claim(
        self,
        process_id: str,
        workflows: Collection[tuple[str, str]],
        limit: int,
        families: Collection[RunId] | None = None,
    ) -> list[Claimed]:
        """Claim runs; those that cannot be opened with these keys say so."""
        claimed = []
        for one in await self._store.claim(process_id, workflows, limit, families):
            try:
                claimed.append(
                    Claimed(
                        self._open_record(one.run),
                        self._open_events(one.events),
                        [self._open_message(message) for message in one.messages],
                        one.fault,
                    )
                )
            except EncryptionError as error:
                claimed.append(dataclasses.replace(one, fault=error))
        return claimed

    async def messages(self, process_id: str, **options: Any) -> tuple[list[Message], int]:
        """Messages for runs that this process holds; a run with one that cannot be opened is given back."""
        opened = []
        found, mark = await self._store.messages(process_id, **options)
        for message in found:
            try:
                opened.append(self._open_message(message))
            except EncryptionError as error:
                log.error("run %s is given back to a process that has the key: %s", message.run_id, error)
                run = await self._store.get_run(message.run_id)
                again = run.updated_at + LEFT_ALONE
                await self._store.release(run.run_id, run.epoch, wake_at=again, seen=message.id)
        return opened, mark

    async def get_run(self, run_id: str) -> RunRecord:
        """Raises UnknownRunError; EncryptionError without its key."""
        return self._open_record(await self._store.get_run(run_id))

    async def list_runs(self, **filters: Any) -> list[RunRecord]:
        """Newest first. A run whose key is not here is listed without its payloads."""
        found = []
        for record in await self._store.list_runs(**filters):
            try:
                found.append(self._open_record(record))
            except EncryptionError:
                error = record.error and "(encrypted)"
                found.append(dataclasses.replace(record, input=None, output=None, error=error))
        return found

    async def history(self, run_id: str, **options: Any) -> list[Event]:
        """Events of a run. Raises UnknownRunError; EncryptionError without its key."""
        return self._open_events(await self._store.history(run_id, **options))

    def _open_record(self, record: RunRecord) -> RunRecord:
        if self._keys is None and not _is_sealed(record.input, record.output):
            return record
        error = None if record.error is None else self._open_text(record.error)
        return dataclasses.replace(
            record, input=self._open(record.input), output=self._open(record.output), error=error
        )

    def _open_events(self, events: list[Event]) -> list[Event]:
        if self._keys is None:
            if _is_sealed(*[event.payload for event in events]):
                raise no_keys()
            return events
        for event in events:
            event.payload = self._open(event.payload)
            event.data = self._texts(event.data, self._open_text)
        return events

    def _open_message(self, message: Message) -> Message:
        if message.payload is None:
            return message
        if message.kind == "job":
            return dataclasses.replace(message, payload=self._open_end(message.payload))
        if message.kind != "child":
            return dataclasses.replace(message, payload=self._open(message.payload))
        end = ChildEnd.load(message.payload)
        opened = dataclasses.replace(end, output=self._open(end.output), error=self._cipher.open_text(end.error))
        return dataclasses.replace(message, payload=opened.dump())

    def _open(self, payload: bytes | None) -> bytes | None:
        return self._cipher.open(payload)

    def _open_text(self, text: str) -> str:
        return self._cipher.open_text(text) or ""

    def _texts(self, data: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
        names = [name for name in SEALED_DATA if isinstance(data.get(name), str)]
        return {**data, **{name: change(data[name]) for name in names}} if names else data


def _is_sealed(*payloads: bytes | None) -> bool:
    return any(payload is not None and payload.startswith(MAGIC) for payload in payloads)


__all__: Sequence[str] = ["EncryptedStore", "encrypted"]
