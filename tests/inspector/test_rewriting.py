"""Fixes that rewrite source: what they change, what they leave alone, and when there are none."""

import ast
import codecs
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import libcst
import pytest

from wfgen.manifest import Span
from wfgen.settings import Settings
from wfgen_inspector import Diagnostic, inspect, rewriting
from wfgen_inspector.facts import Problem, Replace
from wfgen_inspector.fixes import apply_edits, apply_fixes
from wfgen_inspector.nesting import is_deep
from wfgen_inspector.positions import Text
from wfgen_inspector.replacing import with_replacement

Make = Callable[..., Settings]

HEADER = """\
import asyncio
from wfgen import Workflow, define_workflow

@define_workflow  # registered as `flow`
async def flow(workflow: Workflow, order) -> None:
"""
FIXED = ("WF003", "WF103")


def found(settings: Settings) -> tuple[Diagnostic, ...]:
    """Findings of the rules whose fixes rewrite source."""
    return tuple(d for d in inspect(settings, cache=False).diagnostics if d.code in FIXED)


@pytest.fixture
def mend(make: Make) -> Callable[..., str]:
    """Apply the fixes of one file; what has a fix must then be gone, and a second time changes nothing."""

    def mended(text: str, path: str = "app/flows/a.workflow.py") -> str:
        findings = found(make({path: text.encode()}))
        assert findings
        fixed = apply_fixes({path: text}, findings)
        assert fixed.left == ()
        new = fixed.texts.get(path, text)
        with warnings.catch_warnings(action="ignore"):  # about escapes in the text
            compile(new, path, "exec", dont_inherit=True)
        left = found(make({path: new.encode()}))
        assert len(left) == len(findings) - len(fixed.applied)
        assert apply_fixes({path: new}, left).texts == {}
        return new

    return mended


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from . import a\n", "from app.flows import a\n"),
        ("from .. import x as y\n", "from app import x as y\n"),
        ("from .models import *  # all\n", "from app.flows.models import *  # all\n"),
        ("from.models import(A)\n", "from app.flows.models import(A)\n"),
        ("from .import a\n", "from app.flows import a\n"),
        ("from . . import a; b = 1\n", "from app import a; b = 1\n"),
        ("from ..x . y import d\n", "from app.x.y import d\n"),
        ("from . \\\n    import a\n", "from app.flows \\\n    import a\n"),
        ("from .\\\n    b import a\n", "from app.flows.b import a\n"),
        ("é = '😀'; from .b import a\n", "é = '😀'; from app.flows.b import a\n"),
        ("if 1: from .a import b; from ..c import d\n", "if 1: from app.flows.a import b; from app.c import d\n"),
        ("def f():\n\tfrom .m import z\t# é\n", "def f():\n\tfrom app.flows.m import z\t# é\n"),
        (
            "from . import (  # why\n    a,  # first\n\n    # second\n    b as c,\n)  # end\n",
            "from app.flows import (  # why\n    a,  # first\n\n    # second\n    b as c,\n)  # end\n",
        ),
        (
            "try:\n    from ..m import (a,\n        b)\nexcept ImportError:\n    from .n import (\n"
            "      a, b # c\n  )\n",
            "try:\n    from app.m import (a,\n        b)\nexcept ImportError:\n    from app.flows.n import (\n"
            "      a, b # c\n  )\n",
        ),
        ("from .... import g\nfrom .a import h\n", "from .... import g\nfrom app.flows.a import h\n"),
    ],
)
def test_relative_imports_are_written_in_full(mend: Callable[..., str], text: str, expected: str) -> None:
    """The module's full name takes the place of the dots; brackets, comments and spaces stay as they are."""
    assert mend(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from . import a, b as  c\n", "import a, b as  c\n"),
        ("from .models import D\n", "from models import D\n"),
        ("from .models import *\n", "from models import *\n"),
        ("from . \\\n    import a\n", "import a\n"),
        (
            "def f():\n    from . import (\n        a as\n          b,\n        c,\n    ); x = 1\n",
            "def f():\n    import a as b, c; x = 1\n",
        ),
        ("from . import (\n    a,  # first\n    b,\n)\n", "from . import (\n    a,  # first\n    b,\n)\n"),
        ("from . import *\n", "from . import *\n"),
    ],
)
def test_imports_from_the_import_root(mend: Callable[..., str], text: str, expected: str) -> None:
    """There `from . import a` becomes `import a`; where a comment or a star has no place then, there is no fix."""
    assert mend(text, "a.workflow.py") == expected


