"""What a change means for runs in flight and for callers: one row for each kind of change."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.compatibility.classification import Change, classify
from wfgen_inspector.compatibility.snapshot import Snapshot, snapshot

HEAD = """\
import asyncio

from flows.models import Approval, Order, Receipt
from flows.helpers import is_large
from wfgen import Retry, StepError, Workflow, define_worker, define_workflow

"""
MODELS = """\
from pydantic import BaseModel


class Item(BaseModel):
    sku: str


class Order(BaseModel):
    id: str
    amount: float = 1.0
    items: list[Item] = []


class Approval(BaseModel):
    ok: bool


class Receipt(BaseModel):
    id: str
    total: float
    note: str | None = None
"""
HELPERS = """\
def is_large(amount: float) -> bool:
    limit = 100
    return amount > limit
"""
WORKERS = """\
from flows.models import Approval, Order, Receipt
from wfgen import define_worker


@define_worker("pay.charge")
async def charge(order: Order) -> Receipt:
    return Receipt(id=order.id, total=order.amount)


@define_worker("pay.refund")
async def refund(order: Order) -> Receipt:
    return Receipt(id=order.id, total=0)
"""
BODY = """\
receipt = await workflow.do("charge", "pay.charge", order)
await workflow.sleep("pause", "1h")
note = await workflow.do("note", lambda: receipt.id)
return receipt
"""
CHOICE = """\
receipt = await workflow.do("charge", "pay.charge", order)
limit = 100
if receipt.total > limit:
    await workflow.do("a", lambda: 1)
else:
    await workflow.do("b", lambda: 2)
await workflow.do("c", lambda: 3)
return receipt
"""
LOOP = """\
for item in order.items:
    await workflow.do("pick", lambda: item.sku)
    await workflow.do("pack", lambda: item.sku)
return await workflow.do("charge", "pay.charge", order)
"""
AT_ONCE = """\
await asyncio.gather(workflow.do("a", lambda: 1), workflow.do("b", lambda: 2))
return await workflow.do("charge", "pay.charge", order)
"""
TASKS = """\
async def one(step: str) -> None:
    await workflow.do(f"{step} 1", lambda: 1)
    await workflow.do(f"{step} 2", lambda: 1)

await asyncio.gather(one("a"), one("b"))
return await workflow.do("charge", "pay.charge", order)
"""
TRY = """\
try:
    receipt = await workflow.do("charge", "pay.charge", order)
except StepError:
    await workflow.do("tell", lambda: 1)
    raise
