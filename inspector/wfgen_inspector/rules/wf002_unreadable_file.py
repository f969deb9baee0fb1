"""WF002: a file cannot be read as text."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF002",
    name="unreadable-file",
    severity="error",
    summary="A workflow or worker file cannot be read, or is not UTF-8.",
    what="Reports a source file that the file system refuses to give, that is no regular file (such as a pipe), or "
    "whose bytes are not UTF-8 text.",
    why="What the file defines is unknown. Outputs that were generated from its last sound version are kept.",
    remedy="Give yourself the right to read the file, or save it as UTF-8 (with or without a byte order mark).",
    check=reported("WF002"),
    required=True,
    invalid=(sample(b'"""Caf\xe9 in Latin-1."""\n', line=1),),
    valid=(
        sample('"""Café in UTF-8."""\n'.encode()),
        sample('"""Café in UTF-8 with a byte order mark."""\n'.encode("utf-8-sig")),
        sample(b'"""Windows line ends."""\r\n'),
    ),
)
