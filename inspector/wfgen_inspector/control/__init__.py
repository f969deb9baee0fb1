"""Control flow of workflow code: what ends runs, keeps them from ending, or is not there in a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wfgen_inspector.control import cleanup, closures, concurrency, durations, errors, loops
from wfgen_inspector.control.code import Body, bodies

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading

__all__ = ["Body", "examine"]


def examine(reading: Reading) -> list[Body]:
    """Report what is wrong with the control flow of a file.

    Args:
        reading: the file, after its definitions were read.

    Returns the functions that are workflow code, for who looks at them next.
    """
    found = bodies(reading)
    durations.examine(reading, found)
    loops.examine(found)
    for body in found:
        errors.examine(body)
        cleanup.examine(body)
        closures.examine(body)
        concurrency.examine(body)
    return found
