"""The modules of the queues: a worker for every step that may have one, an orchestrator for every workflow."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from wfgen.entry_points import Orchestrator, QueueWorker, _named, _together
from wfgen.errors import ConfigurationError
from wfgen.manifest import Arm, Branch
from wfgen.serving import Serving
from wfgen_codegen import render
from wfgen_codegen.queues import attribute


def served(files: dict[str, bytes], path: str = "queues/onboarding.py") -> dict[str, Any]:
    """The entry points of a generated module, without the package around it."""
    code = files[path].decode().replace("from .. import connect as _wfgen_connect", "_wfgen_connect = None")
    namespace: dict[str, Any] = {"__name__": "generated"}
    exec(compile(code, path, "exec"), namespace)
    return {name: value for name, value in namespace.items() if not name.startswith("_")}


def test_a_queue_worker_for_each_step_and_an_orchestrator(make: Any) -> None:
    """C7: each RPC step, also in an arm, has a queue worker whose queue is named after workflow and step."""
    rpc = make.step("rpc", "create_user", target="users.create")
    arm = make.step("rpc", "rate", target="users.rate")
    other = make.step("rpc", "rate", target="users.guess")
    branch = Branch(
        span=make.span, form="if", arms=(Arm(label="if", test="x", body=(arm,)), Arm(label="else", body=(other,)))
    )
    steps = (rpc, make.step("inline", "tax"), branch, make.step("sleep", "nap"), make.step("compensate", "undo"))
    found = served(render(make.project(make.workflow("onboarding", "1", *steps)), make.settings))
    assert sorted(found) == ["create_user", "orchestrator", "rate"]
    assert isinstance(found["orchestrator"], Orchestrator)
    assert found["orchestrator"].serving == Serving(workflows=("onboarding",), workers=(), queues=())
    user, rate = found["create_user"], found["rate"]
    assert (user.queue, user.workflow, user.step, user.worker) == (
        "onboarding.create_user", "onboarding", "create_user", "users.create"
    )  # fmt: skip
    assert (rate.workers, rate.worker) == (("users.guess", "users.rate"), None)
    assert user.serving == Serving(workflows=(), workers=("users.create",), queues=("onboarding.create_user",))


def test_what_only_a_run_knows_is_said(make: Any) -> None:
    """A step of a computed name is left out with a comment; one of a computed target takes all jobs of its queue."""
    named = make.step("rpc", "<dynamic>", dynamic=True, target="users.create", file="flows/helper.py")
    aimed = make.step("rpc", "any", target="<dynamic>")
    files = render(make.project(make.workflow("onboarding", "1", named, aimed)), make.settings)
    assert b"# Known at run time only: the queue of the step at flows/helper.py:1\n" in files["queues/onboarding.py"]
    found = served(files)
    assert sorted(found) == ["any", "orchestrator"]
    assert found["any"].serving == Serving(workflows=(), workers=None, queues=("onboarding.any",))


def test_several_workflows_of_a_file(make: Any) -> None:
    """Versions of one workflow share their queues; several workflows have a class each."""
    one = make.workflow("crm.sign-up", "1", make.step("rpc", "a", target="x"))
    two = make.workflow("crm.sign-up", "2", make.step("rpc", "b", target="x"))
    both = served(render(make.project(one, two), make.settings))
    assert sorted(both) == ["a", "b", "orchestrator"]
    found = served(render(make.project(one, two, make.workflow("crm_sign_up"), make.workflow("z")), make.settings))
    assert sorted(found) == ["crm_sign_up", "crm_sign_up_2", "z"]
    assert found["crm_sign_up_2"].b.queue == "crm.sign-up.b"
    assert found["crm_sign_up"].orchestrator.workflow == "crm_sign_up"


def test_a_file_has_one_module_of_its_own(make: Any) -> None:
    """A change of one file changes its own queues and no others; a file without workflows has none."""
    worker = make.source(make.worker(), file="flows/u.worker.py", module="files.u_worker")
    first = make.source(make.workflow("a"), file="flows/a.workflow.py", module="files.a")
    changed = make.source(
        make.workflow("a", "1", make.step("rpc", "x", target="y")), file="flows/a.workflow.py", module="files.a"
    )
    deep = make.source(make.workflow("b"), file="flows/part/b.workflow.py", module="files.part.b")
    before = render(make.manifest(worker, first, deep), make.settings)
    after = render(make.manifest(worker, changed, deep), make.settings)
    mine = {path for path in after if path.startswith("queues/")}
    assert mine == {"queues/__init__.py", "queues/a.py", "queues/part/__init__.py", "queues/part/b.py"}
    assert {path for path in mine if before[path] != after[path]} == {"queues/a.py"}
    assert b"from ... import connect as _wfgen_connect\n" in after["queues/part/b.py"]
    assert mine <= set(render(make.manifest(worker, changed, deep), make.settings, types_only=True))


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("charge", "charge"),
        ("create user", "create_user"),
        ("1st: über", "step_1st__über"),
        ("import", "import_"),
        ("orchestrator", "orchestrator_"),
        ("__class__", "step_class__"),
        ("_wfgen", "step_wfgen"),
        ("_own", "step_own"),
        ("ﬁnd", "find"),
        ("²", "step_2"),
        (" ", "step_"),
        ('x"""\n', "x____"),
    ],
)
def test_names_of_steps_become_attributes(step: str, name: str) -> None:
    """Whatever a step is called, its queue has an attribute that Python takes."""
    assert attribute(step) == name
    assert name.isidentifier()


def test_hostile_and_colliding_names(make: Any) -> None:
    """Names of steps are data, and no two steps have one attribute: the step that is spelled so keeps it."""
    names = ["a b", "a_b", "a-b", "a_b_2", '"); import os; ("', "\\", "{{ x }}"]
    steps = [make.step("rpc", name, target='w"') for name in names]
    files = render(make.project(make.workflow("f", "1", *steps)), make.settings)
    ast.parse(files["queues/onboarding.py"])
    found = {value.step: name for name, value in served(files).items() if isinstance(value, QueueWorker)}
    assert sorted(found) == sorted(names)
    assert len(set(found.values())) == len(names)
    assert (found["a_b"], found["a_b_2"], found["a b"], found["a-b"]) == ("a_b", "a_b_2", "a_b_3", "a_b_4")


def test_names_on_the_command_line() -> None:
    """A queue or workflow is named in full, a step alone if that is enough; else the nearest one is offered."""
    points = [
        Orchestrator(None, "a"),  # type: ignore[arg-type]
        QueueWorker(None, "a", "x", "w"),  # type: ignore[arg-type]
        QueueWorker(None, "b", "x", "v"),  # type: ignore[arg-type]
        QueueWorker(None, "b", "solo"),  # type: ignore[arg-type]
    ]
    assert [_named(name, points).name for name in ("a", "orchestrator", "b.x", "solo")] == ["a", "a", "b.x", "b.solo"]
    for name, hint in (("x", "Write one of a.x, b.x."), ("slo", "Did you mean 'solo'?"), ("zzz", "There is a, a.x")):
        with pytest.raises(ConfigurationError) as caught:
            _named(name, points)
        assert (caught.value.hint or "").startswith(hint)
    together = _together([point.serving for point in points[:3]])
    assert together == Serving(workflows=("a",), workers=("w", "v"), queues=("a.x", "b.x"))
    assert _together([point.serving for point in points]).workers is None
    with pytest.raises(ConfigurationError, match="concurrency=0"):
        together.limited(0)
