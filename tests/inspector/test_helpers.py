"""Helpers that receive the handle are followed into whatever module they stand in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wfgen.manifest import Step, walk
from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.coverage import coverage
from wfgen_inspector.facts import Project

HEADER = """\
import asyncio
import functools
from wfgen import define_workflow
from flows.wfgen_gen import Workflow
from flows.models import Order
"""
CHARGE = """\
    from wfgen import Workflow

    async def charge(workflow: Workflow, order: object) -> str:
        return await workflow.do("charge", "pay", order)
    """


def flow(body: str, imports: str = "") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{HEADER}{imports}\n\n\n@define_workflow\nasync def flow(workflow: Workflow, order: Order):\n{lines}"


Graph = Callable[..., tuple[Any, list[str]]]


@pytest.fixture
def graph(project: Callable[..., Project], shape: Callable[[Any], Any]) -> Graph:
    """The shape of the one workflow of a project, and the codes of the walk."""

    def read(files: dict[str, str], body: str, imports: str = "") -> tuple[Any, list[str]]:
        found = project({"flows/a.workflow.py": flow(body, imports), "flows/__init__.py": "", **files})
        (facts,) = found.files
        assert facts.readable, facts.problems
        codes = sorted({p.code for p in facts.problems} & {"WF101", "WF102", "WF103", "WF104", "WF301"})
        return shape(facts.workflows[-1].entry.body), codes

    return read


DONE = ["charge", "rpc charge -> pay"]


@pytest.mark.parametrize(
    ("imports", "call"),
    [
        ("from flows.pay import charge", "charge(workflow, order)"),
        ("from flows.pay import charge as take", "take(workflow, order)"),
        ("import flows.pay", "flows.pay.charge(workflow, order)"),
        ("import flows.pay as pay", "pay.charge(workflow=workflow, order=order)"),
        ("from flows import pay", "pay.charge(workflow, order)"),
        ("from flows.all import charge", "charge(workflow, order)"),
        ("from flows.all import *", "charge(workflow, order)"),
        ("from flows.sub import charge", "charge(workflow, order)"),
        ("from flows.maybe import charge", "charge(workflow, order)"),
        ("from flows.pay import charge\ntake = charge", "take(workflow, order)"),
    ],
)
def test_functions_of_other_modules_are_entered(graph: Graph, imports: str, call: str) -> None:
    """However they are imported: aliased, re-exported, by star, relatively, or in a `try`."""
    files = {
        "flows/pay.py": CHARGE,
        "flows/all.py": "from flows.pay import *\n",
        "flows/sub/__init__.py": "from ..pay import charge as charge\n",
        "flows/maybe.py": "try:\n    from flows.pay import charge\nexcept ImportError:\n    raise\n",
    }
    assert graph(files, f"return await {call}", imports) == ([["return", DONE]], [])


def test_nodes_say_in_which_file_they_stand(project: Callable[..., Project]) -> None:
    """Those of the workflow's own file do not, also when a helper elsewhere calls back into it."""
    files = {
        "flows/pay.py": """\
            async def around(workflow, inner):
                await workflow.do("before", "pay")
                await again(workflow)

            async def again(workflow):
                from flows.other import last
                await workflow.do("again", "pay")
                await last(workflow)
            """,
        "flows/other.py": "async def last(workflow):\n    await workflow.do('last', 'pay')\n",
    }
    found = project(
        {
            "flows/a.workflow.py": flow(
                "await workflow.do('first', 'pay')\nawait around(workflow, 1)", "from flows.pay import around"
            ),
            **files,
        }
    )
    steps = {n.name: n.file for n in walk(found.files[0].workflows[0].entry.body) if isinstance(n, Step)}
    assert steps == {"first": None, "before": "flows/pay.py", "again": "flows/pay.py", "last": "flows/other.py"}


METHODS = """\
    from wfgen import Workflow

    class Base:
        async def again(self, workflow: Workflow) -> None:
            await workflow.do("again", "pay")

    class Till(Base):
        async def charge(self, workflow: Workflow, order: object) -> None:
            await workflow.do("charge", "pay", order)
            await self.again(workflow)

        @staticmethod
        async def plain(workflow: Workflow) -> None:
            await workflow.do("plain", "pay")

        @classmethod
        async def classy(cls, workflow: Workflow) -> None:
            await cls.plain(workflow)

    till = Till()
    """


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "await Till().charge(workflow, order)",
            ["Till.charge", "rpc charge -> pay", ["Till.again", "rpc again -> pay"]],
        ),
        ("till = Till()\nawait till.again(workflow)", ["Till.again", "rpc again -> pay"]),
        ("await shared.again(workflow)", ["Till.again", "rpc again -> pay"]),
        ("await Till.plain(workflow)", ["Till.plain", "rpc plain -> pay"]),
        ("await Till.classy(workflow)", ["Till.classy", ["Till.plain", "rpc plain -> pay"]]),
        ("await Till.again(shared, workflow)", ["Till.again", "rpc again -> pay"]),
    ],
)
def test_methods_are_entered(graph: Graph, body: str, expected: Any) -> None:
    """Of instances made in place, bound to a name or to a module; inherited, static and class methods."""
    found = graph({"flows/till.py": METHODS}, body, "from flows.till import Till, till as shared")
    assert found == ([expected], [])


