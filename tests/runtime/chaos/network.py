"""What is done to the database server and the network before it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import psycopg

from ...postgres import Server
from ...proxy import Proxy

ACTS = (
    "cut",
    "slow",
    "silent for a while",
    "silent past the lease",
    "refusing",
    "sessions ended",
    "server restarted",
    "server killed",
)


class Network:
    """A server, and proxies before it.

    Args:
        server: of this test alone.
        role: whose sessions are ended.
        proxies: over which some workers reach it.
        lease: of the workers, in seconds.
    """

    def __init__(self, server: Server, role: str, proxies: Sequence[Proxy], lease: float) -> None:
        self._server = server
        self._role = role
        self._proxies = proxies
        self._lease = lease
        self.counts: Counter[str] = Counter()

    async def trouble(self, source: random.Random, rounds: int) -> None:
        """Do each of ACTS so often, one after the other, at random."""
        for act in source.sample(ACTS * rounds, len(ACTS) * rounds):
            await asyncio.sleep(source.uniform(0.1, 0.7))
            await self._act(act, source.choice(self._proxies), source)
            self.counts[act] += 1

    async def _act(self, act: str, proxy: Proxy, source: random.Random) -> None:
        if act == "cut":
            proxy.cut()
        elif act == "slow":
            proxy.delay(source.uniform(0.01, 0.05))
            await asyncio.sleep(1)
        elif act == "silent for a while":
            proxy.black_hole()
            await asyncio.sleep(self._lease * 0.4)
        elif act == "silent past the lease":
            proxy.black_hole()
            await asyncio.sleep(self._lease * 1.3)
        elif act == "refusing":
            proxy.refuse()
            proxy.cut()
            await asyncio.sleep(0.7)
        elif act == "sessions ended":
            with psycopg.connect(self._server.url, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (self._role,)
                )
        elif act == "server restarted":
            await asyncio.to_thread(self._server.restart)
        else:
            await asyncio.to_thread(self._server.kill)
            await asyncio.to_thread(self._server.start)
        proxy.heal()
