"""The command from a process that has loaded everything: a copy of it for each call, which starts in no time.

Each copy is a process as any other, with its own pid, folder, environment, streams and end; only that its modules were
loaded before. `Wfgen.start` and the tests of whole projects run the installed command itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PACKAGES = ("wfgen", "wfgen_inspector", "wfgen_codegen", "wfgen_cli")


class Forks:
    """Runs the command in copies of one process."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self._server = subprocess.Popen([sys.executable, __file__, str(number)], pass_fds=[number])
        self._answers = self._socket.makefile("r")
        self._lock = threading.Lock()

    def run(
        self, words: list[str], folder: Path, environment: Mapping[str, str], given: bytes
    ) -> subprocess.CompletedProcess[bytes] | None:
        """Run it to its end; None while another call is under way."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            pipes = [os.pipe() for _ in range(3)]
            theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
            order = json.dumps([words, str(folder), dict(environment)]).encode()
            self._socket.sendall(len(order).to_bytes(4))
            socket.send_fds(self._socket, [order[:1]], theirs)
            self._socket.sendall(order[1:])
            for number in theirs:
                os.close(number)
            with ThreadPoolExecutor(2) as readers:
                read = [readers.submit(_all_of, pipes[number][0]) for number in (1, 2)]
                with contextlib.suppress(BrokenPipeError), open(pipes[0][1], "wb") as stdin:
                    stdin.write(given)
                status = int(self._answers.readline())
                return subprocess.CompletedProcess(words, status, read[0].result(), read[1].result())
        finally:
            self._lock.release()

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
        self._server.wait(10)


def _all_of(number: int) -> bytes:
    with open(number, "rb") as stream:
        return stream.read()


def _load() -> None:
    for package in PACKAGES:
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            if "testing" not in module.name and "pytest" not in module.name:
                with contextlib.suppress(ImportError):  # of an extra that is not installed
                    importlib.import_module(module.name)


def _serve(orders: socket.socket) -> bool:
    """Make copies until nobody asks any more; True in a copy."""
    while length := orders.recv(4, socket.MSG_WAITALL):
        begin, streams, _, _ = socket.recv_fds(orders, 1, 3)
        order = begin + orders.recv(int.from_bytes(length) - 1, socket.MSG_WAITALL)
        pid = os.fork()
        if not pid:
            words, folder, environment = json.loads(order)
            _become(words, folder, environment, streams)
            return True
        for number in streams:
            os.close(number)
        _, status = os.waitpid(pid, 0)
        orders.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return False


def _become(words: list[str], folder: str, environment: Mapping[str, str], streams: list[int]) -> None:
    for number, opened in enumerate(streams):
        os.dup2(opened, number)
        os.close(opened)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        buffering = 1 if name == "stderr" else -1
        setattr(sys, name, open(number, mode, buffering=buffering, encoding="utf-8", closefd=False))  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(Path(sys.executable).with_name("wfgen")), *words]


if __name__ == "__main__":
    sys.path[0] = str(Path(sys.executable).parent)  # as the command has it
    _load()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        is_copy = _serve(orders)
    if is_copy:
        from wfgen_cli.main import main

        sys.exit(main())
