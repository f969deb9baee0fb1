"""`wfgen check --live`: runs in flight and today's sources."""

from __future__ import annotations

from typing import Any

from .desk import Desk, prepare

FLOWS = "shop/orders.workflow.py"
ORDER = '{"item": "pen"}'


def check(shop: Any, *words: str, code: int = 0) -> Any:
    return shop.ask("check", "--no-types", "--live", "--output-format", "json", *words, code=code)


def start(shop: Any, until: Any, *names: str) -> list[str]:
    """Start runs, work them until all wait, and kill the worker."""
    ids = [
        shop.json("start", name, *(("--input", ORDER) if name != "nap" else ()), "--json")["run_id"] for name in names
    ]
    worker = shop.start("worker")
    until(lambda: {r["status"] for r in shop.ask("runs", "list", "--json")} == {"waiting"})
    worker.kill()
    worker.wait(60)
    return ids


def test_no_store(shop: Any) -> None:
    """A store that does not exist is not made."""
    done = shop.inside("check", "--no-types", "--live")
    assert done.returncode == 0
    assert "No runs in flight" in done.stderr
    assert not (shop.folder / ".wfgen" / "wfgen.db").exists()


def test_runs_that_a_change_would_break(shop: Any, until: Any) -> None:
    """Recorded steps are replayed through today's graph: the run whose step was renamed breaks, the others do not."""
    approve, nap, other = start(shop, until, "approve", "nap", "nap")
    found = check(shop)
    assert found["diagnostics"] == []
    assert {r["run_id"]: (r["state"], r["step"]) for r in found["live"]["runs"]} == {
        approve: ("reproduced", "0/approval"),
        nap: ("reproduced", "0/long"),
        other: ("reproduced", "0/long"),
    }
    shop.replace(FLOWS, '"first"', '"second"')
    found = check(shop, code=1)
    (finding,) = found["diagnostics"]
    assert finding["code"] == "WF506"
    assert "2 runs in flight would break at step 'first' (inline)" in finding["message"]
    assert nap in finding["message"]
    assert finding["file"] == FLOWS
    (related,) = finding["related"]
    assert related["message"] == "step 'first' (inline) was recorded here"
    assert [r["state"] for r in found["live"]["runs"] if r["workflow"] == "approve"] == ["reproduced"]
    done = shop.inside("check", "--no-types", "--live")
    assert "nap version 1: 2 runs (2 at long); 2 would break" in done.stderr
    assert "approve version 1: 1 run (1 at approval)" in done.stderr


def in_flight(shop: Any) -> None:
    """As `start` leaves them, recorded directly: a run of approve that waits for its hook, one of nap that sleeps."""

    async def scenario(desk: Desk) -> None:
        process = await desk.process()
        for name in ("approve", "nap"):
            await desk.run(f"run_{name}", name)
            await desk.hold(process, name)
        step = {"attempt": 1, "started_at": 1.0}
        reserve = ("step_completed", "0/reserve", {"form": "rpc", "target": "stock.reserve", **step})
        await desk.record("run_approve", reserve, ("hook_created", "0/approval", {"form": "hook"}), status="waiting")
        first = ("step_completed", "0/first", {"form": "inline", **step})
        long = ("timer_set", "0/long", {"form": "sleep", "due": 4e9, "at": "shop/orders.workflow.py:25"})
        await desk.record("run_nap", first, long, status="waiting", wake_at=4e9)

    prepare(shop, scenario)


def test_an_inserted_step_behind_the_waiting_one_breaks_nothing(stored_shop: Any) -> None:
    """The release says that a version is needed, the runs in flight have not got there yet."""
    shop = stored_shop
    in_flight(shop)
    shop.inside("lock")
    shop.replace(FLOWS, '    return f"{reserved}', '    await workflow.do("log", lambda: 1)\n    return f"{reserved}')
    assert check(shop)["diagnostics"] == []
    shop.replace(FLOWS, "    approval = await", '    await workflow.do("early", lambda: 1)\n    approval = await')
    codes = sorted(d["code"] for d in check(shop, code=1)["diagnostics"])
    assert codes == ["WF501", "WF506"]


def test_stranded_runs(stored_shop: Any) -> None:
    """Runs of a version that is gone are told with their ids."""
    in_flight(stored_shop)
    stored_shop.replace(FLOWS, 'name="nap", version="1"', 'name="nap", version="2"')
    (finding,) = check(stored_shop, code=1)["diagnostics"]
    assert (finding["code"], finding["severity"]) == ("WF507", "error")
    assert "is not defined any more, and is in flight: 1 run (run_nap)" in finding["message"]


def test_the_store_is_only_read(shop: Any, until: Any) -> None:
    """Looking changes nothing: claims, owners and events stay, and no code of the project runs."""
    start(shop, until, "approve")
    before = shop.ask("runs", "list", "--json")
    effects = (shop.folder / "effects.log").read_text()
    shop.replace(FLOWS, "from shop.models", 'raise SystemExit("executed")\nfrom shop.models')
    shop.inside("check", "--no-types", "--live")
    assert shop.ask("runs", "list", "--json") == before
    assert (shop.folder / "effects.log").read_text() == effects


def test_a_store_that_is_none(shop: Any) -> None:
    """Another file in its place is told with a code."""
    shop.write(".wfgen/wfgen.db", "no database at all" * 100)
    done = shop.inside("check", "--no-types", "--live")
    assert done.returncode == 2
    assert "error[WF" in done.stderr


def test_a_source_that_cannot_be_read_strands_nobody(stored_shop: Any) -> None:
    """While a file has a syntax error nothing is said of its workflows' runs."""
    in_flight(stored_shop)
    stored_shop.replace(FLOWS, "async def nap", "async def def nap")
    found = check(stored_shop, code=1)
    assert [d["code"] for d in found["diagnostics"]] == ["WF001"]
    assert [r["state"] for r in found["live"]["runs"]] == ["unknown", "unknown"]


def test_runs_in_any_kind_of_store(stored_shop: Any) -> None:
    """The same on SQLite and PostgreSQL: what is recorded of each run in flight is replayed; nothing is written."""
    in_flight(stored_shop)
    before = stored_shop.ask("runs", "list", "--json")
    assert {run["run_id"]: (run["state"], run["step"]) for run in check(stored_shop)["live"]["runs"]} == {
        "run_approve": ("reproduced", "0/approval"), "run_nap": ("reproduced", "0/long"),
    }  # fmt: skip
    stored_shop.replace(FLOWS, '"long"', '"longer"')
    assert [finding["code"] for finding in check(stored_shop, code=1)["diagnostics"]] == ["WF506"]
    assert stored_shop.ask("runs", "list", "--json") == before
