"""Reading back the manifest that an earlier prebuild wrote."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wfgen.manifest import SCHEMA_VERSION, Manifest, SourceFile
from wfgen_codegen.errors import StoredManifestError
from wfgen_codegen.ownership import INDEX

_HINT = "Run `wfgen prebuild`."


def load_manifest(output: Path) -> Manifest:
    """Read the manifest of a generated package.

    Args:
        output: folder of the generated package.

    Raises:
        StoredManifestError: there is none, it is damaged, or a newer wfgen wrote it.
    """
    path = output / INDEX
    index = _read(path)
    version = index.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoredManifestError(f"{path} was written by a newer wfgen (schema {version}).", hint="Upgrade wfgen.")
    names = index.get("files")
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_inside(name) for name in names):
        raise StoredManifestError(f"{path} is damaged: it has no list of files.", hint=_HINT)
    files = []
    for name in names:
        file = path.parent / name
        try:
            files.append(SourceFile.model_validate(_read(file)))
        except ValidationError as error:
            raise _damaged(file, error) from None
    try:
        manifest = Manifest.model_validate({**index, "files": ()})
    except ValidationError as error:
        raise _damaged(path, error) from None
    return manifest.model_copy(update={"files": tuple(sorted(files, key=lambda source: source.file))})


def load_source(output: Path, module: str) -> SourceFile | None:
    """What the stored manifest says of one source file; None if it cannot be read.

    Args:
        output: folder of the generated package.
        module: of the source file, such as `files.onboarding`.
    """
    try:
        return SourceFile.model_validate(_read(output / "manifest" / f"{module.replace('.', '/')}.json"))
    except (StoredManifestError, ValidationError):
        return None


def carry_over(manifest: Manifest, previous: Manifest, unreadable: Collection[str]) -> Manifest:
    """Put what is known of files that cannot be read just now into a new manifest, so that their outputs stay.

    Args:
        manifest: today's, without those files.
        previous: the stored one.
        unreadable: source files, relative to the project.
    """
    present = {source.file for source in manifest.files}
    kept = [source for source in previous.files if source.file in unreadable and source.file not in present]
    files = tuple(sorted((*manifest.files, *kept), key=lambda source: source.file))
    return manifest.model_copy(update={"files": files})


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoredManifestError(f"{path} does not exist.", hint=_HINT) from None
    except OSError as error:
        raise StoredManifestError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise StoredManifestError(f"{path} is damaged: {error}.", hint=_HINT) from None
    if not isinstance(data, dict):
        raise StoredManifestError(f"{path} is damaged: it holds no object.", hint=_HINT)
    return data


def _is_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/") and "\\" not in name


def _damaged(path: Path, error: ValidationError) -> StoredManifestError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return StoredManifestError(f"{path} is damaged at {place}: {first['msg']}.", hint=_HINT)
