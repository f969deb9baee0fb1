"""Fixes on generated files in odd formatting: they mean the same, and nothing else is touched."""

import ast
import io
import re
import tempfile
import tokenize
import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wfgen.settings import Settings
from wfgen_inspector import Diagnostic, inspect
from wfgen_inspector.fixes import apply_fixes, without_effect

PATH = "app/flows/a.workflow.py"
CODES = ("WF003", "WF102", "WF103", "WF201", "WF202", "WF303")
IMPORTS = """\
import time, random, uuid
from contextlib import suppress
from datetime import datetime, timezone
from uuid import uuid4
from wfgen import Workflow, define_workflow
"""
OWN = {
    "time.time()": "workflow.now().timestamp()",
    "uuid.uuid4()": "workflow.uuid()",
    "uuid4()": "workflow.uuid()",
    "datetime.now(timezone.utc)": "workflow.now()",
    "datetime.now()": "workflow.now().astimezone().replace(tzinfo=None)",
}
NAMES = st.sampled_from(["wait", "cool off", "größe", "a.b", "x-y"])
QUOTES = st.sampled_from(['"', "'", '"""', "'''", 'r"', "R'''"])


@st.composite
def literal(draw: st.DrawFn) -> str:
    opening = draw(QUOTES)
    return f"{opening}{draw(NAMES)}{opening.lstrip('rR')}"


CALLS = [
    "{w}.sleep({n}, '1s')",
    "{w}.do({n}, 'x.y')",
    "{w}.do({n}, 'x.y', {x})",
    "{w} . do ( {n} , 'x.y' )",
    "({w}).do({n}, 'x.y')",
    "({w}.do)({n}, 'x.y')",
    "{w}.do(  # é\n   {n},  # name\n\n  'x.y',\n)",
    "{w}.do(*[{n}], 'x.y')",
    "{w}.do({n}, lambda: 1, timeout='5s')",
    "{w}\\\n  .do({n}, 'x.y')",
    "{w}.do(step={n}, target='x.y', data={x})",
    "helper({w}, {x})",
]
LEAVES = [
    "order",
    "order",
    "time.time()",
    "( time . time ( ) )",
    "(time.time)()",
    "time\\\n.time()",
    "time.time(  # é\n)",
    "uuid.uuid4()",
    "uuid4()",
    "random.random()",
    "random.randint(1, len('é'))",
    "random.choice([\n  1,  # one\n])",
    "datetime.now(timezone.utc)",
    "datetime.now()",
]
EXPRESSIONS = [
    "{x}",
    "({x})",
    "{x}.total",
    "( {x} ).total[0]",
    "{x}[1:2](3)",
    "-{x}",
    "not {x}",
    "1 + {x} ** 2",
    "2 ** {x}",
    "{x} if {x} else {x}",
    "[{x} for i in order]",
    "{{i: {x} for i in {x}.items()}}",
    "sum(i for i in {x}.parts)",
    "({x}, *{x}.rest)",
    "{{'é': {x}, **{x}.more}}",
    "print({x}, sep={x}.y)",
    "[\n  {x},  # ü\n  {x}.y # 😀\n]",
    "(y := {x})",
    'f"é{{order}}"',
    "(lambda: 1)({x})",
    "{x} < {x} <= 3",
    "{x} and {x}.ok or 1",
]
STATEMENTS = [
    "{x}",
    "await {c}",
    "y = {x}",
    "y = z = {x}  # ü",
    "y: int = {x}",
    "y += {x}",
    "{x}; {x}.y; z = 1",
    "if {x}: {x}",
    "if {x}:{i}{x}{i}# end\nelse:{i}{x}.y",
    "for i in {x}.items(): await {c}",
    "while {x}: break",
    "with open({x}) as f: pass",
    "assert {x}, {x}",
    "try:{i}{x}\nfinally:{i}{x}.close()",
    "order[{x}] = {x}",
    "return {x}",
    "return({x})",
    "def plain(y={x}): pass",
    "@order({x})\nasync def inner(): pass",
    "from . import a; {x}",
    "from ..models import(A,\n # why\n B)",
    "match {x}:{i}case [y]:{i}  {x}.y",
    "x = \\\n  {x}",
    "async with {x}.y as y: {x}",
    "raise {x}.error from {x}",
    "del order[{x}]",
    "try:{i}{x}\nexcept:{i}# why{i}pass",
    "try:{i}await {c}\nexcept(ValueError, BaseException)as e:{i}pass",
    "try:{i}await {c}\nexcept  BaseException :  # ü{i}{x}",
    "with suppress( BaseException ): await {c}",
]


