"""What is known of a project: facts per file, and the whole when the files are linked.

Everything here is frozen, can be pickled, hashed and written as JSON, and holds no syntax tree. Facts of a file depend
on that file alone (and on where the project and its generated package lie), which is what makes them cacheable;
whatever needs a second file is found by linking and by rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from wfgen.manifest import Declaration, Manifest, Span, WorkerEntry, WorkflowEntry
from wfgen.settings import Settings
from wfgen_inspector.diagnostics import Applicability, Edit, Related
from wfgen_inspector.program import Dependency

SourceKind = Literal["workflow", "worker"]


@dataclass(frozen=True, slots=True)
class AddAwait:
    """Await the call that a problem is about."""

    call: str
    """The call as Python would write it, where the problem's span is of the f-string around it; else empty."""


@dataclass(frozen=True, slots=True)
class AbsoluteImport:
    """Write the relative import that a problem is about in full."""

    module: str
    """Absolute name of the module to import from; empty for the import root."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Put some text in place of a stretch of the file."""

    span: Span
    """Of what is replaced; an empty stretch inserts."""
    text: str
    message: str
    """What it does, in the imperative: "use `workflow.now()`"."""
    applicability: Applicability = "safe"


Rewrite = AddAwait | AbsoluteImport | Replace


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong that shows while a file is read; the rule of that code turns it into a diagnostic."""

    code: str
    span: Span
    message: str
    hint: str | None = None
    rewrite: Rewrite | None = None
    """What would mend it; None when somebody has to think."""
    edits: tuple[Edit, ...] = ()
    """The rewrite in the file's text, all of them together; empty when it cannot be done safely."""
    related: tuple[Related, ...] = ()
    file: str | None = None
    """Set where it stands in another file than the one that was read: a module whose function was entered."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """A comment `# wfgen: ignore[WF101, WF102]`."""

    line: int
    """Where the comment stands."""
    codes: tuple[str, ...]
    """As written, without spaces; empty when the comment names none."""
    span: Span
    """Of the comment."""
    statement_line: int
    """First line of the innermost simple statement (or decorator, or header of a compound one) on which it stands."""
    statement_end_line: int
    """Its last line; the comment counts for findings on all of them."""


@dataclass(frozen=True, slots=True)
class ImportFact:
    """One import statement: `import a.b as c` has names (("a.b", "c"),) and no module."""

    module: str | None
    """Absolute name of the module of a `from` import; of a relative one as far as it can be known."""
    names: tuple[tuple[str, str | None], ...]
    """Imported name (`*` for all) and alias."""
    level: int
    """Leading dots."""
    span: Span
    type_checking: bool = False
    """Whether it stands below `if TYPE_CHECKING`."""
    top_level: bool = True
    """Whether it is executed when the file is loaded, not inside a function."""

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that may be loaded: of `from a import b` both `a` and `a.b`."""
        if self.module is None:
            return tuple(name for name, _ in self.names)
        return (self.module, *(f"{self.module}.{name}" for name, _ in self.names if name != "*"))


@dataclass(frozen=True, slots=True)
class TargetFact:
    """What a step, `compensate`, `call` or `start` names as its target.

    Exactly one of `id` and `reference` is set: a literal, or the qualified name of something
    (`flows.wfgen_gen.workers.users.create`, `flows.tasks.create_user`) that linking looks up.
    """

    kind: Literal["worker", "workflow"]
    span: Span
    """Of the argument, not of the step."""
    id: str | None = None
    reference: str | None = None
    file: str | None = None
    """Set where it stands in another file than the workflow: a module whose function was entered."""


@dataclass(frozen=True, slots=True)
class WorkflowFact:
    """A workflow as its file defines it. `entry.body` may still hold references for linking to resolve."""

    entry: WorkflowEntry
    name_span: Span
    """Of the name's literal, or of the function's name."""
    version_span: Span
    targets: tuple[TargetFact, ...] = ()
    local_types: tuple[str, ...] = ()
    """Types declared in this file that input, output, context or hook payloads need, transitively, sorted."""
    linked: bool = True
    """False while the body holds references."""


@dataclass(frozen=True, slots=True)
class WorkerFact:
    """A worker as its file defines it."""

    entry: WorkerEntry
    id_span: Span
    reference: str | None = None
    """Qualified name of the function, by which a step may name it."""
    local_types: tuple[str, ...] = ()
    """Types declared in this file that input or output need, transitively, sorted."""


@dataclass(frozen=True, slots=True)
class ClassFact:
    """A class that a value may be of."""

    name: str
    """Qualified, such as `flows.models.Order`, `builtins.int`."""
    lineage: tuple[str, ...]
    """Itself and all its bases, by name."""
    is_record: bool = False
    """Whether it is a model or dataclass that takes nothing but itself and mappings."""


