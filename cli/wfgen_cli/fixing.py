"""`wfgen check --fix` and `--diff`: what the fixes come to is written, or shown, and told in a line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wfgen_cli import terminal
from wfgen_cli.failures import FOUND, UNUSABLE, ArgumentError, FixError, tell
from wfgen_cli.mending import Batch, Look, Mended, mend
from wfgen_cli.overwriting import overwrite
from wfgen_cli.patches import colored, patch

if TYPE_CHECKING:
    from wfgen.settings import Settings


def refuse_unclear(*, fix: bool, diff: bool) -> None:
    """Refuse `--unsafe-fixes` alone, of which nobody can tell what it should do.

    Raises:
        ArgumentError: neither of the two is asked for.
    """
    if not (fix or diff):
        raise ArgumentError(
            "--unsafe-fixes changes nothing by itself.", hint="Add --fix to write them, or --diff to look first."
        )


def fix(settings: Settings, look: Look, *, unsafe: bool) -> int:
    """Fix what can be fixed, on disk, and tell on stderr what was done.

    Args:
        settings: of the project.
        look: inspects it.
        unsafe: whether to apply fixes that somebody has to look at, too.

    Returns:
        The exit code so far: not 0 when a file could not be changed.
    """
    mended = mend(settings, look, unsafe=unsafe)
    written: list[Batch] = []
    errors = list(mended.errors)
    for batch in mended.batches:
        try:
            overwrite(batch.files)
        except FixError as error:
            errors.append(error)
        else:
            written.append(batch)
    _tell(mended, written, errors, "Fixed")
    return UNUSABLE if errors else 0


def show(settings: Settings, look: Look, *, unsafe: bool) -> int:
    """Print what `fix` would change, as a patch; the exit code is 1 if there is something. Arguments as of `fix`."""
    mended = mend(settings, look, unsafe=unsafe)
    changes = patch(mended.files)
    if changes and terminal.has_color(sys.stdout):
        terminal.say_text(colored(changes))
    elif changes:
        terminal.say_bytes(changes)
    _tell(mended, mended.batches, mended.errors, "Would fix")
    return UNUSABLE if mended.errors else FOUND if changes else 0


def _tell(mended: Mended, batches: Sequence[Batch], errors: Sequence[FixError], what: str) -> None:
    for error in errors:
        tell(error.code, error.message, error.hint)
    for reason in mended.refused:
        tell(FixError.code, reason, severity="warning")
    count = sum(len(batch.findings) for batch in batches)
    files = sum(len(batch.files) for batch in batches)
    parts = [f"{what} {terminal.count(count, 'finding')} in {terminal.count(files, 'file')}"] if count else []
    if mended.unsafe:
        parts.append(
            f"{mended.unsafe} more with --unsafe-fixes"
            if count
            else f"{mended.unsafe} can be fixed with --unsafe-fixes"
        )
    if parts:
        terminal.note("; ".join(parts) + ".")
