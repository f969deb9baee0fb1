"""The example projects, as a user would run them: the installed command, separate processes, a real store."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ..libraries import share

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("WFGEN_", "ORDERS_")) and k != "PYTHONPATH"} | {
    "NO_COLOR": "1",
    "ORDERS_PAUSE": "0.05",
}
WITH_TESTS = ["saga", "approval", "fanout", "subscription"]
"""Examples that have tests of their own."""
ORDER = {"id": "A-1", "customer": "Ada", "items": [{"sku": "anvil"}, {"sku": "tongs"}], "total": 12.5}


def wfgen(project: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [BIN / "wfgen", *arguments], cwd=project, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


IGNORED = shutil.ignore_patterns("wfgen_gen", ".wfgen", "*.db*", "__pycache__")


def copy(name: str, folder: Path) -> Path:
    """A fresh copy of an example, prebuilt."""
    project = folder / name
    shutil.copytree(ROOT / "examples" / name, project, ignore=IGNORED)
    wfgen(project, "prebuild")
    return project


def as_the_readme_says(name: str, project: Path) -> None:
    """Type the commands that `examples/README.md` has for an example; they print what it says."""
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    block = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0].partition("```console\n$ ")[2].partition("```")[0]
    assert block
    environment = {**ENVIRONMENT, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    for part in block.split("\n$ "):
        command, _, expected = part.partition("\n")
        done = subprocess.run(
            command, shell=True, cwd=project, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        pattern = ".*".join(re.escape(piece) for piece in expected.strip().split("…"))
        assert re.search(pattern, done.stdout, re.DOTALL), f"{command} printed\n{done.stdout}\nexpected\n{expected}"


def start(project: Path, order: dict[str, Any]) -> str:
    started = json.loads(wfgen(project, "start", "fulfil", "--input", json.dumps(order), "--json"))
    return str(started["run_id"])


def approve(project: Path, run_id: str, ok: bool = True) -> None:
    payload = json.dumps({"ok": ok, "by": "Grace"})
    wfgen(project, "hooks", "resume", "--run", run_id, "--name", "approval", "--input", payload)


def rows(project: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(project / "orders.db", timeout=30)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # not made yet
        return []
    finally:
        connection.close()


def completed(project: Path, run_id: str) -> set[str]:
    events = json.loads(wfgen(project, "runs", "history", run_id, "--json"))
    return {e["key"] for e in events if e["type"] == "step_completed"}


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy("orders", tmp_path_factory.mktemp("examples"))


@pytest.mark.parametrize(
    ("customer", "ok", "status", "effects"),
    [
        ("Ada", True, "shipped", {"reserved": 2, "charged": 1, "shipped": 1}),
        ("Ada", False, "declined", {"reserved": 2, "charged": 1, "refunded": 1, "released": 2}),
        # Nobody ships to the moon: the parcel is tried, then everything is undone.
        ("the moon", True, "refunded", {"reserved": 2, "charged": 1, "shipped": 1, "refunded": 1, "released": 2}),
    ],
)
def test_orders(orders: Path, customer: str, ok: bool, status: str, effects: dict[str, int]) -> None:
    """An order is shipped, declined or refunded, and the shop's own tables show each effect once."""
    run_id = start(orders, {**ORDER, "customer": customer})
    approve(orders, run_id, ok)
    wfgen(orders, "worker", "--until-idle")
    shown = json.loads(wfgen(orders, "runs", "show", run_id, "--json"))
    assert shown["status"] == "completed"
    assert shown["output"]["status"] == status
    counted = Counter(kind for (kind,) in rows(orders, f"SELECT kind FROM effects WHERE run = '{run_id}'"))
    assert counted == effects


