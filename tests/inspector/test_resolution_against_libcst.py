"""Names in real code mean what LibCST's QualifiedNameProvider says that they mean, but for differences that are named.

By default in a sample of the standard library; in all of it with WFGEN_TEST_WHOLE_STDLIB=1.
"""

from __future__ import annotations

import ast
import os
import random
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider, QualifiedName, QualifiedNameProvider, QualifiedNameSource

from wfgen_inspector.modules import Module
from wfgen_inspector.positions import Text
from wfgen_inspector.scopes import BUILTINS, Function, Names, Scope, absolute, bound_by

WHOLE = os.environ.get("WFGEN_TEST_WHOLE_STDLIB") == "1"
LIBRARY = Path(sysconfig.get_path("stdlib"))
SAMPLE = 40
"""Modules that are looked at by default."""
LARGEST = 40_000
"""Of a module in the sample, in bytes: LibCST takes a second for each 50 KB."""

Place = tuple[int, int, int, int]
"""Line and column (from 0, in characters) where an expression begins and ends."""
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True)
class Load:
    """A name or a dotted name that is read."""

    node: ast.Name | ast.Attribute
    scope: Scope
    quoted: bool = False

    @property
    def first(self) -> str:
        """The name with which it begins."""
        node: ast.expr = self.node
        while isinstance(node, ast.Attribute):
            node = node.value
        assert isinstance(node, ast.Name)
        return node.id


