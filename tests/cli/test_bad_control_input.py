"""What cannot be done to a run from the command line or with a generated client: code, advice, exit code, no change.

The runtime's half of the matrix is in tests/runtime/test_bad_input.py.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LARGE = "x" * 3_000_000
"""More than the limit of a payload."""


def store(shop: Any) -> list[Any]:
    """All that the store holds of runs."""
    connection = sqlite3.connect(shop.folder / ".wfgen" / "wfgen.db")
    try:
        return [connection.execute(f"SELECT * FROM {t}").fetchall() for t in ("runs", "events", "hooks", "messages")]
    finally:
        connection.close()


@pytest.fixture
def runs(shop: Any) -> dict[str, str]:
    """A run that is completed, one that has failed, one that waits; a token; files that are too large."""
    found = {
        name: shop.ask("start", *words, "--json")["run_id"]
        for name, words in {
            "DONE": ("order", "--input", '{"item": "tea"}'),
            "FAILED": ("broken",),
            "WAITS": ("approve", "--input", '{"item": "tea"}'),
        }.items()
    }
    shop.inside("worker", "--until-idle")
    assert shop.ask("runs", "show", found["WAITS"], "--json")["status"] == "waiting"
    shop.write("order.json", json.dumps({"item": LARGE}))
    shop.write("text.json", json.dumps(LARGE))
    return {**found, "TOKEN": shop.ask("hooks", "list", "--json")[0]["token"], "NOWHERE": "run_nowhere"}


def said(shop: Any, runs: dict[str, str], words: str, **options: Any) -> tuple[str, str, int]:
    """Run a command that is refused; gives the code, all that is told, and the exit code."""
    before = store(shop)
    done = shop.inside(*(runs.get(word, word) for word in words.split(" ")), **options)
    assert store(shop) == before
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    return done.stderr.partition("[")[2].partition("]")[0], done.stderr, done.returncode


CONTROLS = (
    "runs cancel RUN", "runs pause RUN", "runs resume RUN", "runs terminate RUN --reason test",
    "runs rollback RUN --to 99", "runs rollback RUN --to 99 --compensate", "runs fork RUN --at 99",
)  # fmt: skip
HOOK = '{"ok":true}'

REFUSED = {
    **{words.replace("RUN", "DONE"): "WF727" for words in CONTROLS},
    "runs retry DONE": "WF727",
    "runs retry WAITS": "WF727",
    **{words.replace("RUN", "FAILED"): "WF727" for words in CONTROLS},
    **{words.replace("RUN", "NOWHERE"): "WF724" for words in CONTROLS},
    **{f"runs {what} NOWHERE": "WF724" for what in ("retry", "show", "history", "checkpoints")},
    "runs cancel run_\udcff": "WF800",
    "runs rollback WAITS --to 0": "WF727",
    "runs rollback WAITS --to 99999999999999999999": "WF727",
    "runs fork WAITS --at -1": "WF727",
    'runs fork WAITS --at 1 --input {"item":5}': "WF703",
    "runs fork WAITS --at 1 --input-file order.json": "WF704",
    "runs fork FAILED --at 1 --input 1": "WF703",
    f"hooks resume hook_guessed --input {HOOK}": "WF725",
    f"hooks resume --run DONE --name approval --input {HOOK}": "WF725",
    f"hooks resume --run WAITS --name aproval --input {HOOK}": "WF725",
    f"hooks resume --run NOWHERE --name approval --input {HOOK}": "WF724",
    f"hooks resume TOKEN --run WAITS --name approval --input {HOOK}": "WF610",
    f"hooks resume --name approval --input {HOOK}": "WF610",
    "hooks resume TOKEN": "WF610",
    'hooks resume TOKEN --input {"ok":"maybe"}': "WF703",
    "hooks resume TOKEN --input {": "WF703",
    "hooks resume TOKEN --input-file text.json": "WF703",
    'hooks resume --run WAITS --name approval --input {"ok":"maybe"}': "WF703",
    "hooks list --run NOWHERE": "WF724",
    "start order --input-file order.json": "WF704",
    'start order --input {"item":1}': "WF703",
    'start order --input {"item":"\udcff"}': "WF703",
    "start order": "WF703",
    "start broken --input 1": "WF703",
    "start ordr --input 1": "WF701",
    "start order --version 9 --input 1": "WF701",
    "start broken --idempotency-key \n": "WF703",
    "start broken --tag \n": "WF703",
    'run order --input {"item":1}': "WF703",
    "runs prune --older-than soon": "WF703",
    "runs prune --older-than 1d --status running": "WF610",
    "runs list --status failed --before NOWHERE": "WF724",
}


def test_what_is_refused(shop: Any, runs: dict[str, str]) -> None:
    """A15, B3, B11, B12, E2, E4, E5: a stable code, advice, exit code 2, and nothing is changed in the store."""
    for words, expected in REFUSED.items():
        code, told, exit_code = said(shop, runs, words)
        assert (words, code, exit_code) == (words, expected, 2), told
        assert "  hint: " in told, words


def test_advice_fits_what_is_wrong(shop: Any, runs: dict[str, str]) -> None:
    """A15, B12: an input too many is not answered with how to give one; a near name is offered."""
    for words, advice in {
        "start broken --input 1": "Leave the input out.",
        "start order": "Give it with --input JSON or --input-file FILE.",
        "hooks resume TOKEN --input 1": "Give it with --input JSON or --input-file FILE.",
        f"hooks resume --run WAITS --name aproval --input {HOOK}": "Did you mean 'approval'?",
        "start ordr --input 1": "Did you mean 'order'?",
        "runs retry WAITS": "retries its steps by itself",
        "runs rollback DONE --to 99": "The last one before it is 3",
        "runs fork WAITS --at 1 --input-file order.json": "raise the setting payload_limit",
    }.items():
        assert advice in said(shop, runs, words)[1], words


@pytest.mark.parametrize("keys", ["wrong", "missing", "unreadable"])
def test_without_the_right_key(shop: Any, keys: str) -> None:
    """B16: WF732 with advice before anything is changed, also where a call would need no payload."""
    assert shop.inside("keys", "new", "right.json").returncode == 0
    assert shop.inside("keys", "new", "wrong.json").returncode == 0
    right = {"WFGEN_ENCRYPTION_KEYS": "file:right.json"}
    order = ("--input", '{"item": "tea"}', "--json")
    runs = {"RUN": shop.ask("start", "approve", *order, env=right)["run_id"]}
    shop.inside("worker", "--until-idle", env=right)
    source = {"wrong": "file:wrong.json", "unreadable": "file:none.json"}.get(keys)
    environment = {} if source is None else {"WFGEN_ENCRYPTION_KEYS": source}
    for words in (
        "runs cancel RUN", "runs pause RUN", "runs resume RUN", "runs terminate RUN", "runs rollback RUN --to 1",
        "runs fork RUN --at 1", "runs show RUN", "runs history RUN", "runs checkpoints RUN",
        f"hooks resume --run RUN --name approval --input {HOOK}",
    ):  # fmt: skip
        code, told, exit_code = said(shop, runs, words, env=environment)
        assert (words, code, exit_code) == (words, "WF732", 2), told
        assert "  hint: " in told, words
    assert shop.ask("runs", "show", runs["RUN"], "--json", env=right)["status"] == "waiting"


SCRIPT = """\
import asyncio, json, sys
sys.path.insert(0, ".")
from shop.models import Approval, Order
from shop.wfgen_gen import connect
from wfgen import WfgenError