def test_a_folder_that_is_no_identifier_gives_no_fix(mend: Callable[..., str]) -> None:
    """A full name that Python cannot import is not written."""
    text = "from .models import A\n"
    assert mend(text, "my-flows/a.workflow.py") == text


DO = 'workflow.do("a", "x.y")'
AWAIT = f"await {DO}"
STATEMENTS = [
    (DO, AWAIT),
    (f"x = {DO}.total", f"x = ({AWAIT}).total"),
    (f"x = ({DO}).total", f"x = ({AWAIT}).total"),
    (f"x = {DO}[0].total(1)[2]", f"x = ({AWAIT})[0].total(1)[2]"),
    (f"x = 1 + {DO}", f"x = 1 + {AWAIT}"),
    (f"x = -{DO} ** 2", f"x = -{AWAIT} ** 2"),
    (f"if not {DO}: pass", f"if not {AWAIT}: pass"),
    (f"x = order if {DO}else 1", f"x = order if {AWAIT}else 1"),
    ('return(workflow).do("a", "x.y")', 'return(await (workflow).do("a", "x.y"))'),
    (f"x = [{DO}.total for i in order if {DO}]", f"x = [({AWAIT}).total for i in order if {AWAIT}]"),
    (f"x = {{k: v for k, v in {DO}.items()}}", f"x = {{k: v for k, v in ({AWAIT}).items()}}"),
    (f"x = sum(i for i in {DO}.parts)", f"x = sum(i for i in ({AWAIT}).parts)"),
    (f"print(*{DO}.x, **{DO}.y)", f"print(*({AWAIT}).x, **({AWAIT}).y)"),
    (f"async def g(x={DO}.x): pass\n    await g()", f"async def g(x=({AWAIT}).x): pass\n    await g()"),
    (f"'é😀', {DO}.x  # ü", f"'é😀', ({AWAIT}).x  # ü"),
    (
        'x = (\n        workflow  # why\n        .do("a", "x.y")\n        .total  # what\n    )',
        'x = (\n        (await workflow  # why\n        .do("a", "x.y"))\n        .total  # what\n    )',
    ),
    (
        'if order:\n        workflow.do(\n            "a",  # name\n            "x.y",\n        ).total',
        'if order:\n        (await workflow.do(\n            "a",  # name\n            "x.y",\n        )).total',
    ),
    (
        'x = workflow.do("a", "x.y", workflow.do("b", "x.y").one).two',
        'x = (await workflow.do("a", "x.y", (await workflow.do("b", "x.y")).one)).two',
    ),
    (
        "x = f\"{order}é{workflow.do('a', 'x.y')!r:>9}{workflow.do('b', 'x.y').z}\"",
        "x = f\"{order}é{await workflow.do('a', 'x.y')!r:>9}{(await workflow.do('b', 'x.y')).z}\"",
    ),
    (
        "x = 'a' f'''\n{workflow.do('a', 'x.y')}\n\\d'''",
        "x = 'a' f'''\n{await workflow.do('a', 'x.y')}\n\\d'''",
    ),
]


@pytest.mark.parametrize(("statement", "expected"), STATEMENTS)
def test_await_is_added(mend: Callable[..., str], statement: str, expected: str) -> None:
    """The call is awaited where it stands, in brackets only where more of the expression hangs on it."""
    assert mend(f"{HEADER}    {statement}\n") == f"{HEADER}    {expected}\n"


@pytest.mark.parametrize(
    "statement",
    [
        f"f = lambda: {DO}.x\n    f()",
        f"class A:\n        x = {DO}.x",
        f"x = sum({DO}.total for i in order)",
        f"x = sum(i for j in order for i in {DO}.parts)",
        f"x = list([{DO}.x for j in i] for i in order)",
        f"def g():\n        {DO}\n    g()",
        f"await {DO}.total",
        f"await {DO}.save()",
        "x = f\"{workflow.do('a', 'x.y')}{workflow.do('a', 'x.y')}\"",
    ],
)
def test_await_is_not_added_where_it_cannot_stand(mend: Callable[..., str], statement: str) -> None:
    """In lambdas, class bodies, generators and plain functions, and where the meaning is open, there is no fix."""
    text = f"{HEADER}    {statement}\n"
    assert mend(text) == text