@st.composite
def expression(draw: st.DrawFn, depth: int) -> str:
    text = draw(st.sampled_from(EXPRESSIONS)) if depth else "{x}"
    while "{x}" in text:
        inner = draw(call(depth - 1)) if depth <= 1 or draw(st.booleans()) else draw(expression(depth - 1))
        text = text.replace("{x}", inner.replace("{", "{{").replace("}", "}}"), 1)
    return text.replace("{{", "{").replace("}}", "}")


@st.composite
def call(draw: st.DrawFn, depth: int) -> str:
    text = draw(st.sampled_from(CALLS))
    inner = draw(expression(depth)) if depth > 0 else draw(st.sampled_from(LEAVES))
    return text.replace("{w}", "workflow").replace("{n}", draw(literal())).replace("{x}", inner)


@st.composite
def source(draw: st.DrawFn) -> str:
    indent = draw(st.sampled_from(["    ", "\t", "  "]))
    body: list[str] = []
    for statement in draw(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=6)):
        text = statement.replace("{i}", f"\n{indent}")
        while "{x}" in text or "{c}" in text:
            if "{c}" in text:
                text = text.replace("{c}", draw(call(0)), 1)
            text = text.replace("{x}", draw(expression(draw(st.integers(0, 2)))), 1)
        body.append(text)
    header = draw(st.sampled_from(["from .models import M\n", "import os; from.. import b as c\n", "# é\n"]))
    helper = "async def helper(w, order):\n    return order\n" if draw(st.booleans()) else ""
    lines = "\n".join(body).split("\n")
    text = f"{header}{IMPORTS}{helper}@define_workflow\n" + (
        "async def flow(workflow: Workflow, order: dict):\n" + "".join(f"{indent}{line}\n" for line in lines)
    )
    return text if draw(st.booleans()) else text.removesuffix("\n")


def comments(text: str) -> list[str]:
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    return [t.string for t in tokenize.generate_tokens(lines.readline) if t.type == tokenize.COMMENT]


class Unfixed(ast.NodeTransformer):
    """A tree without what fixes add."""

    def __init__(self) -> None:
        self.awaited: list[str] = []

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.awaited.append(ast.unparse(node.value).partition("(")[0])
        self.generic_visit(node)
        return node.value

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        package = ".".join(["app", "flows"][: 3 - node.level]) if node.level else ""
        module = ".".join(part for part in (package, node.module) if part)
        return ast.ImportFrom(module, node.names, 0)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        text = ast.unparse(node)
        if text == "workflow.random()":
            return ast.Name("random", ast.Load())
        if text in OWN:
            return ast.parse(OWN[text], mode="eval").body
        self.generic_visit(node)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.generic_visit(node)
        node.type = node.type or ast.Name("Exception", ast.Load())
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name("Exception", ast.Load()) if node.id == "BaseException" else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(re.sub(r"[ _.-]\d+$", "", node.value)) if isinstance(node.value, str) else node


def meaning(text: str) -> tuple[str, list[str]]:
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(text)
    unfixed = Unfixed()
    return ast.dump(unfixed.visit(tree)), unfixed.awaited


def found(folder: Path, text: str) -> tuple[Diagnostic, ...]:
    (folder / PATH).write_bytes(text.encode())
    return tuple(d for d in inspect(Settings(project=folder), cache=False).diagnostics if d.code in CODES)


def is_python(text: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(text, PATH, "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(source().filter(is_python), st.sampled_from(["\n", "\r\n", "\r"]))
def test_fixed_files_mean_the_same(text: str, newline: str) -> None:
    """All fixes of a file, in rounds: it compiles, every finding with a fix is gone, and but for what was meant to
    change the tree, the comments and the lines are those from before.
    """
    text = text.replace("\n", newline)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / PATH).parent.mkdir(parents=True)
        findings = found(folder, text)
        new, applied = text, 0
        for _ in range(5):
            fixed = apply_fixes({PATH: new}, findings, unsafe=True)
            if not fixed.texts:
                break
            findings = found(folder, fixed.texts[PATH])
            assert without_effect({PATH: new}, fixed, findings) == ()
            applied += sum(d.code == "WF103" for d in fixed.applied)
            new = fixed.texts[PATH]
        assert is_python(new)
        assert [d for d in findings if d.fix is not None] == []
        (before, awaited_before), (after, awaited_after) = meaning(text), meaning(new)
        assert before == after
        assert len(awaited_after) == len(awaited_before) + applied
        assert comments(text) == comments(new)
        kept = re.sub(r"[^\r\n]", "", new)
        assert kept == newline * (len(kept) // len(newline))
