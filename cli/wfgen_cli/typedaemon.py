"""mypy's daemon: it stays loaded, so that types are known moments after a save.

It runs as a child of this process, with its status file in `.wfgen`, and is asked through mypy's own client. Whoever
started it ends it. Should that process be killed, nobody asks any more, and the daemon ends by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from wfgen_cli.failures import TypeCheckError
from wfgen_cli.typechecking import LIMIT, OPTIONS, arguments_file, report_of, require_mypy

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen_cli.typereport import Entry
    from wfgen_codegen import MypyCall

IDLE = 180
"""Seconds after which a daemon that nobody asks ends."""
PING = 60.0
"""Seconds after which a daemon that is to stay is asked whether it is there."""
START = 60.0
"""Seconds that a daemon may take to start."""
_POLITENESS = 10
"""How far the daemon stands back behind what answers at once, as `nice` has it."""
_CONFIGURATIONS = ("mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg")

_Shape = tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[tuple[str, int, int], ...]]
"""What a daemon was started with: options, variables, and how the files looked that may configure it."""


class CancelledError(Exception):
    """The daemon was cancelled while it was asked."""


class Daemon:
    """The daemon of one project. One thread asks and closes it; any may cancel it.

    Args:
        settings: of the project.
    """

    def __init__(self, settings: Settings) -> None:
        self._project = settings.project
        self._status = Path(".wfgen", f"dmypy-{os.getpid()}.json")
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._daemon: subprocess.Popen[bytes] | None = None
        self._client: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._shape: _Shape | None = None

    @property
    def pid(self) -> int | None:
        """Of the daemon, while it runs."""
        daemon = self._daemon
        return daemon.pid if daemon is not None and daemon.poll() is None else None

    def check(self, call: MypyCall) -> tuple[list[Entry], bool]:
        """Ask what mypy finds now, and start the daemon if it does not run, or not with these options.

        Returns:
            The report, and whether mypy stopped at an error.

        Raises:
            TypeCheckError: mypy does not start, or cannot say.
            CancelledError: it was cancelled meanwhile.
        """
        require_mypy()
        shape = (call.options, tuple(sorted(call.environment.items())), _configurations(self._project))
        with arguments_file(call.files) as listed:
            for is_last in (False, True):
                if self.pid is None or shape != self._shape:
                    self._start(call, shape)
                out, err, code = self._ask("check", listed)
                try:
                    return report_of(out, err, code), code not in (0, 1)
                except TypeCheckError:
                    if is_last or self.pid is not None:
                        raise
        raise AssertionError("unreachable")

    def ping(self) -> None:
        """Let a running daemon know that it is still wanted."""
        if self.pid is not None:
            self._ask("status")

    def cancel(self) -> None:
        """Kill the daemon and whoever asks it; nothing is started any more."""
        with self._lock:
            self._is_cancelled = True
            for process in (self._client, self._daemon):
                if process is not None:
                    process.kill()

    def close(self) -> None:
        """End the daemon if it runs. Nothing of it stays: no process, no file."""
        self._shape = None
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._tidy()

    def _start(self, call: MypyCall, shape: _Shape) -> None:
        self.close()
        with contextlib.suppress(OSError):
            (self._project / self._status.parent).mkdir(exist_ok=True)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        options = [*OPTIONS, "--follow-imports=normal", "--local-partial-types", *call.options]
        command = ["daemon", "--timeout", str(IDLE), "--", *options]
        self._daemon = self._popen(command, call.environment, out=self._log, err=subprocess.STDOUT)
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, self._daemon.pid, _POLITENESS)
        deadline = time.monotonic() + START
        while self._connection() is None:
            code = self._daemon.poll()
            if self._is_cancelled:
                raise CancelledError
            if code is not None or time.monotonic() > deadline:
                self._log.seek(0)
                told = self._log.read().decode("utf-8", "replace")
                self.close()
                report_of("", told, code or 1)
            time.sleep(0.02)
        self._log.seek(0)
        # It goes on in spite of a bad option, and would check by other rules than are meant.
        report_of("", self._log.read().decode("utf-8", "replace"), 0)
        self._shape = shape

    def _ask(self, *words: str) -> tuple[str, str, int]:
        """Run mypy's client: what it printed to both outputs, and its exit code."""
        client = self._popen(words, {}, out=subprocess.PIPE, err=subprocess.PIPE)
        self._client = client
        try:
            out, err = client.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            client.kill()
            client.communicate()
            self.close()
            raise TypeCheckError(f"mypy's daemon gave no answer in {LIMIT:.0f} seconds.") from None
        finally:
            self._client = None
        if self._is_cancelled:
            raise CancelledError
        return out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), client.returncode

    def _popen(
        self, words: Sequence[str], environment: dict[str, str], *, out: IO[bytes] | int, err: int
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "mypy.dmypy", "--status-file", str(self._status), *words]
        with self._lock:
            if self._is_cancelled:
                raise CancelledError
            try:
                # In a session of its own: Ctrl-C is for us, and we end it.
                return subprocess.Popen(
                    command,
                    cwd=self._project,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
            except OSError as error:
                raise TypeCheckError(f"mypy's daemon cannot be started: {error.strerror or error}.") from None

    def _connection(self) -> str | None:
        """Where the running daemon listens, once it does."""
        try:
            raw = json.loads((self._project / self._status).read_bytes())
        except (OSError, ValueError):
            return None
        is_ours = isinstance(raw, dict) and self._daemon is not None and raw.get("pid") == self._daemon.pid
        return str(raw["connection_name"]) if is_ours and "connection_name" in raw else None

    def _tidy(self) -> None:
        """Remove what a daemon leaves that was not asked to end: its status file and its socket."""
        listening = self._connection()
        with contextlib.suppress(OSError):
            (self._project / self._status).unlink()
        if listening is not None:
            with contextlib.suppress(OSError):
                os.unlink(listening)
                os.rmdir(os.path.dirname(listening))
        if self._log is not None:
            self._log.close()
        self._daemon = self._log = None


def _configurations(project: Path) -> tuple[tuple[str, int, int], ...]:
    """How the files look in which mypy looks for its configuration."""
    found = []
    for folder in (project, *project.parents):
        for name in _CONFIGURATIONS:
            with contextlib.suppress(OSError):
                state = os.stat(folder / name)
                found.append((str(folder / name), state.st_mtime_ns, state.st_size))
    return tuple(found)