await workflow.sleep("pause", "1h")
return receipt
"""
HOOK = """\
receipt = await workflow.do("charge", "pay.charge", order)
approval = await workflow.hook("approval", Approval, timeout="1d")
return receipt if approval.ok else await workflow.do("refund", "pay.refund", order)
"""

Files = dict[str, str]


def files(body: str, **others: str) -> Files:
    """A project with one workflow."""
    function = (
        '@define_workflow(name="order", version="1")\n'
        f"async def order_flow(workflow: Workflow, order: Order) -> Receipt:\n{textwrap.indent(body, '    ')}"
    )
    found = {
        "flows/__init__.py": "",
        "flows/models.py": MODELS,
        "flows/helpers.py": HELPERS,
        "flows/pay.worker.py": WORKERS,
        "flows/order.workflow.py": f"{HEAD}{others.pop('before', '')}\n{function}",
    }
    return {**found, **others}


def snap(folder: Path, content: Files) -> Snapshot:
    """What a project defines."""
    for path, text in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    inspection = inspect(Settings(project=folder), cache=False)
    assert not inspection.unreadable
    return snapshot(inspection.manifest)


@pytest.fixture
def change(tmp_path: Path) -> Callable[[Files, Files], Change]:
    """Compare two projects: what became of version 1 of the one workflow."""

    def compare(old: Files, new: Files) -> Change:
        found = classify(snap(tmp_path / "old", old), snap(tmp_path / "new", new))
        return next(c for c in found if c.entry.name == "order" and c.entry.version == "1")

    return compare


def edited(body: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in body, old
        body = body.replace(old, new)
    return body


INSERTED = (
    'await workflow.sleep("pause", "1h")\n',
    'await workflow.do("new", lambda: 1)\nawait workflow.sleep("pause", "1h")\n',
)

UNCHANGED = {
    "nothing": (BODY, BODY),
    "comments and formatting": (
        BODY,
        '# charge first\nreceipt = (\n    await workflow.do(  # the money\n        "charge",\n'
        '        "pay.charge",\n        order,\n    )\n)\n\n'
        'await workflow.sleep("pause", "1h")\nnote = await workflow.do("note", lambda: receipt.id)\nreturn receipt\n',
    ),
    "renamed local variables": (CHOICE, edited(CHOICE, ("receipt", "paid"), ("limit", "most"))),
    "renamed loop variable": (LOOP, edited(LOOP, ("item in", "thing in"), ("item.sku", "thing.sku"))),
    "renamed error": (
        TRY.replace("except StepError:", "except (StepError, ValueError) as error:"),
        TRY.replace("except StepError:", "except (\n    StepError,\n    ValueError,\n) as failure:"),
    ),
    "a comment on a constant": (
        CHOICE,
        edited(CHOICE, ("limit = 100\n", "limit = 100  # euros\n")),
    ),
}

SAFE = {
    "inline body": (BODY, edited(BODY, ("lambda: receipt.id", "lambda: receipt.id.upper()"))),
    "duration": (BODY, edited(BODY, ('"1h"', '"2h"'))),
    "timeout of a hook": (HOOK, edited(HOOK, ('"1d"', '"9d"'))),
    "retry policy": (BODY, edited(BODY, ("order)", "order, retry=Retry(attempts=9))"))),
    "description": (BODY, edited(BODY, ('"1h"', '"1h", description="a while"'))),
    "log message": (BODY, edited(BODY, ("return receipt", 'workflow.log.info("done")\nreturn receipt'))),
    "new step after the last": (
        BODY,
        edited(BODY, ("return receipt", 'await workflow.do("more", lambda: 1)\nreturn receipt')),
    ),
    "new sleep in place of a return": (
        BODY,
        edited(BODY, ("return receipt", 'await workflow.sleep("more", "1h")\nreturn receipt')),
    ),
    "a loop of new steps after the last": (
        BODY,
        edited(
            BODY, ("return receipt", 'for _ in range(3):\n    await workflow.do("more", lambda: 1)\nreturn receipt')
        ),
    ),
    "open at once in another order": (
        AT_ONCE,
        edited(
            AT_ONCE,
            (
                'workflow.do("a", lambda: 1), workflow.do("b", lambda: 2)',
                'workflow.do("b", lambda: 2), workflow.do("a", lambda: 1)',
            ),
        ),
    ),
    "condition whose paths have the same steps": (
        "if order.amount > 1:\n    workflow.log.info('big')\nreturn await workflow.do('charge', 'pay.charge', order)\n",
        "if order.amount > 2:\n    workflow.log.info('big')\nreturn await workflow.do('charge', 'pay.charge', order)\n",
    ),
    "a try around what was there": (
        BODY,
        edited(
            BODY,
            (
                'receipt = await workflow.do("charge", "pay.charge", order)\n',
                'try:\n    receipt = await workflow.do("charge", "pay.charge", order)\n'
                'except StepError:\n    await workflow.do("tell", lambda: 1)\n    raise\n',
            ),
        ),
    ),
    "one more handler": (
        TRY,
        edited(
            TRY,
            ("    raise\n", '    raise\nexcept ValueError:\n    await workflow.do("other", lambda: 1)\n    raise\n'),
        ),
    ),
    "errors named in another order": (
        TRY.replace("except StepError:", "except (StepError, ValueError):"),
        TRY.replace("except StepError:", "except (ValueError, StepError):"),
    ),
    "extracted helper": (
        CHOICE,
        'receipt = await workflow.do("charge", "pay.charge", order)\n'
        "async def rest(total: float, limit: float) -> None:\n"
        '    if total > limit:\n        await workflow.do("a", lambda: 1)\n'
        '    else:\n        await workflow.do("b", lambda: 2)\n'
        'await rest(receipt.total, 100)\nawait workflow.do("c", lambda: 3)\nreturn receipt\n',
    ),
    "guarded by patched": (
        BODY,
        edited(
            BODY, (INSERTED[0], 'if workflow.patched("new"):\n    await workflow.do("new", lambda: 1)\n' + INSERTED[0])
        ),
    ),
    "replaced behind patched": (
        BODY,
        edited(
            BODY,
            (
                'note = await workflow.do("note", lambda: receipt.id)\n',
                'if workflow.patched("other note"):\n    note = await workflow.do("other", lambda: receipt.id)\n'
                'else:\n    note = await workflow.do("note", lambda: receipt.id)\n',
            ),
        ),
    ),
    "kept behind not patched": (
        BODY,
        edited(
            BODY,
            (
                'await workflow.sleep("pause", "1h")\n',
                'if not workflow.patched("no pause"):\n    await workflow.sleep("pause", "1h")\n',
            ),
        ),
    ),
    "an early return that is taken no more": (
        BODY.replace(INSERTED[0], "if not order.items:\n    return receipt\n" + INSERTED[0]),
        BODY,
    ),
    "new path behind the others, at the end": (
        edited(
            CHOICE, ('await workflow.do("c", lambda: 3)\n', ""), ('else:\n    await workflow.do("b", lambda: 2)\n', "")
        ),
        edited(
            CHOICE,
            ('await workflow.do("c", lambda: 3)\n', ""),
            ("else:", "elif receipt.total < 5:"),
        ),
    ),
}

NEEDS_VERSION = {
    "inserted": (BODY, edited(BODY, INSERTED)),
    "inserted first": (BODY, 'await workflow.do("new", lambda: 1)\n' + BODY),
    "removed": (BODY, edited(BODY, ('await workflow.sleep("pause", "1h")\n', ""))),
    "removed last": (BODY, edited(BODY, ('note = await workflow.do("note", lambda: receipt.id)\n', ""))),
    "renamed": (BODY, edited(BODY, ('"pause"', '"rest"'))),
    "moved": (
        BODY,
        'await workflow.sleep("pause", "1h")\nreceipt = await workflow.do("charge", "pay.charge", order)\n'
        'note = await workflow.do("note", lambda: receipt.id)\nreturn receipt\n',
    ),
    "name computed otherwise": (
        LOOP.replace('"pick"', 'f"pick {item.sku}"'),
        LOOP.replace('"pick"', 'f"take {item.sku}"'),
    ),
    "another target": (BODY, edited(BODY, ("pay.charge", "pay.refund"))),
    "another form": (BODY, edited(BODY, ('workflow.sleep("pause", "1h")', 'workflow.do("pause", lambda: 1)'))),
    "rpc to inline": (HOOK, edited(HOOK, ('"pay.refund", order', "lambda: Receipt(id='', total=0)"))),
    "condition": (CHOICE, edited(CHOICE, ("receipt.total > limit", "receipt.total >= limit"))),
    "what a condition is computed from": (CHOICE, edited(CHOICE, ("limit = 100", "limit = 200"))),
    "step moved to another path": (
        CHOICE,
        edited(
            CHOICE,
            ('"a", lambda: 1', '"x", lambda: 1'),
            ('"b", lambda: 2', '"a", lambda: 1'),
            ('"x", lambda: 1', '"b", lambda: 2'),
        ),
    ),
    "step put behind a condition": (
        BODY,
        edited(
            BODY, ('await workflow.sleep("pause", "1h")', 'if order.items:\n    await workflow.sleep("pause", "1h")')
        ),
    ),
    "step added to a path": (
        CHOICE,
        edited(
            CHOICE,
            (
                '    await workflow.do("a", lambda: 1)\n',
                '    await workflow.do("a", lambda: 1)\n    await workflow.do("more", lambda: 1)\n',
            ),
        ),
    ),
    "loop over something else": (LOOP, edited(LOOP, ("order.items", "order.items[1:]"))),
    "step added to a loop": (
        LOOP,
        edited(
            LOOP,
            ('    await workflow.do("pack"', '    await workflow.do("more", lambda: 1)\n    await workflow.do("pack"'),
        ),
    ),
    "step added at the end of a loop": (
        LOOP,
        edited(LOOP, ("return", '    await workflow.do("more", lambda: 1)\nreturn')),
    ),
    "loop left early": (
        LOOP,
        edited(
            LOOP,
            ('    await workflow.do("pack"', '    if item.sku == "x":\n        break\n    await workflow.do("pack"'),
        ),
    ),
    "early return": (
        BODY,
        edited(
            BODY,
            ('await workflow.sleep("pause"', 'if not order.items:\n    return receipt\nawait workflow.sleep("pause"'),
        ),
    ),
    "one more at once": (
        AT_ONCE,
        edited(
            AT_ONCE, ('workflow.do("a", lambda: 1),', 'workflow.do("a", lambda: 1), workflow.do("new", lambda: 1),')
        ),
    ),
    "at once in sequence": (
        AT_ONCE,
        edited(
            AT_ONCE,
            (
                'await asyncio.gather(workflow.do("a", lambda: 1), workflow.do("b", lambda: 2))',
                'await workflow.do("a", lambda: 1)\nawait workflow.do("b", lambda: 2)',
            ),
        ),
    ),
    "tasks in another order": (TASKS, edited(TASKS, ('one("a"), one("b")', 'one("b"), one("a")'))),
    "one more task before": (TASKS, edited(TASKS, ('one("a"), one("b")', 'one("new"), one("a"), one("b")'))),
    "errors caught otherwise": (TRY, edited(TRY, ("except StepError", "except ValueError"))),
    "step removed from a handler": (TRY, edited(TRY, ('    await workflow.do("tell", lambda: 1)\n', ""))),
    "try taken away": (
        TRY,
        edited(
            TRY,
            (
                'try:\n    receipt = await workflow.do("charge", "pay.charge", order)\n'
                'except StepError:\n    await workflow.do("tell", lambda: 1)\n    raise\n',
                'receipt = await workflow.do("charge", "pay.charge", order)\n',
            ),
        ),
    ),
    "guard taken away": (
        edited(
            BODY, (INSERTED[0], 'if workflow.patched("new"):\n    await workflow.do("new", lambda: 1)\n' + INSERTED[0])
        ),
        edited(BODY, INSERTED),
    ),
    "gathered, then no more waited for": (
        AT_ONCE,
        edited(
            AT_ONCE,
            ("await asyncio.gather(", "await asyncio.wait(["),
            ("lambda: 2))", "lambda: 2)], return_when='FIRST_COMPLETED')"),
        ),
    ),
}

WARNING = {
    "another input": (BODY, edited(BODY, ('"pay.charge", order', '"pay.charge", order.model_copy()'))),
    "input computed from something else": (
        "amount = order.amount\n"
        + edited(BODY, ('"pay.charge", order', '"pay.charge", Order(id=order.id, amount=amount)')),
        "amount = order.amount * 2\n"
        + edited(BODY, ('"pay.charge", order', '"pay.charge", Order(id=order.id, amount=amount)')),
    ),
}


def _rows(table: dict[str, tuple[str, str]]) -> list[object]:
    return [pytest.param(*bodies, id=name) for name, bodies in table.items()]


@pytest.mark.parametrize(("old", "new"), _rows(UNCHANGED))
def test_what_never_counts(change: Callable[..., Change], old: str, new: str) -> None:
    """Comments, formatting and names of variables leave a version unchanged."""
    found = change(files(old), files(new))
    assert (found.verdict, found.reasons) == ("unchanged", ())


@pytest.mark.parametrize(("old", "new"), _rows(SAFE))
def test_safe(change: Callable[..., Change], old: str, new: str) -> None:
    """Every recorded run goes on with the changed code."""
    found = change(files(old), files(new))
    assert found.verdict == "safe", found.reasons


@pytest.mark.parametrize(("old", "new"), _rows(WARNING))
def test_safe_with_warning(change: Callable[..., Change], old: str, new: str) -> None:
    """Recorded runs go on, and a recorded step has another input now."""
    found = change(files(old), files(new))
    assert found.verdict == "safe-with-warning", found.reasons


@pytest.mark.parametrize(("old", "new"), _rows(NEEDS_VERSION))
def test_needs_version(change: Callable[..., Change], old: str, new: str) -> None:
    """Some recorded run would not be reproduced."""
    found = change(files(old), files(new))
    assert found.verdict == "needs-version", found.reasons


@pytest.mark.parametrize(
    ("models", "verdict", "message"),
    [
        (("    amount: float = 1.0\n", "    amount: float\n"), "breaks-clients", "Order.amount is required now"),
        (("    amount: f", "    customer: str\n    amount: f"), "breaks-runs", "Order.customer is new and required"),
        (("    id: str\n    amount", '    id: str\n    customer: str = ""\n    amount'), "unchanged", None),
        (("    amount: float = 1.0", "    amount: list[float] = []"), "breaks-runs", "Order.amount was float"),
        (("    amount: float = 1.0", "    amount: float | None = 1.0"), "unchanged", None),
        (("    sku: str", "    sku: str\n    count: int"), "breaks-runs", "Item.count is new and required"),
        (("    ok: bool", "    ok: bool\n    by: str"), "breaks-runs", "a payload of hook 'approval' no longer loads"),
        (("    total: float\n", "    total: str\n"), "breaks-runs", "result of step 'charge' no longer loads"),
        (("    note: str | None = None\n", ""), "breaks-clients", "Receipt.note is gone"),
    ],
    ids=[
        "default gone",
        "new required field",
        "new optional field",
        "another type",
        "wider type",
        "nested",
        "hook",
        "result of a step",
        "result of the workflow",
    ],
)
def test_payloads(change: Callable[..., Change], models: tuple[str, str], verdict: str, message: str | None) -> None:
    """What is recorded must load into today's types, and callers must find what they know."""
    found = change(files(HOOK), files(HOOK, **{"flows/models.py": edited(MODELS, models)}))
    assert found.verdict == verdict, found.reasons
    assert message is None or any(message in reason.message for reason in found.reasons), found.reasons


