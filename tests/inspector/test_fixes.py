"""Applying fixes to text, and telling whether they helped."""

import codecs
from dataclasses import replace

import pytest

from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix
from wfgen_inspector.fixes import apply_edits, apply_fixes, without_effect
from wfgen_inspector.sources import Source, UnreadableError


def edit(
    line: int, column: int, end_column: int, text: str, *, end_line: int | None = None, file: str = "a.py"
) -> Edit:
    return Edit(file, line, column, end_line or line, end_column, text)


def finding(*edits: Edit, applicability: str = "safe", line: int = 1) -> Diagnostic:
    fix = Fix("mend it", "safe" if applicability == "safe" else "unsafe", edits)
    return Diagnostic("a.py", line, 1, line, 2, "WF103", "error", "not awaited.", fix=fix)


def test_an_empty_stretch_inserts() -> None:
    """An edit whose start is its end inserts its text there."""
    assert apply_edits("x = f()\n", [edit(1, 5, 5, "await ")]) == "x = await f()\n"


def test_edits_of_one_text_are_applied_in_any_order() -> None:
    """Edits are sorted by place, so later ones do not move earlier ones."""
    edits = [edit(2, 1, 2, "B"), edit(1, 1, 2, "A")]
    assert apply_edits("a\nb\n", edits) == apply_edits("a\nb\n", edits[::-1]) == "A\nB\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_as_python_says(newline: str) -> None:
    """All three line ends count, a form feed does not, and all of them are kept."""
    text = f"a\x0cb{newline}c{newline}"
    assert apply_edits(text, [edit(2, 1, 2, "C")]) == f"a\x0cb{newline}C{newline}"


def test_an_edit_can_span_lines_and_reach_the_end() -> None:
    """A stretch may start on one line and end after the last one."""
    assert apply_edits("a\nb\nc\n", [edit(2, 1, 1, "", end_line=4)]) == "a\n"


def test_columns_count_characters() -> None:
    """Characters outside ASCII and outside the basic plane count as one column."""
    assert apply_edits("é😀 = x\n", [edit(1, 6, 7, "y")]) == "é😀 = y\n"


def test_equal_edits_count_once() -> None:
    """Two findings may bring the same edit."""
    assert apply_edits("a\n", [edit(1, 1, 1, "x"), edit(1, 1, 1, "x")]) == "xa\n"


@pytest.mark.parametrize(
    "edits",
    [
        [edit(1, 1, 4, "x"), edit(1, 3, 5, "y")],
        [edit(1, 2, 2, "x"), edit(1, 2, 2, "y")],
        [edit(1, 1, 5, "x"), edit(1, 2, 3, "y")],
        [edit(9, 1, 1, "x")],
        [edit(1, 9, 9, "x")],
        [edit(1, 3, 2, "x")],
    ],
)
def test_edits_that_do_not_fit_are_refused(edits: list[Edit]) -> None:
    """Overlapping edits and edits outside the text raise instead of damaging it."""
    with pytest.raises(ValueError, match=r"overlap|outside|before it starts"):
        apply_edits("abcdef\n", edits)


def test_touching_edits_do_not_overlap() -> None:
    """One stretch may start where another ends."""
    assert apply_edits("abcd\n", [edit(1, 1, 3, "x"), edit(1, 3, 5, "y")]) == "xy\n"


def test_a_fix_that_overlaps_an_earlier_one_is_left_for_the_next_round() -> None:
    """The first fix wins; the other is reported as left, wholly unapplied."""
    first = finding(edit(1, 1, 4, "x"))
    second = finding(edit(2, 1, 2, "Y"), edit(1, 2, 3, "z"), line=2)
    fixed = apply_fixes({"a.py": "abc\ny\n"}, [first, second])
    assert (fixed.texts, fixed.applied, fixed.left) == ({"a.py": "x\ny\n"}, (first,), (second,))


def test_unsafe_fixes_are_applied_only_when_asked() -> None:
    """Somebody has to ask for a fix that somebody has to look at."""
    unsafe = finding(edit(1, 1, 2, "x"), applicability="unsafe")
    assert apply_fixes({"a.py": "abc\n"}, [unsafe]).texts == {}
    assert apply_fixes({"a.py": "abc\n"}, [unsafe], unsafe=True).texts == {"a.py": "xbc\n"}


