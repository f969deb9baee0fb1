"""The body of a workflow as a tree of nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Workflow = Callable[..., Any]


@pytest.mark.parametrize(
    ("statement", "shape"),
    [
        ('await workflow.do("a", "users.create", order)', "rpc a -> users.create"),
        ('await workflow.do("a", workers.users.create, order)', "rpc a -> users.create"),
        ('await workflow.do("a", lambda: 1)', "inline a"),
        ('await workflow.do("a", print)', "inline a"),
        ('await workflow.do("a", functools.partial(print, 1))', "inline a"),
        ('await workflow.do("a", order.total)', "inline a"),
        ('await workflow.do(step="a", target="users.create", data=order)', "rpc a -> users.create"),
        ('await workflow.sleep("a", "5m")', "sleep a"),
        ('await workflow.sleep_until("a", order.due)', "sleep_until a"),
        ('await workflow.hook("a", User)', "hook a"),
        ('hook = workflow.create_hook("a", User)', "create_hook a"),
        ('await workflow.call("a", "billing", order)', "call a -> billing"),
        ('await workflow.start("a", workflows.billing, order)', "start a -> billing"),
        ('workflow.compensate("a", "users.delete", order)', "compensate a -> users.delete"),
        ("workflow.continue_as_new(order)", "continue_as_new continue_as_new"),
        ("workflow.now()", "use now"),
        ("workflow.uuid('x')", "use uuid"),
        ("workflow.random().random()", "use random"),
        ("workflow.patched('x')", "use patched"),
        ("workflow.emit('x', order)", "use emit"),
        ("workflow.progress(3)", "use progress"),
        ("workflow.progress(done=1, total=4, message='x')", "use progress"),
        ("workflow.log.info('x')", "use log"),
        ("workflow.log.child(order=order).info('x')", "use log"),
        ("print(workflow.context.db)", "use context"),
        ("print(workflow.errors)", "use errors"),
        ("print(workflow.metrics)", "use metrics"),
        ("workflow.metrics.count('orders', 2, colour='red')", "use metrics"),
        ("print(workflow.run_id)", "use run_id"),
        ("print(f'{workflow.run_id}')", "use run_id"),
        ("workflow", "use value"),
        ("assert workflow is not None", "use value"),
    ],
)
def test_each_use_of_the_handle_has_its_node(workflow: Workflow, statement: str, shape: str) -> None:
    """Operations become steps of their form, everything else a plain use, and nothing is reported."""
    read = workflow(statement)
    assert read.shape == [shape]
    assert read.codes == []


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (
            """
            if order.big:
                await workflow.sleep("a", "1s")
            elif order.small:
                workflow.log.info("small")
            else:
                raise ValueError(order)
            """,
            ["if", ["if", "sleep a"], ["elif", "use log"], ["else", "raise"]],
        ),
        (
            """
            if await workflow.do("ask", "x.y"):
                return
            """,
            ["rpc ask -> x.y", ["if", ["if", "return"]]],
        ),
        (
            """
            if order.big:
                return
            elif await workflow.do("ask", "x.y"):
                await workflow.sleep("a", "1s")
            """,
            [["if", ["if", "return"], ["else", "rpc ask -> x.y", ["if", ["if", "sleep a"]]]]],
        ),
        (
            """
            match order.kind:
                case "a":
                    await workflow.sleep("a", "1s")
                case User(name=name) if workflow.patched("x"):
                    pass
                case _:
                    print()
            """,
            [["match", ["case", "sleep a"], ["case", "use patched"], ["case"]]],
        ),
        ('x = await workflow.sleep("a", "1s") if order else None', [["conditional", ["if", "sleep a"], ["else"]]]),
        ('order and await workflow.sleep("a", "1s")', [["and", ["and", "sleep a"]]]),
        (
            'workflow.run_id or order.x or await workflow.sleep("a", "1s")',
            ["use run_id", ["or", ["or", ["or", ["or", "sleep a"]]]]],
        ),
        (
            """
            for item in order.items:
                await workflow.do("a", "x.y", item)
            else:
                await workflow.sleep("b", "1s")
            """,
            [["for", "rpc a -> x.y", ["else", "sleep b"]]],
        ),
        (
            """
            while await workflow.do("more", "x.y"):
                await workflow.sleep("a", "1s")
            """,
            [["while", "rpc more -> x.y", "sleep a"]],
        ),
        (
            """
            async for item in order.stream():
                await workflow.do("a", "x.y", item)
            """,
            [["async_for", "rpc a -> x.y"]],
        ),
        ('x = [await workflow.do("a", "x.y", i) for i in order if i]', [["comprehension", "rpc a -> x.y"]]),
        ("x = {i: workflow.now() for i in order}", [["comprehension", "use now"]]),
        (
            """
            try:
                await workflow.do("a", "x.y")
            except ValueError as error:
                await workflow.do("b", "x.y")
            except (TypeError, KeyError):
                raise
            else:
                workflow.log.info("fine")
            finally:
                await workflow.do("c", "x.y")
            """,
            [
                [
                    "try",
                    "rpc a -> x.y",
                    ["except ValueError", "rpc b -> x.y"],
                    ["except (TypeError, KeyError)", "raise"],
                    ["orelse", "use log"],
                    ["final", "rpc c -> x.y"],
                ]
            ],
        ),
        (
            """
            try:
                await workflow.do("a", "x.y")
            except* ValueError:
                await workflow.do("b", "x.y")
            """,
            [["try", "rpc a -> x.y", ["except* ValueError", "rpc b -> x.y"]]],
        ),
        (
            """
            async with asyncio.timeout(3), order.lock:
                await workflow.do("a", "x.y")
            """,
            [["with", "rpc a -> x.y"]],
        ),
        ('return await workflow.do("a", "x.y")', [["return", "rpc a -> x.y"]]),
        ("raise ValueError(workflow.run_id)", [["raise", "use run_id"]]),
        ("if order:\n    print()\nelse:\n    pass", []),
        ('await workflow.do("a", "x.y", await workflow.do("b", "x.y"))', ["rpc b -> x.y", "rpc a -> x.y"]),
    ],
)
def test_control_flow_is_kept(workflow: Workflow, body: str, shape: list[Any]) -> None:
    """Statements and expressions that decide what runs become nodes around the operations, in order of evaluation."""
    found = workflow(body).shape
    assert found == shape or found == [shape]


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (
            'a, b = await asyncio.gather(workflow.do("a", "x.y"), workflow.do("b", "x.y"), order.other())',
            [["gather", [None, "rpc a -> x.y"], [None, "rpc b -> x.y"]]],
        ),
        (
            'await asyncio.gather(*[workflow.do("a", "x.y", i) for i in order])',
            [["gather", [None, ["comprehension", "rpc a -> x.y"]]]],
        ),
        (
            """
            first = workflow.do("a", "x.y")
            second = workflow.do("b", "x.y")
            await asyncio.gather(first, second)
            """,
            [["gather", [None, "rpc a -> x.y"], [None, "rpc b -> x.y"]]],
        ),
        (
            """
            steps = [workflow.do("a", "x.y", i) for i in order]
            print("started")
            results = await asyncio.gather(*steps)
            """,
            [["gather", [None, ["comprehension", "rpc a -> x.y"]]]],
        ),
        (
            """
            async with asyncio.TaskGroup() as group:
                one = group.create_task(workflow.do("a", "x.y"))
                group.create_task(workflow.do("b", "x.y"))
                await workflow.sleep("c", "1s")
            """,
            [["task_group", [None, "sleep c"], [None, "rpc a -> x.y"], [None, "rpc b -> x.y"]]],
        ),
        (
            """
            async with asyncio.TaskGroup() as group:
                for item in order:
                    group.create_task(workflow.do("a", "x.y", item))
            """,
            [["task_group", [None, ["for", ["task", [None, "rpc a -> x.y"]]]]]],
        ),
        (
            """
            task = asyncio.create_task(workflow.do("a", "x.y"))
            await workflow.sleep("b", "1s")
            await task
            """,
            [["task", [None, "rpc a -> x.y"]], "sleep b"],
        ),
        ('asyncio.ensure_future(workflow.do("a", "x.y"))', [["task", [None, "rpc a -> x.y"]]]),
        (
            'await workflow.parallel({"stock": workflow.do("a", "x.y"), order.key: workflow.sleep("b", "1s")})',
            [["parallel", ["stock", "rpc a -> x.y"], ["<dynamic>", "sleep b"]]],
        ),
        (
            'await workflow.parallel({i: workflow.do("a", "x.y", i) for i in order}, limit=3)',
            [["parallel", [None, ["comprehension", "rpc a -> x.y"]]]],
        ),
        (
            """
            for step in asyncio.as_completed([workflow.do("a", "x.y"), workflow.do("b", "x.y")]):
                print(await step)
            """,
            [["gather", [None, "rpc a -> x.y"], [None, "rpc b -> x.y"]]],
        ),
    ],
)
def test_concurrency_is_kept(workflow: Workflow, body: str, shape: list[Any]) -> None:
    """What runs at once becomes branches, also when coroutines are made first and gathered later."""
    read = workflow(body)
    assert read.shape == shape
    assert read.codes == []


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ('w = workflow\nawait w.sleep("a", "1s")', ["use alias", "sleep a"]),
        ('do = workflow.do\nawait do("a", "x.y")', ["use alias", "rpc a -> x.y"]),
        (
            'if (w := workflow).patched("x"):\n    await w.sleep("a", "1s")',
            ["use alias", "use patched", ["if", ["if", "sleep a"]]],
        ),
        ('w, n = workflow, 1\nawait w.sleep("a", "1s")', ["use alias", "sleep a"]),
        ("workflow = order\nworkflow.anything(workflow)", []),
        ("for workflow in order:\n    workflow.anything()", []),
        ("x = [workflow.anything() for workflow in order]", []),
        ("del workflow", []),
        (
            'if order:\n    workflow = None\nawait workflow.sleep("a", "1s")',
            ["sleep a"],
        ),
        (
            'w = None\nfor i in order:\n    if w:\n        await w.sleep("a", "1s")\n    w = workflow',
            [["for", "use value", ["if", ["if", "sleep a"]], "use alias"]],
        ),
        (
            'async def inner(n):\n    await workflow.do("a", "x.y", n)\nawait inner(1)\nawait inner(2)',
            [["inner", "rpc a -> x.y"], ["inner", "rpc a -> x.y"]],
        ),
        (
            "async def inner(workflow):\n    await workflow.anything()\nawait inner(1)",
            [],
        ),
        (
            'ask = lambda n: workflow.do("a", "x.y", n)\nawait ask(1)',
            [["ask", "rpc a -> x.y"]],
        ),
        (
            'async def inner(handle=workflow):\n    await handle.sleep("a", "1s")\nawait inner()',
            ["use alias", ["inner", "sleep a"]],
        ),
        (
            'def reset():\n    nonlocal workflow\n    workflow = None\nawait workflow.sleep("a", "1s")',
            ["sleep a"],
        ),
    ],
)
def test_the_handle_is_followed_by_scope(workflow: Workflow, body: str, shape: list[Any]) -> None:
    """Aliases, closures, shadowing and rebinding are told apart as Python does."""
    read = workflow(body)
    assert read.shape == shape
    assert read.codes == []


def test_the_handle_may_have_any_name(workflow: Workflow) -> None:
    """The first parameter is the handle, annotated or not."""
    read = workflow('await ctx.sleep("a", "1s")', parameters="ctx, order: Order")
    assert read.shape == ["sleep a"]


LOOP = """\
for i in order:
    if i:
        await workflow.do("a", "x.y")
        {way}
{rest}await workflow.do("a", "x.y")
"""
MATCH = """\
match order:
    case 1:
        await workflow.do("a", "x.y")
    case _:
        await workflow.do("a", "x.y")
