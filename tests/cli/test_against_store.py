"""`wfgen check --against store`: today's sources and what was deployed last."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from .conftest import Wfgen

FLOWS = "shop/orders.workflow.py"
WORKER = "shop/stock.worker.py"
RESERVE = '    reserved = await workflow.do("reserve", "stock.reserve", data)\n    approval'
CHANGES = {
    "nothing": (FLOWS, "Reserve and bill.", "Reserve, then bill."),
    "a step in the middle": (
        FLOWS, RESERVE, RESERVE.replace("    approval", '    await workflow.sleep("w", "1s")\n    approval'),
    ),
    "a step that is renamed": (FLOWS, '"first"', '"second"'),
    "a worker's result": (WORKER, '-> str:\n    with Path("effects.log").open("a") as log:', "-> int:\n    if True:"),
    "a worker that is gone": (WORKER, '"stock.reserve"', '"stock.other"'),
    "an input": ("shop/models.py", "    amount: int = 1", "    amount: int = 1\n    size: int"),
    "a hook's payload": ("shop/models.py", "    ok: bool", "    ok: bool\n    why: str"),
    "a workflow that is gone": (FLOWS, 'name="nap"', 'name="rest"'),
    "a version that is gone": (FLOWS, 'name="nap", version="1"', 'name="nap", version="2"'),
}  # fmt: skip


def check(shop: Any, *words: str, code: int | None = None, **options: Any) -> Any:
    """What `wfgen check` finds; the exit code has to be that which the findings ask for."""
    done = shop.inside("check", "--no-types", "--output-format", "concise", *words, **options)
    found = shop.ask("check", "--no-types", "--output-format", "json", "--exit-zero", *words, **options)
    errors = any(finding["severity"] == "error" for finding in found["diagnostics"])
    assert done.returncode == (int(errors) if code is None else code), done.stderr
    return found


def deploy(shop: Any, *words: str, **options: Any) -> None:
    """Start a worker with what is in the folder, and end it when it has nothing to do."""
    shop.inside("prebuild")
    done = shop("worker", "--until-idle", *words, **options)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def deployed(prebuilt: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The store of a shop that was deployed once; to be copied."""
    folder = tmp_path_factory.mktemp("deployed") / "shop"
    shutil.copytree(prebuilt, folder)
    shop = Wfgen(folder)
    deploy(shop)
    shop.inside("lock")
    return folder


@pytest.fixture
def released(shop: Any, deployed: Any) -> Any:
    """The shop, locked and deployed."""
    for name in ("wfgen.lock.json", ".wfgen/wfgen.db"):
        shop.write(name, (deployed / name).read_bytes())
    return shop


@pytest.mark.parametrize("change", CHANGES)
def test_the_verdicts_are_those_against_a_lock_file(released: Any, change: str) -> None:
    """E1: a deployment that was recorded in the store judges a change as the lock file of that release does."""
    released.replace(*CHANGES[change])
    lock, store = (check(released, "--against", name) for name in ("wfgen.lock.json", "store"))
    assert store["compatibility"] == lock["compatibility"]
    told = [[(d["code"], d["severity"], d["message"]) for d in found["diagnostics"]] for found in (lock, store)]
    assert told[1] == [one for one in told[0] if one[0] != "WF505"]
    assert bool(told[1]) == (change != "nothing")


def test_what_was_deployed_last_counts(released: Any) -> None:
    """E1: of a version that had two shapes the one that was deployed later counts, also when the other comes back."""
    old = (released.folder / FLOWS).read_text()
    released.replace(FLOWS, '"first"', '"second"')
    assert [d["code"] for d in check(released, "--against", "store")["diagnostics"]] == ["WF501"]
    deploy(released)
    assert check(released, "--against", "store")["diagnostics"] == []
    released.write(FLOWS, old)
    assert [d["code"] for d in check(released, "--against", "store")["diagnostics"]] == ["WF501"]
    with closing(sqlite3.connect(released.folder / ".wfgen/wfgen.db")) as store:
        found = store.execute("SELECT workflow, version, count(*) FROM definitions GROUP BY 1, 2").fetchall()
    assert found == [("approve", "1", 1), ("broken", "1", 1), ("nap", "1", 2), ("order", "1", 1)]
    (told,) = (one for one in released.ask("doctor", "--json", code=1)["findings"] if one["topic"] == "deployed")
    assert told["message"].endswith("; with several shapes: nap@1")
    naps = [one for one in told["definitions"] if one["workflow"] == "nap"]
    assert naps[0]["last_at"] > naps[1]["last_at"] == naps[1]["first_at"]