def test_a_gone_version_strands_its_runs(change: Callable[..., Change]) -> None:
    """A version that is gone breaks runs; if no version is left it breaks callers too."""
    bumped = {k: v.replace('version="1"', 'version="2"') for k, v in files(BODY).items()}
    assert [r.verdict for r in change(files(BODY), bumped).reasons] == ["breaks-runs"]


def test_a_gone_workflow_breaks_callers(change: Callable[..., Change]) -> None:
    """A name that is gone breaks runs and callers."""
    renamed = {k: v.replace('name="order"', 'name="purchase"') for k, v in files(BODY).items()}
    assert [r.verdict for r in change(files(BODY), renamed).reasons] == ["breaks-runs", "breaks-clients"]


def test_a_gone_worker_breaks_runs(change: Callable[..., Change]) -> None:
    """A worker that is gone while a step still names it breaks runs."""
    gone = files(BODY, **{"flows/pay.worker.py": WORKERS.replace('"pay.charge"', '"pay.other"')})
    found = change(files(BODY), gone)
    assert found.verdict == "breaks-runs"
    assert "the worker 'pay.charge' of step 'charge' is gone" in found.reasons[0].message


def test_a_gone_hook_breaks_callers_too(change: Callable[..., Change]) -> None:
    """A hook that is gone is a change of the steps and of what callers may do."""
    without = edited(
        HOOK, ('approval = await workflow.hook("approval", Approval, timeout="1d")\n', "approval = Approval(ok=True)\n")
    )
    verdicts = {r.verdict for r in change(files(HOOK), files(without)).reasons}
    assert {"needs-version", "breaks-clients"} <= verdicts


