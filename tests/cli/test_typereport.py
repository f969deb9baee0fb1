"""What becomes of the lines that mypy prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mypy.errorcodes
import pytest

from wfgen_cli.typereport import EXPLAINED, findings, read_report, unexplained
from wfgen_inspector import RULES, Diagnostic

FILE = "a.workflow.py"
VARIANT = (
    "    def do(self, step: str, target: Literal['{id}'],{data} *, retry: Retry | None = ..., timeout: timedelta | "
    "str | None = ..., description: str | None = ...) -> Coroutine[Any, Any, list[{id}]]"
)


def line(**values: Any) -> str:
    """One line of mypy's, with a call from column 5 to 20 of line 2 in it unless said otherwise."""
    entry = {"file": FILE, "line": 2, "column": 4, "end_line": 2, "end_column": 19, "message": "It is wrong."}
    return json.dumps({**entry, "hint": None, "code": "misc", "severity": "error", **values})


def found(tmp_path: Path, *lines: str, source: str = "x = 1\n    do(1, 'pay.in')\n") -> list[Diagnostic]:
    """The findings of a report on one file; those of `other.py` do not count."""
    (tmp_path / FILE).write_text(source, encoding="utf-8")
    return findings(read_report("\n".join(lines)), tmp_path, lambda path: None if path == "other.py" else path)


def own(code: str, column: int, end_column: int) -> Diagnostic:
    return Diagnostic(FILE, 2, column, 2, end_column, code, "error", "Said by wfgen.")


def test_places(tmp_path: Path) -> None:
    """Columns begin at 1 and end one past the last character; the code stands in brackets."""
    (finding,) = found(tmp_path, line())
    assert (finding.line, finding.column, finding.end_line, finding.end_column) == (2, 5, 2, 20)
    assert (finding.code, finding.severity, finding.message) == ("WF410", "error", "It is wrong. [misc]")
    assert (finding.hint, finding.related, finding.fix) == (None, (), None)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"line": -1, "column": -1, "end_line": -1, "end_column": -1}, (1, 1, 1, 2)),
        ({"line": 0, "column": 0, "end_line": 0, "end_column": 0}, (1, 1, 1, 2)),
        ({"line": 2, "column": 4, "end_line": None, "end_column": None}, (2, 5, 2, 6)),
        ({"line": 9, "column": 3, "end_line": 9, "end_column": 3}, (9, 4, 9, 5)),
    ],
    ids=["unknown", "whole file", "no end", "empty, beyond the end"],
)
def test_odd_places(tmp_path: Path, values: dict[str, Any], place: tuple[int, ...]) -> None:
    """Whatever mypy gives as a place, the finding has one that can be shown."""
    (finding,) = found(tmp_path, line(**values))
    assert (finding.line, finding.column, finding.end_line, finding.end_column) == place


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_beyond_ascii(tmp_path: Path, newline: str) -> None:
    """On a line with other characters than ASCII the whole line is marked, for there columns cannot be relied on."""
    source = f"x = 1{newline}    do('äöü', 1){newline}    do(1,{newline}       'ü'){newline}"
    first, second = found(
        tmp_path, line(column=10, end_column=12), line(line=3, end_line=4, column=4, end_column=9), source=source
    )
    assert (first.column, first.end_column) == (5, 17)
    assert (second.line, second.column, second.end_line, second.end_column) == (3, 5, 4, 12)


def test_notes(tmp_path: Path) -> None:
    """Notes become one line of advice without links; notes of their own are no errors; definitions are related."""
    (advised,) = found(tmp_path, line(hint="Are you missing an await?\nSee https://example.org/x\n  It helps"))
    assert advised.hint == "Are you missing an await? It helps."
    (linked,) = found(tmp_path, line(hint="See https://example.org/x for more"))
    assert linked.hint is None
    (revealed,) = found(tmp_path, line(severity="note", message='Revealed type is "str"'))
    assert revealed.severity == "info"
    here = line(file="b.py", line=7, column=0, severity="note", message='"charge" defined here', code=None)
    (error,) = found(tmp_path, line(), here)
    assert [(r.file, r.line, r.column, r.message) for r in error.related] == [("b.py", 7, 1, '"charge" defined here.')]
    (kept,) = found(tmp_path, line(), line(file="other.py"), here)
    assert kept.related == ()


def test_overloads(tmp_path: Path) -> None:
    """Of many overloads the advice shows those of the worker that the call names, in words."""
    variants = [VARIANT.format(id=f"w{number}", data=" data: int,") for number in range(200)]
    variants.append(VARIANT.format(id="pay.in", data=" data: Order = ...,"))
    (finding,) = found(tmp_path, line(code="call-overload", hint="\n".join(("Possible overload variants:", *variants))))
    assert finding.hint == "Worker 'pay.in' takes Order = ... and gives list[pay.in]."
    (finding,) = found(tmp_path, line(hint="\n".join(("Possible overload variants:", *variants[:9]))))
    assert finding.hint == "It has 9 variants, and none fits."
    none = VARIANT.format(id="pay.in", data="")
    (finding,) = found(tmp_path, line(hint=f"Possible overload variant:\n{none}"))
    assert finding.hint == "Worker 'pay.in' takes no data and gives list[pay.in]."
    (finding,) = found(tmp_path, line(hint="Possible overload variants:\n    def f(x: int)\n    def f()"))
    assert finding.hint == "Possible: def f(x: int). Possible: def f()."


def test_long_advice(tmp_path: Path) -> None:
    """Advice is cut after some hundred characters."""
    (finding,) = found(tmp_path, line(hint="x" * 5000))
    assert finding.hint is not None
    assert len(finding.hint) == 400


def test_other_lines(tmp_path: Path) -> None:
    """What plugins print is no finding; an object that is none of mypy's is refused."""
    assert len(found(tmp_path, "plugin loaded", line(), "", "[1]")) == 1
    for bad in ("{", '{"file": 1}', line(line="x"), line(line=None)):
        with pytest.raises(ValueError, match=r"."):
            found(tmp_path, bad)


@pytest.mark.parametrize(
    ("code", "rule"), [(code, rule) for code, rules in EXPLAINED.items() for rule in sorted(rules)]
)
def test_explained(tmp_path: Path, code: str, rule: str) -> None:
    """A finding that another rule explains in the same place is left out, and not the same one elsewhere."""
    assert code in mypy.errorcodes.error_codes
    assert rule in RULES
    (finding,) = made = found(tmp_path, line(code=code))
    assert unexplained(made, [own(rule, 8, 12)]) == []
    assert unexplained(made, [own(rule, 1, 40)]) == []
    assert unexplained(made, [own(rule, 20, 25), own(rule, 1, 5)]) == [finding]
    assert unexplained(made, [own("WF302", 8, 12)]) == [finding]
    elsewhere = Diagnostic("b.workflow.py", 2, 8, 2, 12, rule, "error", "Said by wfgen.")
    assert unexplained(made, [elsewhere]) == [finding]


def test_not_explained(tmp_path: Path) -> None:
    """A finding of a kind that no rule explains stays beside any other."""
    made = found(tmp_path, line(code="index"), line(code=None))
    assert unexplained(made, [own(rule, 1, 40) for rule in RULES]) == made