@pytest.mark.parametrize(
    "body",
    [
        "take = functools.partial(charge, workflow)\nawait take(order)",
        "take = functools.partial(charge, order=order, workflow=workflow)\nawait take()",
        "await functools.partial(charge, workflow, order)()",
    ],
)
def test_partials_are_entered(graph: Graph, body: str) -> None:
    """With the handle bound in them; where it is bound is a plain use."""
    found = graph({"flows/pay.py": CHARGE}, body, "from flows.pay import charge")
    assert found == (["use alias", DONE], [])


def test_a_partial_that_is_passed_on_is_reported(graph: Graph) -> None:
    """Nobody knows when it is called."""
    body = "take = functools.partial(charge, workflow)\nawait asyncio.gather(*map(take, [order]))"
    found, codes = graph({"flows/pay.py": CHARGE}, body, "from flows.pay import charge")
    assert codes == ["WF104"]
    assert "opaque" in str(found)


KEEPER = """\
    import dataclasses
    from wfgen import Workflow

    class Checkout:
        def __init__(self, workflow: Workflow, currency: str = "EUR") -> None:
            self.workflow = workflow
            self.currency = currency

        async def run(self, order: object) -> None:
            await self.workflow.do("charge", "pay", order)
            await self.close()
            self.workflow.log.info("done in %s", self.currency)

        async def close(self) -> None:
            handle = self.workflow
            await handle.sleep("pause", "1s")

        async def forgotten(self) -> None:
            await self.workflow.sleep("never", "1s")

    @dataclasses.dataclass
    class Small:
        handle: Workflow
        size: int = 0

        async def run(self) -> None:
            await self.handle.sleep("small", "1s")
    """
RAN = ["Checkout.run", "rpc charge -> pay", ["Checkout.close", "use alias", "sleep pause"], "use log"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("await Checkout(workflow).run(order)", ["use alias", RAN]),
        ("till = Checkout(workflow, currency='USD')\nawait till.run(order)", ["use alias", RAN]),
        ("a = Checkout(workflow=workflow)\nb = a\nawait b.run(order)", ["use alias", RAN]),
    ],
)
def test_objects_that_keep_the_handle_are_followed(
    project: Callable[..., Project], shape: Callable[[Any], Any], body: str, expected: Any
) -> None:
    """Their methods are entered. What another file's class has besides, other workflows may call."""
    found = project({"flows/a.workflow.py": flow(body, "from flows.keep import Checkout"), "flows/keep.py": KEEPER})
    assert shape(found.files[0].workflows[0].entry.body) == expected
    assert [p for p in found.files[0].problems if p.code in ("WF104", "WF301")] == []


def test_a_dataclass_may_keep_the_handle(graph: Graph) -> None:
    """Its fields are its initialiser."""
    found = graph({"flows/keep.py": KEEPER}, "await Small(workflow).run()", "from flows.keep import Small")
    assert found == (["use alias", ["Small.run", "sleep small"]], [])


@pytest.mark.parametrize(
    "body",
    [
        "return Checkout(workflow)",
        "till = Checkout(workflow)\nreturn till",
        "Checkout(workflow)",
        "till = Checkout(workflow)\nprint(till)",
        "await Checkout(workflow).no_such_method()",
        "print(Other(workflow))",
    ],
)
def test_an_object_that_cannot_be_followed_is_reported(graph: Graph, body: str) -> None:
    """Nothing is dropped: the handle goes somewhere, and it is said."""
    keep = KEEPER + (
        "\n    class Other:\n        def __init__(self, workflow):\n            register(workflow)\n"
        "            self.workflow = workflow\n"
    )
    found, codes = graph({"flows/keep.py": keep}, body, "from flows.keep import Checkout, Other")
    assert "opaque" in str(found)
    assert set(codes) & {"WF104", "WF301"}