class Loads:
    """All names that a module reads, each with its scope.

    What stands in f-strings is left out: Python 3.11 does not say where.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.found: list[Load] = []
        self.block(module.tree.body, module.scope)

    def block(self, body: list[ast.stmt], scope: Scope) -> None:
        for statement in body:
            self.visit(statement, scope)

    def visit(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, Function):
            for part in (*node.decorator_list, *stated(node.args, node.returns), *defaults(node.args)):
                self.visit(part, scope)
            self.block(node.body, Scope(self.module.names_of(node), scope))
        elif isinstance(node, ast.Lambda):
            for part in defaults(node.args):
                self.visit(part, scope)
            self.visit(node.body, Scope(self.module.names_of(node), scope))
        elif isinstance(node, ast.ClassDef):
            for part in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
                self.visit(part, scope)
            self.block(node.body, Scope(self.module.names_of(node), scope, is_class=True))
        elif isinstance(node, Comprehension):
            self.comprehension(node, scope)
        elif isinstance(node, ast.JoinedStr):
            return
        else:
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and is_dotted(node):
                self.found.append(Load(node, scope))
            for child in ast.iter_child_nodes(node):
                self.visit(child, scope)

    def comprehension(self, node: Comprehension, scope: Scope) -> None:
        names = Names()
        for generator in node.generators:
            for name in bound_by(generator.target):
                names.bind(name)
        inner = Scope(names, scope)
        self.visit(node.generators[0].iter, scope)
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.comprehension):
                self.visit(child, inner)
                continue
            for part in (child.target, *child.ifs, *([child.iter] if child is not node.generators[0] else [])):
                self.visit(part, inner)


def is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def stated(arguments: ast.arguments, returns: ast.expr | None) -> Iterator[ast.expr]:
    every = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    yield from (one.annotation for one in every if one is not None and one.annotation is not None)
    if returns is not None:
        yield returns


def defaults(arguments: ast.arguments) -> Iterator[ast.expr]:
    yield from arguments.defaults
    yield from (default for default in arguments.kw_defaults if default is not None)


def theirs(source: str) -> dict[Place, set[QualifiedName]]:
    """What LibCST says of every expression, by its place."""
    wrapper = MetadataWrapper(libcst.parse_module(source), unsafe_skip_copy=True)
    names = wrapper.resolve(QualifiedNameProvider)
    places = wrapper.resolve(PositionProvider)
    found: dict[Place, set[QualifiedName]] = {}
    for node, meanings in names.items():
        if isinstance(node, libcst.Name | libcst.Attribute):
            place = places[node]
            key = (place.start.line, place.start.column, place.end.line, place.end.column)
            found[key] = set(meanings() if callable(meanings) else meanings)
    return found


def category(load: Load, own: str | None, found: set[QualifiedName], module: Module) -> str | None:
    """Why both say something else, or "same"; None if there is no reason."""
    said = {meaning.name for meaning in found}
    imported = {spelled(m.name, module) for m in found if m.source is QualifiedNameSource.IMPORT}
    built_in = {m.name for m in found if m.source is QualifiedNameSource.BUILTIN}
    local = {f"{module.name}.{m.name}" for m in found if m.source is QualifiedNameSource.LOCAL}
    if own is not None and own in imported | built_in | local:
        return "same" if len(found) == 1 else "several meanings: ours is the last import, or the module's own"
    if own is None and not found:
        return "same"
    owner = load.scope.find(load.first)
    if own is None and found and owner is not None and owner.parent is not None and len(local) == len(said):
        return "a local variable, a parameter or a member of the class: ours says nothing, theirs `f.<locals>.x`"
    if owner is None and own is not None and not found and load.first not in BUILTINS and module.scope.names.stars:
        return "what the only `from m import *` may bind: theirs says nothing of it"
    if (
        owner is None
        and own is not None
        and built_in == {f"builtins.{load.first}"}
        and own.startswith(f"builtins.{load.first}.")
    ):
        return "an attribute of a builtin: theirs names the builtin alone"
    if owner is None:
        return None
    if owner is module.scope and own is not None and (not found or built_in == {f"builtins.{load.first}"}):
        return "read before the module binds it: theirs is what the name meant before"
    if own is not None and owner.names.count[load.first] > 1 and len(local) == len(said):
        return "bound several times: ours is the import, theirs what is bound before that place"
    if own is None and owner.is_class and load.scope is owner:
        return "a name that the class binds later: ours says nothing, theirs is what it means around the class"
    return None


def spelled(name: str, module: Module) -> str:
    """A name as LibCST gives it, of a relative import: absolute."""
    level = len(name) - len(name.lstrip("."))
    return (absolute(name.lstrip("."), level, module.package) or name) if level else name


def corpus() -> list[Path]:
    """Modules of the standard library, in an order of chance that is always the same."""
    skipped = {"site-packages", "__pycache__", "test", "tests", "idle_test", "lib2to3"}
    files = [
        path for path in sorted(LIBRARY.rglob("*.py")) if not skipped.intersection(path.relative_to(LIBRARY).parts)
    ]
    if WHOLE:
        return files
    small = [path for path in files if path.stat().st_size <= LARGEST]
    return random.Random(20).sample(small, SAMPLE)


def compared(path: Path) -> Iterator[tuple[str | None, str]]:
    """For each name that a module reads the category of the difference, and both answers."""
    text = path.read_bytes().decode("utf-8")
    name = ".".join(path.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__init__")
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = Module(name, path.name, package, Text(text), ast.parse(text))
    their = theirs(text)
    lines = [line.encode() for line in text.splitlines()]
    for load in Loads(module).found:
        node = load.node
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = len(lines[node.lineno - 1][: node.col_offset].decode())
        end = len(lines[node.end_lineno - 1][: node.end_col_offset].decode())
        found = their.get((node.lineno, start, node.end_lineno, end))
        if found is None:
            continue
        own = load.scope.qualified(node)
        shown = f"{path.name}:{node.lineno}: {ast.unparse(node)}: ours {own}, theirs {sorted(m.name for m in found)}"
        yield category(load, own, found, module), shown


def test_names_mean_what_libcst_says() -> None:
    """Every difference is of a kind that is known; what the module itself does not bind is the same."""
    counted: Counter[str | None] = Counter()
    unexplained: list[str] = []
    for path in corpus():
        try:
            answers = list(compared(path))
        except (UnicodeDecodeError, RecursionError):  # the latter LibCST's own
            continue
        for why, shown in answers:
            counted[why] += 1
            if why is None:
                unexplained.append(shown)
    assert not unexplained, "\n".join(unexplained[:40])
    assert counted["same"] > 2_000