def test_a_fix_of_a_file_that_is_not_there_is_left() -> None:
    """A file that vanished since it was inspected is no crash."""
    lost = finding(edit(1, 1, 2, "x", file="gone.py"))
    assert apply_fixes({"a.py": "abc\n"}, [lost]).left == (lost,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\nc\r", "a1\r\n2\r\nb1\n2\nc1\r2\r"),
        ("a\r\nb\r\nc", "a1\r\n2\r\nb1\r\n2\r\nc1\r\n2"),
    ],
)
def test_new_lines_end_like_their_neighbours(text: str, expected: str) -> None:
    """A fix brings its lines with `\\n`; they end as the line does at which they are put in, or as the first does."""
    assert apply_edits(text, [edit(line, 2, 2, "1\n2") for line in (1, 2, 3)]) == expected


def moved(before: Diagnostic, line: int, column: int, fix_at: tuple[int, int] | None) -> Diagnostic:
    """The same finding elsewhere, with its fix elsewhere or without one."""
    fix = None if fix_at is None else finding(edit(*fix_at, fix_at[1] + 1, "x")).fix
    return replace(before, line=line, column=column, message=f"not awaited, line {line}.", fix=fix)


@pytest.mark.parametrize(
    ("edits", "line", "column", "fix_at", "is_there"),
    [
        ([edit(1, 1, 2, "x")], 1, 1, None, True),
        ([edit(1, 1, 2, "xyz")], 1, 3, None, True),
        ([edit(1, 1, 2, "xyz")], 1, 4, None, False),
        ([edit(1, 1, 1, "xyz")], 1, 4, None, True),
        ([edit(1, 1, 1, "xyz")], 1, 1, None, True),
        ([edit(1, 1, 1, "xyz")], 1, 5, None, False),
        ([edit(1, 1, 1, "x\n\ny")], 3, 2, None, True),
        ([edit(1, 3, 4, "xyz")], 1, 1, (1, 3), True),
        ([edit(1, 3, 4, "xyz")], 1, 1, (1, 7), False),
        ([edit(1, 3, 4, "xyz")], 1, 1, None, True),
        ([edit(1, 3, 4, "xyz")], 1, 2, None, False),
        ([edit(1, 1, 2, "")], 1, 1, None, False),
    ],
)
def test_a_finding_that_is_still_there_was_not_mended(
    edits: list[Edit], line: int, column: int, fix_at: tuple[int, int] | None, is_there: bool
) -> None:
    """It is found again where the edits have moved it, unless its fix is for another place now."""
    before = replace(finding(*edits), message="not awaited, line 1.")
    texts = {"a.py": "abcdef\ng\n"}
    fixed = apply_fixes(texts, [before])
    after = [moved(before, line, column, fix_at)]
    assert without_effect(texts, fixed, after) == ((before,) if is_there else ())
    assert without_effect(texts, fixed, [replace(after[0], code="WF104")]) == ()
    assert without_effect(texts, fixed, [replace(after[0], file="b.py")]) == ()


@pytest.mark.parametrize(
    "data",
    [
        b"x = 1\n",
        codecs.BOM_UTF8 + "é = 1\r\n".encode(),
        "# coding: latin-1\ré = 1".encode("latin-1"),
        "#!/bin/sh\n# -*- coding: cp1251 -*-\nд = 1\n".encode("cp1251"),
        b"",
    ],
)
def test_a_source_keeps_its_bytes(data: bytes) -> None:
    """With the text that it has, or a longer one, what was there is byte for byte what it was."""
    source = Source(data)
    assert source.with_text(source.written()).data == data
    assert source.with_text(source.written() + "\ny").data == data + b"\ny"


@pytest.mark.parametrize(
    ("data", "text", "reason"),
    [
        (b"# coding: ascii\nx\n", "# coding: ascii\n\xe9\n", "cannot be written in ascii"),
        (b"# coding: latin-1\n", "\n\n# coding: latin-1\n\xe9\n", "no longer be declared in one of its first"),
        (b"# coding: utf-7\n+AGE-\n", "# coding: utf-7\nb\n", "not what utf-7 makes of its text"),
        (codecs.BOM_UTF8 + b"# coding: utf-8-sig\nx\n", "y\n", "not what utf-8-sig makes of its text"),
    ],
)
def test_a_source_that_could_not_be_read_again_is_refused(data: bytes, text: str, reason: str) -> None:
    """A file is not given text that its declared encoding would not give back."""
    with pytest.raises(UnreadableError, match=reason):
        Source(data).with_text(text)
