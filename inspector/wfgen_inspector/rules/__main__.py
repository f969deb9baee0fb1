"""`python -m wfgen_inspector.rules` prints the rules' documentation."""

from __future__ import annotations

import sys

from wfgen_inspector.rules.documentation import page

if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    sys.stdout.write(page())
