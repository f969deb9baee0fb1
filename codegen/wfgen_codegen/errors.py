"""Everything that codegen raises on purpose.

WfgenError
└── CodegenError          the base, never raised itself
    ├── OutputEditedError   WF602  an output path holds a file that wfgen did not write, or that was edited
    ├── OutputWriteError    WF604  the output folder cannot be read or written
    ├── RenderError         WF605  the manifest holds what no correct code can be made of
    ├── TemplateError       WF606  a template is missing, has a syntax error or uses an unknown name
    └── StoredManifestError WF607  the manifest on disk is missing or damaged
"""

from __future__ import annotations

from wfgen.errors import WfgenError


class CodegenError(WfgenError):
    """The base of codegen's errors."""


class OutputEditedError(CodegenError):
    """A path that has to be written holds a file that wfgen did not write, or that somebody edited.

    Nothing has been written.

    Attributes:
        paths: the files, POSIX, relative to the output folder, sorted.
    """

    code = "WF602"

    def __init__(self, message: str, *, paths: tuple[str, ...], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.paths = paths


class OutputWriteError(CodegenError):
    """The output folder cannot be read or written. What it held before is still there."""

    code = "WF604"


class RenderError(CodegenError):
    """The manifest holds what no correct code can be made of: a bad name, a collision, a malformed type."""

    code = "WF605"


class TemplateError(CodegenError):
    """A template is missing, has a syntax error, uses an unknown name or gives code that does not compile."""

    code = "WF606"


class StoredManifestError(CodegenError):
    """The manifest on disk is missing, damaged or of a newer wfgen."""

    code = "WF607"
