"""What a finding is told by from one run to the next, wherever its line has moved."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.formats.source import Lines


def fingerprints(diagnostics: Sequence[Diagnostic], lines: Lines) -> list[str]:
    """A fingerprint for each finding, no two of them equal.

    It is a hash of the code, the file, the text of the line without its indentation, and how many findings before it
    have all these in common; so it survives other lines, and is lost with its own.

    Args:
        diagnostics: in output order.
        lines: of the project.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    found: list[str] = []
    for finding in diagnostics:
        key = (finding.code, finding.file, " ".join(lines.line(finding.file, finding.line).split()))
        text = "\0".join((*key, str(seen[key])))
        seen[key] += 1
        found.append(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])
    return found
