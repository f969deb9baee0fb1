"""Whatever a manifest holds, the generated code is correct or refused."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from wfgen.errors import WfgenError
from wfgen.manifest import Declaration
from wfgen_codegen import plan, render
from wfgen_codegen.errors import RenderError, TemplateError

ATTACKS = [
    'x"); import os; os.abort() #',
    "x'); import os; os.abort() #",
    "new\nline",
    "carriage\rreturn",
    "back\\slash",
    "ends with \\",
    '"""',
    "'''",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "}}",
    "%(x)s",
    "\u2028import os",
    "\x1f",
    "\x00",
    "\ud800",
    "lines  # ~deadbeef",
    "-->",
    "```",
    "",
]


def check_all(files: dict[str, bytes], tmp_path: Any) -> None:
    """Compile everything and see that no import was smuggled in."""
    plan(files, tmp_path / "out").apply()
    for path, content in files.items():
        if path.endswith((".py", ".pyi")):
            for node in ast.walk(ast.parse(content)):
                if isinstance(node, ast.Import):
                    assert all(alias.name != "os" for alias in node.names), path
    assert not plan(files, tmp_path / "out").drift


@pytest.mark.parametrize("text", ATTACKS, ids=ascii)
def test_names_are_refused(make: Any, text: str) -> None:
    """A workflow, version or worker id that is no name gives a clear error, never code."""
    for manifest in (
        make.project(make.workflow(text)),
        make.project(make.workflow("x", text)),
        make.project(make.worker(text)),
        make.project(make.worker(f"users.{text}!")),
    ):
        with pytest.raises(RenderError, match="cannot"):
            render(manifest, make.settings)


@pytest.mark.parametrize("text", ATTACKS, ids=ascii)
def test_free_text_is_data(make: Any, text: str, tmp_path: Any) -> None:
    """Descriptions, documentation, step names, hook names, targets, tests and file names are never code."""
    file = f"flows/{text}.workflow.py".replace("\x00", "")
    workflow = make.workflow(
        "onboarding",
        "1",
        make.step("rpc", text, target=text, description=text, data=text),
        make.step("inline", text),
        make.step("hook", text, payload="int"),
        make.step("sleep", text, data=text),
        description=text,
        doc=text,
        tags=(text,),
        timeout=text,
        function=text,
        input="int",
        input_name=text,
        file=file,
    )
    worker = make.worker("users.create", description=text, doc=f"Line\n{text}", function=text, tags=(text,))
    manifest = make.manifest(make.source(workflow, worker, file=file))
    check_all(render(manifest, make.settings), tmp_path)


@pytest.mark.parametrize("text", [text for text in ATTACKS if "~" not in text], ids=ascii)
def test_types_are_types(make: Any, text: str) -> None:
    """A type expression or an import that is none gives a clear error."""
    with pytest.raises(RenderError, match="no type expression"):
        render(make.project(make.workflow(input=text or "1 +")), make.settings)
    with pytest.raises(RenderError, match="no module name"):
        render(make.project(make.workflow(input="int", imports=(text,))), make.settings)


@pytest.mark.parametrize("text", ["print(1)", "lambda: 0", "[x for x in y]", "a if b else c", "(x := 1)", "f'{x}'"])
def test_types_run_nothing(make: Any, text: str) -> None:
    """Only names, attributes, subscripts, unions and literals make a type."""
    with pytest.raises(RenderError, match="no type expression"):
        render(make.project(make.worker(output=text)), make.settings)


@pytest.mark.parametrize("text", ATTACKS, ids=ascii)
def test_literal_types_are_kept(make: Any, text: str, tmp_path: Any) -> None:
    """Text inside `Literal` is data of the type."""
    workflow = make.workflow(input=f"typing.Literal[{text!r}]", imports=("typing",), output=f"typing.Literal[{text!r}]")
    worker = make.worker(input=f"typing.Literal[{text!r}]", imports=("typing",))
    check_all(render(make.project(workflow, worker), make.settings), tmp_path)


@pytest.mark.parametrize("module", ["x", "files", "files.a-b", "files.__init__", "files..x", "../x", "files.x\n", ""])
def test_modules_stay_inside(make: Any, module: str) -> None:
    """A generated module's name cannot lead out of the folder or over another file."""
    with pytest.raises(RenderError, match="no name of a generated module"):
        render(make.manifest(make.source(module=module)), make.settings)