def test_an_async_helper_is_awaited(mend: Callable[..., str]) -> None:
    """A helper of the file that is entered, and all that is wrong in it, is mended once."""
    helper = 'async def helper(w: Workflow):\n    return w.sleep("b", "1s").x\n'
    text = f"{HEADER}    helper(workflow).y\n    await helper(workflow)\n{helper}"
    assert mend(text) == (
        f"{HEADER}    (await helper(workflow)).y\n    await helper(workflow)\n"
        + helper.replace('w.sleep("b", "1s")', '(await w.sleep("b", "1s"))')
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_line_ends_and_byte_order_mark_make_no_difference(make: Make, newline: str, mark: bytes) -> None:
    """Edits fit the text as it is on disk, and bring no line ends of their own."""
    path = "flows/a.workflow.py"
    text = f"from .é import (\n\ta,\n)\n{HEADER}\tx = (\n\t\tworkflow.do('ü', 'x.y').é\n\t)\n".replace("\n", newline)
    findings = found(make({path: mark + text.encode()}))
    fixed = apply_fixes({path: text}, findings)
    call = "workflow.do('ü', 'x.y')"
    assert [d.code for d in fixed.applied] == ["WF003", "WF103"]
    assert fixed.texts[path] == text.replace(" .é ", " flows.é ").replace(call, f"(await {call})")


def test_one_parse_serves_all_fixes_of_a_file(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is parsed by LibCST once, however much there is to mend in it."""
    parsed: list[str] = []
    parse = libcst.parse_module

    def counted(text: str) -> libcst.Module:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(rewriting.cst, "parse_module", counted)
    text = f"from .a import b\nfrom .c import d\n{HEADER}    {DO}\n    workflow.do('b', 'x.y').x\n"
    findings = found(make({"flows/a.workflow.py": text, "flows/b.workflow.py": "import a\n"}))
    assert [d.fix is not None for d in findings] == [True] * 4
    assert len(parsed) == 1


def test_code_that_libcst_cannot_read_has_findings_without_fixes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that is behind Python's costs the fix and nothing else."""

    def refuse(text: str) -> libcst.Module:
        raise libcst.ParserSyntaxError("no", lines=[text], raw_line=1, raw_column=0)

    monkeypatch.setattr(rewriting.cst, "parse_module", refuse)
    findings = found(make({"flows/a.workflow.py": f"from .a import b\n{HEADER}    {DO}\n"}))
    assert [(d.code, d.fix) for d in findings] == [("WF003", None), ("WF103", None)]


DEEP = {
    "brackets": "x = " + "(" * 150 + "1" + ")" * 150,
    "lists": "x = " + "[" * 150 + "]" * 150,
    "negations": "x = " + "not " * 150 + "x",
    "blocks": "".join(f"{' ' * i}if x:\n" for i in range(90)) + " " * 90 + "pass",
    "f-string": "x = f'{" + "(" * 150 + "1" + ")" * 150 + "}'",
    "pattern": "match x:\n    case " + "(" * 60 + "y" + ")" * 60 + ": pass",
    "mapping pattern": "match x:\n    # why\n    case " + "{1: " * 30 + "y" + "}" * 30 + ": pass",
}


@pytest.mark.parametrize("code", DEEP.values(), ids=DEEP)
def test_deeply_nested_code_is_kept_from_libcst(make: Make, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Code that could end the process, or keep it busy for ever, has its findings and no fix."""
    monkeypatch.setattr(rewriting.cst, "parse_module", lambda text: pytest.fail("it was parsed"))
    (finding,) = found(make({"flows/a.workflow.py": f"from .a import b\n{code}\n"}))
    assert (finding.code, finding.fix) == ("WF003", None)


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * 20 + "1" + ")" * 20,
        "x = f(g(h(i(j(k(l(m(1))))))))",
        "x = f'" + "{x} (1) 2) " * 30 + "'",
        "match x:\n    case A(b=[C(), {'d': (1 | 2)}]):\n        f(g(h(i(j(k(l(m(1))))))))",
        "x = (\n    [\n        {\n        }\n    ]\n)\n" * 30,
    ],
)
def test_code_that_people_write_is_not_deep(code: str) -> None:
    """The limits leave room for what is found in real programs."""
    assert not is_deep(ast.parse(code), code)


LOADED = """
import sys
from pathlib import Path
import wfgen_inspector
from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.formats import render
settings = Settings(project=Path(sys.argv[1]))
found = inspect(settings).diagnostics
render(found, "json", settings.project)
print(sum(d.fix is not None for d in found), "libcst" in sys.modules)
"""


def loaded(folder: Path) -> str:
    command = [sys.executable, "-c", LOADED, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_libcst_is_loaded_for_files_with_something_to_mend_alone(make: Make, tmp_path: Path) -> None:
    """Clean files never need it, and files that were read before bring their fixes from the cache."""
    make({"flows/a.workflow.py": f"{HEADER}    {AWAIT}\n"})
    assert loaded(tmp_path) == "0 False"
    make({"flows/b.workflow.py": "from .a import b\n"})
    assert loaded(tmp_path) == "1 True"
    assert loaded(tmp_path) == "1 False"


def test_findings_in_other_files_are_mended_there(make: Make) -> None:
    """What stands in a module that was entered gets edits of that module's text, and only of it."""
    helper = f"import time\nasync def helper(workflow):\n    'é😀'; {DO}.x\n    return(time.time)()  # why\n"
    source = f"import app.helper\n{HEADER}    {DO}.y\n    await app.helper.helper(workflow)\n"
    texts = {"app/helper.py": helper, "app/a.workflow.py": source}
    findings = inspect(make({"app/__init__.py": "", **texts}), cache=False).diagnostics
    mended = {d.file: d for d in findings if d.code == "WF103"}
    assert sorted(mended) == ["app/a.workflow.py", "app/helper.py"]
    fixed = apply_fixes(texts, mended.values())
    assert fixed.texts == {path: text.replace(DO, f"({AWAIT})") for path, text in texts.items()}


def replaced(text: str, start: int, end: int, new: str, *, end_line: int = 1) -> str | None:
    """A text with a stretch that starts on its first line replaced; None if that is not done."""
    span = Span(line=1, column=start, end_line=end_line, end_column=end)
    problem = Problem("WF201", span, "bad.", rewrite=Replace(span, new, "mend it"))
    mended = with_replacement(problem, "a.py", Text(text))
    assert (mended.rewrite is None) == (mended.edits == ())
    return apply_edits(text, mended.edits) if mended.edits else None


@pytest.mark.parametrize(
    ("text", "stretch", "new", "expected"),
    [
        ("return(f)()\n", (7, 12, 1), "g()", "return g()\n"),
        ("x if(f)else 1\n", (5, 8, 1), "g", "x if g else 1\n"),
        ("é(f)ü\n", (2, 5, 1), "g", "é g ü\n"),
        ("return f()\n", (8, 11, 1), "g()", "return g()\n"),
        ("'wait'\n", (6, 6, 1), "_2", "'wait_2'\n"),
        ("except: pass\n", (7, 7, 1), " Exception", "except Exception: pass\n"),
        ("x = f(\n)  # why\n", (5, 2, 2), "g()", "x = g()  # why\n"),
        ("x = f(  # why\n)\n", (5, 2, 2), "g()", None),
        ("x = f(\n  # why\n)\n", (5, 2, 3), "g()", None),
        ("x = f(  # why\n)\n", (5, 2, 2), "g(  # why\n)", "x = g(  # why\n)\n"),
        ("'#'; f(\n)\n", (6, 2, 2), "g()", "'#'; g()\n"),
    ],
)
def test_replacements_stay_apart_and_keep_comments(
    text: str, stretch: tuple[int, int, int], new: str, expected: str | None
) -> None:
    """New code does not run together with the words beside it; where a comment would be lost, there is no fix."""
    start, end, end_line = stretch
    assert replaced(text, start, end, new, end_line=end_line) == expected
