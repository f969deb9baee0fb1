"""Definitions of workflows and workers: how they are found, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wfgen.manifest import Step
from wfgen_inspector.facts import Project

Read = Callable[..., Project]


def names(project: Project) -> list[str]:
    return [w.entry.name for f in project.files for w in f.workflows]


def codes(project: Project) -> list[str]:
    problems = [p for f in project.files for p in f.problems]
    return [p.code for p in sorted(problems, key=lambda p: (p.span.line, p.span.column))]


@pytest.mark.parametrize(
    "source",
    [
        "from wfgen import define_workflow\n@define_workflow\nasync def flow(w) -> None: ...\n",
        "from wfgen import define_workflow as dw\n@dw(name='flow')\nasync def other(w) -> None: ...\n",
        "import wfgen\n@wfgen.define_workflow\nasync def flow(w) -> None: ...\n",
        "import wfgen as g\n@g.define_workflow()\nasync def flow(w) -> None: ...\n",
        "from wfgen import define_workflow\nasync def other(w) -> None: ...\ndefine_workflow(other, name='flow')\n",
        "from wfgen import define_workflow\nasync def flow(w) -> None: ...\nkept = define_workflow(flow)\n",
        "from wfgen import define_workflow\nasync def flow(w) -> None: ...\nkept = define_workflow(tags=['a'])(flow)\n",
        "import wfgen\nif True:\n    @wfgen.define_workflow\n    async def flow(w) -> None: ...\n",
        "from wfgen import *\n@define_workflow\nasync def flow(w) -> None: ...\n",
    ],
)
def test_workflows_are_found_by_resolved_name(project: Read, source: str) -> None:
    """Decorators with and without call, plain calls, aliases and the module's own name all count."""
    found = project({"flows/a.workflow.py": source})
    assert names(found) == ["flow"]
    assert codes(found) == []


@pytest.mark.parametrize(
    "source",
    [
        "@define_workflow\nasync def flow(w) -> None: ...\n",
        "from other import define_workflow\n@define_workflow\nasync def flow(w) -> None: ...\n",
        "def define_workflow(f): return f\n@define_workflow\nasync def flow(w) -> None: ...\n",
        "import wfgen\nwfgen.other.define_workflow(print)\n",
        "",
        "# only a comment",
    ],
)
def test_other_names_are_not_definitions(project: Read, source: str) -> None:
    """What is spelled like it, but is not wfgen's, is left alone."""
    assert names(project({"flows/a.workflow.py": source})) == []


def test_workers_are_found_as_decorators_and_calls(project: Read) -> None:
    """Both forms of `define_worker` are the same worker."""
    found = project(
        {
            "flows/a.worker.py": """
            import wfgen
            from wfgen import define_worker, Job, Retry
            from flows.models import Signup, User

            @define_worker("a.one", retry=Retry(5, delay="1s"), timeout="30s", dispatch="queue", tags=("x", TAG))
            async def one(signup: Signup, job: Job) -> User:
                '''Make one.'''

            def two(count: int = 3) -> None: ...
            wfgen.define_worker("a.two", two, description="Two")
            three = define_worker("a.three")(lambda: 3)
            define_worker("a.four", print)
            """
        }
    )
    entries = {w.id: w for w in found.manifest.workers}
    assert sorted(entries) == ["a.four", "a.one", "a.three", "a.two"]
    one, two, three, four = (entries[f"a.{name}"] for name in ("one", "two", "three", "four"))
    assert (one.input, one.input_name, one.output, one.takes_job) == (
        "flows.models.Signup",
        "signup",
        "flows.models.User",
        True,
    )
    assert (one.retry, one.timeout, one.dispatch) == ({"attempts": 5, "delay": "1s"}, "30s", "queue")
    assert (one.tags, one.doc, one.is_async, one.function) == (("x", "<dynamic>"), "Make one.", True, "one")
    assert (two.input, two.input_required, two.output, two.is_async) == ("int", False, "None", False)
    assert two.description == "Two"
    assert (three.function, four.function) == ("<lambda>", "print")
    assert (four.input, four.output) == ("typing.Any", "typing.Any")


def test_metadata_of_a_workflow(project: Read) -> None:
    """Name, version, texts, tags, timeout, mode, middleware and retry are read as data."""
    found = project(
        {
            "flows/a.workflow.py": """
            import datetime
            from wfgen import define_workflow, Retry
            from flows.wfgen_gen import Workflow
            from flows.context import Ctx, log
            VERSION = "2" ".1"
            NAME = "crm." + f"sign-up"
            RETRY = Retry(attempts=3, on=(OSError, ValueError))

            @define_workflow(
                name=NAME, version=VERSION, tags=["crm", "x"], timeout=datetime.timedelta(hours=1),
                execution_mode="remote", middleware=[log, log.more(3)], retry=RETRY, description=f"{NAME}!",
            )
            async def flow(workflow: "Workflow[Ctx]", *, count: int = 3) -> list[int]:
                \"\"\"First line.

                More.
                \"\"\"
                return []
            """
        }
    )
    (entry,) = found.manifest.workflows
    assert (entry.name, entry.version, entry.function) == ("crm.sign-up", "2.1", "flow")
    assert (entry.description, entry.doc) == ("crm.sign-up!", "First line.\n\nMore.")
    assert (entry.tags, entry.timeout, entry.execution_mode) == (("crm", "x"), "3600s", "remote")
    assert entry.middleware == ("log", "log.more(3)")
    assert entry.retry == {"attempts": 3, "on": ["OSError", "ValueError"]}
    assert (entry.input, entry.input_name, entry.input_required, entry.output) == ("int", "count", False, "list[int]")
    assert (entry.context, entry.imports) == ("flows.context.Ctx", ("flows.context",))
    assert (entry.span.line, entry.span.column, entry.span.end_line) == (10, 1, 19)


