"""Recorded histories in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.runs import Run
from wfgen.store.records import RunRecord
from wfgen.testing.errors import TestingError

FORMAT = 1
_WITH_RESULT = frozenset({"step_completed", "hook_resumed", "child_completed", "run_completed", "emitted"})
"""Events that always have a payload, so that a JSON null is one."""


@dataclass(frozen=True, slots=True)
class History:
    """All that is recorded of a run, as a test keeps it."""

    run_id: RunId
    workflow: str
    version: str
    salt: str
    """From which the run's random values and hook tokens derive; empty where the file does not have it."""
    events: Sequence[Event]
    source: str = "the history"
    """Names it in errors."""


async def export_history(run: Run[Any], path: str | Path) -> Path:
    """Write all that is recorded of a run to a JSON file, as `replay_history` reads it; returns the path.

    The file holds inputs, results and payloads as they are.
    """
    history = take_history(await run.info(), await run.history())
    head = {
        "run_id": history.run_id,
        "workflow": history.workflow,
        "version": history.version,
        "salt": history.salt,
    }
    # One event a line: such files are kept, and compared by people.
    events = ",\n".join(f"  {_dump(_row(event))}" for event in history.events)
    text = f'{{\n "wfgen_history": {FORMAT},\n "run": {_dump(head)},\n "events": [\n{events}\n ]\n}}\n'
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def take_history(run: RunRecord, events: Sequence[Event]) -> History:
    """What a store holds of a run, as a history."""
    return History(run.run_id, run.workflow, run.version, run.salt, events, f"run {run.run_id}")


def load_history(path: str | Path) -> History:
    """Read a file that `export_history` or `wfgen runs history RUN_ID --json` has written.

    Raises:
        TestingError: it holds no history.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = data if isinstance(data, list) else data["events"]
        run = {} if isinstance(data, list) else data["run"]
        events = [_event(row) for row in rows]
        first = events[0]
        return History(
            RunId(run.get("run_id", path.stem)),
            run.get("workflow") or first.data["workflow"],
            run.get("version") or first.data["version"],
            run.get("salt", ""),
            events,
            str(path),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise TestingError(
            f"{path} holds no history: {type(error).__name__}: {error}.",
            "Write it with export_history(run, path), or with `wfgen runs history RUN_ID --json`.",
        ) from None


def history_files(folder: str | Path) -> list[Path]:
    """The histories in a folder, sorted: `@pytest.mark.parametrize("path", history_files("tests/histories"))`.

    Raises:
        TestingError: there is none, so that a test would pass for nothing.
    """
    found = sorted(Path(folder).rglob("*.json"))
    if not found:
        raise TestingError(f"there is no history in {folder}.", "Write some with export_history(run, path).")
    return found


def _row(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "type": event.type,
        "time": event.time,
        "key": event.key,
        "data": event.data,
        "payload": None if event.payload is None else json.loads(event.payload),
    }


def _dump(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def _event(row: dict[str, Any]) -> Event:
    payload = row.get("payload")
    encoded = None
    if payload is not None or row["type"] in _WITH_RESULT:
        encoded = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    return Event(row["seq"], row["type"], row["time"], row.get("key"), dict(row.get("data") or {}), encoded)