def test_a_new_version_beside_the_old_one_changes_nothing(tmp_path: Path) -> None:
    """The old version is unchanged, the new one is new."""
    old = files(BODY)
    second = old["flows/order.workflow.py"].replace('version="1"', 'version="2"').replace("order_flow", "order_2")
    new = {**old, "flows/order_2.workflow.py": second.replace('"note"', '"other"')}
    found = classify(snap(tmp_path / "old", old), snap(tmp_path / "new", new))
    assert [(c.entry.version, c.verdict, c.old is None) for c in found] == [
        ("1", "unchanged", False),
        ("2", "unchanged", True),
    ]


def test_a_moved_workflow_file_changes_nothing(change: Callable[..., Change]) -> None:
    """Neither the file of a workflow, nor of a worker, a model or a helper is part of what is compared."""
    old = files(CHOICE.replace("receipt.total > limit", "is_large(receipt.total)"))
    moved = {
        "flows/__init__.py": "",
        "flows/sub/__init__.py": "",
        "flows/sub/types.py": MODELS,
        "flows/sub/rules.py": HELPERS,
        "flows/sub/money.worker.py": WORKERS.replace("flows.models", "flows.sub.types"),
        "flows/sub/buy.workflow.py": old["flows/order.workflow.py"]
        .replace("flows.models", "flows.sub.types")
        .replace("flows.helpers", "flows.sub.rules"),
    }
    found = change(old, moved)
    assert (found.verdict, found.reasons) == ("unchanged", ())


