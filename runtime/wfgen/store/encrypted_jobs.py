"""Jobs in a store whose payloads are encrypted: inputs, results, reports and the texts of errors."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from wfgen.errors import EncryptionError
from wfgen.store.cipher import Cipher
from wfgen.store.jobs import JobEnd, JobRecord, NewJob
from wfgen.store.protocol import Store
from wfgen.store.records import LEFT_ALONE

if TYPE_CHECKING:
    from wfgen.ids import JobId

log = logging.getLogger("wfgen.engine")


class EncryptedJobs:
    """What an encrypted store does with jobs.

    Args:
        store: keeps what is sealed.
        cipher: encrypts and decrypts it.
    """

    def __init__(self, store: Store, cipher: Cipher) -> None:
        self._store = store
        self._cipher = cipher

    async def claim_jobs(
        self, process_id: str, workers: Collection[str], limit: int, **filters: Any
    ) -> list[JobRecord]:
        """Claim jobs; those that cannot be opened with these keys are given back to a process that has them."""
        opened = []
        for record in await self._store.claim_jobs(process_id, workers, limit, **filters):
            try:
                opened.append(self._open_job(record))
            except EncryptionError as error:
                log.error("job %s is given back to a process that has the key: %s", record.job_id, error)
                await self._store.requeue_job(record.job_id, record.epoch, record.updated_at + LEFT_ALONE)
        return opened

    async def report_job(self, job_id: JobId, epoch: int, progress: bytes) -> None:
        """Seal a report and keep it. Raises LeaseLostError."""
        sealed = self._cipher.seal(progress)
        assert sealed is not None
        await self._store.report_job(job_id, epoch, sealed)

    async def finish_job(self, job_id: JobId, epoch: int, end: JobEnd) -> None:
        """Seal an end and record it. Raises LeaseLostError."""
        await self._store.finish_job(job_id, epoch, self._seal_end(end))

    async def requeue_job(self, job_id: JobId, epoch: int, due: float, failed: JobEnd | None = None) -> None:
        """Seal what an attempt came to, and put its job back on the queue. Raises LeaseLostError."""
        await self._store.requeue_job(job_id, epoch, due, None if failed is None else self._seal_end(failed))

    async def get_job(self, job_id: str) -> JobRecord:
        """Raises UnknownJobError; EncryptionError without its key."""
        return self._open_job(await self._store.get_job(job_id))

    async def list_jobs(self, **filters: Any) -> list[JobRecord]:
        """Newest first. A job whose key is not here is listed without its payloads."""
        found = []
        for record in await self._store.list_jobs(**filters):
            try:
                found.append(self._open_job(record))
            except EncryptionError:
                closed = dict.fromkeys(("input", "output", "progress", "details"))
                found.append(dataclasses.replace(record, error=record.error and "(encrypted)", **closed))  # type: ignore[arg-type]
        return found

    def _seal_job(self, job: NewJob) -> NewJob:
        return dataclasses.replace(job, input=self._cipher.seal(job.input))

    def _seal_end(self, end: JobEnd) -> JobEnd:
        cipher = self._cipher
        return dataclasses.replace(
            end,
            output=cipher.seal(end.output),
            error=cipher.seal_text(end.error),
            details=cipher.seal_text(end.details),
        )

    def _open_end(self, payload: bytes) -> bytes:
        """The end of a job, as a message brings it."""
        cipher, end = self._cipher, JobEnd.load(payload)
        return dataclasses.replace(
            end,
            output=cipher.open(end.output),
            error=cipher.open_text(end.error),
            details=cipher.open_text(end.details),
        ).dump()

    def _open_job(self, record: JobRecord) -> JobRecord:
        cipher = self._cipher
        return dataclasses.replace(
            record,
            input=cipher.open(record.input),
            output=cipher.open(record.output),
            progress=cipher.open(record.progress),
            error=cipher.open_text(record.error),
            details=cipher.open_text(record.details),
        )
