"""What wfgen's own code is, for caches: facts that another wfgen found are not this one's."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path

import wfgen.names


@cache
def code_digest() -> str:
    """Hash of the Python version, and of all code and data that facts and manifest depend on."""
    here, runtime = Path(__file__).parent, Path(wfgen.names.__file__).parent
    digest = hashlib.sha256(repr(sys.version_info[:3]).encode())
    own = (path for path in here.rglob("*.*") if path.suffix in (".py", ".toml"))
    used = (runtime / f"{name}.py" for name in ("durations", "manifest", "names", "retry", "settings"))
    for path in (*sorted(own), *used):
        digest.update(path.name.encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()