def test_sigkill_then_a_worker_completes_the_run(tmp_path: Path) -> None:
    """A worker killed in the middle of any step is followed by another, which runs no recorded step again."""
    project = copy("orders", tmp_path)
    environment = {**ENVIRONMENT, "ORDERS_PAUSE": "0.5", "WFGEN_LEASE": "1h"}  # nobody could wait for its end
    left = ["0/reserve anvil", "0/charge", "0/ship"]
    for number in range(9):
        key = left[0]
        run_id = start(project, {**ORDER, "id": f"A-{number}"})
        approve(project, run_id)
        worker = subprocess.Popen([BIN / "wfgen", "worker"], cwd=project, env=environment)
        deadline = time.monotonic() + 60
        while not rows(project, f"SELECT 1 FROM calls WHERE run = '{run_id}' AND key = '{key}'"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        recorded = completed(project, run_id)
        before = Counter(k for (k,) in rows(project, f"SELECT key FROM calls WHERE run = '{run_id}'"))
        wfgen(project, "worker", "--until-idle")
        after = Counter(k for (k,) in rows(project, f"SELECT key FROM calls WHERE run = '{run_id}'"))
        assert json.loads(wfgen(project, "runs", "show", run_id, "--json"))["status"] == "completed"
        assert {k for k in recorded if after[k] != before[k]} == set()
        effects = [k for (k,) in rows(project, f"SELECT key FROM effects WHERE run = '{run_id}'")]
        assert len(effects) == len(set(effects)) == 4
        if key not in recorded:  # this process did not stand still for so long that the step was over
            assert after[key] == before[key] + 1, "the step that was caught runs again"
            left.pop(0)
            if not left:
                break
    assert left == []


def test_two_workers_share_one_store(tmp_path: Path) -> None:
    """Two processes on one file work many runs between them, and each step is called once."""
    project = copy("orders", tmp_path)
    run_ids = [start(project, {**ORDER, "id": f"A-{n}"}) for n in range(8)]
    for run_id in run_ids:
        approve(project, run_id)
    environment = {**ENVIRONMENT, "WFGEN_CONCURRENCY": "2"}
    command = [BIN / "wfgen", "worker", "--until-idle"]
    with contextlib.closing(sqlite3.connect(project / "orders.db", isolation_level=None)) as shop:
        shop.execute("BEGIN IMMEDIATE")  # the first steps end when both have begun some
        workers = [subprocess.Popen(command, cwd=project, env=environment) for _ in range(2)]
        deadline = time.monotonic() + 60
        with contextlib.closing(sqlite3.connect(project / ".wfgen" / "orders.db", timeout=30)) as store:
            while store.execute("SELECT count(DISTINCT owner) FROM runs").fetchone() != (2,):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        shop.execute("COMMIT")
    assert [worker.wait(60) for worker in workers] == [0, 0]
    runs = json.loads(wfgen(project, "runs", "list", "--json"))
    assert {(run["run_id"], run["status"], run["claims"]) for run in runs} == {(i, "completed", 1) for i in run_ids}
    counted = rows(project, "SELECT run, key, count(*), count(DISTINCT pid) FROM calls GROUP BY run, key")
    assert len(counted) == 8 * 4
    assert {(calls, pids) for _, _, calls, pids in counted} == {(1, 1)}
    assert len({pid for (pid,) in rows(project, "SELECT pid FROM calls")}) == 2, "both took part"


def test_onboarding_warns_of_one_dynamic_name_and_runs(tmp_path: Path, libraries: Path) -> None:
    """Every form of step is found and runs; the dynamic name without a description is a warning, with one it is not."""
    project = copy("onboarding", tmp_path)
    share(libraries, project)
    found = json.loads(wfgen(project, "check", "--output-format", "json"))["diagnostics"]
    lines = (project / "onboarding" / "onboarding.workflow.py").read_text().splitlines()
    assert [(d["code"], d["severity"]) for d in found] == [("WF101", "warning")]
    assert 'f"mail {interest}"' in lines[found[0]["line"] - 1]
    (workflow,) = json.loads(wfgen(project, "list", "--json"))["workflows"]
    forms = re.findall(r'"form": "(rpc|inline|sleep)"', json.dumps(workflow))
    assert Counter(forms) == {"rpc": 4, "inline": 2, "sleep": 1}
    data = json.dumps({"email": "ada@example.org", "amount": 100, "interests": ["looms"]})
    as_the_readme_says("onboarding", project)
    result = json.loads(wfgen(project, "run", "onboarding", "--input", data))
    assert result["user"]["id"] == "user-ada"
    assert result["tax"] == 8.0
    assert result["score"] == len("ada@example.org")
    assert len(result["mails"]) == 3


@pytest.mark.parametrize("name", WITH_TESTS)
def test_examples_pass_their_own_tests(tmp_path: Path, libraries: Path, name: str) -> None:
    """A21, B7, A9, B12, E5: each example is free of findings, and its tests, written with wfgen.testing, pass."""
    project = copy(name, tmp_path)
    share(libraries, project)
    wfgen(project, "check", "--strict")
    as_the_readme_says(name, project)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=project, env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_examples_pass_the_type_checkers(tmp_path: Path, libraries: Path) -> None:
    """mypy --strict and pyright find nothing in the examples and their generated packages."""
    projects = [copy(name, tmp_path) for name in ("orders", "onboarding", "studio", *WITH_TESTS)]
    share(libraries, projects[0])
    wfgen(projects[0], "check")  # those of the others are in the other tests
    for project in projects:
        # Where a stub stands beside a generated module, the stub is what a checker shall read.
        sources = [str(p.relative_to(project)) for p in project.rglob("*.py") if not p.with_suffix(".pyi").exists()]
        # One cache for all: what mypy has found out about the libraries that they use.
        flags = ["--strict", "--explicit-package-bases", "--cache-dir", str(tmp_path / "mypy")]
        done = subprocess.run(
            [BIN / "mypy", *flags, *sorted(sources)], cwd=project, env={**ENVIRONMENT, "MYPYPATH": str(project)},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
    config = {
        "pythonVersion": "3.11",
        "typeCheckingMode": "standard",
        "include": [project.name for project in projects],
        "executionEnvironments": [{"root": project.name} for project in projects],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [BIN / "basedpyright", "-p", str(tmp_path), "--pythonpath", sys.executable], cwd=tmp_path, env=ENVIRONMENT,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_studio(tmp_path: Path, libraries: Path) -> None:
    """B13, C7: runs wait for jobs that other processes may take; one process can do it all."""
    project = copy("studio", tmp_path)
    share(libraries, project)
    wfgen(project, "check", "--strict")
    as_the_readme_says("studio", project)


def test_the_demo_of_workers(tmp_path: Path) -> None:
    """B13, B14: `make demo-workers` kills one of three kinds of workers, and another process takes its jobs over."""
    shutil.copytree(ROOT / "examples" / "studio", tmp_path / "studio", ignore=IGNORED)
    done = subprocess.run(
        [sys.executable, "demo.py"], cwd=tmp_path / "studio",
        env=ENVIRONMENT | {"COLUMNS": "160"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"was killed while it worked [2-4] jobs", done.stdout)
    assert re.search(r"[1-4] of them began again elsewhere", done.stdout)
    assert "runs complete: 6 of 6" in done.stdout


def test_the_demo(tmp_path: Path) -> None:
    """`make demo` kills a worker, finishes the run in another, and says so."""
    shutil.copytree(ROOT / "examples" / "orders", tmp_path / "orders", ignore=IGNORED)
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "demo.py"], cwd=tmp_path / "orders",
            env=ENVIRONMENT | {"ORDERS_PAUSE": "0.3", "COLUMNS": "160"}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "with SIGKILL in the middle of charge" in done.stdout
        if done.stdout.count("replayed") == 3:
            break  # else the machine stood still for so long that the charge was over
    assert done.stdout.count("replayed") == 3
    assert "run again" in done.stdout
    assert '"status": "shipped"' in done.stdout
    assert "diagrams/fulfil@1.md" in done.stdout
