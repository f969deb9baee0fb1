"""One source file: parsed, and everything that is known from it alone.

Facts are read from Python's own syntax tree: parsing a 1 KiB workflow takes a twelfth of LibCST's time with positions
included, what is accepted is what Python accepts, and deep nesting is an error rather than the end of the process
(LibCST's native parser overflows its stack). LibCST has the part that needs every comment and space: `rewriting`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from wfgen.manifest import Span
from wfgen_inspector import contracts, control, determinism
from wfgen_inspector.body.flow import Mark
from wfgen_inspector.body.keys import Keys
from wfgen_inspector.comments import suppressions
from wfgen_inspector.constants import outside_of
from wfgen_inspector.declarations import Declarations
from wfgen_inspector.definitions import Definitions
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.facts import AbsoluteImport, FileFacts, ImportFact, Problem, Rewrite
from wfgen_inspector.modules import Module
from wfgen_inspector.parsing import START, BadSyntaxError, parse
from wfgen_inspector.payloads import Payloads
from wfgen_inspector.positions import Text
from wfgen_inspector.program import Program
from wfgen_inspector.renames import Renames
from wfgen_inspector.replacing import with_replacement
from wfgen_inspector.resolution import Resolver
from wfgen_inspector.scopes import Function, Names, Scope, absolute, bindings
from wfgen_inspector.sources import Source, UnreadableError

_TYPE_CALLS = frozenset({"NewType", "TypedDict", "NamedTuple", "namedtuple", "Enum"})


class Reading:
    """A source file while facts are gathered from it."""

    def __init__(self, place: SourcePath, module: Module, program: Program) -> None:
        self.place = place
        self.module = module
        self.program = program
        self.resolver = Resolver(program)
        self.path = place.path
        self.text = module.text
        self.tree = module.tree
        self.scope = module.scope
        self.generated = program.package
        """Import name of the generated package."""
        self.problems: list[Problem] = []
        self.entered: set[ast.AST] = set()
        """Functions that were walked as part of some workflow: the workflows, and helpers that receive the handle."""
        self.operations: dict[ast.Call, tuple[str, bool]] = {}
        """Calls of the handle's methods: the method, and whether it is awaited or passed on."""
        self.steps: set[ast.AST] = set()
        """Functions, lambdas and expressions that are targets of steps: what happens inside is no workflow code."""
        self.middleware: list[tuple[ast.expr, Scope]] = []
        """Middleware of the workflows, as written."""
        self.handles: dict[ast.AST, str] = {}
        """By function that was entered: the name that the handle has in it."""
        self.holders: list[Mark] = []
        """Objects that keep the handle, one for each place that makes one."""
        self.modules: dict[str, Module] = {}
        """Other modules of which functions were entered, by path."""
        self.keys = Keys(module, self.resolver)
        self.payloads = Payloads(module, self.resolver)
        self.renames = Renames(module)
        self.declarations = Declarations(self.scope)
        self.scope.outside = outside_of(module, program)

    def names_of(self, node: Function | ast.Lambda) -> Names:
        """What a function binds."""
        return self.module.names_of(node)

    def is_generator(self, node: Function | ast.Lambda) -> bool:
        """Whether a function yields."""
        return self.module.is_generator(node)

    def problem(
        self, code: str, span: Span, message: str, hint: str | None = None, rewrite: Rewrite | None = None
    ) -> None:
        self.problems.append(Problem(code, span, message, hint, rewrite))


def read_facts(place: SourcePath, source: Source, program: Program) -> FileFacts:
    """Everything that is known from one file and the modules that it uses. Never raises: what goes wrong is a problem.

    Args:
        place: where the file lies.
        source: its bytes.
        program: the project's modules.
    """
    try:
        text = source.text()
        tree = parse(text)
    except UnreadableError as error:
        return unreadable(place, source.hash, error)
    except BadSyntaxError as error:
        return _unread(place, source.hash, Problem("WF001", error.span, str(error), error.hint))
    name = f"{program.package}.{place.module}" if program.package else place.module
    try:
        module = Module(name, place.path, place.package, Text(text), tree)
        facts = _facts(Reading(place, module, program), source.hash)
        module.scope.outside = None  # it refers back to the module: a cycle would keep the tree in memory
        return replace(facts, dependencies=program.dependencies(name))
    except RecursionError:
        problem = Problem("WF901", START, "the file is nested too deeply for the inspector.", "Flatten it.")
    except Exception as error:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        inside = "" if where is None else f" ({where.tb_frame.f_globals.get('__name__')}:{where.tb_lineno})"
        problem = Problem(
            "WF901",
            START,
            f"the inspector failed on {place.path}: {type(error).__name__}: {error}{inside}.",
            "This is a mistake in wfgen: please report it with the file.",
        )
    return replace(_unread(place, source.hash, problem), dependencies=program.dependencies(name))


