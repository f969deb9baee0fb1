"""Durable steps of LangGraph with its SQLite saver, one checkpoint a step. Prints one JSON object of figures.

WAL and synchronous=FULL, as ours is. A graph of ten nodes in a row; `durability="sync"` makes each node's checkpoint
durable before the next one starts, as wfgen does. Runs in the peers' environment. Arguments: folder for the store, runs
one at a time, runs at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

STEPS = 10


class State(TypedDict):
    number: int


async def step(state: State) -> State:
    return {"number": state["number"] + 1}


async def main() -> None:
    folder, single, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    async with AsyncSqliteSaver.from_conn_string(f"{folder}/langgraph.sqlite") as saver:
        await saver.setup()
        await saver.conn.execute("PRAGMA journal_mode=WAL")
        await saver.conn.execute("PRAGMA synchronous=FULL")
        builder = StateGraph(State)
        names = [f"step {number}" for number in range(STEPS)]
        for name in names:
            builder.add_node(name, step)
        for before, after in zip([START, *names], [*names, END], strict=True):
            builder.add_edge(before, after)
        graph = builder.compile(checkpointer=saver)

        async def run(thread: str) -> None:
            done = await graph.ainvoke(
                {"number": 0}, {"configurable": {"thread_id": thread}, "recursion_limit": STEPS + 5}, durability="sync"
            )
            assert done["number"] == STEPS

        await run("warm up")
        began = time.perf_counter()
        for number in range(single):
            await run(f"one {number}")
        figures = {"one": single * STEPS / (time.perf_counter() - began)}
        began = time.perf_counter()
        await asyncio.gather(*[run(f"many {number}") for number in range(many)])
        figures["many"] = many * STEPS / (time.perf_counter() - began)
        print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
