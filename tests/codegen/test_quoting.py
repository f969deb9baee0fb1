"""User text is data wherever it stands."""

from __future__ import annotations

import ast
import inspect
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wfgen_codegen.quoting import Code, comment, doc, finalize, markdown, mermaid_label, py

TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("\"'\\\n\r\t {}#~\u2028\ud800"), max_size=60)
NASTY = 'x"); import os; os.abort() #'


@settings(deadline=None)
@given(TEXT)
@example(NASTY)
@example("'\"")
@example("\ud800\u2028\r\n\\")
def test_py_is_the_literal_of_any_text(text: str) -> None:
    """`py` gives one printable line that evaluates to the text."""
    code = py(text)
    assert ast.literal_eval(code) == text
    assert code.isprintable()


@pytest.mark.parametrize("value", [None, True, False, 0, -3, 2.5])
def test_py_is_the_literal_of_plain_values(value: object) -> None:
    """Numbers, booleans and None come out as themselves."""
    assert ast.literal_eval(py(value)) == value  # type: ignore[arg-type]


def test_py_refuses_other_values() -> None:
    """A list would have to be built by the view, so it is refused."""
    with pytest.raises(TypeError, match="no literal"):
        py([1])  # type: ignore[arg-type]


@settings(deadline=None)
@given(TEXT, st.sampled_from([0, 4, 8]))
@example('"""', 4)
@example('ends with "', 4)
@example("ends with \\", 4)
@example('\n""""""\n', 8)
@example("lines  # ~deadbeef\nhere", 8)
def test_doc_is_a_docstring_of_any_text(text: str, indent: int) -> None:
    """`doc` gives a docstring that reads back as the text, but for spaces at the ends of lines."""
    source = f"def f():\n{' ' * indent}    {doc(text, indent + 4)}\n"
    found = ast.parse(source).body[0]
    assert isinstance(found, ast.FunctionDef)
    value = ast.literal_eval(found.body[0].value)  # type: ignore[attr-defined]
    expected = "\n".join(line.rstrip(" ") for line in text.strip("\n").split("\n"))
    pad = " " * (indent + 4)
    lines = value.split("\n")
    if len(lines) > 1:
        assert lines.pop() == pad
    assert "\n".join(lines[:1] + [line.removeprefix(pad) for line in lines[1:]]) == expected
    assert not re.search(r"# ~[0-9a-f]{8}$", source, re.MULTILINE)


def test_doc_is_readable() -> None:
    """Ordinary documentation keeps its lines."""
    text = inspect.cleandoc("Create.\n\n    It has lines.")
    assert doc(text, 4) == '"""Create.\n\n    It has lines.\n    """'


@settings(deadline=None)
@given(TEXT)
@example("a\n-->\nimport os")
def test_comment_is_one_line(text: str) -> None:
    """A comment cannot end early, in Python or in HTML."""
    assert comment(text).isprintable()
    assert "-->" not in comment(text)


@settings(deadline=None)
@given(TEXT)
@example('"] --> x; click x "javascript:alert(1)"')
@example("%%{init: {'theme': 'dark'}}%%")
@example("```\nend")
def test_mermaid_label_is_one_quoted_text(text: str) -> None:
    """A label is one line between the only two quotes, without anything that Mermaid or HTML reads as markup."""
    label = mermaid_label(text)
    assert label.isprintable()
    assert label[0] == label[-1] == '"'
    inside = re.sub(r"#\d+;", "", label[1:-1])
    assert not set(inside) & set('"#%&<>`\\$')


def test_mermaid_label_is_cut() -> None:
    """Long text would make the diagram illegible."""
    assert mermaid_label("x" * 100) == '"' + "x" * 59 + '…"'


@settings(deadline=None)
@given(TEXT)
def test_markdown_cannot_embed(text: str) -> None:
    """No tag, link, image or code span starts in user text."""
    plain = re.sub(r"\\.", "", markdown(text))
    assert not set(plain) & set("`*_[]#!|<>&~\\\n")


def test_templates_cannot_output_plain_text() -> None:
    """What Jinja writes is code or a number; a text without a filter is an error."""
    assert finalize(Code("x")) == "x"
    assert finalize(4) == 4
    with pytest.raises(TypeError, match="needs a filter"):
        finalize("x")