@pytest.mark.parametrize(
    "name", ["..", ".", "a..b", "-", "a.-.b", "class", "None.True", "3d", "import.from", "a" * 128]
)
def test_odd_names_make_correct_code(make: Any, name: str, tmp_path: Any) -> None:
    """Every other name becomes identifiers, and its files stay inside the folder."""
    workflow = make.workflow(
        name, "1", make.step("hook", "class", payload="int"), make.step("hook", "ok", payload="int")
    )
    files = render(make.project(workflow, make.worker(name)), make.settings)
    check_all(files, tmp_path)
    assert all(".." not in path.split("/") for path in files)


@pytest.mark.parametrize("name", ["__init__", "a.__class__", "_wfgen", "a._wfgen_x", "mro"])
def test_names_that_python_needs_are_refused(make: Any, name: str) -> None:
    """A name that would replace what Python or the generated code needs is refused."""
    with pytest.raises(RenderError, match="cannot be an attribute"):
        render(make.project(make.workflow(name)), make.settings)
    with pytest.raises(RenderError, match="cannot be an attribute"):
        render(make.project(make.worker(name)), make.settings)


@pytest.mark.parametrize("name", ["close", "get_run", "list_runs.x", "engine"])
def test_names_that_the_client_uses_are_refused(make: Any, name: str) -> None:
    """`wf.get_run` stays the client's own."""
    with pytest.raises(RenderError, match="taken in the generated package"):
        render(make.project(make.workflow(name)), make.settings)


@pytest.mark.parametrize(
    ("first", "second"), [("a-b", "a_b"), ("users", "users.create"), ("x.y", "x.y.z"), ("1a", "_1a")]
)
def test_colliding_names_are_refused(make: Any, first: str, second: str) -> None:
    """Two names that would be one attribute give an error that shows both."""
    for manifest in (
        make.project(make.workflow(first), make.workflow(second)),
        make.project(make.worker(second), make.worker(first)),
    ):
        with pytest.raises(RenderError) as caught:
            render(manifest, make.settings)
        assert repr(first) in str(caught.value)
        assert repr(second) in str(caught.value)


def test_two_definitions_of_one_id_are_refused(make: Any) -> None:
    """Neither of two equal workers, or equal versions of a workflow, silently wins."""
    with pytest.raises(RenderError, match=r"'x' is defined in a\.py and in b\.py"):
        render(make.project(make.worker("x", file="a.py"), make.worker("x", file="b.py")), make.settings)
    with pytest.raises(RenderError, match="x@1"):
        render(make.project(make.workflow("x"), make.workflow("x")), make.settings)


def test_paths_that_differ_in_case_are_refused(make: Any) -> None:
    """On most laptops `A` and `a` would be one file."""
    with pytest.raises(RenderError, match="case"):
        render(make.project(make.workflow("Order"), make.workflow("order")), make.settings)


def test_two_files_of_one_module_are_refused(make: Any) -> None:
    """Two sources that become one generated module never overwrite each other."""
    with pytest.raises(RenderError, match=r"files/onboarding\.pyi"):
        render(make.manifest(make.source(), make.source(file="flows/b.workflow.py")), make.settings)


def test_malformed_declarations_write_nothing(make: Any, tmp_path: Any) -> None:
    """A declaration that does not parse stops the plan before anything is written."""
    files = render(make.project(Declaration(name="X", text="class X(:")), make.settings)
    with pytest.raises(TemplateError, match=r"files/onboarding\.pyi"):
        plan(files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_shadowing_names_do_not_change_types(make: Any, tmp_path: Any) -> None:
    """A hook or worker called as a module or builtin does not capture the types beside it."""
    workflow = make.workflow(
        "run",
        "1",
        make.step("hook", "flows", payload="flows.models.A", imports=("flows.models",)),
        make.step("hook", "list", payload="list[flows.models.A]", imports=("flows.models",)),
        input="run.models.B",
        imports=("run.models",),
    )
    workers = [
        make.worker("list", output="list[str]"),
        make.worker("flows.get", input="dict[str, flows.models.A]", imports=("flows.models",)),
    ]
    files = render(make.project(workflow, *workers), make.settings)
    check_all(files, tmp_path)
    client = files["clients/run.py"].decode()
    assert "import flows.models as _wfgen_flows_models" in client
    assert "HookRef[builtins.list[_wfgen_flows_models.A]]" in client
    assert "run: _wfgen_run_models.B" not in client
    assert "_wfgen_run_models.B" in client
    references = files["workers.py"].decode()
    assert "_wfgen.AsyncWorkerRef[None, builtins.list[str]]" in references
    assert "_wfgen.AsyncWorkerRef[dict[str, _wfgen_flows_models.A], None]" in references


def test_errors_are_wfgens_own() -> None:
    """Every error of codegen has the common base and a code."""
    for error in (RenderError, TemplateError):
        assert issubclass(error, WfgenError)
        assert error.code.startswith("WF6")
