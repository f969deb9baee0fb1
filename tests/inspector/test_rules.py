"""The rules as a whole, and rules over facts that no short sample shows."""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest

from wfgen.manifest import Manifest, Span, WorkerEntry, WorkflowEntry
from wfgen.settings import Settings
from wfgen_inspector import inspect, rules
from wfgen_inspector.checking import check
from wfgen_inspector.diagnostics import Applicability, Diagnostic, Edit, Fix
from wfgen_inspector.facts import (
    FileFacts,
    ImportFact,
    LinkedTarget,
    Problem,
    Project,
    Replace,
    WorkerFact,
    WorkflowFact,
)
from wfgen_inspector.rules import RULES

SPAN = Span(line=1, column=1, end_line=1, end_column=2)


def line(number: int) -> Span:
    return Span(line=number, column=1, end_line=number, end_column=9)


def workflow(name: str, at: int = 1, version: str = "1") -> WorkflowFact:
    entry = WorkflowEntry(
        name=name, version=version, file="", span=line(at), function="f", interface_hash="", steps_hash=""
    )
    return WorkflowFact(entry, line(at), line(at))


def worker(worker_id: str, at: int = 1, **values: str) -> WorkerFact:
    entry = WorkerEntry(id=worker_id, file="", span=line(at), function="f", interface_hash="", **values)
    return WorkerFact(entry, line(at))


def file(path: str, **values: object) -> FileFacts:
    module = "files." + path.partition(".")[0].replace("/", ".")
    return FileFacts(path, "", "workflow", module, **values)  # type: ignore[arg-type]


def project(*files: FileFacts, targets: tuple[LinkedTarget, ...] = (), **settings: object) -> Project:
    manifest = Manifest(package="wfgen_gen", output="wfgen_gen")
    return Project(Settings(**settings), files, manifest, targets)  # type: ignore[arg-type]


def found(*files: FileFacts, targets: tuple[LinkedTarget, ...] = ()) -> list[tuple[str, str, int]]:
    return [(d.code, d.file, d.line) for d in check(project(*files, targets=targets))]


def imports(module: str, at: int = 1, **values: bool) -> ImportFact:
    return ImportFact(module, (("X", None),), 0, line(at), **values)


def target(kind: str, name: str, at: int = 1) -> LinkedTarget:
    return LinkedTarget("a.workflow.py", line(at), "worker" if kind == "worker" else "workflow", name, False)


def messages(*files: FileFacts, targets: tuple[LinkedTarget, ...]) -> list[str]:
    return [f"{d.message} {d.hint}" for d in check(project(*files, targets=targets))]


def test_every_rule_file_is_a_rule() -> None:
    """Each file `wf….py` holds one rule, named after its code and name, and all are in RULES in order."""
    files = [module.name for module in pkgutil.iter_modules(rules.__path__) if module.name.startswith("wf")]
    assert [importlib.import_module(f"wfgen_inspector.rules.{name}").RULE for name in files] == list(RULES.values())
    for name, code in zip(files, RULES, strict=True):
        assert name.startswith(f"{code.lower()}_")
        assert RULES[code].code == code
    assert list(RULES) == sorted(RULES)


@pytest.mark.parametrize("code", RULES)
def test_every_rule_is_documented(code: str) -> None:
    """A rule says what, why and how, in sentences."""
    rule = RULES[code]
    for text in (rule.summary, rule.what, rule.why, rule.remedy):
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith(("`", "wfgen "))
    assert len({r.name for r in RULES.values()}) == len(RULES)


@pytest.mark.parametrize("code", [code for code, rule in RULES.items() if rule.check])
def test_problems_of_a_file_become_findings(code: str) -> None:
    """A problem found while a file is read keeps its place and words, and gets its rule's severity."""
    own = {"WF004", "WF005", "WF007", "WF008", "WF010", "WF011", "WF108", "WF401", "WF405", "WF406", "WF409", "WF411"}
    problem = Problem(code, line(4), "something happened.", "do something.")
    expected = [] if code in own else [(code, RULES[code].severity, 4, "something happened.", "do something.")]
    diagnostics = check(project(file("a.workflow.py", problems=(problem,))))
    assert [(d.code, d.severity, d.line, d.message, d.hint) for d in diagnostics] == expected