def test_a_changed_helper_of_a_condition_counts(change: Callable[..., Change]) -> None:
    """A function of the project that decides is part of the condition, but not its formatting or names."""
    old = files(CHOICE.replace("receipt.total > limit", "is_large(receipt.total)"))
    same = {**old, "flows/helpers.py": "def is_large(value):\n    most = 100  # euros\n    return value > most\n"}
    assert change(old, same).verdict == "unchanged"
    other = {**old, "flows/helpers.py": HELPERS.replace("100", "200")}
    assert change(old, other).verdict == "needs-version"


def test_types_of_the_file_itself_may_move_to_a_module(change: Callable[..., Change]) -> None:
    """Where a type is declared does not matter, its fields do."""
    own = "from pydantic import BaseModel\n\n\nclass Own(BaseModel):\n    id: str\n"
    old = files(BODY, before=own)
    old["flows/order.workflow.py"] = old["flows/order.workflow.py"].replace("order: Order)", "order: Own)")
    new = files(BODY, before="from flows.own import Own\n", **{"flows/own.py": own})
    new["flows/order.workflow.py"] = new["flows/order.workflow.py"].replace("order: Order)", "order: Own)")
    assert change(old, new).verdict == "unchanged"
    new["flows/own.py"] = own + "    more: int\n"
    assert change(old, new).verdict == "breaks-runs"


