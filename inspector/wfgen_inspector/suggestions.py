"""Names that somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import takewhile

_NEAR = 0.7
"""How near names have to be, from 0 to 1 (equal)."""
_CLEARLY_BETTER = 0.1
"""Names that are less like the text than the best one by this much are not offered beside it."""


def nearest(text: str, known: Iterable[str], *, limit: int = 1) -> list[str]:
    """Known names that are spelled much like a text, nearest first; case makes no difference.

    Of equally near ones, that which begins more like the text comes first, then the order of the alphabet decides.

    Args:
        text: what was written.
        known: names that exist.
        limit: how many to return at most.
    """
    folded = {name.casefold(): name for name in sorted(known)}
    wanted = text.casefold()
    matches = difflib.get_close_matches(wanted, folded, n=limit + 7, cutoff=_NEAR)
    ratio = {match: difflib.SequenceMatcher(None, match, wanted).ratio() for match in matches}
    best = max(ratio.values(), default=0.0)
    close = [match for match in matches if ratio[match] > best - _CLEARLY_BETTER]
    return [folded[m] for m in sorted(close, key=lambda m: (-ratio[m], -_common_prefix(m, wanted), m))[:limit]]


def did_you_mean(names: Iterable[str]) -> str | None:
    """`Did you mean 'a' or 'b'?`, or None for no names."""
    listed = " or ".join(repr(name) for name in names)
    return f"Did you mean {listed}?" if listed else None


def _common_prefix(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