def test_versions_that_nothing_needs_are_forgotten(released: Any) -> None:
    """A version that the last deployment came without is judged only while a run of it is in flight."""
    run_id = released.json("start", "nap", "--json")["run_id"]
    released.replace(FLOWS, 'name="nap", version="1"', 'name="nap", version="2"')
    deploy(released)
    (finding,) = check(released, "--against", "store")["diagnostics"]
    assert finding["code"] == "WF502"
    assert "it is gone" in finding["message"]
    assert released.inside("runs", "terminate", run_id).returncode == 0
    assert check(released, "--against", "store")["diagnostics"] == []
    done = released.inside("check", "--no-types", "--against", "store")
    assert "Not compared, since nothing needs them any more: nap version 1." in done.stderr


def test_the_store_is_only_read(released: Any) -> None:
    """Comparing writes nothing, and says with what."""
    before = (released.folder / ".wfgen/wfgen.db").read_bytes()
    released.replace(*CHANGES["a step that is renamed"])
    done = released.inside("check", "--no-types", "--against", "store")
    assert f"Compared with the store {released.folder / '.wfgen/wfgen.db'}:\n  nap  1  needs-version" in done.stderr
    assert (released.folder / ".wfgen/wfgen.db").read_bytes() == before


def test_definitions_are_no_payloads(shop: Any) -> None:
    """E1: what was deployed to an encrypted store can be compared with without its keys."""
    key = shop.inside("keys", "new").stdout
    deploy(shop, env={"WFGEN_ENCRYPTION_KEYS": "env:KEYS", "KEYS": key})
    shop.replace(*CHANGES["a step that is renamed"])
    assert [d["code"] for d in check(shop, "--against", "store")["diagnostics"]] == ["WF501"]


def test_a_store_of_several_projects(released: Any) -> None:
    """The workflows of other packages in the same store are nobody's that are gone."""
    with closing(sqlite3.connect(released.folder / ".wfgen/wfgen.db")) as store:
        store.execute("UPDATE definitions SET workflow = 'other' || workflow,"
                      " manifest = replace(manifest, 'shop.wfgen_gen', 'bank.wfgen_gen')")  # fmt: skip
        store.commit()
    done = released.inside("check", "--no-types", "--against", "store")
    assert done.returncode == 2
    assert "error[WF616]: nothing of shop.wfgen_gen was deployed to " in done.stderr
    assert "It holds workflows of other projects, such as 'otherapprove'." in done.stderr


def test_what_cannot_be_compared_with(shop: Any) -> None:
    """No store, an empty one, none at all, another version's, a damaged definition: each with code and advice."""
    path = shop.folder / ".wfgen/wfgen.db"

    def refused(code: str, message: str) -> None:
        done = shop.inside("check", "--no-types", "--against", "store")
        assert done.returncode == 2, done.stdout
        assert f"error[{code}]: " in done.stderr
        assert message in done.stderr
        assert "hint: " in done.stderr

    refused("WF616", "there is no store yet")
    assert not path.exists()
    assert shop.inside("migrate").returncode == 0
    refused("WF616", f"nothing of shop.wfgen_gen was deployed to {path} yet.")
    with closing(sqlite3.connect(path)) as store:
        store.execute(
            "INSERT INTO definitions VALUES ('nap', '1', 'h', ?, 1, 1)",
            (b'{"package": "shop.wfgen_gen", "workflows": [{"name": "nap"}]}',),
        )
        store.commit()
        refused("WF616", "the definition of workflow 'nap' version '1' in the store is damaged: at version")
        store.execute("PRAGMA user_version = 3")
        refused("WF802", "has a schema of version 3")
        store.execute("PRAGMA user_version = 99")
        refused("WF802", "has a schema of version 99")
    path.write_bytes(b"no database at all" * 100)
    refused("WF801", "is not a wfgen store")