def test_recursion_across_modules_ends(project: Callable[..., Project], shape: Callable[[Any], Any]) -> None:
    """It is drawn as opaque, and reported in the file where it happens."""
    files = {
        "flows/one.py": """\
            from flows import two
            async def ping(w):
                await w.do('ping', 'pay')
                await two.pong(w)
            """,
        "flows/two.py": "from flows import one\nasync def pong(w):\n    await one.ping(w)\n",
    }
    found = project({"flows/a.workflow.py": flow("await one.ping(workflow)", "from flows import one"), **files})
    assert shape(found.files[0].workflows[0].entry.body) == [["ping", "rpc ping -> pay", ["pong", "opaque: recursion"]]]
    (problem,) = [p for p in found.files[0].problems if p.code == "WF301"]
    assert (problem.file, problem.span.line) == ("flows/two.py", 3)


def test_constants_of_other_modules_are_known(graph: Graph) -> None:
    """Names, members of enums, re-exports; what is bound twice or made of itself is not."""
    files = {
        "flows/names.py": """\
            import enum
            from flows.more import DEEP
            CHARGE = "charge"
            BOTH = CHARGE + "!"
            class Steps(enum.StrEnum):
                SHIP = "ship"
            TWICE = "a"
            TWICE = "b"
            LOOP = LOOP
            """,
        "flows/more.py": "DEEP = 'deep'\n",
    }
    body = "\n".join(
        f"await workflow.do({name}, 'pay')"
        for name in ("CHARGE", "names.BOTH", "names.Steps.SHIP", "names.DEEP", "names.TWICE", "names.LOOP")
    )
    found, codes = graph(files, body, "from flows import names\nfrom flows.names import CHARGE")
    names = ["charge", "charge!", "ship", "deep", "<dynamic>", "<dynamic>"]
    assert found == [f"rpc {name} -> pay" for name in names]
    assert codes == ["WF101"]


def make_sources(make: Callable[..., Settings], helper: str) -> Settings:
    worker = (
        "from wfgen import define_worker\n@define_worker('pay')\nasync def pay(order: str) -> str:\n    return order\n"
    )
    source = "from wfgen import Workflow, define_workflow\nfrom flows.pay import charge\n\n\n"
    for name in ("one", "two"):
        source += f"@define_workflow\nasync def {name}(workflow: Workflow, order: str) -> None:\n"
        source += "    await charge(workflow, order)\n\n\n"
    return make(
        {"flows/a.workflow.py": source, "flows/b.worker.py": worker, "flows/pay.py": helper, "flows/__init__.py": ""}
    )


def test_a_finding_in_a_helper_stands_in_the_helper_once(make: Callable[..., Settings]) -> None:
    """However many workflows enter it; an unknown worker there, too."""
    settings = make_sources(
        make,
        "async def charge(workflow, order):\n    workflow.do('lost', 'pay', order)\n"
        "    await workflow.do('x', 'nobody', order)\n",
    )
    for _ in range(2):  # the second time from the cache
        found = [(d.code, d.file, d.line) for d in inspect(settings).diagnostics if d.severity == "error"]
        assert found == [("WF103", "flows/pay.py", 2), ("WF401", "flows/pay.py", 3)]
    assert found


def test_a_comment_in_a_helper_suppresses_its_findings(make: Callable[..., Settings]) -> None:
    """And one that does nothing there is reported."""
    settings = make_sources(
        make,
        "async def charge(workflow, order):\n    workflow.do('lost', 'pay', order)  # wfgen: ignore[WF103]\n"
        "    await workflow.do('x', 'pay', order)  # wfgen: ignore[WF101]\n",
    )
    found = [(d.code, d.file, d.line) for d in inspect(settings).diagnostics if d.code != "WF403"]
    assert found == [("WF012", "flows/pay.py", 3)]


def test_a_changed_helper_changes_the_graph(make: Callable[..., Settings], tmp_path: Any) -> None:
    """What is kept of a file holds only while the modules that it uses are as they were."""
    settings = make_sources(make, "async def charge(workflow, order):\n    await workflow.do('x', 'pay', order)\n")

    def names() -> list[str]:
        nodes = walk(inspect(settings).manifest.workflows[0].body)
        return [node.name for node in nodes if isinstance(node, Step)]

    assert names() == ["x"]
    helper = tmp_path / "flows" / "pay.py"
    helper.write_text(helper.read_text().replace("'x'", "'y'"))
    assert names() == ["y"]
    helper.unlink()
    assert names() == []
    helper.write_text("from flows.deeper import charge\n")
    assert names() == []
    (tmp_path / "flows" / "deeper.py").write_text("async def charge(w, order):\n    await w.do('z', 'pay', order)\n")
    assert names() == ["z"]


