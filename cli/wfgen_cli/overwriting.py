"""Putting new content in the place of old: several files at once, each in a single step, or none of them."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wfgen_cli.failures import FixError
from wfgen_cli.mending import MendedFile


def overwrite(files: Sequence[MendedFile]) -> None:
    """Write files that belong together. Their mode is kept, and so are links that lead to them.

    Raises:
        FixError: one of them is no longer what was inspected, or cannot be written; all are as they were.
    """
    staged: list[tuple[MendedFile, str]] = []
    done: list[MendedFile] = []
    try:
        for file in files:
            staged.append((file, _beside(file.path, file.after.data)))
        for file in files:
            if file.path.read_bytes() != file.before.data:
                raise FixError(
                    f"{file.name} was not changed: somebody else changed it while it was inspected.",
                    hint="Run the command again.",
                )
        for file, temporary in staged:
            os.replace(temporary, file.path)
            done.append(file)
    except BaseException as error:
        for file in done:
            with contextlib.suppress(OSError):
                os.replace(_beside(file.path, file.before.data), file.path)
        if not isinstance(error, OSError):
            raise
        names = ", ".join(file.name for file in files)
        raise FixError(
            f"{names} {'was' if len(files) == 1 else 'were'} not changed: {error.strerror or error}.",
            hint="Check permissions and free space.",
        ) from None
    finally:
        for _, temporary in staged:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _beside(path: Path, data: bytes) -> str:
    """Write to a new file in the same folder, with mode and owner of the old one; gives its path."""
    look = os.stat(path)
    handle, temporary = tempfile.mkstemp(prefix=".wfgen-", suffix=".tmp", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(OSError):  # only root may give files away
            os.chown(temporary, look.st_uid, look.st_gid)
        os.chmod(temporary, stat.S_IMODE(look.st_mode))
    except OSError:
        os.unlink(temporary)
        raise
    return temporary
