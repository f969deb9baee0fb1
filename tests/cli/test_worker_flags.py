"""What a worker is told to take, in processes of their own, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest


def status(post: Any, *what: str) -> str:
    return str(post.ask(*what, "--json")["status"])


def job(post: Any, run_id: str) -> Any:
    found = post.ask("jobs", "list", "--run", run_id, "--json")
    return found[0] if found else {"status": None}


def begin(post: Any) -> str:
    run_id: str = post.inside("start", "letter", "--input", '"Ada"').stdout.strip()
    return run_id


def test_one_process_for_runs_and_one_for_jobs(post: Any, until: Any) -> None:
    """C7, B13, B14, A6: a run's process and a queue's share the work; SIGTERM lets the job end, another one waits."""
    runs = post.start("worker", "--workflows", "letter")
    jobs = post.start("worker", "--queues", "letter.*", "--concurrency", "1")
    first = begin(post)
    until(lambda: "sending to Ada" in post.out(1))
    assert "job created send (on queue letter.send)" in post.out(0)
    second = begin(post)
    until(lambda: job(post, second)["status"] == "queued")
    until(lambda: job(post, first)["progress"] == {"addressed": "Ada"})
    serving = {member["pid"]: member for member in post.ask("workers", "list", "--json")}
    assert (serving[runs.pid]["workers"], serving[runs.pid]["runs"]) == ([], 2)
    assert (serving[jobs.pid]["workflows"], serving[jobs.pid]["queues"]) == ([], ["letter.*"])
    assert (serving[jobs.pid]["jobs"], serving[jobs.pid]["concurrency"]) == (1, 1)
    jobs.send_signal(signal.SIGTERM)
    until(lambda: "stopping: 1 job at work may go on for 20s; once more ends it at once\n" in post.err(1))
    assert jobs.poll() is None
    post.write("go", "")
    assert jobs.wait(60) == 0
    assert post.err(1).endswith("stopped\n")
    until(lambda: status(post, "runs", "show", first) == "completed")
    assert (job(post, first)["attempt"], job(post, second)["status"]) == (1, "queued")
    runs.send_signal(signal.SIGTERM)
    assert runs.wait(60) == 0
    assert status(post, "runs", "show", second) == "waiting"
    assert post.ask("workers", "list", "--json") == []


def test_a_second_signal_ends_a_job_at_once(post: Any, until: Any) -> None:
    """B14, F7: who asks twice does not wait; the job begins again in the next process."""
    jobs = post.start("worker")
    run_id = begin(post)
    until(lambda: "sending to Ada" in post.out())
    jobs.send_signal(signal.SIGINT)
    until(lambda: "stopping: 1 job" in post.err())
    jobs.send_signal(signal.SIGTERM)
    assert jobs.wait(60) == 143
    assert post.err().endswith("ended at once; what was under way begins again in the next worker\n")
    post.write("go", "")
    assert post.inside("worker", "--until-idle").returncode == 0
    assert post.ask("runs", "show", run_id, "--json")["output"] == "sent to Ada in attempt 2"


def test_a_job_that_takes_longer_than_the_drain(post: Any, until: Any) -> None:
    """B14: what does not end in time is cancelled and goes back to its queue, as if that attempt had not begun."""
    jobs = post.start("worker", "--drain-timeout", "50ms")
    run_id = begin(post)
    until(lambda: "sending to Ada" in post.out())
    jobs.send_signal(signal.SIGTERM)
    assert jobs.wait(60) == 0
    given_back = job(post, run_id)
    assert (given_back["status"], given_back["attempt"], given_back["claims"]) == ("queued", 0, 0)


def test_a_module_of_queues_is_a_process(post: Any, until: Any) -> None:
    """C7: `python -m` on the generated module works the named queues, as `wfgen worker --queues` does."""
    run_id = begin(post)
    module = [sys.executable, "-m", "post.wfgen_gen.queues.post"]
    with (post.folder / "queue.txt").open("w") as out:
        process = subprocess.Popen(
            [*module, "letter", "send", "--concurrency", "2", "--drain-timeout", "10s"],
            cwd=post.folder, env=post.environment(), stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until(lambda: "sending to Ada" in (post.folder / "queue.txt").read_text())
        (member,) = post.ask("workers", "list", "--json")
        assert (member["workflows"], member["queues"], member["concurrency"]) == (
            [{"name": "letter", "version": "1"}], ["letter.send"], 2
        )  # fmt: skip
        post.write("go", "")
        until(lambda: status(post, "runs", "show", run_id) == "completed")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    wrong = subprocess.run(
        [*module, "sned"], cwd=post.folder, env=post.environment(), capture_output=True, text=True, timeout=60
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        "error[WF600]: there is no queue or workflow 'sned' in this module.\n  hint: Did you mean 'send'?\n"
    )


SERVED = """\
import asyncio