def test_what_is_not_known_is_dynamic(project: Read) -> None:
    """Values that need the program to run are `<dynamic>`, and names of definitions must not be."""
    found = project(
        {
            "flows/a.workflow.py": """
            import os
            from wfgen import define_workflow, define_worker
            @define_workflow(name=os.environ["X"], description=os.name, tags=TAGS, timeout=LIMIT, retry=make(),
                             execution_mode=mode(), middleware=MORE, version=f"{os}")
            async def flow(w) -> None:
                await w.sleep("a", "1s")
            @define_worker(make())
            def work() -> None: ...
            @define_workflow(**OPTIONS)
            async def other(w) -> None: ...
            """
        }
    )
    entry = found.files[0].workflows[0].entry
    assert (entry.name, entry.description, entry.tags, entry.timeout) == ("<dynamic>",) * 2 + (
        ("<dynamic>",),
        "<dynamic>",
    )
    assert (entry.retry, entry.execution_mode, entry.middleware) == ("<dynamic>", "<dynamic>", ("<dynamic>",))
    assert entry.body[0].kind == "step"
    assert codes(found) == ["WF013"] * 5
    assert found.manifest.workflows == ()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@define_workflow(name='a b')\nasync def flow(w) -> None: ...", ["WF006"]),
        ("@define_workflow(name='')\nasync def flow(w) -> None: ...", ["WF006"]),
        ("@define_workflow(version='1 2')\nasync def flow(w) -> None: ...", ["WF006"]),
        ("@define_workflow\nasync def größe(w) -> None: ...", ["WF006"]),
        ("@define_worker('x\"); import os #')\ndef work() -> None: ...", ["WF006"]),
        ("@define_workflow\ndef flow(w) -> None: ...", ["WF014"]),
        ("@define_workflow\nasync def flow(w) -> None:\n    yield 1", ["WF014"]),
        ("@define_workflow\nasync def flow() -> None: ...", ["WF014"]),
        ("@define_workflow\nasync def flow(w, a: int, b: int) -> None: ...", ["WF014"]),
        ("@define_worker('a')\nasync def work(a: int, b: int) -> None: ...", ["WF014"]),
        ("@define_worker('a')\nasync def work(a: int, job: wfgen.Job) -> None: ...", []),
        ("@define_workflow\nasync def flow(w, *args: int, **more: int) -> None: ...", []),
        ("@define_workflow\nasync def flow(w, a): ...", ["WF403", "WF403"]),
        ("@define_worker('a')\nasync def work(a): ...", ["WF403", "WF403"]),
        ("class A:\n    @define_workflow\n    async def flow(self, w) -> None: ...", ["WF009"]),
        ("def make():\n    @define_worker('a')\n    def work() -> None: ...\n    return work", ["WF009"]),
        ("def make():\n    return define_worker('a', print)", ["WF009"]),
        ("define_workflow(print, name='a')", ["WF301"]),
        ("async def helper(w: wfgen.Workflow) -> None:\n    await w.sleep('a', '1s')", ["WF301"]),
        (
            "async def helper(w: wfgen.Workflow) -> None:\n    await w.sleep('a', '1s')\n"
            "@define_workflow\nasync def flow(w) -> None:\n    await helper(w)",
            [],
        ),
        ("class A:\n    async def helper(self, w: 'wfgen.Workflow[int]') -> None: ...", ["WF301"]),
        ("async def helper(w: wfgen.Workflow[int]) -> None:\n    await w.sleep('a', '1s')", ["WF301"]),
        ("@define_worker('a')\nasync def work(a: int, job: wfgen.Job[int]) -> None: ...", []),
        (
            "async def helper(w: wfgen.Workflow[int]) -> None:\n    await w.sleep('a', '1s')\n"
            "@define_workflow(context=make, middleware=[log])\nasync def flow(w: wfgen.Workflow[int]) -> None:\n"
            "    await helper(w)",
            [],
        ),
    ],
)
def test_definitions_that_cannot_work_are_reported(project: Read, source: str, expected: list[str]) -> None:
    """Bad names, bad signatures, missing types, nested definitions and handles that nobody follows have their code."""
    header = "import wfgen\nfrom wfgen import define_worker, define_workflow\n"
    assert codes(project({"flows/a.workflow.py": f"{header}{source}\n"})) == expected


