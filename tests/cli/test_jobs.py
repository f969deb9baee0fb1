"""`wfgen jobs`: what is on queues, and what became of it; and runs that wait for it."""

from __future__ import annotations

from typing import Any

import pytest

RUNS_ALONE = ("worker", "--until-idle", "--workflows", "letter,parcel,weighed,late")


def start(post: Any, workflow: str, to: str = "Ada") -> str:
    """Start a run and work it as far as it goes without its jobs; gives its id."""
    run_id: str = post.inside("start", workflow, "--input", f'"{to}"').stdout.strip()
    assert post.inside(*RUNS_ALONE).returncode == 0
    return run_id


def the_job(post: Any, *filters: str) -> Any:
    (job,) = post.ask("jobs", "list", *filters, "--json")
    return job


def test_a_job_from_its_queue_to_its_end(post: Any) -> None:
    """A6, B18: a job is shown with id, worker, status, input and output; and its run shows where it waits."""
    run_id = start(post, "letter")
    job = the_job(post)
    assert {key: job[key] for key in ("run_id", "queue", "worker", "status", "input", "output", "attempt")} == {
        "run_id": run_id, "queue": "letter.send", "worker": "mail.send", "status": "queued",
        "input": "Ada", "output": None, "attempt": 0,
    }  # fmt: skip
    told = post.inside("runs", "show", run_id).stdout
    assert "address  completed  inline" in told
    assert "on queue letter.send since 2" in told
    step = post.ask("runs", "show", run_id, "--json")["steps"][1]
    assert (step["status"], step["queue"], step["job_id"]) == ("waiting", "letter.send", job["job_id"])
    (created,) = post.inside("runs", "history", run_id, "--type", "job_created").stdout.splitlines()[1:]
    assert created.endswith("job_created  send  on queue letter.send")
    post.write("go", "")
    done = post.inside("worker", "--until-idle")
    assert "step completed send" in done.stdout
    assert post.ask("runs", "show", run_id, "--json")["output"] == "sent to Ada in attempt 1"
    shown = post.inside("jobs", "show", job["job_id"]).stdout
    for line in (
        "step      send of run ", "status    completed",
        'result    "sent to Ada in attempt 1"', "attempts  1", "awaited   yes",
    ):  # fmt: skip
        assert line in shown, shown
    table = post.inside("jobs", "list").stdout.splitlines()
    assert table[0].split() == ["JOB", "QUEUE", "WORKER", "STATUS", "ATTEMPTS", "CREATED", "RUN", "DETAIL"]
    assert table[1].split()[:5] == [job["job_id"], "letter.send", "mail.send", "completed", "1"]


def test_jobs_are_found(post: Any) -> None:
    """A6: by run, queue, worker and status, page by page, the newest first."""
    first, second = start(post, "letter"), start(post, "parcel")
    newest, oldest = post.ask("jobs", "list", "--json")
    assert (newest["run_id"], oldest["run_id"]) == (second, first)
    for filters, expected in (
        (["--run", first], oldest), (["--queue", "parcel.weigh"], newest), (["--worker", "mail.send"], oldest),
        (["--status", "queued", "--limit", "1"], newest), (["--before", newest["job_id"]], oldest),
    ):  # fmt: skip
        assert the_job(post, *filters) == expected
    assert post.ask("jobs", "list", "--status", "failed", "--status", "running", "--json") == []
    assert post.inside("jobs", "list", "--queue", "nothing").stderr == "No jobs.\n"


def test_a_job_that_goes_its_own_way_is_retried(post: Any) -> None:
    """A6, C7: the run has ended with the job's id; the job fails alone, and is tried again when somebody asks."""
    run_id = start(post, "parcel")
    record = post.ask("runs", "show", run_id, "--json")
    assert record["status"] == "completed"
    assert post.inside("worker", "--until-idle", "--queues", "parcel.*").returncode == 0
    job = the_job(post, "--status", "failed")
    assert (record["output"], job["awaited"]) == (job["job_id"], False)
    assert job["error"] == {"type": "OSError", "message": "the scales are broken"}
    assert "OSError: the scales are broken" in post.inside("jobs", "list").stdout
    post.write("mended", "")
    retried = post.inside("jobs", "retry", job["job_id"])
    assert retried.stdout == f"{job['job_id']} is on its queue, and due now.\n"
    assert "No process works this store now" in retried.stderr
    assert the_job(post)["status"] == "queued"
    post.inside("worker", "--until-idle", "--workers", "mail.weigh")
    assert (the_job(post)["status"], the_job(post)["output"]) == ("completed", 3)
    again = post.inside("jobs", "retry", job["job_id"])
    assert (again.returncode, again.stderr.startswith("error[WF727]: ")) == (2, True)


