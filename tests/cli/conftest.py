"""A small shop, prebuilt once, and the real command on a copy of it."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from wfgen_cli.main import main

from .forking import Forks
from .post_office import FILES as POST_OFFICE

WFGEN = Path(sys.executable).with_name("wfgen")

MODELS = """\
from pydantic import BaseModel


class Order(BaseModel):
    item: str
    amount: int = 1


class Approval(BaseModel):
    ok: bool


class Receipt(BaseModel):
    item: str
    total: int
    reserved: str
"""

WORKER = """\
from pathlib import Path

from shop.models import Order
from wfgen import define_worker


@define_worker("stock.reserve")
async def reserve(order: Order) -> str:
    with Path("effects.log").open("a") as log:
        log.write(f"reserve {order.item}\\n")
    return f"{order.amount} x {order.item}"
"""

WORKFLOWS = """\
from shop.models import Approval, Order, Receipt
from shop.wfgen_gen import Workflow
from wfgen import define_workflow


@define_workflow(name="order", version="1")
async def order(workflow: Workflow, data: Order) -> Receipt:
    \"\"\"Reserve and bill.\"\"\"
    reserved = await workflow.do("reserve", "stock.reserve", data)
    total = await workflow.do("bill", lambda: data.amount * 7)
    return Receipt(item=data.item, total=total, reserved=reserved)


@define_workflow(name="approve", version="1")
async def approve(workflow: Workflow, data: Order) -> str:
    reserved = await workflow.do("reserve", "stock.reserve", data)
    approval = await workflow.hook("approval", Approval, timeout="1h")
    return f"{reserved}: {approval.ok}"


@define_workflow(name="nap", version="1")
async def nap(workflow: Workflow) -> str:
    await workflow.do("first", lambda: 1)
    await workflow.sleep("long", "1h")
    return "awake"


@define_workflow(name="broken", version="1")
async def broken(workflow: Workflow) -> None:
    await workflow.do("explode", lambda: 1 // 0)
"""

FILES = {
    "pyproject.toml": "[tool.wfgen]\n",
    "shop/__init__.py": "",
    "shop/models.py": MODELS,
    "shop/stock.worker.py": WORKER,
    "shop/orders.workflow.py": WORKFLOWS,
}


PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def _obey_permissions() -> None:
    """Take root's right to write and read everywhere from the process that is about to start."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            assert libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0


@functools.cache
def _forks() -> Forks:
    """Made when it is first needed; ends with this process."""
    forks = Forks()
    atexit.register(forks.close)
    return forks


class Wfgen:
    """The command, run in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def environment(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        """The environment without what the machine says about wfgen and colour."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WFGEN_", "NO_COLOR", "FORCE_COLOR"))}
        return {**kept, **(extra or {})}

    def __call__(
        self,
        *words: str,
        env: dict[str, str] | None = None,
        input: str | bytes | None = None,
        cwd: Path | None = None,
        unprivileged: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; `unprivileged` also makes root obey permissions."""
        given = input.encode() if isinstance(input, str) else input
        environment, folder = self.environment(env), cwd or self.folder
        if not unprivileged and all(name.startswith("WFGEN_") for name in env or ()):  # others matter to Python itself
            done = _forks().run(list(words), folder, environment, given or b"")
            if done is not None:
                return subprocess.CompletedProcess(
                    done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
                )
        done = subprocess.run(
            [str(WFGEN), *words],
            cwd=folder,
            env=environment,
            input=given if given is not None else b"",
            capture_output=True,
            timeout=60,
            preexec_fn=_obey_permissions if unprivileged else None,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def inside(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run it in this process, where a process of its own makes no difference but in time."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environment(env), clear=True),
            mock.patch.object(sys, "argv", ["wfgen", *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main()
        return subprocess.CompletedProcess(sys.argv, code, out.getvalue(), err.getvalue())

    def ask(self, *words: str, code: int = 0, env: dict[str, str] | None = None) -> Any:
        """Run a command that only looks in this process, and read its JSON."""
        done = self.inside(*words, env=env)
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def json(self, *words: str, code: int = 0, **options: Any) -> Any:
        """Run it and read its JSON."""
        done = self(*words, **options)
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def start(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Run it beside the test; it is ended with the test."""
        number = len(self.processes)
        with (self.folder / f"out{number}.txt").open("w") as out, (self.folder / f"err{number}.txt").open("w") as err:
            process = subprocess.Popen(
                [str(WFGEN), *words],
                cwd=self.folder,
                env=self.environment(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                text=True,
            )
        self.processes.append(process)
        return process

    def out(self, number: int = -1) -> str:
        """What a process that was started has printed so far."""
        return (self.folder / f"out{number % len(self.processes)}.txt").read_text()

    def err(self, number: int = -1) -> str:
        """What a process that was started has told so far."""
        return (self.folder / f"err{number % len(self.processes)}.txt").read_text()

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file of the project."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def replace(self, path: str, old: str, new: str) -> None:
        """Edit a file of the project."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(60)


def until(condition: Any, *, seconds: float = 60.0) -> Any:
    """Wait until a condition gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def prebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop after its first prebuild; tests copy it."""
    folder = tmp_path_factory.mktemp("prebuilt") / "shop"
    wfgen = Wfgen(folder)
    for path, content in FILES.items():
        wfgen.write(path, content)
    done = wfgen("prebuild")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def shop(prebuilt: Path, tmp_path: Path) -> Iterator[Wfgen]:
    """The command in a fresh copy of the prebuilt shop."""
    folder = tmp_path / "shop"
    shutil.copytree(prebuilt, folder)
    wfgen = Wfgen(folder)
    yield wfgen
    wfgen.end()


@pytest.fixture(params=["sqlite", "postgres"])
def stored_shop(shop: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The shop with one of the stores."""
    url = f"sqlite:///{shop.folder}/w.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    shop.engine = url
    environment = shop.environment
    monkeypatch.setattr(shop, "environment", lambda extra=None: environment({"WFGEN_ENGINE": url, **(extra or {})}))
    return shop


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Wfgen]:
    """The command in an empty folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    wfgen = Wfgen(folder)
    yield wfgen
    wfgen.end()


@pytest.fixture(name="until")
def until_fixture() -> Any:
    """`until(condition)` waits until a condition gives something true."""
    return until


@pytest.fixture(scope="session")
def prebuilt_post(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with queues after its first prebuild; tests copy it."""
    folder = tmp_path_factory.mktemp("prebuilt") / "post"
    wfgen = Wfgen(folder)
    for path, content in POST_OFFICE.items():
        wfgen.write(path, content)
    done = wfgen("prebuild")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def post(prebuilt_post: Path, tmp_path: Path) -> Iterator[Wfgen]:
    """The command in a fresh copy of the project with queues."""
    folder = tmp_path / "post"
    shutil.copytree(prebuilt_post, folder)
    wfgen = Wfgen(folder)
    yield wfgen
    wfgen.end()