DONE, FAILED, WAITS = sys.argv[1:]


async def main() -> None:
    told = {}

    async def ask(name, call):
        try:
            await call()
        except WfgenError as error:
            told[name] = [error.code, bool(error.hint)]
        else:
            told[name] = "done"

    async with connect(work=False) as wf:
        for id in (DONE, FAILED):
            run = await wf.get_run(id).info() and wf.get_run(id)
            for name in ("cancel", "pause", "resume", "terminate"):
                await ask(f"{id} {name}", getattr(run, name))
            await ask(f"{id} rollback", lambda: run.rollback(99))
            await ask(f"{id} fork", lambda: run.fork(99))
        await ask("retry", lambda: wf.order.retry_run(DONE))
        for name in ("get_run", "cancel_run", "pause_run", "resume_run", "terminate_run", "retry_run"):
            await ask(f"{name} of another workflow", lambda: getattr(wf.order, name)(WAITS))
            await ask(f"{name} of nobody", lambda: getattr(wf.order, name)("run_nowhere"))
        run = await wf.approve.get_run(WAITS)
        await ask("shape", lambda: run.hooks.approval.resume({"ok": "maybe"}))
        await ask("size", lambda: run.hooks["approval"].resume("x" * 3_000_000))
        await ask("type", lambda: run.hooks["approval"].resume(object()))
        await ask("fork's shape", lambda: run.fork(1, {"item": 1}))
        await ask("fork's size", lambda: run.fork(1, Order(item="x" * 3_000_000)))
        await ask("start's shape", lambda: wf.order.start({"item": 1}))
        await ask("start's size", lambda: wf.order.start(Order(item="x" * 3_000_000)))
        await ask("start's key", lambda: wf.order.start(Order(item="tea"), idempotency_key=""))
        await ask("start's tags", lambda: wf.order.start(Order(item="tea"), tags="vip"))
    print(json.dumps(told))


asyncio.run(main())
"""


def test_a_generated_client(shop: Any, runs: dict[str, str]) -> None:
    """A15, B11, B12: the typed client refuses the same, and a run of another workflow."""
    script: Path = shop.write("script.py", SCRIPT)
    before = store(shop)
    ids = (runs["DONE"], runs["FAILED"], runs["WAITS"])
    done = subprocess.run(
        [sys.executable, str(script), *ids], cwd=shop.folder, env=shop.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert store(shop) == before
    told = json.loads(done.stdout)
    for name, answer in told.items():
        if "another" in name or "nobody" in name:
            assert (name, answer) == (name, ["WF724", True])
        elif name.startswith("run_") or name == "retry":
            assert (name, answer) == (name, ["WF727", True])
        elif name.endswith(("size", "type")):
            assert (name, answer) == (name, ["WF704", True])
        else:
            assert (name, answer[0]) == (name, "WF703")
    assert len(told) == 34