from post.wfgen_gen import connect
from post.wfgen_gen.queues import post


async def main() -> None:
    serving = asyncio.gather(post.letter.orchestrator.serve(), post.letter.send.serve(), post.late.stamp.serve())
    async with connect(work=False) as wf:
        run = await wf.letter.start("Ada")
        print(await run.result(timeout="20s"))
        (job,) = await run.jobs()
        same = await wf.get_job(job.job_id)
        print(same.status, same.worker, [found.job_id == job.job_id for found in await wf.list_jobs(queue=job.queue)])
    serving.cancel()


asyncio.run(main())
"""


def test_entry_points_serve_in_an_application(post: Any) -> None:
    """C7, A6: orchestrator and queue workers of the generated package, in one process, beside the client."""
    post.write("go", "")
    post.write("served.py", SERVED)
    done = subprocess.run(
        [sys.executable, "served.py"],
        cwd=post.folder, env=post.environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "sending to Ada", "sent to Ada in attempt 1", "completed mail.send [True]"
    ], done.stderr  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told", "hint"),
    [
        (
            ["--workflows", "letter,leter"],
            "WF701]: --workflows: there is no workflow 'leter'",
            "Did you mean 'letter'?",
        ),
        (["--workers", "mail.sned"], "WF702]: --workers: there is no worker 'mail.sned'", "Did you mean 'mail.send'?"),
        (
            ["--queues", "letter.sent"],
            "WF610]: --queues: no step has a queue 'letter.sent'",
            "Did you mean 'letter.send'?",
        ),
        (["--queues", "mail.*"], "WF610]: --queues: no step has a queue 'mail.*'", "There is "),
        (["--queues", " , "], "WF610]: --queues names nothing", "Give names with commas"),
        (["--drain-timeout", "soon"], "WF610]: --drain-timeout: 'soon' is no duration", "Use a number"),
        (["--concurrency", "0"], "Invalid value for '--concurrency'", ""),
        (["--reload", "--until-idle"], "WF610]: --reload and --until-idle exclude each other", ""),
    ],
)
def test_unknown_names_are_refused_before_anything_starts(post: Any, words: list[str], told: str, hint: str) -> None:
    """B13: a misspelt name would be a process that does nothing for ever."""
    done = post.inside("worker", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert hint in done.stderr
    assert not (post.folder / ".wfgen" / "wfgen.db").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "working 4 workflows on "),
        (["--workflows", "letter", "--workflows", "late"], "working 2 workflows on "),
        (["--workers", "mail.send,mail.weigh"], "working jobs of 2 workers on "),
        (["--queues", "letter.send"], "working jobs of 3 workers on letter.send on "),
        (
            ["--queues", "letter.s*", "--workflows", "letter"],
            "working 1 workflow and jobs of 3 workers on letter.s* on ",
        ),
    ],
)
def test_what_a_worker_says_that_it_takes(post: Any, words: list[str], told: str) -> None:
    """B13: flags of one kind leave out the other kind of work; all of a kind is the default."""
    done = post.inside("worker", "--until-idle", *words)
    assert (done.returncode, done.stderr.splitlines()[0][: len(told)]) == (0, told)


def test_names_for_which_no_job_ever_comes(post: Any) -> None:
    """B13: queues of steps that run in the run's process, and their workers, are told of and served all the same."""
    post.replace("post/mail.worker.py", '"mail.stamp", dispatch="queue", expires="1ms"', '"mail.stamp"')
    assert post("prebuild").returncode == 0
    idle = {
        ("--queues", "late.stamp,letter.send,letter.address,late*"): [
            f"nothing is put on queue {name!r}" for name in ("late.stamp", "letter.address", "late*")
        ],
        ("--workers", "mail.stamp,mail.send"): ["no step of worker 'mail.stamp' is put on a queue"],
        ("--queues", "l*"): [],
    }
    for words, told in idle.items():
        done = post("worker", "--until-idle", *words)
        warnings = [line for line in done.stderr.splitlines() if line.startswith("warning[WF610]: ")]
        assert [line.removeprefix("warning[WF610]: ").partition(": neither")[0] for line in warnings] == told
        assert all(line.endswith('says so (dispatch="queue", execution_mode="remote").') for line in warnings)
        assert (done.returncode, "working " in done.stderr) == (0, True)


def test_a_queue_of_a_name_that_only_a_run_knows(post: Any) -> None:
    """A workflow whose steps are named at run time may have any queue that begins with its name."""
    post.replace("post/post.workflow.py", '"address", lambda: to.upper()', 'to, "mail.send", to, description="any"')
    assert post("prebuild").returncode == 0
    assert post("worker", "--until-idle", "--queues", "letter.Ada,letter*").returncode == 0
    refused = post("worker", "--queues", "parcel.Ada")
    assert (refused.returncode, refused.stderr[:13]) == (2, "error[WF610]:")
