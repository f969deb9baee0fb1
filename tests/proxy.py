"""A proxy on loopback whose network can be made bad: slow, cut, refused, silent, and well again."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from .postgres import over_tcp, tcp_address

T = TypeVar("T")

_CHUNK = 65536


class Proxy:
    """Forwards connections of one port to a server, from a thread of its own.

    Its methods return once they have taken effect. What is under way when the proxy falls silent is not lost: it
    arrives when the proxy is healed, as it does when a network comes back.

    Args:
        target: host and port of the server.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._delay = 0.0
        self._links: set[asyncio.Task[None]] = set()
        self._reserved = _bound(0)  # never listens: it keeps the port while connections are refused
        self.port: int = self._reserved.getsockname()[1]
        """On 127.0.0.1."""
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.heal()

    def url(self, url: str) -> str:
        """The engine URL of a PostgreSQL database, led through this proxy."""
        return over_tcp(url, "127.0.0.1", self.port)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._links)

    def delay(self, seconds: float) -> None:
        """Hold up all that comes through, each way, for so long."""
        self._delay = seconds

    def cut(self) -> None:
        """Reset all connections; new ones are taken."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Take no new connections; those that are open stay."""
        self._do(self._close())

    def black_hole(self) -> None:
        """Take connections and say nothing, also on those that are open."""
        self._do(self._hold())

    def heal(self) -> None:
        """All is well again."""
        self._delay = 0.0
        self._do(self._open())

    def close(self) -> None:
        """End everything."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        self._flowing.set()
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen(100)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _hold(self) -> None:
        await self._open()
        self._flowing.clear()

    async def _close(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _cut(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _end(self) -> None:
        await self._close()
        await self._cut()
        await asyncio.sleep(0.01)  # transports that were aborted close

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # whoever came has gone again
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            link = self._loop.create_task(self._serve(accepted))
            self._links.add(link)
            link.add_done_callback(functools.partial(self._ended, accepted))

    def _ended(self, accepted: socket.socket, link: asyncio.Task[None]) -> None:
        self._links.discard(link)
        accepted.close()  # it may have been cut before it began

    async def _serve(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        try:
            await self._flowing.wait()
            with contextlib.suppress(OSError):
                back, forth = await asyncio.open_connection(*self._target)
                try:
                    await asyncio.gather(self._pump(reader, forth), self._pump(back, writer))
                finally:
                    forth.transport.abort()
        finally:
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(self._delay)
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


@contextlib.contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """A proxy in front of the server of a PostgreSQL URL."""
    one = Proxy(tcp_address(url))
    try:
        yield one
    finally:
        one.close()
