"""What a new run is given beside its workflow and its input: an id, a salt, an idempotency key."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence

from wfgen.errors import InvalidInputError
from wfgen.ids import RunId
from wfgen.names import is_key
from wfgen.store.records import NewRun


def new_run(
    chance: random.Random,
    workflow: str,
    version: str,
    input: bytes | None,
    key: str | None,
    tags: Sequence[str],
    *,
    any_version: bool = False,
) -> NewRun:
    """Prepare a run, to be recorded by a store.

    Args:
        chance: from which its id and its salt are drawn.
        workflow: its name.
        version: of the workflow.
        input: encoded; None for none.
        key: idempotency key; None for none.
        tags: what it can be found by, sorted.
        any_version: whether a run of another version, with the same key and input, is the same start.

    Raises:
        InvalidInputError: the idempotency key is none.
    """
    if key is not None and not is_key(key):
        raise InvalidInputError(
            f"{key!r:.80} cannot be an idempotency key.", hint="Use printable text of 1 to 255 characters."
        )
    return NewRun(
        run_id=RunId(f"run_{uuid.UUID(int=chance.getrandbits(128), version=4).hex}"),
        workflow=workflow,
        version=version,
        input=input,
        salt=f"{chance.getrandbits(128):032x}",
        idempotency_key=key,
        any_version=any_version,
        tags=tuple(tags),
    )