def test_a_job_whose_run_has_heard_of_its_end(post: Any) -> None:
    """A job that its run has waited for is not retried behind the run's back: the run is."""
    run_id = start(post, "weighed")
    post.inside("worker", "--until-idle")
    assert post.ask("runs", "show", run_id, "--json")["status"] == "failed"
    job_id = the_job(post)["job_id"]
    assert post.inside("jobs", "retry", job_id).returncode == 2
    post.write("mended", "")
    assert post.inside("runs", "retry", run_id).returncode == 0
    post.inside("worker", "--until-idle")
    assert post.ask("runs", "show", run_id, "--json")["output"] == 3


def test_a_job_is_discarded(post: Any) -> None:
    """A6: a job that nobody has taken is taken away, and its step fails; when it is over, it can be removed."""
    run_id = start(post, "weighed")
    job_id = the_job(post)["job_id"]
    assert post.ask("jobs", "discard", job_id, "--json") == {"job_id": job_id, "discard": "done"}
    assert post.ask("jobs", "show", job_id, "--json")["status"] == "cancelled"
    post.inside(*RUNS_ALONE)
    error = post.ask("runs", "show", run_id, "--json")["error"]
    assert (error["type"], error["code"]) == ("wfgen.errors.JobDiscardedError", "WF715")
    assert post.inside("jobs", "discard", job_id).stdout == f"{job_id} was finished, and is removed.\n"
    assert post.inside("jobs", "show", job_id).stderr.startswith("error[WF733]: ")


def test_a_job_that_nobody_takes_in_time(post: Any) -> None:
    """A6: a job of a worker that says how long it may wait is given up then, and its step says so."""
    run_id = start(post, "late")
    post.inside("worker", "--until-idle")
    assert the_job(post)["status"] == "expired"
    error = post.ask("runs", "show", run_id, "--json")["error"]
    assert (error["type"], error["code"]) == ("wfgen.errors.JobExpiredError", "WF714")


def test_jobs_go_with_their_run(post: Any) -> None:
    """A6: a run that is removed takes its jobs along."""
    run_id = start(post, "parcel")
    post.write("mended", "")
    post.inside("worker", "--until-idle")
    job_id = the_job(post)["job_id"]
    assert post.inside("runs", "prune", "--older-than", "0s").stdout == "1 run removed.\n"
    assert post.inside("jobs", "show", job_id).returncode == 2
    assert post.inside("jobs", "list", "--run", run_id).returncode == 2


@pytest.mark.parametrize(
    "words", [("show", "job_0"), ("retry", "job_0"), ("discard", "job_0"), ("list", "--before", "job_0")]
)
def test_unknown_jobs(post: Any, words: tuple[str, ...]) -> None:
    """A6: a job that is not there is told of with its code, with a store and without one."""
    if words[0] != "list":
        missing = post.inside("jobs", *words)
        assert (missing.returncode, missing.stderr[:13]) == (2, "error[WF733]:")
        assert "does not exist yet" in missing.stderr
    post.inside("start", "letter", "--input", '"Ada"')
    unknown = post.inside("jobs", *words)
    assert (unknown.returncode, unknown.stderr[:13]) == (2, "error[WF733]:")
    assert "job_0" in unknown.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("jobs", "list", "--status", "lost"), 2, "Invalid value for '--status'"),
        (("jobs", "list", "--limit", "0"), 2, "Invalid value for '--limit'"),
        (("jobs", "list", "--run", "run_0"), 2, "error[WF724]"),
        (("jobs", "show"), 2, "Missing argument 'JOB_ID'"),
        (("jobs", "lst"), 2, "Did you mean"),
        (("jobs", "list", "--project", "nowhere"), 2, "error[WF610]"),
        (("jobs", "list", "--engine", "mysql://x"), 2, "error[WF600]"),
    ],
)
def test_bad_input(post: Any, words: tuple[str, ...], code: int, told: str) -> None:
    """What cannot be meant is refused in a line, with its exit code."""
    post.inside("start", "letter", "--input", '"Ada"')
    done = post.inside(*words)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_no_store_yet(post: Any) -> None:
    """Where nothing has run, there are no jobs, and nothing is made."""
    done = post.inside("jobs", "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "does not exist yet" in done.stderr
    assert post.ask("jobs", "list", "--json") == []
    assert not (post.folder / ".wfgen" / "wfgen.db").exists()
