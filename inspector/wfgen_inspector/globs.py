"""Glob patterns of files, as the settings have them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKENS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKEN = re.compile(r"(\*\*/|\*\*|\*|\?)")


def pattern_of(globs: Iterable[str]) -> re.Pattern[str]:
    """One pattern for POSIX paths relative to the project, which matches in full what one of the globs matches.

    `*` and `?` stay within a folder, `**` does not; a folder means all below it.
    """
    patterns: list[str] = []
    for glob in globs:
        parts = _TOKEN.split(glob.removeprefix("./").rstrip("/"))
        patterns.append("".join(_TOKENS.get(part) or re.escape(part) for part in parts) + "(?:/.*)?")
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.DOTALL)