@pytest.mark.parametrize("code", ["WF003", "WF103"])
def test_edits_of_a_problem_become_a_fix(code: str) -> None:
    """A rule whose problems are mended by rewriting words the fix and says whether it is safe."""
    edit = Edit("a.workflow.py", 4, 1, 4, 1, "await ")
    (finding,) = check(project(file("a.workflow.py", problems=(Problem(code, line(4), "m.", edits=(edit,)),))))
    assert finding.fix is not None
    assert (finding.fix.applicability, finding.fix.edits) == (RULES[code].fixes, (edit,))
    assert finding.fix.message


@pytest.mark.parametrize("code", ["WF102", "WF201", "WF202", "WF205", "WF303"])
@pytest.mark.parametrize("applicability", ["safe", "unsafe"])
def test_a_replacement_words_its_fix_itself(code: str, applicability: Applicability) -> None:
    """And says whether it is safe: that differs from place to place."""
    edit = Edit("a.workflow.py", 4, 1, 4, 1, "x")
    rewrite = Replace(line(4), "x", "write x", applicability)
    problem = Problem(code, line(4), "m.", rewrite=rewrite, edits=(edit,))
    (finding,) = check(project(file("a.workflow.py", problems=(problem,))))
    assert finding.fix == Fix("write x", applicability, (edit,))


def test_findings_are_sorted_and_not_repeated() -> None:
    """Output has one order: file, line, column, code."""
    problems = (Problem("WF402", line(9), "m."), Problem("WF101", line(9), "m."), Problem("WF403", line(2), "m."))
    assert found(file("a.workflow.py", problems=problems + problems), file("b.workflow.py", problems=problems)) == [
        (code, path, at)
        for path in ("a.workflow.py", "b.workflow.py")
        for code, at in (("WF403", 2), ("WF101", 9), ("WF402", 9))
    ]


def test_settings_decide_what_is_reported() -> None:
    """`select` and `ignore` apply to the findings of a project."""
    facts = file("a.workflow.py", problems=(Problem("WF402", line(9), "m."), Problem("WF101", line(9), "m.")))
    assert [d.code for d in check(project(facts, ignore=("WF1",)))] == ["WF402"]
    assert [d.code for d in check(project(facts, select=("WF1",)))] == ["WF101"]


def test_a_collision_points_to_the_first_definition() -> None:
    """Every definition but the first is reported, with the first as related place."""
    first, second = (
        file("a.workflow.py", workflows=(workflow("x", 3),)),
        file("b.workflow.py", workflows=(workflow("x", 5), workflow("x", 9))),
    )
    diagnostics = check(project(first, second))
    assert [(d.code, d.file, d.line) for d in diagnostics] == [
        ("WF005", "b.workflow.py", 5),
        ("WF005", "b.workflow.py", 9),
    ]
    for finding in diagnostics:
        assert [(r.file, r.line) for r in finding.related] == [("a.workflow.py", 3)]
    assert diagnostics[0].message == "workflow 'x' version '1' is already defined in a.workflow.py, line 3."