"""
HELPERS = """
async def notify(order, handle, *, again=None):
    await handle.do("mail", "mails.send", order)
    if again:
        return await again.sleep("pause", "1s")
    return 3

def later(handle):
    return handle.sleep("later", "1s")

async def countdown(handle, n):
    await handle.sleep("tick", "1s")
    await countdown(handle, n - 1)

async def named(handle, region, suffix="x"):
    await handle.do(f"charge-{region}-{suffix}", "cards.charge")

async def ticks(handle):
    yield await handle.sleep("tick", "1s")

def many(*handles): ...
"""


@pytest.mark.parametrize(
    ("body", "shape", "codes"),
    [
        (
            "await notify(order, handle=workflow, again=workflow)",
            [["notify", "rpc mail -> mails.send", "use value", ["if", ["if", ["return", "sleep pause"]]]]],
            [],
        ),
        ("await later(workflow)", [["later", "sleep later"]], []),
        (
            "await countdown(workflow, 3)",
            [["countdown", "sleep tick", "opaque: recursion"]],
            ["WF301"],
        ),
        (
            'await named(workflow, "eu")\nawait named(workflow, "us", suffix="y")',
            [["named", "rpc charge-eu-x -> cards.charge"], ["named", "rpc charge-us-y -> cards.charge"]],
            [],
        ),
        (
            "async for tick in ticks(workflow):\n    print(tick)",
            [["ticks", "opaque: ticks is a generator"]],
            ["WF301"],
        ),
        (
            "many(workflow)",
            ["opaque: the handle is passed by `*` or `**`"],
            ["WF104"],
        ),
    ],
)
def test_helpers_of_the_file_are_entered(workflow: Workflow, body: str, shape: list[Any], codes: list[str]) -> None:
    """A function that receives the handle is walked where it is called; what cannot be followed says why."""
    read = workflow(body, before=HELPERS)
    assert read.shape == shape
    assert read.codes == codes


def test_an_async_helper_that_is_not_awaited_is_reported(workflow: Workflow) -> None:
    """Calling it does nothing, so it needs an `await`, which the fix adds."""
    read = workflow("notify(order, workflow)", before=HELPERS)
    assert read.codes == ["WF103"]
    assert "    await notify(order, workflow)" in read.fixed()


def test_helpers_within_helpers_end_somewhere(workflow: Workflow) -> None:
    """Helpers that call each other twice each are not followed for ever."""
    lines = ["async def h0(w):\n    await w.sleep('a', '1s')\n"]
    lines += [f"async def h{i}(w):\n    await h{i - 1}(w)\n    await h{i - 1}(w)\n" for i in range(1, 40)]
    read = workflow("await h39(workflow)", before="\n".join(lines))
    assert "WF301" in read.codes
    flat = str(read.shape)
    assert "helpers" in flat


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("getattr(workflow, 'do')", "the handle is passed to getattr"),
        ("print(workflow)", "the handle is passed to print"),
        ("await order.run(workflow)", "the handle is passed to order.run"),
        ("x = [workflow]", "the handle is stored in a container"),
        ("x = {'w': workflow}", "the handle is stored in a container"),
        ("order.workflow = workflow", "the handle is stored in a container"),
        ("return workflow", "the handle is returned"),
        ("print(*[workflow])", "the handle is stored in a container"),
        ("x = workflow or order", "the handle is used as a value"),
        ("workflow.extra = 3", "the handle's attribute 'extra' is changed"),
        ("print(workflow.do)", "the handle's method 'do' is used as a value"),
        ("with workflow:\n    pass", "the handle is entered as a context"),
        ("for x in workflow:\n    pass", "the handle is iterated over"),
        ("global kept\nkept = workflow", "the handle is stored in the global name 'kept'"),
    ],
)
def test_a_handle_that_escapes_is_reported(workflow: Workflow, body: str, reason: str) -> None:
    """Where the handle cannot be followed there is an opaque node with the reason, and an error."""
    read = workflow(body)
    assert f"opaque: {reason}" in str(read.shape).replace('"', "").replace("\\'", "'") or reason in str(read.body)
    assert read.codes == ["WF104"]


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ('await workflow.do("a", lambda: workflow.run_id)', []),
        ('await workflow.do("a", lambda: workflow.context.shop.log(workflow.metrics.count("x")))', []),
        ('await workflow.do("a", lambda: workflow.now())', ["WF306"]),
        ('await workflow.do("a", lambda: workflow.emit("x"))', ["WF306"]),
        ('await workflow.do("a", lambda: workflow.progress(1))', ["WF306"]),
        ('await workflow.do("a", lambda: workflow.do("b", "x.y"))', ["WF306"]),
        ('async def inner():\n    await workflow.sleep("b", "1s")\nawait workflow.do("a", inner)', ["WF306"]),
        ('x = sorted(order, key=lambda i: workflow.do("b", "x.y"))', ["WF301"]),
        ('async def inner():\n    await workflow.sleep("b", "1s")\norder.later(inner)', ["WF301"]),
        ('async def inner():\n    await workflow.sleep("b", "1s")', ["WF301"]),
        ("async def inner():\n    workflow.log.info('x')", []),
    ],
)
def test_functions_that_run_elsewhere_are_looked_into(workflow: Workflow, body: str, codes: list[str]) -> None:
    """Operations inside a step are an error; in functions that somebody else calls they are opaque."""
    read = workflow(body)
    assert read.codes == codes
    if codes:
        assert "opaque" in str(read.shape)


def test_unknown_methods_have_a_suggestion(workflow: Workflow) -> None:
    """A misspelt method of the handle is named, with the nearest that exists."""
    read = workflow('await workflow.slep("a", "1s")')
    assert read.codes == ["WF105"]
    assert read.facts.problems[0].hint == "Did you mean 'sleep'?"


@pytest.mark.parametrize(
    ("body", "fixed"),
    [
        ('workflow.do("a", "x.y")', 'await workflow.do("a", "x.y")'),
        ('x = workflow.do("a", "x.y")', 'x = await workflow.do("a", "x.y")'),
        ('return workflow.do("a", "x.y")', 'return await workflow.do("a", "x.y")'),
        (
            'await asyncio.gather(order)\nworkflow.parallel({"a": workflow.do("a", "x.y")})',
            'await workflow.parallel({"a"',
        ),
    ],
)
def test_unawaited_steps_are_mended(workflow: Workflow, body: str, fixed: str) -> None:
    """A coroutine that nobody awaits is reported once, and the fix awaits it."""
    read = workflow(body)
    assert read.codes == ["WF103"]
    assert fixed in read.fixed()


@pytest.mark.parametrize(
    "body",
    [
        'def inner():\n    workflow.do("a", "x.y")\ninner()',
        'x = sum(workflow.do("a", "x.y") + 1 for i in order)',
    ],
)
def test_unawaited_steps_without_a_safe_fix_are_reported(workflow: Workflow, body: str) -> None:
    """Where adding `await` is not all there is to it, there are no edits."""
    read = workflow(body)
    assert read.codes == ["WF103"]
    assert read.fixed() == read.source


@pytest.mark.parametrize(
    "body",
    [
        'x = workflow.do("a", "x.y")\nawait x',
        'x = workflow.do("a", "x.y")\nif order:\n    await x',
        'tasks = []\nfor i in order:\n    tasks.append(workflow.do("a", "x.y", i))\nawait asyncio.gather(*tasks)',
        'await asyncio.wait_for(workflow.do("a", "x.y"), 3)',
        'await (workflow.do("a", "x.y") if order else workflow.sleep("b", "1s"))',
        'order.pending = workflow.do("a", "x.y")',
    ],
)
def test_steps_that_are_awaited_elsewhere_are_fine(workflow: Workflow, body: str) -> None:
    """A coroutine that is passed on, kept or awaited later is not reported."""
    assert workflow(body).codes == []


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ('await workflow.do("a", "x.y")\nawait workflow.do("a", "x.y")', ["WF102"]),
        ('await workflow.do("a", "x.y")\nif order:\n    await workflow.sleep("a", "1s")', ["WF102"]),
        ('if order:\n    await workflow.do("a", "x.y")\nelse:\n    await workflow.do("a", "x.y")', []),
        ('if order:\n    await workflow.do("a", "x.y")\n    return\nawait workflow.do("a", "x.y")', []),
        (
            LOOP.format(way="continue", rest="    "),
            [],
        ),
        ('for i in order:\n    await workflow.do("a", "x.y")', []),
        (
            LOOP.format(way="break", rest=""),
            ["WF102"],
        ),
        ('try:\n    await workflow.do("a", "x.y")\nexcept ValueError:\n    await workflow.do("a", "x.y")', ["WF102"]),
        ('await workflow.do("a", "x.y") if order else await workflow.do("a", "x.y")', []),
        (
            MATCH,
            [],
        ),
        ('await asyncio.gather(workflow.do("a", "x.y"), workflow.do("a", "x.y"))', []),
    ],
)
def test_two_steps_of_one_name_on_one_path_are_reported(workflow: Workflow, body: str, codes: list[str]) -> None:
    """Exclusive arms, loops and branches that run at once may share a name; one path may not."""
    assert workflow(body).codes == codes


@pytest.mark.parametrize(
    ("body", "name", "codes"),
    [
        ('await workflow.do(order.name, "x.y")', "<dynamic>", ["WF101"]),
        ('await workflow.do(order.name, "x.y", description="Charge")', "<dynamic>", []),
        ('await workflow.do(f"a-{order.id}", "x.y")', "<dynamic>", ["WF101"]),
        ('await workflow.do("", "x.y")', "<dynamic>", ["WF106"]),
        ('await workflow.do("a\\n", "x.y")', "a\n", ["WF106"]),
        ('await workflow.do("é" * 3, "x.y")', "<dynamic>", ["WF101"]),
        (f'await workflow.do("{"a" * 256}", "x.y")', "a" * 256, ["WF106"]),
        ('await workflow.do(7, "x.y")', "<dynamic>", ["WF106"]),
        ("await workflow.do()", "<dynamic>", ["WF106", "WF402"]),
        ('await workflow.do("Grüße \\" {{ }}", "x.y")', 'Grüße " {{ }}', []),
        ("await workflow.do(NAME, 'x.y')", "charge", []),
        ("await workflow.do(Steps.CHARGE, 'x.y')", "take", []),
        ("await workflow.do(Steps.CHARGE.value, 'x.y')", "take", []),
        ("await workflow.do(Plain.CHARGE.value, 'x.y')", "plain", []),
        ("await workflow.do(Plain.CHARGE, 'x.y')", "<dynamic>", ["WF101"]),
        ("await workflow.do(Group.one, 'x.y')", "charge-1", []),
        ("await workflow.do(NAME + '-' 'card', 'x.y')", "charge-card", []),
        ("await workflow.do(f'{NAME}-{COUNT}', 'x.y')", "charge-3", []),
        ("await workflow.do(TWICE, 'x.y')", "<dynamic>", ["WF101"]),
        ("name = 'local'\nawait workflow.do(name, 'x.y')", "local", []),
        ("await workflow.do(*order.args)", "<dynamic>", ["WF106", "WF402"]),
    ],
)
def test_step_names_are_resolved_or_dynamic(workflow: Workflow, body: str, name: str, codes: list[str]) -> None:
    """Literals, constants, enum members and what is put together from them are known; all else is `<dynamic>`."""
    before = """
        import enum
        NAME = "charge"
        COUNT = 3
        TWICE = "a"
        TWICE = "b"
        class Steps(enum.StrEnum):
            CHARGE = "take"
        class Plain(enum.Enum):
            CHARGE = "plain"
        class Group:
            one = NAME + "-1"
    """
    read = workflow(body, before=before)
    assert read.body[-1].name == name
    assert read.codes == codes
    assert read.body[-1].dynamic == (name == "<dynamic>" and "WF106" not in codes)


@pytest.mark.parametrize(
    ("target", "form", "shown", "codes"),
    [
        ("order.worker_id", "inline", "order.worker_id", []),
        ("choose(order)", "rpc", "<dynamic>", ["WF402"]),
        ("local", "rpc", "<dynamic>", ["WF402"]),
        ("order", "rpc", "<dynamic>", ["WF402"]),
        ("WorkerId(order.name)", "rpc", "<dynamic>", ["WF402"]),
        ("WorkerId('a.b')", "rpc", "a.b", []),
        ("WORKER", "rpc", "users.create", []),
        ("CONFIG.WORKER", "rpc", "<dynamic>", ["WF402"]),
        ("plain", "inline", "plain", []),
        ("registered", "rpc", "things.do", []),
        ("remembered", "inline", "remembered", []),
        ("workers.users.unknown", "rpc", "users.unknown", []),
    ],
)
def test_targets_are_told_apart(workflow: Workflow, target: str, form: str, shown: str, codes: list[str]) -> None:
    """Ids, references and registered functions are rpc, other functions inline; the rest is dynamic and reported."""
    before = """
        from wfgen import WorkerId
        from flows.config import CONFIG
        WORKER = "users.create"
        def plain(): ...
        @define_worker("things.do")
        async def registered() -> None: ...
        remembered = lambda: 3
    """
    read = workflow(f'local = order.pick()\nawait workflow.do("a", {target})', before=before)
    step = read.body[-1]
    assert (step.form, step.target) == (form, "lambda: 3" if shown == "" else shown)
    assert read.codes == codes


def test_details_of_steps_are_data(workflow: Workflow) -> None:
    """Retry, timeout, description, input and payload stand in the node."""
    read = workflow(
        """
        await workflow.do("a", "x.y", order.id, retry=Retry(attempts=3, delay="2s", on=(OSError,)), timeout="5s")
        await workflow.hook("b", list[User], timeout=timedelta(minutes=2), description="wait")
        await workflow.do("c", "x.y", retry=order.retry, description=order.text)
        await workflow.sleep("d", "5m")
        await workflow.do("e", "x.y", retry=Retry(3, within="1h", overlap=False))
        """,
        before="from datetime import timedelta",
    )
    a, b, c, d, e = read.body
    assert e.retry == {"attempts": 3, "within": "1h", "overlap": False}
    assert a.retry == {"attempts": 3, "delay": "2s", "on": ["OSError"]}
    assert (a.data, a.timeout, a.description) == ("order.id", "5s", None)
    assert (b.payload, b.imports, b.timeout, b.description) == (
        "list[flows.models.User]",
        ("flows.models",),
        "120s",
        "wait",
    )
    assert (c.retry, c.description, d.data) == ("<dynamic>", "<dynamic>", '"5m"')


def test_spans_are_those_of_the_source(workflow: Workflow) -> None:
    """A span cuts the operation out of the source, also after characters of several bytes."""
    read = workflow('x = "Grüße 日本", await workflow.do("ü", "x.y",\n    order)')
    span = read.body[0].span
    lines = read.source.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    assert "\n".join(lines) == 'workflow.do("ü", "x.y",\n        order)'