JUDGES = """
LIMIT = 100


class Judge:
    limit = 100

    def __init__(self) -> None:
        self.seen = 0

    def is_big(self, amount: float) -> bool:
        return amount > self.limit

    @property
    def bound(self) -> float:
        return LIMIT


judge = Judge()
"""


@pytest.mark.parametrize(
    ("condition", "pair", "verdict"),
    [
        ("judge.is_big(order.amount)", ("amount > self.limit", "amount >= self.limit"), "needs-version"),
        ("judge.is_big(order.amount)", ("return amount", "# how big\n        return  amount"), "unchanged"),
        ("judge.is_big(order.amount)", ("    limit = 100", "    limit = 200"), "needs-version"),
        ("Judge().is_big(order.amount)", ("amount > self.limit", "amount < self.limit"), "needs-version"),
        ("order.amount > judge.bound", ("LIMIT = 100", "LIMIT = 1000"), "needs-version"),
        ("order.amount > Judge.limit", ("    limit = 100", "    limit = 1000"), "needs-version"),
        ("judge.is_big(order.amount)", ("LIMIT = 100", "LIMIT = 1000"), "unchanged"),
    ],
)
def test_conditions_made_by_methods(
    change: Callable[..., Change], condition: str, pair: tuple[str, str], verdict: str
) -> None:
    """What a method or property of another module does, and the constants that it reads, belong to the condition."""
    body = f'if {condition}:\n    await workflow.do("review", lambda: 1)\n' + BODY
    before = "from flows.judges import Judge, judge\n"
    old = files(body, before=before, **{"flows/judges.py": JUDGES})
    new = files(body, before=before, **{"flows/judges.py": edited(JUDGES, pair)})
    assert change(old, new).verdict == verdict
