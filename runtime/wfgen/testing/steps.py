"""One worker alone, as a step would run it, without any run."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import random
from datetime import timedelta
from typing import Any

from wfgen.codec import Codec
from wfgen.definitions import MISSING, WorkerDefinition
from wfgen.errors import InvalidInputError
from wfgen.ids import RunId
from wfgen.job import Attempt, Job
from wfgen.logs import StandardLogger
from wfgen.retry import ONCE
from wfgen.testing.clock import TestClock

RUN = RunId("run_of_a_single_step")
"""What `job.run_id` says where there is no run."""


async def work_step(worker: WorkerDefinition, data: Any, context: Any, codec: Codec, clock: TestClock) -> Any:
    """Work a worker's attempts until one returns or there are no more; see `TestEngine.step`."""
    signature = worker.signature
    what = f"the input of worker {worker.id!r}"
    encoded = None
    if data is MISSING:
        if signature.input_required:
            raise InvalidInputError(f"{what} is missing.")
    elif not signature.takes_input:
        raise InvalidInputError(f"{what} is given, but the worker takes none.")
    else:
        encoded = codec.validate(data, signature.input, what)
    retry = worker.retry or ONCE
    deadline = retry.deadline(clock.time())
    attempt = 1
    while True:
        try:
            result = await _attempt(worker, encoded, attempt, context, codec, clock)
            if worker.validate == "warn":
                return result
            return codec.record(result, signature.output, f"the result of worker {worker.id!r}")[1]
        except Exception as error:
            if not retry.retries(error, attempt):
                raise
            delay = retry.delay_after(attempt, error, random.Random(attempt))
            if clock.time() + delay >= deadline:
                raise
            await clock.advance(timedelta(seconds=delay))
            attempt += 1


async def _attempt(
    worker: WorkerDefinition, encoded: bytes | None, attempt: int, context: Any, codec: Codec, clock: TestClock
) -> Any:
    signature = worker.signature
    arguments = () if encoded is None else (codec.decode(encoded, signature.input, "the input"),)
    keywords = {}
    reports = Attempt(codec, f"worker {worker.id!r}")
    if signature.job_parameter is not None:
        digest = hashlib.sha256(f"{worker.id}/".encode() + (encoded or b"")).hexdigest()[:32]
        keywords[signature.job_parameter] = Job(
            run_id=RUN,
            step=worker.id,
            key=f"0/{worker.id}",
            attempt=attempt,
            idempotency_key=f"{RUN}-{digest}",
            context=context,
            log=StandardLogger("wfgen.step").child(step=worker.id, attempt=attempt),
            _attempt=reports,
        )
    try:
        async with asyncio.timeout(None) if worker.timeout is None else clock.timeout(worker.timeout):
            if inspect.iscoroutinefunction(worker.function):
                return await worker.function(*arguments, **keywords)
            return await asyncio.to_thread(worker.function, *arguments, **keywords)
    finally:
        reports.over = True