def test_coverage_counts_what_the_graphs_show(make: Callable[..., Settings]) -> None:
    """Operations, plain uses and opaque regions, over all workflows."""
    settings = make_sources(
        make,
        "async def charge(workflow, order):\n    await workflow.do('x', 'pay', order)\n    workflow.log.info('x')\n"
        "    print(workflow)\n",
    )
    found = coverage(inspect(settings).manifest)
    assert (found.workflows, found.steps, found.uses, found.opaque) == (2, 2, 2, 2)
    assert round(found.percent) == 67


def test_a_helper_called_in_an_f_string_stands_where_it_is_written(project: Callable[..., Project]) -> None:
    """Its steps have their own places, also in another file, which may be shorter than the workflow's."""
    body = "\n".join(["pass"] * 30) + "\nreturn f'{await charge(workflow, order)}'"
    found = project({"flows/a.workflow.py": flow(body, "from flows.pay import charge"), "flows/pay.py": CHARGE})
    (step,) = [node for node in walk(found.files[0].workflows[0].entry.body) if isinstance(node, Step)]
    assert (step.file, step.span.line) == ("flows/pay.py", 4)


OWN = """
class Base:
    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow


class Own(Base):
    async def one(self) -> None:
        await self.workflow.sleep("one", "1s")

    async def two(self) -> None:
        await self.workflow.sleep("two", "1s")

    async def never(self) -> None:
        await self.workflow.sleep("never", "1s")

    @property
    def log(self) -> object:
        return self.workflow.log


@define_workflow
async def other(workflow: Workflow) -> None:
    await Own(workflow).two()
"""


def test_a_method_that_no_workflow_of_the_file_calls_is_reported(project: Callable[..., Project]) -> None:
    """Once all workflows of the file are read; an initialiser is called where the object is made, also inherited."""
    found = project({"flows/a.workflow.py": flow("own = Own(workflow)\nawait own.one()\nown.log", OWN)})
    problems = [p for p in found.files[0].problems if p.code in ("WF104", "WF301")]
    assert [(p.code, p.span.line) for p in problems] == [("WF301", 20)]


@pytest.mark.parametrize(
    "body", ["print(Own(workflow).one)", "own = Own(workflow)\nawait asyncio.gather(*map(own.one, []))"]
)
def test_a_method_that_is_passed_on_is_reported(graph: Graph, body: str) -> None:
    """Nobody knows when it is called."""
    found, codes = graph({}, body, OWN)
    assert "opaque" in str(found)
    assert codes


def test_a_partial_of_the_handles_own_method_is_that_operation(graph: Graph) -> None:
    """With the arguments that are bound in it."""
    body = "ship = functools.partial(workflow.do, 'ship', 'pay')\nawait ship(order)"
    assert graph({}, body) == (["use alias", "rpc ship -> pay"], [])


@pytest.mark.parametrize("target", ["lambda: charge(workflow, order)", "own.one", "lambda: own.one()"])
def test_a_helper_with_the_handle_inside_a_step_is_reported_there(project: Callable[..., Project], target: str) -> None:
    """At the step, not in the helper, which is sound where it is called from a workflow."""
    body = f"own = Own(workflow)\nawait workflow.do('a', {target})"
    found = project({"flows/a.workflow.py": flow(body, f"from flows.pay import charge\n{OWN}"), "flows/pay.py": CHARGE})
    problems = [p for p in found.files[0].problems if p.code == "WF306"]
    assert [(p.file, found.files[0].workflows[-1].entry.span.end_line) for p in problems] == [
        (None, problems[0].span.line)
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("[workflow.sleep(f'{n}', '1s') for n in range(3)]", "WF103"),
        ("(workflow.sleep('a', '1s'), workflow.sleep('b', '1s'))", "WF103"),
        ("asyncio.gather(workflow.sleep('a', '1s'), workflow.sleep('b', '1s'))", "WF209"),
    ],
)
def test_operations_in_a_value_that_nobody_takes_are_reported(
    project: Callable[..., Project], body: str, code: str
) -> None:
    """A list, a tuple or a gathering as a statement of its own."""
    found = project({"flows/a.workflow.py": flow(body)})
    assert code in {p.code for p in found.files[0].problems}


def test_equal_names_in_tasks_are_those_of_parallel_branches(project: Callable[..., Project]) -> None:
    """Each task is a branch: nothing on its path has the name."""
    body = "async with asyncio.TaskGroup() as g:\n" + "    g.create_task(workflow.sleep('a', '1s'))\n" * 2
    found = project({"flows/a.workflow.py": flow(body)})
    assert "WF102" not in {p.code for p in found.files[0].problems}