def unreadable(place: SourcePath, source_hash: str, error: UnreadableError) -> FileFacts:
    """Facts of a file that has no text."""
    span = Span(line=error.line, column=error.column, end_line=error.line, end_column=error.column + 1)
    return _unread(place, source_hash, Problem("WF002", span, str(error), error.hint))


def lost(place: SourcePath, source_hash: str, reason: str) -> FileFacts:
    """Facts of a file of which nothing is known because the process that read it is gone.

    Args:
        place: where the file lies.
        source_hash: of its content.
        reason: what became of the process, as the rest of a sentence.
    """
    problem = Problem(
        "WF901",
        START,
        f"the process that read {place.path} {reason}.",
        "If there was enough memory, this is a mistake in wfgen: please report it with the file.",
    )
    return replace(_unread(place, source_hash, problem), lost=True)


def _unread(place: SourcePath, source_hash: str, problem: Problem) -> FileFacts:
    return FileFacts(place.path, source_hash, place.kind, place.module, readable=False, problems=(problem,))


def _facts(reading: Reading, source_hash: str) -> FileFacts:
    place = reading.place
    definitions = Definitions(reading)
    definitions.find()
    determinism.examine(reading)
    entries: list[contracts.Entry] = [fact.entry for fact in definitions.workflows]
    entries += [fact.entry for fact in definitions.workers]
    found = contracts.examine(reading, control.examine(reading), entries)
    local = {name for workflow in definitions.workflows for name in workflow.local_types}
    local |= {name for worker in definitions.workers for name in worker.local_types}
    imports = tuple(sorted(_imports(reading), key=lambda fact: (fact.span.line, fact.span.column)))
    return FileFacts(
        path=place.path,
        source_hash=source_hash,
        kind=place.kind,
        module=place.module,
        imports=imports,
        workflows=tuple(definitions.workflows),
        workers=tuple(definitions.workers),
        declarations=reading.declarations.get(sorted(local)),
        declared_types=tuple(_declared(reading)),
        contracts=found,
        problems=_with_edits(reading),
        suppressions=suppressions(reading.text.text, reading.tree),
        entered=tuple((path, suppressions(m.text.text, m.tree)) for path, m in sorted(reading.modules.items())),
    )


def _with_edits(reading: Reading) -> tuple[Problem, ...]:
    """All problems, once there are no more to come."""
    if not any(problem.rewrite for problem in reading.problems):
        return tuple(reading.problems)
    mended: list[Problem] = []
    for path in dict.fromkeys(problem.file or reading.path for problem in reading.problems):
        here = [problem for problem in reading.problems if (problem.file or reading.path) == path]
        module = reading.module if path == reading.path else reading.modules.get(path)
        if module is not None:
            here = [with_replacement(problem, path, module.text) for problem in here]
            if any(problem.rewrite and not problem.edits for problem in here):
                from wfgen_inspector.rewriting import with_edits  # loads LibCST, which most projects never need

                here = list(with_edits(path, module.text.text, module.tree, here))
        mended += here
    return tuple(mended)


def _imports(reading: Reading) -> Iterator[ImportFact]:
    """All import statements; relative ones are reported."""
    left: list[tuple[Names, bool]] = [(reading.scope.names, True)]
    while left:
        names, top_level = left.pop()
        for statement, checking in names.statements:
            yield _import(reading, statement, checking, top_level)
        for block in names.blocks:
            if isinstance(block, ast.ClassDef):
                left.append((bindings(block.body, package=reading.place.package), top_level))
            else:
                left.append((reading.names_of(block), False))


def _import(reading: Reading, node: ast.Import | ast.ImportFrom, checking: bool, top_level: bool) -> ImportFact:
    span = reading.text.span(node)
    names = tuple((alias.name, alias.asname) for alias in node.names)
    if isinstance(node, ast.Import):
        return ImportFact(None, names, 0, span, checking, top_level)
    module = absolute(node.module, node.level, reading.place.package)
    if node.level:
        shown = f"{'.' * node.level}{node.module or ''}"
        reading.problem(
            "WF003",
            span,
            f"`from {shown} import` is relative, but a file called {reading.path.rpartition('/')[2]} is no module of "
            "its package.",
            f"Import from {module!r}." if module else "Import by the full name.",
            None if module is None else AbsoluteImport(module),
        )
    known = module if module is not None else f"{'.' * node.level}{node.module or ''}"
    return ImportFact(known, names, node.level, span, checking, top_level)


def _declared(reading: Reading) -> Iterator[tuple[str, Span]]:
    """Classes and type aliases at module level."""
    names = reading.scope.names
    nodes: dict[str, ast.expr | ast.stmt] = {**names.classes, **names.aliases}
    for name, value in names.values.items():
        if isinstance(value, ast.Call):
            called = reading.scope.qualified(value.func)
            if called is not None and called.rpartition(".")[2] in _TYPE_CALLS:
                nodes[name] = value
    for name, node in sorted(nodes.items(), key=lambda item: (item[1].lineno, item[0])):
        yield name, reading.text.span(node)
