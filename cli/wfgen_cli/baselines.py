"""What the sources are compared with: a lock file, a manifest, the sources at a git revision, or what was deployed."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from wfgen_inspector.compatibility.errors import RevisionError
from wfgen_inspector.compatibility.snapshot import LOCK, Snapshot, read, snapshot

if TYPE_CHECKING:
    from wfgen.manifest import Manifest
    from wfgen.settings import Settings

STORE = "store"
"""What `--against` calls the store of the setting `engine`."""
LIMIT = 120.0
"""Seconds after which git is given up."""
_REGULAR = (b"100644", b"100755")


@dataclass(frozen=True)
class Baseline:
    """A release to compare with."""

    snapshot: Snapshot
    name: str
    """What it is called in messages."""
    is_lock: bool = False
    """Whether it is the project's own lock file."""
    forgotten: tuple[str, ...] = ()
    """Versions that were deployed once and that nothing needs any more: they are not compared."""


def baseline(settings: Settings, against: str | None, today: Manifest) -> Baseline | None:
    """What to compare with: what `--against` names, else the project's lock file if there is one.

    Args:
        settings: of the project.
        against: `store`, a file, the folder of a manifest, or a git revision. A file goes before a revision: `./name`
            is always a file, `refs/heads/name` never one.
        today: what the sources define.

    Raises:
        LockError: the file cannot be read.
        RevisionError: it is no revision that git knows, or there is no repository.
        DeploymentError: the store does not tell what was deployed.
        StoreError: the store cannot be read.
    """
    if against == STORE:
        from wfgen_cli.deployed_baseline import deployed

        return deployed(settings, today)
    lock = settings.project / LOCK
    if against is None:
        return Baseline(read(lock), LOCK, is_lock=True) if lock.exists() else None
    path = next((p for p in (Path(against), settings.project / against) if p.exists()), None)
    if path is not None or against.endswith(".json") or against.startswith("."):
        found = path or Path(against)
        return Baseline(read(found), against, is_lock=found.resolve() == lock.resolve())
    return Baseline(_revision(settings, against), against)


def _revision(settings: Settings, name: str) -> Snapshot:
    """What the sources define at a git revision; neither work tree nor index is touched."""
    from wfgen_inspector import inspect

    top = Path(_git(settings.project, "rev-parse", "--show-toplevel", about=name).decode().removesuffix("\n"))
    verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    commit = _git(settings.project, *verify, about=name)
    with tempfile.TemporaryDirectory(prefix="wfgen-against-") as folder:
        root = Path(folder).resolve()
        for path, content in _modules(top, commit.decode().strip(), name):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        project = root / settings.project.resolve().relative_to(top.resolve())
        project.mkdir(parents=True, exist_ok=True)
        there = settings.model_copy(update={"project": project, "select": (), "ignore": ()})
        return snapshot(inspect(there, cache=False).manifest)


def _modules(top: Path, commit: str, name: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Python files of a commit with their content."""
    listed = _git(top, "ls-tree", "-r", "-z", "--full-tree", commit, about=name)
    found: list[tuple[PurePosixPath, bytes]] = []
    for line in listed.split(b"\0"):
        details, _, raw = line.partition(b"\t")
        path = PurePosixPath(raw.decode("utf-8", "surrogateescape"))
        if details.startswith(_REGULAR) and path.suffix == ".py" and ".." not in path.parts:
            found.append((path, details.split()[2]))
    data = _git(top, "cat-file", "--batch", about=name, input=b"".join(blob + b"\n" for _, blob in found))
    start = 0
    for path, _ in found:
        header, _, _ = data[start : start + 200].partition(b"\n")
        start += len(header) + 1
        size = int(header.split()[2])
        yield path, data[start : start + size]
        start += size + 1


def _git(folder: Path, *words: str, about: str, input: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *words], input=input, capture_output=True, timeout=LIMIT
        )
    except FileNotFoundError:
        raise RevisionError(f"{about!r} is no file, and git is not installed.", hint=_HINT) from None
    except subprocess.TimeoutExpired:
        raise RevisionError(f"git took more than {LIMIT:g} s to read {about!r}.", hint=_HINT) from None
    if done.returncode != 0:
        told = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        reason = f": {told}" if told else ""
        where = f"no revision that git knows in {folder}"
        raise RevisionError(f"{about!r} is no file and {where}{reason}.", hint=_HINT)
    return done.stdout


_HINT = "Give --against a git revision such as main, the path of a lock file, or that of a manifest."
