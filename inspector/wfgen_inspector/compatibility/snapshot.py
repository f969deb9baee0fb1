"""What is kept of a release, to compare later sources with: `wfgen.lock.json`.

One object for each version of a workflow, for each worker and for each type, by name, so that two branches that add
something merge without a conflict. Nothing in it depends on time or machine. Lines are those of the time when the
object was written: a lock that differs in nothing but lines is left as it is.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wfgen.manifest import Manifest, Span, TypeShape, WorkerEntry, WorkflowEntry
from wfgen_inspector.compatibility import LOCK as LOCK
from wfgen_inspector.compatibility.errors import LockError
from wfgen_inspector.compatibility.shapes import START, Operation, Shapes, operations, shapes_of

SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LockedWorkflow(_Record):
    """One version of one workflow."""

    name: str
    version: str
    file: str
    line: int
    span: Span = Field(default=START, exclude=True)
    """Of the definition, of what is read from today's sources."""
    input: str | None = None
    input_required: bool = True
    output: str = "None"
    context: str | None = None
    code_key: str = ""
    interface_hash: str = ""
    steps_hash: str = ""
    body: Shapes = ()

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def hooks(self) -> dict[str, Operation]:
        """By name, the first of each."""
        found: dict[str, Operation] = {}
        for operation in operations(self.body):
            if operation.form in ("hook", "create_hook"):
                found.setdefault(operation.name, operation)
        return found


class LockedWorker(_Record):
    """One worker."""

    id: str
    file: str
    line: int
    span: Span = Field(default=START, exclude=True)
    input: str | None = None
    input_required: bool = True
    output: str = "None"


class Snapshot(_Record):
    """Workflows, workers and types of a release."""

    schema_version: int = SCHEMA_VERSION
    workflows: dict[str, LockedWorkflow] = {}
    """By name and version, such as `order@1`."""
    workers: dict[str, LockedWorker] = {}
    types: dict[str, TypeShape] = {}
    """The project's own types, by qualified name."""


def snapshot(manifest: Manifest) -> Snapshot:
    """What today's sources define."""
    return of_entries(manifest.workflows, manifest.workers)


def of_entries(workflows: tuple[WorkflowEntry, ...], workers: tuple[WorkerEntry, ...]) -> Snapshot:
    """What these entries of manifests define. Of two with one name the later one counts."""
    return Snapshot(
        workflows={
            entry.id: LockedWorkflow(
                name=entry.name,
                version=entry.version,
                file=entry.file,
                line=entry.span.line,
                span=entry.span,
                input=entry.input,
                input_required=entry.input_required,
                output=entry.output,
                context=entry.context,
                code_key=entry.code_key,
                interface_hash=entry.interface_hash,
                steps_hash=entry.steps_hash,
                body=shapes_of((*(entry.before or ()), *entry.body)),
            )
            for entry in workflows
        },
        workers={
            entry.id: LockedWorker(
                id=entry.id,
                file=entry.file,
                line=entry.span.line,
                span=entry.span,
                input=entry.input,
                input_required=entry.input_required,
                output=entry.output,
            )
            for entry in workers
        },
        types={shape.name: shape for types in _types(workflows, workers) for shape in types},
    )


def _types(workflows: tuple[WorkflowEntry, ...], workers: tuple[WorkerEntry, ...]) -> Iterator[tuple[TypeShape, ...]]:
    yield from (entry.types for entry in workflows)
    yield from (entry.types for entry in workers)


def locked(today: Snapshot, before: Snapshot | None, *, prune: bool = False) -> Snapshot:
    """The lock that today's sources ask for.

    Versions, workers and types that have gone from the sources stay, for there may be runs of them; `prune` drops
    them. What has not changed but for its lines stays as it is.
    """
    if before is None:
        return today

    def merged(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
        kept = {} if prune else dict(old)
        for name, entry in new.items():
            same = name in old and _without_places(old[name]) == _without_places(entry)
            kept[name] = old[name] if same else entry
        return kept

    return Snapshot(
        workflows=merged(today.workflows, before.workflows),
        workers=merged(today.workers, before.workers),
        types=merged(today.types, before.types),
    )


def render(lock: Snapshot) -> str:
    """The text of a lock file: sorted, indented, ends with a newline."""
    data = lock.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    kinds = _with_kinds(data, lock)
    return json.dumps({"schema_version": lock.schema_version, **kinds}, indent=1, sort_keys=True) + "\n"


def _with_kinds(data: dict[str, Any], lock: Snapshot) -> dict[str, Any]:
    """Defaults are left out, but for the kinds by which shapes are told apart."""
    for id_, entry in data.get("workflows", {}).items():
        entry["body"] = [_dumped(shape) for shape in lock.workflows[id_].body]
    return {key: data.get(key, {}) for key in ("workflows", "workers", "types")}


def _dumped(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_dumped(element) for element in value]
    if not isinstance(value, BaseModel):
        return value
    result: dict[str, Any] = {}
    for name, field in type(value).model_fields.items():
        given = getattr(value, name)
        if not field.exclude and (name == "kind" or given != field.default):
            result[name] = _dumped(given)
    return result


def _without_places(value: Any) -> Any:
    dumped = _dumped(value)

    def stripped(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: stripped(inner) for key, inner in part.items() if key not in ("line", "file")}
        return [stripped(inner) for inner in part] if isinstance(part, list) else part

    return stripped(dumped)


def read(path: Path) -> Snapshot:
    """Read a lock file, or a manifest: what `wfgen list --json` prints, or the folder of a generated package's.

    Raises:
        LockError: it does not exist, is damaged, or a newer wfgen wrote it.
    """
    if path.is_dir():
        path = path / "index.json"
    data = _data(path)
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise LockError(
            f"{path} was written by a newer wfgen: its schema is version {version}, this one knows {SCHEMA_VERSION}.",
            hint="Upgrade wfgen, or compare with another file.",
        )
    try:
        if isinstance(data.get("workflows"), dict):
            return Snapshot.model_validate(data)
        if isinstance(data.get("files"), list):  # the manifest of a generated package
            parts = [_data(path.parent / name) if isinstance(name, str) else name for name in data["files"]]
            data = {key: [e for part in parts for e in part.get(key, [])] for key in ("workflows", "workers")}
        if isinstance(data.get("workflows"), list):
            workflows = tuple(WorkflowEntry.model_validate(entry) for entry in data["workflows"])
            workers = tuple(WorkerEntry.model_validate(entry) for entry in data.get("workers", []))
            return of_entries(workflows, workers)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"at {place}: {first['msg']}") from None
    raise _damaged(path, "it is neither a lock file nor a manifest")


def write(path: Path, lock: Snapshot) -> bool:
    """Write a lock file, at once or not at all; one that has this content is not touched.

    Returns:
        Whether it was written.

    Raises:
        LockError: the file cannot be written.
    """
    text = render(lock).encode()
    try:
        if path.exists() and path.read_bytes() == text:
            return False
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text)
            os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise LockError(
            f"{path} cannot be written: {error.strerror or error}.", hint="Check the folder's permissions."
        ) from None
    return True


def _data(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise LockError(f"{path} does not exist.", hint="`wfgen lock` writes a lock file.") from None
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error.strerror or error}.", hint="Check its permissions.") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(data, dict):
        raise _damaged(path, "it holds no object")
    return data


def _damaged(path: Path, why: str) -> LockError:
    return LockError(
        f"{path} is damaged: {why}.", hint="Take it from version control again; `wfgen lock` writes a new one."
    )