def test_equal_ids_of_a_worker_and_a_workflow_do_not_collide() -> None:
    """Workers and workflows are offered in different places."""
    assert found(file("a.workflow.py", workflows=(workflow("users.create"),), workers=(worker("users.create"),))) == []


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("sign-up", "sign_up", "both become `sign_up`"),
        ("class", "class_", "both become `class_`"),
        ("1st", "_1st", "both become `_1st`"),
        ("a", "a.b.c", "lies below 'a'"),
        ("a-b", "a_b.c", "lies below 'a-b'"),
        ("a", "close", "is taken"),
        ("a", "registry.x", "is taken"),
        ("a", "__class__", "`__class__` is private to"),
        ("a", "b.--c", "`__c` is private to"),
        ("a", "b._wfgen_x", "has a `_wfgen_x` of its own"),
        ("a", "b.-wfgen", "has a `_wfgen` of its own"),
        ("a", "mro.b", "Python has a `mro` of its own"),
        ("Sign-up", "sign_up", "'Sign-up' and 'sign_up' differ in nothing but case"),
        ("Crm.a", "crm.b", "begin with `Crm` and `crm`, which differ in nothing but case"),
    ],
)
def test_names_that_cannot_stand_side_by_side(first: str, second: str, words: str) -> None:
    """The later name (in order of text) is reported and says why."""
    files = (
        file("a.workflow.py", workflows=(workflow(first, 3),)),
        file("b.workflow.py", workflows=(workflow(second),)),
    )
    (finding,) = check(project(*files))
    assert (finding.code, words in finding.message) == ("WF007", True), finding.message


def test_versions_that_differ_in_case_only() -> None:
    """Their diagrams would be one file where case makes no difference; both places are named."""
    facts = file("a.workflow.py", workflows=(workflow("a", 3, version="1B"), workflow("a", 7, version="1b")))
    (finding,) = check(project(facts))
    assert (finding.code, finding.line) == ("WF007", 7)
    assert "the versions '1B' and '1b' differ in nothing but case" in finding.message
    assert [(r.line, r.message) for r in finding.related] == [(3, "version '1B' is defined here")]


def test_case_makes_a_difference_where_no_file_is_shared() -> None:
    """Workers have no files of their own, and a workflow's file is not the folder of others."""
    workers = (worker("users.create"), worker("Users.create"))
    assert found(file("a.worker.py", workers=workers, workflows=(workflow("crm"), workflow("Crm.a")))) == []


def test_versions_of_one_workflow_do_not_collide() -> None:
    """Several versions share one name on purpose."""
    assert found(file("a.workflow.py", workflows=(workflow("x", version="1"), workflow("x", 5, version="2")))) == []


def test_three_files_can_form_one_cycle() -> None:
    """A cycle is reported once, at its first file, with the way around."""
    files = [
        file(f"{name}.workflow.py", imports=(imports(f"wfgen_gen.files.{other}", 7),))
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"))
    ]
    (finding,) = check(project(*files))
    assert (finding.code, finding.file, finding.line) == ("WF010", "a.workflow.py", 7)
    assert "a.workflow.py -> b.workflow.py -> c.workflow.py -> a.workflow.py" in finding.message
    assert [r.message for r in finding.related] == ["imports c.workflow.py", "imports a.workflow.py"]


@pytest.mark.parametrize("values", [{"type_checking": True}, {"top_level": False}])
def test_imports_that_are_not_executed_on_loading_form_no_cycle(values: dict[str, bool]) -> None:
    """Imports for type checkers and inside functions do not count."""
    one = file("a.workflow.py", imports=(imports("wfgen_gen.files.b"),))
    other = file("b.workflow.py", imports=(imports("wfgen_gen.files.a", **values),))
    assert found(one, other) == []


def test_two_cycles_are_two_findings() -> None:
    """Cycles that share no file are reported apart."""
    files = [
        file(f"{name}.workflow.py", imports=(imports(f"wfgen_gen.files.{other}"),))
        for name, other in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"))
    ]
    assert found(*files) == [("WF010", "a.workflow.py", 1), ("WF010", "c.workflow.py", 1)]


USERS = file("users.worker.py", workers=(worker("users.create"), worker("users.delete", 9)))


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        ("worker", "users.creat", "Did you mean 'users.create'?"),
        ("worker", "Users.Delete", "Did you mean 'users.delete'?"),
        ("worker", "create", "Did you mean 'users.create'?"),
        ("worker", "zebra", "Defined are: users.create, users.delete."),
        ("worker", "remind", "'remind' is a workflow; a step runs a worker or a function."),
        ("workflow", "users.create", "'users.create' is a worker; run it with `do`."),
        ("workflow", "remnid", "Did you mean 'remind'?"),
    ],
)
def test_an_unknown_target_comes_with_advice(kind: str, name: str, advice: str) -> None:
    """The nearest id, or what the id is instead, or what there is."""
    here = file("a.workflow.py", workflows=(workflow("remind"),))
    assert messages(here, USERS, targets=(target(kind, name),)) == [
        f"no {kind} {name!r} is defined in this project. {advice}"
    ]


