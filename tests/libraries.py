"""What mypy knows of the libraries is found out once for all projects of a test session, not for each."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of mypy's that projects share, see `share`."""
    return tmp_path_factory.mktemp("mypy_cache")


def share(libraries: Path, project: Path) -> None:
    """Have `wfgen check` use the shared cache in a project."""
    folder = project / ".wfgen"
    folder.mkdir(exist_ok=True)
    (folder / "mypy_cache").symlink_to(libraries)
