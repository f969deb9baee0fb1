"""User text is data: the filters through which it enters generated files.

Templates can output nothing but `Code` (and whole numbers): a plain string is refused when it is rendered, so a
template that forgets a filter fails instead of splicing a name or a docstring into code.
"""

from __future__ import annotations

import re
from typing import Any

SEAL = "\x1f"
"""Ends a line of a template that closes a stretch of a shared file; see `ownership`."""

MAX_LABEL = 60
"""Characters of a diagram's label; longer text is cut."""

_OPEN_QUOTE = re.compile(r'(?<!\\)(\\\\)*"$')
_LINE_SPACE = re.compile(r"\s+")
_MERMAID = {ord(c): f"#{ord(c)};" for c in '"#%&<>`\\$'}
_MARKDOWN = re.compile(r"([\\`*_\[\]#!|<>&~])")


class Code(str):
    """Text that may stand in a generated file as it is."""

    __slots__ = ()


def py(value: str | int | float | bool | None) -> Code:
    """A Python literal. Every character that is not printable ASCII or a letter of some script is escaped."""
    if isinstance(value, str):
        value = str(value)
        quoted = repr("'" + value)  # a single quote inside makes repr prefer double quotes
        return Code('"' + quoted[2:] if quoted[0] == '"' else repr(value))
    if value is None or isinstance(value, (bool, int, float)):
        return Code(repr(value))
    raise TypeError(f"py: {str(value)!r:.60} is no literal")


def doc(text: str, indent: int = 0) -> Code:
    """A docstring between triple quotes, its lines indented by so many spaces.

    The value is the text up to trailing spaces of a line, which are dropped; nothing can end the string early.
    """
    pad = " " * indent
    lines = [
        _escape(line.rstrip(" ")).replace('"""', r"\"\"\"").replace("# ~", r"\x23 ~")  # which would look like a seal
        for line in text.strip("\n").split("\n")
    ]
    body = "\n".join((lines[0], *(pad + line if line else "" for line in lines[1:])))
    if len(lines) > 1:
        return Code(f'"""{body}\n{pad}"""')
    if _OPEN_QUOTE.search(body):
        body = body[:-1] + r"\""
    return Code(f'"""{body}"""')


def comment(text: str) -> Code:
    """One line of printable text, for a `#` or `<!-- -->` comment."""
    return Code(_escape(text).replace("-->", "--\\>").replace("--!>", "--!\\>"))


def markdown(text: str) -> Code:
    """One line of plain text in Markdown: everything that could format, link or embed is escaped."""
    line = "".join(c if c.isprintable() else " " for c in _LINE_SPACE.sub(" ", text)).strip()
    return Code(_MARKDOWN.sub(r"\\\1", line))


def mermaid_label(text: str) -> Code:
    """The quoted label of a node or an edge: one line, at most `MAX_LABEL` characters, every special one escaped."""
    line = _LINE_SPACE.sub(" ", "".join(c if c.isprintable() or c.isspace() else "?" for c in text)).strip()
    if len(line) > MAX_LABEL:
        line = line[: MAX_LABEL - 1] + "…"
    return Code(f'"{line.translate(_MERMAID) or " "}"')


def finalize(value: Any) -> Any:
    """What Jinja applies to each output of a template."""
    if type(value) is Code or type(value) is int:
        return value
    raise TypeError(f"{str(value)!r:.60} needs a filter (py, doc, comment, markdown) before it may stand in a file")


FILTERS = {"py": py, "doc": doc, "comment": comment, "markdown": markdown}


def _escape(text: str) -> str:
    """Escape backslashes and whatever is not printable, as in a Python string without its quotes."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        "\\\\" if c == "\\" else c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in text
    )
