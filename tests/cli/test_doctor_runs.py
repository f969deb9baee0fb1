"""`wfgen doctor` on runs and jobs that do not move, and `wfgen workers list`; both stores say the same."""

from __future__ import annotations

import math
from typing import Any

from wfgen.ids import HookToken, RunId
from wfgen.store.records import HookRecord, NewRun

from .desk import Desk, prepare


def ask(shop: Any, run_id: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """What doctor says of a run, by topic."""
    told = shop.ask("doctor", run_id, "--json", code=code)
    assert told["problems"] == sum(finding["state"] == "problem" for finding in told["findings"])
    return {finding["topic"]: finding for finding in told["findings"]}


def topic(shop: Any, topic: str, code: int = 0) -> list[dict[str, Any]]:
    return [one for one in shop.ask("doctor", "--json", code=code)["findings"] if one["topic"] == topic]


def test_what_a_run_waits_for(stored_shop: Any) -> None:
    """D16: a hook until when, a timer, the next attempt, a child, and who holds the run; nothing that has ended."""
    due = 4_000_000_000.0

    async def scenario(desk: Desk) -> None:
        process = await desk.process()
        run_id = await desk.run("run_a")
        await desk.hold(process)
        hook = HookRecord(HookToken("t"), RunId(run_id), "nap", "0/ok", "ok", due, "open", 1.0)
        child = NewRun(RunId("run_child"), "order", "7", b"{}", "salt", parent=(RunId(run_id), "0/sub"))
        await desk.record(
            run_id,
            ("timer_set", "0/over", {"form": "sleep", "due": 5.0}),
            ("hook_created", "0/ok", {"form": "hook", "token": "t", "due": due}),
            ("timer_fired", "0/over", {"form": "sleep"}),
            ("timer_set", "0.1/long", {"form": "sleep", "due": due}),
            ("step_retrying", "0.2/pay", {"form": "rpc", "attempt": 2, "error_type": "OSError", "next_at": due}),
            ("child_started", "0.3/sub", {"form": "call", "target": "order", "run_id": "run_child", "version": "7"}),
            opened=[hook], children=[child], status="waiting", wake_at=math.inf,
        )  # fmt: skip

    prepare(stored_shop, scenario)
    told = stored_shop.ask("doctor", "run_a", "--json")["findings"]
    assert [(finding["topic"], finding["state"]) for finding in told] == [
        ("run", "ok"), ("holder", "ok"), ("hook", "info"), ("timer", "info"), ("step", "info"), ("child", "info"),
    ]  # fmt: skip
    messages = [finding["message"] for finding in told]
    assert messages[0].startswith("run_a, workflow 'nap' version '1': waiting since 20")
    assert "(pid 77 on elsewhere), lease for another" in messages[1]
    assert messages[2].startswith("waits for hook ok until 2096-")
    assert messages[3].startswith("waits for 0.1/long until 2096-")
    assert "the next attempt of 0.2/pay at 2096-" in messages[4]
    assert messages[4].endswith("(OSError, attempt 2)")
    assert messages[5].endswith("(workflow 'order' version '7'), which is pending")
    assert told[2]["hint"] == "`wfgen hooks resume --run run_a --name ok --input JSON` answers it."
    assert told[5]["hint"].startswith("`wfgen doctor run_child`")
    child = ask(stored_shop, "run_child", code=1)["holder"]["message"]
    assert child == (
        "workflow 'order' version '7' is not defined here, and no live process serves it "
        f"(version '1' is served by {messages[1].removeprefix('held by ').partition(',')[0]})"
    )
    text = stored_shop.inside("doctor", "run_a")
    assert text.returncode == 0
    assert "info     hook       waits for hook ok until" in text.stdout


def test_a_run_that_nobody_can_take(stored_shop: Any) -> None:
    """B27: no process, a version that is gone, and a process that serves others are told apart."""

    async def scenario(desk: Desk) -> None:
        await desk.run("run_here")
        await desk.run("run_gone", version="0")
        await desk.process(workflows=[["nap", "2"]])

    prepare(stored_shop, scenario)
    here = ask(stored_shop, "run_here", code=1)["holder"]
    assert here["message"].startswith("no live process serves workflow 'nap' version '1' (version '2' is served by ")
    assert (here["hint"], here["served_by"]) == ("Start `wfgen worker`.", [])
    gone = ask(stored_shop, "run_gone", code=1)["holder"]
    assert "is not defined here" in gone["message"]
    assert "wfgen runs terminate" in gone["hint"]
    problems = [one for one in topic(stored_shop, "runs", code=1) if one["state"] == "problem"]
    assert [one["run_ids"] for one in problems] == [["run_gone"]]
    (fresh,) = [one for one in topic(stored_shop, "runs", code=1) if one["state"] == "info"]
    assert (fresh["run_ids"], fresh["hint"]) == (["run_here"], "Start `wfgen worker`."), "it was started just now"
    assert fresh["message"].startswith("no live process serves workflow 'nap' version '1'")


def test_a_version_that_another_project_serves_is_no_trouble(stored_shop: Any) -> None:
    """A run whose version a live process serves moves, whether this project knows it or not."""

    async def scenario(desk: Desk) -> None:
        await desk.run("run_b", workflow="elsewhere", version="3")
        await desk.process(workflows=[["elsewhere", "3"]])

    prepare(stored_shop, scenario)
    assert "there is 1 process that serves it" in ask(stored_shop, "run_b")["holder"]["message"]
    assert [one["state"] for one in topic(stored_shop, "runs")] == ["ok"]


def test_a_paused_run_and_ended_ones(stored_shop: Any) -> None:
    """B11: since when a run is paused; what has ended says how."""

    async def scenario(desk: Desk) -> None:
        process = await desk.process()
        for run_id in ("run_p", "run_f", "run_t"):
            await desk.run(run_id)
        await desk.hold(process)
        await desk.record("run_p", ("run_paused", None, {}), status="paused")
        error = {"error_type": "ValueError", "error": "no", "code": "WF710", "step": None}
        await desk.record("run_f", ("run_failed", None, error), status="failed", error=("ValueError", "no", "WF710"))
        await desk.store.terminate("run_t")

    prepare(stored_shop, scenario)
    told = ask(stored_shop, "run_p")
    assert told["paused"]["message"].startswith("paused since 20")
    assert told["paused"]["hint"] == "`wfgen runs resume run_p` lets it go on."
    failed = ask(stored_shop, "run_f")["run"]
    assert failed["message"].endswith("(WF710: ValueError)")
    assert "wfgen runs retry run_f" in failed["hint"]
    assert ": terminated at 20" in ask(stored_shop, "run_t")["run"]["message"]
    assert topic(stored_shop, "runs")[1]["run_ids"] == ["run_p"]


def test_leases_that_have_lapsed(stored_shop: Any) -> None:
    """B14, D16: a process that is silent is marked, and its runs and jobs say who could take them over, or nobody."""

    async def scenario(desk: Desk) -> None:
        process = await desk.process()
        await desk.run("run_l")
        await desk.hold(process)
        desk.fall_silent(process)

    prepare(stored_shop, scenario)
    (member,) = stored_shop.ask("workers", "list", "--json")
    assert (member["state"], member["runs"], member["jobs"]) == ("lapsed", 1, 0)
    assert topic(stored_shop, "process", code=1)[0]["state"] == "problem"
    holder = ask(stored_shop, "run_l", code=1)["holder"]
    assert holder["state"] == "problem"
    assert "is silent for" in holder["message"]
    assert "no live process serves workflow 'nap' version '1'" in holder["message"]

    async def another(desk: Desk) -> None:
        await desk.process()

    prepare(stored_shop, another)
    holder = ask(stored_shop, "run_l")["holder"]
    assert holder["state"] == "info"
    assert "it is taken over by one of 1 process that serves it" in holder["message"]


def test_jobs_that_nobody_can_take(stored_shop: Any) -> None:
    """A6, B13: of a job on a queue it is told who takes it, that nobody does, and that its worker is nowhere."""

    async def scenario(desk: Desk) -> None:
        process = await desk.process(queues=["order.res*"])
        await desk.process(workers=[])
        await desk.run("run_j")
        await desk.hold(process)
        jobs = [
            desk.job("job_ok"),
            desk.job("job_queue", queue="nap.other", key="0/other"),
            desk.job("job_worker", worker="stock.gone", key="0/gone", expires_at=4_000_000_000.0),
        ]
        events = [("job_created", job.key, {"form": "rpc", "job_id": job.job_id, "queue": job.queue}) for job in jobs]
        apart = ("job_created", "0/apart", {"form": "rpc", "job_id": "x", "queue": "q", "awaited": False})
        await desk.record("run_j", *events, apart, jobs=jobs, status="waiting", wake_at=math.inf)

    prepare(stored_shop, scenario)
    told = stored_shop.ask("doctor", "run_j", "--json", code=1)["findings"][2:]
    assert [(one["job_id"], one["state"], len(one["served_by"])) for one in told] == [
        ("job_ok", "info", 1), ("job_queue", "problem", 0), ("job_worker", "problem", 0),
    ]  # fmt: skip
    assert "1 process may take it" in told[0]["message"]
    assert "on queue 'nap.other': no live process takes it" in told[1]["message"]
    assert "; it expires at 2096-" in told[2]["message"]
    assert told[2]["hint"].startswith("Start a process that has it: `wfgen worker --workers stock.gone`")
    queues = topic(stored_shop, "queue", code=1)
    assert {(one["queue"], one["worker"], one["jobs"], one["state"]) for one in queues} == {
        ("order.reserve", "stock.reserve", 1, "info"),
        ("nap.other", "stock.reserve", 1, "problem"),
        ("order.reserve", "stock.gone", 1, "problem"),
    }


def test_jobs_at_work_and_expired(stored_shop: Any) -> None:
    """A6: a job says which process works it; those that expired are named until somebody looks after them."""

    async def scenario(desk: Desk) -> None:
        process = await desk.process()
        await desk.run("run_w")
        await desk.hold(process)
        jobs = [desk.job("job_w"), desk.job("job_late", worker="w.gone", key="0/late", expires_at=1.0)]
        events = [("job_created", job.key, {"form": "rpc", "job_id": job.job_id, "queue": job.queue}) for job in jobs]
        await desk.record("run_w", *events, jobs=jobs, status="waiting", wake_at=math.inf)
        assert [job.job_id for job in await desk.store.claim_jobs(process, ["stock.reserve"], 5)] == ["job_w"]

    prepare(stored_shop, scenario)
    told = stored_shop.ask("doctor", "run_w", "--json")["findings"][2:]
    assert "attempt 1, with " in told[0]["message"]
    assert "it is expired" in told[1]["message"]
    assert topic(stored_shop, "jobs")[0]["job_ids"] == ["job_late"]
    (member,) = stored_shop.ask("workers", "list", "--json")
    assert (member["runs"], member["jobs"]) == (1, 1)


def test_workers_are_listed(stored_shop: Any) -> None:
    """B14: what each process serves, where it runs and what it holds, for people and for programs."""
    assert stored_shop.ask("workers", "list", "--json") == []
    assert "does not exist yet" in stored_shop.inside("workers", "list").stderr

    async def scenario(desk: Desk) -> None:
        await desk.process()
        await desk.process(workflows=[], workers=["a", "b"], queues=["q1", "q2*"])
        await desk.process(workflows=[[f"w{n}", "1"] for n in range(9)], workers=[], own=True)
        process = await desk.process(workflows=[])
        await desk.store.leave(process)

    prepare(stored_shop, scenario)
    members = stored_shop.ask("workers", "list", "--json")
    assert len(members) == 3
    one = next(member for member in members if member["queues"] == ["q1", "q2*"])
    assert {name: one[name] for name in ("host", "pid", "wfgen", "state", "workflows", "workers", "concurrency")} == {
        "host": "elsewhere", "pid": 77, "wfgen": "9.9", "state": "live", "workflows": [], "workers": ["a", "b"],
        "concurrency": 5,
    }  # fmt: skip
    assert 0 < one["lease_until"] - one["heartbeat_at"] <= 600
    assert not [one for one in topic(stored_shop, "process") if "several versions" in one["message"]]
    text = stored_shop.inside("workers", "list").stdout
    assert "no runs; jobs of a, b on q1, q2*; 5 jobs at once" in text
    assert "order@1, nap@1; jobs of stock.reserve; 5 jobs at once" in text
    assert "w0@1, w1@1, w2@1, w3@1, w4@1 and 4 more; no jobs; " in text
    assert text.count("elsewhere  77") == 3

    async def upgraded(desk: Desk) -> None:
        await desk.process(wfgen="10.0")

    prepare(stored_shop, upgraded)
    messages = [one["message"] for one in topic(stored_shop, "process")]
    assert messages[-1] == "of several versions of wfgen: 10.0, 9.9"


def test_runs_of_which_nothing_is_known(stored_shop: Any) -> None:
    """A run that is not there, and a store that is not: WF724, and nothing is made."""
    done = stored_shop.inside("doctor", "run_none")
    assert done.returncode == 2
    assert "error[WF724]" in done.stderr
    assert "there is no store" in done.stderr
    assert stored_shop.inside("migrate").returncode == 0
    done = stored_shop.inside("doctor", "run_none")
    assert (done.returncode, "error[WF724]" in done.stderr) == (2, True)
