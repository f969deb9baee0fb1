"""What mypy has found, as findings of wfgen's own kind.

mypy writes one JSON object a line. Its columns begin at 0 and, on a line that is not plain ASCII, depend on which of
its parsers was at work; there the whole line is marked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wfgen_inspector.diagnostics import Diagnostic, Related

CODE = "WF410"
EXPLAINED: Mapping[str, frozenset[str]] = {
    "arg-type": frozenset({"WF015", "WF105", "WF401", "WF403", "WF405", "WF406", "WF407"}),
    "assignment": frozenset({"WF405", "WF406"}),
    "attr-defined": frozenset({"WF103", "WF105", "WF401", "WF402", "WF403", "WF405", "WF406"}),
    "call-arg": frozenset({"WF105", "WF401", "WF403", "WF405", "WF406"}),
    "call-overload": frozenset({"WF015", "WF105", "WF106", "WF401", "WF402", "WF403", "WF405", "WF406", "WF411"}),
    "import-not-found": frozenset({"WF003", "WF010"}),
    "import-untyped": frozenset({"WF003"}),
    "misc": frozenset({"WF003", "WF401", "WF402", "WF405", "WF406"}),
    "name-defined": frozenset({"WF003"}),
    "no-untyped-def": frozenset({"WF403"}),
    "operator": frozenset({"WF103"}),
    "return-value": frozenset({"WF103", "WF406"}),
    "syntax": frozenset({"WF001"}),
    "union-attr": frozenset({"WF105"}),
    "unused-awaitable": frozenset({"WF103"}),
    "unused-coroutine": frozenset({"WF103"}),
}
"""mypy's code -> the codes of wfgen's rules that say more about the same mistake, where they find it in one place."""

_LAMBDA = "Cannot infer type of lambda"
"""What mypy says of a lambda with defaults where several overloads take it (`lambda item=item: …` in a loop), with a
second finding in the same place. The lambda is fine."""
_DEFINED_HERE = " defined here"
_VARIANTS = "Possible overload variant"
_TARGET = re.compile(r"target: Literal\['([^']*)'\]")
_CONTINUES = "on_error: Literal['continue']"
_WORKER = re.compile(
    r"def do\((?:self, )?step: str, target: Literal\['([^']*)'\],(?: data: (.*?),)? \*,.*-> Coroutine\[Any, Any, (.*)\]"
)
_SHOWN = 3
"""Overload variants that a hint shows."""
_LONGEST = 400
"""Characters of a hint."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of mypy's report."""

    file: str
    """As mypy prints it."""
    line: int
    """1-based; less than 1 where mypy knows none."""
    column: int
    """0-based; less than 0 where mypy knows none."""
    end_line: int
    end_column: int
    message: str
    notes: tuple[str, ...]
    code: str | None
    is_error: bool


def read_report(text: str) -> Iterator[Entry]:
    """Read mypy's output; lines that are no JSON objects, such as what plugins print, are left out.

    Raises:
        ValueError: an object is none of mypy's.
    """
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        raw = json.loads(line)
        try:
            first, column = int(raw["line"]), int(raw["column"])
            yield Entry(
                file=str(raw["file"]),
                line=first,
                column=column,
                end_line=max(first, int(raw.get("end_line") or first)),
                end_column=int(raw.get("end_column") or column + 1),
                message=str(raw["message"]),
                notes=tuple(str(raw.get("hint") or "").splitlines()),
                code=raw["code"],
                is_error=raw["severity"] == "error",
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{line[:200]} ({error})") from None


def findings(entries: Iterable[Entry], project: Path, place: Callable[[str], str | None]) -> list[Diagnostic]:
    """Make findings of a report.

    Args:
        entries: of the report.
        project: project root, from which sources are read.
        place: from mypy's path to the one relative to the project; None for files whose findings are left out.
    """
    found: list[Diagnostic] = []
    sources: dict[str, list[str]] = {}
    is_last_left_out = True
    for entry in entries:
        file = place(entry.file)
        if not entry.is_error and entry.message.endswith(_DEFINED_HERE):
            # It belongs to the error before it, whether that is ours or not, and wherever it stands itself.
            if not is_last_left_out and file is not None:
                related = Related(file, max(entry.line, 1), max(entry.column, 0) + 1, f"{entry.message}.")
                found[-1] = replace(found[-1], related=(*found[-1].related, related))
            continue
        is_last_left_out = file is None
        if file is not None:
            if file not in sources:
                sources[file] = _lines(project / file)
            found.append(_finding(entry, file, sources[file]))
    return found


def unexplained(found: Sequence[Diagnostic], known: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Leave out what a finding of wfgen's own in the same place explains, and what is no mistake."""
    lambdas = {(finding.file, finding.line, finding.column) for finding in found if _LAMBDA in finding.message}
    found = [finding for finding in found if (finding.file, finding.line, finding.column) not in lambdas]
    by_file: dict[str, list[Diagnostic]] = {}
    for own in known:
        by_file.setdefault(own.file, []).append(own)
    return [finding for finding in found if not any(_explains(own, finding) for own in by_file.get(finding.file, ()))]


def _explains(own: Diagnostic, finding: Diagnostic) -> bool:
    code = finding.message.rpartition("[")[2].rstrip("]")
    return (
        own.code in EXPLAINED.get(code, ())
        and (own.line, own.column) < (finding.end_line, finding.end_column)
        and (finding.line, finding.column) < (own.end_line, own.end_column)
    )


def _finding(entry: Entry, file: str, lines: list[str]) -> Diagnostic:
    first, last = max(entry.line, 1), max(entry.end_line, entry.line, 1)
    start, end = max(entry.column, 0), max(entry.end_column, 0)
    head, tail = (lines[number - 1] if number <= len(lines) else "" for number in (first, last))
    if not head.isascii():
        start = len(head) - len(head.lstrip())
    if not tail.isascii() or (first == last and not head.isascii()):
        end = len(tail.rstrip())
    if first == last:
        end = max(end, start + 1)
    called = lines[first - 1 : last]
    return Diagnostic(
        file=file,
        line=first,
        column=start + 1,
        end_line=last,
        end_column=end + 1,
        code=CODE,
        severity="error" if entry.is_error else "info",
        message=f"{entry.message} [{entry.code}]" if entry.code else entry.message,
        hint=_hint(entry.notes, "\n".join(called)),
    )


def _hint(notes: Sequence[str], source: str) -> str | None:
    """mypy's notes in one line, without links; of overloads those that the source is likely to mean."""
    texts = [note.strip() for note in notes if note.strip() and "://" not in note]
    if not texts:
        return None
    if texts[0].startswith(_VARIANTS):
        variants = texts[1:]
        meant = [v for v in variants if (target := _TARGET.search(v)) is not None and target[1] in source]
        # A worker's id has a second overload, for on_error="continue".
        meant = [v for v in meant if (_CONTINUES in v) == ("continue" in source)] or meant
        if not meant and len(variants) > _SHOWN:
            return f"It has {len(variants)} variants, and none fits."
        return _cut(" ".join(_variant(text) for text in (meant or variants)[:_SHOWN]))
    return _cut(" ".join(text if text.endswith((".", "?", ":", "!")) else f"{text}." for text in texts))


def _variant(text: str) -> str:
    worker = _WORKER.match(text)
    if worker is None:
        return f"Possible: {text}."
    name, data, result = worker.groups()
    return f"Worker {name!r} takes {data or 'no data'} and gives {result}."


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return []
    return re.split(r"\r\n|\r|\n", text)
