"""What can go wrong with what sources are compared with.

WfgenError
├── LockError        WF614  a lock file or manifest cannot be read or written
├── RevisionError    WF615  a revision cannot be read from git
└── DeploymentError  WF616  the store does not tell what was deployed
"""

from __future__ import annotations

from typing import ClassVar

from wfgen.errors import WfgenError


class LockError(WfgenError):
    """A lock file or manifest is missing, damaged, was written by a newer wfgen, or cannot be written."""

    code: ClassVar[str] = "WF614"


class RevisionError(WfgenError):
    """What `--against` names is no file and no revision that git knows."""

    code: ClassVar[str] = "WF615"


class DeploymentError(WfgenError):
    """With `--against store`: nothing of this project was deployed to the store, or what is recorded is damaged."""

    code: ClassVar[str] = "WF616"
