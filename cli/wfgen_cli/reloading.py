"""A worker that is started anew whenever a source changes: modules are never reloaded in a running process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wfgen_cli import terminal
from wfgen_cli.failures import FOUND
from wfgen_cli.watching import Hints

if TYPE_CHECKING:
    from wfgen.settings import Settings

PATIENCE = 10.0
"""Seconds that a worker gets to give back what it works, before it is killed; what it did is recorded anyway."""
_WFGEN = (sys.executable, "-c", "from wfgen_cli.main import main; raise SystemExit(main())")


def keep_working(settings: Settings, arguments: Sequence[str], *, poll: bool) -> None:
    """Run `wfgen worker` with these arguments until Ctrl-C or SIGTERM, and start it anew after each change.

    A change that `wfgen prebuild` refuses is told of, and the worker goes on with what it has loaded.
    """
    with Hints(settings, poll=poll) as hints:
        worker = _start(settings, arguments) if _prebuild(settings) else None
        while hints.wait():
            if not _prebuild(settings):
                terminal.note("the worker goes on with the sources as they were" if worker else "no worker is started")
                continue
            if worker is not None:
                _stop(worker)
                terminal.note("a source has changed: the worker is started anew")
            worker = _start(settings, arguments)
        if worker is not None:
            _stop(worker)


def _prebuild(settings: Settings) -> bool:
    """Whether the generated package fits the sources now; what is wrong is printed."""
    done = subprocess.run([*_WFGEN, "prebuild"], cwd=settings.project, stdout=subprocess.PIPE, text=True)
    if done.returncode >= FOUND:
        terminal.say_text(done.stdout)
    return done.returncode == 0


def _start(settings: Settings, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*_WFGEN, "worker", *arguments], cwd=settings.project)


def _stop(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    try:
        worker.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
