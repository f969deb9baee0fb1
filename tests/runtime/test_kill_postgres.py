"""SIGKILL at the commits of processes on PostgreSQL: whatever the server made of them, no run and no job is lost.

What is run is what runs on SQLite, see `test_kill`. There a process is killed once at each of its commits; here one
after the other of those that go on is killed, at each kind of commit that there is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
import pytest

from ..postgres import plain, schema
from .kills.lives import DIED, MEMORY, Server, commits, problems
from .kills.moments import commit_points, postgres_points
from .kills.scenarios import SCENARIOS

Kill = tuple[str, str]
"""When in a commit, and what is committed."""

STORIES = [name for name, scenario in SCENARIOS.items() if not scenario.first]
SENT = (
    "schema register leave create claim release step_completed waiting job_created run_completed send terminate"
    " rollback claim_jobs report_job finish_job requeue_job retry_job"
)
"""What is also killed while the server is at it."""
KILLS = {(when, point) for when in ("before", "after") for point in postgres_points()}
KILLS |= {("sent", point) for point in SENT.split()}


class Place:
    """A schema that one story after the other uses."""

    def __init__(self, url: str) -> None:
        # A server that goes on loses nothing, whether it waits for its disk or not.
        parts = urlsplit(url)
        options = {**dict(parse_qsl(parts.query)), "options": "-c synchronous_commit=off"}
        self.url = urlunsplit(parts._replace(query=urlencode(options, quote_via=quote)))
        self._connection = psycopg.connect(plain(url), autocommit=True)

    def remove(self) -> None:
        """Leave no schema."""
        self._end_others()
        self._connection.execute(f"DROP SCHEMA IF EXISTS {self._connection.info.user} CASCADE".encode())

    def empty(self) -> None:
        """Leave nothing in it, nor anybody who may still write."""
        self._end_others()
        tables = self._connection.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_user AND tablename <> 'meta'"
        ).fetchall()
        for (table,) in tables:
            self._connection.execute(f"DELETE FROM {table}".encode())

    def _end_others(self) -> None:
        self._connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid()"
        )

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def place(postgres_server: str) -> Iterator[Place]:
    with schema(postgres_server) as url:
        place = Place(url)
        yield place
        place.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="wfgen-kills-") as name:
        yield Path(name)


def test_both_stores_have_the_same_commits() -> None:
    """What PostgreSQL is asked for in transactions is what a store file is asked for."""
    assert postgres_points() == commit_points()


def test_killed_at_every_kind_of_commit(server: Server, place: Place, folder: Path) -> None:
    """F7, E5: killed before, during or just after a commit of each kind, a process is replaced by another, which ends
    the runs and the jobs; one story after the other goes on until each of these deaths was died in one of them."""
    left, number = set(KILLS), 0
    for name in STORIES * 2:
        comes: set[str] = set()
        while not comes or any(point in comes for _, point in left):
            number += 1
            story = folder / str(number)
            story.mkdir()
            deaths = tell(server, place, story, name, left, comes)
            assert problems(story, SCENARIOS[name], place.url) == [], f"{name}, killed {deaths}"
            if not deaths:  # what came was before a death in another telling
                break
    assert left == set(), "never reached"


@pytest.mark.parametrize(
    ("fault", "noticed"),
    [
        ("runs are lost", "TimeoutError"),
        ("steps run again", "0/inline runs again after it was recorded"),
        ("jobs are lost", "TimeoutError"),
    ],
)
def test_known_faults_are_noticed(server: Server, place: Place, folder: Path, fault: str, noticed: str) -> None:
    """With a fault put into the engine or the store, what is looked at after a kill shows it."""
    name = "handed" if "jobs" in fault else "steps"
    left = {("before", "requeue_job" if "jobs" in fault else "step_retrying")}

    def story() -> None:
        tell(server, place, folder, name, left, set(), fault)
        assert problems(folder, SCENARIOS[name], place.url) == []

    with pytest.raises(AssertionError, match=noticed):
        story()


def tell(
    server: Server, place: Place, folder: Path, name: str, left: set[Kill], comes: set[str], fault: str = ""
) -> list[str]:
    """Tell a story with one process after the other, each of which dies at the first of the moments that are left.

    Gives where they died; those moments are not left any more. What is committed is added to `comes`.
    """
    if any(point == "schema" for _, point in left):
        place.remove()
    else:
        place.empty()
    deaths: list[str] = []
    while (status := server.live(folder, name, where(left), fault, place.url)) != 0:
        assert status == DIED, f"{name}, killed {deaths}: {(folder / 'error').read_text()}"
        when, *points = (folder / "killed").read_text().split()
        died = {(when, point) for point in points}
        assert died & left, died
        left -= died
        comes |= {point for commit in commits(folder) for point in commit}
        deaths.append(where(died))
    comes |= {point for commit in commits(folder) for point in commit}
    return deaths


def where(kills: set[Kill]) -> str:
    return ",".join(":".join(kill) for kill in sorted(kills)) or "never"
