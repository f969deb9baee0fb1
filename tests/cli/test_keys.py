"""`wfgen keys`: keys for encrypted payloads (B16)."""

from __future__ import annotations

import json
from typing import Any


def test_a_key_is_made_and_another_one_added(shop: Any) -> None:
    """A file keeps its keys when it gets a new one, which is the active one; only its owner may read it."""
    assert "'2026-11' is the active one of 1" in shop("keys", "new", "keys.json", "--id", "2026-11").stdout
    before = json.loads((shop.folder / "keys.json").read_text())
    assert "'2026-12' is the active one of 2" in shop("keys", "new", "keys.json", "--id", "2026-12").stdout
    after = json.loads((shop.folder / "keys.json").read_text())
    assert after["active"] == "2026-12"
    assert after["keys"]["2026-11"] == before["keys"]["2026-11"]
    assert (shop.folder / "keys.json").stat().st_mode & 0o077 == 0
    shop.write("pyproject.toml", '[tool.wfgen]\nencryption_keys = "file:keys.json"\n')
    assert shop("keys", "list").stdout == "2026-11\n2026-12 (active)\n"
    assert shop.ask("keys", "list", "--json") == {
        "source": "file:keys.json",
        "active": "2026-12",
        "keys": ["2026-11", "2026-12"],
    }


def test_a_key_without_a_file_is_printed(shop: Any) -> None:
    """Its text fits the variable that env:NAME names."""
    ring = json.loads(shop("keys", "new").stdout)
    assert list(ring["keys"]) == [ring["active"]]
    assert "not encrypted" in shop("keys", "list").stdout


def test_bad_keys_change_nothing(shop: Any) -> None:
    """An id that exists, one that cannot serve, and a file that holds no keys: WF732, and the file is as it was."""
    shop("keys", "new", "keys.json", "--id", "a")
    before = (shop.folder / "keys.json").read_bytes()
    for words in (["--id", "a"], ["--id", "a b"]):
        done = shop("keys", "new", "keys.json", *words)
        assert done.returncode == 2
        assert "error[WF732]" in done.stderr
    assert (shop.folder / "keys.json").read_bytes() == before
    shop.write("other.json", "[]")
    assert "error[WF732]" in shop("keys", "new", "other.json").stderr
    assert (shop.folder / "other.json").read_text() == "[]"


def test_a_run_with_keys_and_without(shop: Any) -> None:
    """The command line opens what the engine sealed; without keys it says so and shows no payload."""
    shop("keys", "new", "keys.json")
    shop.write("pyproject.toml", '[tool.wfgen]\nencryption_keys = "file:keys.json"\n')
    assert shop.json("run", "order", "--input", '{"item": "tea"}')["item"] == "tea"
    run = shop.ask("runs", "list", "--json")[0]
    assert run["output"]["item"] == "tea"
    shop.write("pyproject.toml", "[tool.wfgen]\n")
    assert shop.ask("runs", "list", "--json")[0]["output"] is None
    done = shop("runs", "show", run["run_id"])
    assert done.returncode == 2
    assert "error[WF732]" in done.stderr
    assert "no keys are set" in done.stderr
