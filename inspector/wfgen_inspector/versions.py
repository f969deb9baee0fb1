"""What wfgen's own code is, for caches: facts that another wfgen found are not this one's."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path

import wfgen.names


@cache
def code_digest() -> str:
    """Hash of the Python version and of all code that facts and manifest depend on."""
    here, runtime = Path(__file__).parent, Path(wfgen.names.__file__).parent
    digest = hashlib.sha256(repr(sys.version_info[:3]).encode())
    for path in (*sorted(here.rglob("*.py")), runtime / "manifest.py", runtime / "names.py", runtime / "settings.py"):
        digest.update(path.name.encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()