@dataclass(frozen=True, slots=True)
class ValueFact:
    """What is known of a value: nothing, if both are empty."""

    classes: tuple[ClassFact, ...] = ()
    """It is of one of these."""
    result_of: Span | None = None
    """It is what a step gives, whose target is named there."""


@dataclass(frozen=True, slots=True)
class SignatureFact:
    """Types of a function that is a worker or a workflow; empty where they are not known."""

    function: str
    input: tuple[ClassFact, ...]
    output: tuple[ClassFact, ...]


@dataclass(frozen=True, slots=True)
class CallFact:
    """What a step gives to the worker or workflow that it names."""

    step: str
    """In messages: "step 'charge'"."""
    file: str
    span: Span
    """Of the whole call."""
    target: Span
    """Of the argument that names the target."""
    data: ValueFact | None
    """None if none is given."""
    data_span: Span
    is_none: bool = False
    """Whether the data is `None`, which a worker without input is given as well."""


@dataclass(frozen=True, slots=True)
class ResultFact:
    """Where a step's result goes, with a type that is declared there."""

    file: str
    span: Span
    place: str
    """In messages: "'receipt' is declared", "the function returns"."""
    value: ValueFact
    declared: tuple[ClassFact, ...]


@dataclass(frozen=True, slots=True)
class EffectFact:
    """A call in a worker that must not be made twice without a key."""

    function: str
    called: str
    span: Span


@dataclass(frozen=True, slots=True)
class Contracts:
    """What a file's functions take and give, and what its steps give to others."""

    signatures: tuple[SignatureFact, ...] = ()
    calls: tuple[CallFact, ...] = ()
    results: tuple[ResultFact, ...] = ()
    effects: tuple[EffectFact, ...] = ()


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one `*.workflow.py` or `*.worker.py` says."""

    path: str
    """POSIX, relative to the project."""
    source_hash: str
    kind: SourceKind
    module: str
    """Dotted name of the generated module below the generated package, such as `files.onboarding`."""
    readable: bool = True
    """False when it could not be read or parsed: nothing else is known then."""
    lost: bool = False
    """Whether the process that read it died or hung: it is read again each time, and never in the caller's process."""
    imports: tuple[ImportFact, ...] = ()
    workflows: tuple[WorkflowFact, ...] = ()
    workers: tuple[WorkerFact, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    declared_types: tuple[tuple[str, Span], ...] = ()
    """Every class and type alias at module level, needed or not, and where it stands."""
    contracts: Contracts = Contracts()
    problems: tuple[Problem, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    entered: tuple[tuple[str, tuple[Suppression, ...]], ...] = ()
    """Other files of which functions were entered, with their suppression comments."""
    dependencies: tuple[Dependency, ...] = ()
    """Modules of the project, by import name, on whose content all this depends as well."""


@dataclass(frozen=True, slots=True)
class LinkedTarget:
    """A target after linking."""

    file: str
    span: Span
    kind: Literal["worker", "workflow"]
    id: str
    """The id that is named; of a reference that leads nowhere, its dotted path below `workers` or `workflows`."""
    known: bool
    """Whether a worker or workflow of that id is defined in the project."""


@dataclass(frozen=True)
class Project:
    """All files of a project together: what the rules look at."""

    settings: Settings
    files: tuple[FileFacts, ...]
    """Sorted by path."""
    manifest: Manifest
    """Linked: every reference is an id, or reported."""
    targets: tuple[LinkedTarget, ...] = ()
    """Of all steps whose target is an id or a reference to one."""
    stubs: tuple[tuple[str, str], ...] = ()
    """`.pyi` files that stand beside a source file: (stub, source), both relative to the project."""
    root: Path = field(default_factory=Path)
    """Absolute import root."""

    @cached_property
    def by_path(self) -> dict[str, FileFacts]:
        return {facts.path: facts for facts in self.files}

    @cached_property
    def by_module(self) -> dict[str, FileFacts]:
        """Import name of the generated module, such as `flows.wfgen_gen.files.onboarding` -> file."""
        return {f"{self.manifest.package}.{facts.module}": facts for facts in reversed(self.files)}

    @cached_property
    def workers_by_id(self) -> dict[str, tuple[tuple[FileFacts, WorkerFact], ...]]:
        """Worker id -> its definitions, in order of file and line."""
        found: dict[str, tuple[tuple[FileFacts, WorkerFact], ...]] = {}
        for facts in self.files:
            for worker in facts.workers:
                found[worker.entry.id] = (*found.get(worker.entry.id, ()), (facts, worker))
        return found

    @cached_property
    def workflows_by_name(self) -> dict[str, tuple[tuple[FileFacts, WorkflowFact], ...]]:
        """Workflow name -> its definitions of all versions, in order of file and line."""
        found: dict[str, tuple[tuple[FileFacts, WorkflowFact], ...]] = {}
        for facts in self.files:
            for workflow in facts.workflows:
                found[workflow.entry.name] = (*found.get(workflow.entry.name, ()), (facts, workflow))
        return found
