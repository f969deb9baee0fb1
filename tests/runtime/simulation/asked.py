"""What a piece of work asks of a store: the method that was called, and with what."""

from __future__ import annotations

from typing import Any


def asked(work: Any) -> tuple[str, dict[str, Any]]:
    """The name of the store's method, and those of its arguments that the work uses.

    Several ends of jobs that are recorded together are called `finish_jobs`.
    """
    values = _closure(work)
    while callable(values.get("work")):  # it is a part of another one
        work = values["work"]
        values = _closure(work)
    parts = str(getattr(work, "__code__", work).co_qualname).split(".")
    return "finish_jobs" if parts[0] == "JobEnds" else parts[1], values


def _closure(work: Any) -> dict[str, Any]:
    code = getattr(work, "__code__", None)
    if code is None or work.__closure__ is None:
        return {}
    cells = zip(code.co_freevars, work.__closure__, strict=True)
    return {name: cell.cell_contents for name, cell in cells if _is_set(cell)}


def _is_set(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
