"""Loading `*.workflow.py` and `*.worker.py`, whose names Python cannot import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wfgen.errors import DefinitionError


def load_source(namespace: dict[str, Any], path: str) -> None:
    """Execute a source file in the namespace of the generated module that stands for it.

    The classes that it declares are then classes of an importable module, and tracebacks show the user's own file.

    Args:
        namespace: `globals()` of the generated module.
        path: POSIX path of the source, relative to the generated module's folder.

    Raises:
        DefinitionError: the source is gone.
    """
    source = (Path(namespace["__file__"]).parent / path).resolve()
    try:
        text = source.read_bytes()
    except OSError as error:
        raise DefinitionError(
            f"{source} cannot be read: {error.strerror}.",
            hint="Run `wfgen prebuild` if the file was moved; ship it with the application.",
        ) from None
    exec(compile(text, str(source), "exec", dont_inherit=True), namespace)