def test_two_workflows_in_one_file(project: Read) -> None:
    """Each has its own body, and a worker may stand beside them."""
    found = project(
        {
            "flows/a.workflow.py": """
            from wfgen import define_worker, define_workflow
            @define_worker("w")
            def work() -> None: ...
            @define_workflow
            async def one(w) -> None:
                await w.do("a", work)
            @define_workflow(version="2")
            async def two(w) -> None:
                await w.call("b", one)
                await w.start("c", "two")
            """
        }
    )
    one, two = found.manifest.workflows
    assert (one.body[0].form, one.body[0].target) == ("rpc", "w")
    assert [step.target for step in two.body] == ["one", "two"]
    assert [(t.kind, t.id, t.known) for t in found.targets] == [
        ("worker", "w", True),
        ("workflow", "one", True),
        ("workflow", "two", True),
    ]


def test_a_function_registered_in_another_file_is_a_worker(project: Read) -> None:
    """Naming the function itself, imported from where it is defined, is naming the worker."""
    found = project(
        {
            "flows/a.workflow.py": """
            from wfgen import define_workflow
            from flows.tasks import create, other
            from flows.wfgen_gen.files.users_worker import local
            from flows.wfgen_gen.workers import users
            @define_workflow
            async def flow(w) -> None:
                await w.do("a", create)
                await w.do("b", other)
                await w.do("c", local)
                await w.do("d", users.create)
                await w.do("e", users.nothing)
                w.compensate("f", create)
            """,
            "flows/users.worker.py": """
            from wfgen import define_worker
            from flows import tasks
            define_worker("users.create", tasks.create)
            @define_worker("users.local")
            def local() -> None: ...
            """,
        }
    )
    (entry,) = found.manifest.workflows
    assert [(s.form, s.target) for s in entry.body] == [
        ("rpc", "users.create"),
        ("inline", "other"),
        ("rpc", "users.local"),
        ("rpc", "users.create"),
        ("rpc", "users.nothing"),
        ("compensate", "users.create"),
    ]
    assert [t.id for t in found.targets if not t.known] == ["users.nothing"]


def test_hashes_tell_what_a_change_concerns(project: Read) -> None:
    """Comments and inline bodies leave the steps' hash alone, names do not; types and hooks make the interface."""

    def entry(name: str = "a", code: str = "lambda: 1", output: str = "int", hook: str = "int", comment: str = ""):  # type: ignore[no-untyped-def]
        source = (
            f"from wfgen import define_workflow\n{comment}\n@define_workflow\nasync def flow(w) -> {output}:\n"
            f"    await w.do('{name}', {code})\n    await w.hook('h', {hook})\n    return 3\n"
        )
        return project({"flows/a.workflow.py": source}).manifest.workflows[0]

    first = entry()
    same = entry(code="lambda: 2 + 3", comment="# more\nimport os")
    assert (first.steps_hash, first.interface_hash) == (same.steps_hash, same.interface_hash)
    assert entry(name="b").steps_hash != first.steps_hash
    assert entry(name="b").interface_hash == first.interface_hash
    assert entry(output="str").interface_hash != first.interface_hash
    assert entry(output="str").steps_hash == first.steps_hash
    assert entry(hook="str").interface_hash != first.interface_hash


IMPORTED = """\
from wfgen import Job, Workflow
from flows.models import Order, User


class Parcel:
    id: int


async def ship(workflow: Workflow, order: Order) -> Parcel:
    \"\"\"Ship it.\"\"\"
    await workflow.do("pack", "pack", order)


async def pack(order: Order, job: Job) -> User: ...


def bad(first: int, second) -> None: ...
"""


def test_functions_of_other_modules_may_be_defined(project: Callable[..., Project]) -> None:
    """Types, documentation and body come from where the function stands; what is wrong with it is reported there."""
    found = project(
        {
            "flows/__init__.py": "",
            "flows/shipping.py": IMPORTED,
            "flows/a.workflow.py": """\
                from wfgen import define_worker, define_workflow
                from flows import shipping
                from flows.shipping import pack, ship

                define_workflow(ship, name="ship", version="2")
                define_worker("pack", pack)
                define_worker("bad", shipping.bad)
                """,
        }
    )
    (facts,) = found.files
    entry = facts.workflows[0].entry
    assert (entry.name, entry.version, entry.function, entry.doc) == ("ship", "2", "ship", "Ship it.")
    assert (entry.input, entry.output) == ("flows.models.Order", "flows.shipping.Parcel")
    assert entry.imports == ("flows.models", "flows.shipping")
    (step,) = [node for node in entry.body if isinstance(node, Step)]
    assert (step.name, step.file, step.span.line) == ("pack", "flows/shipping.py", 11)
    pack, bad = (worker.entry for worker in facts.workers)
    assert (pack.input, pack.output, pack.takes_job) == ("flows.models.Order", "flows.models.User", True)
    assert bad.input == "int"
    problems = [(p.code, p.file, p.span.line) for p in facts.problems if p.code in ("WF014", "WF301", "WF403")]
    assert problems == [("WF014", "flows/shipping.py", 17)]
    assert [target.file for target in found.targets] == ["flows/shipping.py"]
    assert facts.dependencies