def test_an_unknown_target_in_a_project_without_workers() -> None:
    """Where there is nothing to mean, the advice says how to define one."""
    (message,) = messages(file("a.workflow.py"), targets=(target("worker", "x"),))
    assert "The project defines no workers. Define one in a `*.worker.py`" in message


def test_targets_are_not_judged_while_a_file_cannot_be_read() -> None:
    """A worker may be defined in the file that is half written just now."""
    broken = file("users.worker.py", readable=False)
    assert found(file("a.workflow.py"), broken, targets=(target("worker", "users.create"),)) == []


def test_a_type_that_crosses_names_every_place() -> None:
    """One finding for each type, at its declaration, with the places that need it."""
    declared = file("a.workflow.py", declared_types=(("User", line(4)), ("Other", line(8))))
    needs = worker("users.create", 6, input="list[wfgen_gen.files.a.User]", output="wfgen_gen.files.a.User")
    (finding,) = check(project(declared, file("b.worker.py", workers=(needs,))))
    assert (finding.code, finding.file, finding.line) == ("WF011", "a.workflow.py", 4)
    assert [(r.file, r.line, r.message) for r in finding.related] == [
        ("b.worker.py", 6, "worker 'users.create' needs it")
    ]
    assert finding.hint is not None
    assert "models.py" in finding.hint


def test_a_type_of_its_own_file_does_not_cross() -> None:
    """Definitions may use the types of their own file."""
    own = worker("users.create", 6, input="wfgen_gen.files.a.User")
    assert found(file("a.workflow.py", declared_types=(("User", line(4)),), workers=(own,))) == []


def test_a_type_that_is_compared_by_structure_does_not_cross_within_its_file(tmp_path: Path) -> None:
    """By id a worker takes aliases and typed dicts of its own file; type checkers see no second type in them."""
    source = """\
from typing import TypedDict
from wfgen import Workflow, define_worker, define_workflow

Hosts = list[str]

class Probe(TypedDict):
    hosts: Hosts

@define_worker("probe")
def probe(target: Probe) -> Hosts:
    return target["hosts"]

@define_workflow
async def watch(workflow: Workflow, host: str) -> Hosts:
    return await workflow.do("probe", "probe", Probe(hosts=[host]))
"""
    (tmp_path / "a.workflow.py").write_text(source)
    assert inspect(Settings(project=tmp_path), cache=False).diagnostics == ()
    (tmp_path / "a.workflow.py").write_text(
        source.replace("list[str]", 'NewType("Hosts", str)').replace("import TypedDict", "import NewType, TypedDict")
    )
    (finding,) = inspect(Settings(project=tmp_path), cache=False).diagnostics
    assert (finding.code, finding.line) == ("WF011", 4)
    assert "`wfgen_gen.files.a.Hosts`" in finding.message
    assert [(r.file, r.line) for r in finding.related] == [("a.workflow.py", 15)]


@pytest.fixture
def stubs() -> Callable[[], tuple[Diagnostic, ...]]:
    manifest = Manifest(package="wfgen_gen", output="wfgen_gen")
    whole = Project(Settings(project=Path()), (), manifest, stubs=(("a.workflow.pyi", "a.workflow.py"),))
    return lambda: check(whole)


def test_a_stub_is_reported_at_the_stub(stubs: Callable[[], tuple[Diagnostic, ...]]) -> None:
    """The finding names both files and where wfgen's own stub lies."""
    (finding,) = stubs()
    assert (finding.code, finding.file, finding.line) == ("WF004", "a.workflow.pyi", 1)
    assert "hides a.workflow.py" in finding.message
