"""Whether what is encrypted in a store can be read with the keys that this project has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wfgen.encryption import key_of, key_of_text
from wfgen.errors import EncryptionError, UnknownRunError
from wfgen.store.encrypted import SEALED_DATA
from wfgen_cli.health_findings import SHOWN, Finding, State, listed
from wfgen_cli.terminal import count, printable

if TYPE_CHECKING:
    from wfgen.encryption import Keys
    from wfgen.events import Event
    from wfgen.store.protocol import Store
    from wfgen.store.records import RunRecord, RunStatus

ENDS: Sequence[RunStatus] = ("completed", "failed", "cancelled", "terminated")
ENDED = 100
"""Finished runs that are looked at, the newest ones."""

MISSING, WRONG = "is not here", "is another one here"
_BACK = {
    MISSING: "Add it to encryption_keys again.",
    WRONG: "Bring the right one back; or the stored value was changed.",
}
_SET = "Give the setting encryption_keys, such as file:keys.json or env:SHOP_KEYS."


async def keys_health(store: Store, runs: Sequence[RunRecord], keys: Keys | None) -> list[Finding]:
    """The keys that a store needs, and those of them that are not here.

    Looked at are the inputs of all these runs, the histories of some, jobs that wait, and the newest finished runs.

    Args:
        store: as it is: payloads come sealed.
        runs: unfinished ones.
        keys: those of this project; None for none.
    """
    needs = Needs(keys)
    for run in runs:
        needs.look(run.run_id, _of_run(run))
    for run in sorted(runs, key=lambda run: run.updated_at)[-SHOWN:]:
        try:
            needs.look(run.run_id, _of_events(await store.history(run.run_id)))
        except UnknownRunError:  # it has ended and was removed meanwhile
            continue
    for job in await store.list_jobs(status=["queued", "running"], limit=ENDED):
        needs.look(job.run_id, [key_of(part) for part in (job.input, job.progress)])
    findings = list(needs.findings("unfinished run"))
    ended = Needs(keys)
    for run in await store.list_runs(status=ENDS, limit=ENDED):
        ended.look(run.run_id, _of_run(run))
    for key_id in needs.runs:
        ended.runs.pop(key_id, None)
    return [*findings, *ended.findings("finished run", is_needed=False)]


def run_keys_health(run: RunRecord, events: Sequence[Event], keys: Keys | None) -> list[Finding]:
    """The same of one run, whose events come sealed."""
    needs = Needs(keys)
    needs.look(run.run_id, [*_of_run(run), *_of_events(events)])
    return [finding for finding in needs.findings("run") if finding.state != "ok"]


class Needs:
    """Which keys are needed for which runs.

    Args:
        keys: those that are here; None for none.
    """

    def __init__(self, keys: Keys | None) -> None:
        self.runs: dict[str, dict[str, None]] = {}
        """Ids of runs by that of the key that sealed something of theirs."""
        self._keys = keys
        self._faults: dict[str, str | None] = {}

    def look(self, run_id: str, found: Sequence[tuple[str, bytes | str] | None]) -> None:
        """Note the keys of some values of a run, each given with its key's id; None for one that is not sealed."""
        for key_id, value in filter(None, found):
            self.runs.setdefault(key_id, {})[run_id] = None
            if key_id not in self._faults:
                self._faults[key_id] = self._fault(key_id, value)

    def _fault(self, key_id: str, value: bytes | str) -> str | None:
        if self._keys is None or key_id not in self._keys.ids:
            return MISSING
        try:
            self._keys.open_text(value) if isinstance(value, str) else self._keys.open(value)
        except EncryptionError:
            return WRONG
        return None

    def findings(self, what: str, *, is_needed: bool = True) -> Iterator[Finding]:
        """One for each key that is missing, or one that says that none is."""
        bad = {key_id: fault for key_id in sorted(self.runs) if (fault := self._faults[key_id]) is not None}
        data = {"needed": sorted(self.runs), "missing": sorted(bad)}
        if self.runs and not bad and is_needed:
            names = listed([repr(key_id) for key_id in sorted(self.runs)])
            which = f"the key {names}, which is here" if len(self.runs) == 1 else f"the keys {names}, which are here"
            yield Finding("keys", "ok", f"payloads are encrypted with {which}", None, data)
        here = "" if self._keys is None else f"There is {', '.join(self._keys.ids)}."
        for key_id, fault in bad.items():
            ids = list(self.runs[key_id])
            which = f"the key {printable(key_id)!r}, which {fault}"
            message = f"payloads of {count(len(ids), what)} are encrypted with {which}: {listed(ids)}"
            hint = f"{here} {_BACK[fault]}" if self._keys is not None else _SET
            state: State = "problem" if is_needed else "info"
            yield Finding("keys", state, message, hint, {**data, "key": key_id, "run_ids": ids})


def _of_run(run: RunRecord) -> list[tuple[str, bytes | str] | None]:
    return [key_of(run.input), key_of(run.output), key_of_text(run.error)]


def _of_events(events: Sequence[Event]) -> list[tuple[str, bytes | str] | None]:
    texts = (event.data[name] for event in events for name in SEALED_DATA if isinstance(event.data.get(name), str))
    return [*(key_of(event.payload) for event in events), *map(key_of_text, texts)]
