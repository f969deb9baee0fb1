"""Targets that only linking can tell: a qualified name may be a worker, a workflow or a plain function."""

from __future__ import annotations

_SIGN = "\0"


def pack(reference: str, text: str) -> str:
    """A step's target until linking: the qualified name and the target as written."""
    return f"{_SIGN}{reference}{_SIGN}{text}"


def unpack(target: str | None) -> tuple[str, str] | None:
    """The qualified name and the text of a packed target; None for one that is settled."""
    if target is None or not target.startswith(_SIGN):
        return None
    _, reference, text = target.split(_SIGN, 2)
    return reference, text
