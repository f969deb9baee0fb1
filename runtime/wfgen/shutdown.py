"""Ending a process in order: at the first signal it takes nothing new, and what is under way comes to its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from wfgen.durations import Duration

if TYPE_CHECKING:
    from wfgen.engine import Engine

_listening: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Signals] = weakref.WeakKeyDictionary()


class Signals:
    """SIGINT and SIGTERM, as the running loop hears them. Several may listen on one loop."""

    def __init__(self, at_once: Callable[[signal.Signals], None] | None = None) -> None:
        self._at_once = at_once
        self.first = asyncio.Event()
        """Set when the process is asked to end."""
        self.second = asyncio.Event()
        """Set when it is asked again: at once."""
        self.listeners = 0

    def arrived(self, number: signal.Signals) -> None:
        """A signal has come."""
        if not self.first.is_set():
            self.first.set()
            return
        self.second.set()
        if self._at_once is not None:
            self._at_once(number)


@contextlib.contextmanager
def listening(at_once: Callable[[signal.Signals], None] | None = None) -> Iterator[Signals]:
    """Hear signals on the running loop, in place of what they do otherwise.

    Never in another thread than the main one, which alone may, and not on Windows, whose loops cannot.

    Args:
        at_once: called at the second one, with it.
    """
    loop = asyncio.get_running_loop()
    signals = _listening.get(loop)
    is_heard = sys.platform != "win32" and threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if is_heard else ()
    if signals is None:
        signals = _listening[loop] = Signals(at_once)
        for number in numbers:
            loop.add_signal_handler(number, signals.arrived, number)
    signals.listeners += 1
    try:
        yield signals
    finally:
        signals.listeners -= 1
        if not signals.listeners:
            del _listening[loop]
            for number in numbers:
                loop.remove_signal_handler(number)


async def until_stopped(engine: Engine, drain_timeout: Duration) -> None:
    """Let an engine work until a signal comes; then let it come to rest, at once at a second signal.

    Args:
        engine: to be closed afterwards.
        drain_timeout: how long steps and jobs under way may go on.
    """
    with listening() as signals:
        await signals.first.wait()
        await drained(engine, drain_timeout, signals)


async def drained(engine: Engine, drain_timeout: Duration, signals: Signals) -> None:
    """Let an engine come to rest, until the second signal.

    Args:
        engine: to be closed afterwards.
        drain_timeout: how long steps and jobs under way may go on.
        signals: heard meanwhile.
    """
    ends = [asyncio.ensure_future(engine.drain(drain_timeout)), asyncio.ensure_future(signals.second.wait())]
    done, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in pending:
        end.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for end in done:
        end.result()
