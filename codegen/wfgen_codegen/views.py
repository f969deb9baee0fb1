"""The view model: what a template gets, and the only interface between codegen and templates.

Each template receives one object, `module`, of the class named below. A `Code` stands in a file as it is; any `str`
is user data and needs a filter: `py` (a literal), `doc(indent)` (a docstring), `comment`, `markdown`.

    template              view         written to
    package.py.jinja      Package      __init__.py
    folder.py.jinja       Folder       <clients, files, queues>/__init__.py and the folders below
    registry.py.jinja     Registry     registry.py
    workflow.py.jinja     Handle       workflow.py
    references.py.jinja   References   workers.py, workflows.py
    namespace.py.jinja    Namespace    client.py, clients/<part>/__init__.py
    client.py.jinja       Client       clients/<workflow>.py
    file.py.jinja         File         files/<module>.py
    file.pyi.jinja        File         files/<module>.pyi
    queues.py.jinja       Queues       queues/<module>.py
    diagram.md.jinja      Diagram      diagrams/<workflow id>.md

Names that a file binds besides those of the user begin with `_wfgen`. `{{ seal }}` at the end of a line closes one
entry of a file that several sources share (see `ownership`).
"""

from __future__ import annotations

from dataclasses import dataclass

from wfgen_codegen.quoting import Code


@dataclass(frozen=True, slots=True)
class Package:
    """The generated package's `__init__.py`."""

    name: str
    """Its import name."""
    depth: int
    """How many folders lie between the project root and the generated files."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A package without code of its own."""

    path: str
    """POSIX, relative to the output folder."""


@dataclass(frozen=True, slots=True)
class WorkflowSource:
    """One version of one workflow, for the registry."""

    name: str
    version: str
    module: str
    """Generated module, relative to the generated package."""
    file: str
    """The user's file, relative to the project."""


@dataclass(frozen=True, slots=True)
class WorkerSource:
    """One worker, for the registry."""

    id: str
    module: str
    file: str


@dataclass(frozen=True, slots=True)
class Registry:
    """All definitions, sorted by name and version, and by id."""

    workflows: tuple[WorkflowSource, ...]
    workers: tuple[WorkerSource, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """The one input of a workflow or worker."""

    name: Code
    """Fit for a signature, positional only."""
    type: Code
    required: bool


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker, as a target of `do`."""

    id: str
    doc: str | None
    input: Parameter | None
    output: Code


@dataclass(frozen=True, slots=True)
class Handle:
    """The typed `Workflow`."""

    imports: tuple[Code, ...]
    """Import statements that the types need."""
    workers: tuple[Worker, ...]
    """Those with an overload of their own; empty when there are too many."""
    any_id: bool
    """Whether any string is taken as a worker's id, because there are too many for overloads."""
    or_error: bool
    """Whether the ids have overloads for `on_error="continue"` too; else the result is Any, or the error."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a tree of references, parents before children: a namespace, or a reference."""

    indent: Code
    """Spaces before it."""
    name: Code
    id: str
    """The dotted id so far."""
    factory: Code | None
    """Class of the reference, in `wfgen.generated`; None for a namespace."""
    type: str
    """The annotation of a reference, to be quoted with `py`."""
    doc: str | None

    spaced: bool
    """Whether a namespace ends before it."""

    @property
    def depth(self) -> int:
        """Spaces before it, as a number."""
        return len(self.indent)


@dataclass(frozen=True, slots=True)
class References:
    """Typed references to all workers, or to all workflows."""

    kind: Code
    """`workers` or `workflows`."""
    imports: tuple[Code, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """An attribute of the client or of a namespace in it."""

    name: Code
    class_name: Code
    """In the module of that name."""
    doc: str | None


@dataclass(frozen=True, slots=True)
class Namespace:
    """The client itself, or what stands for the first parts of dotted workflow names."""

    root: bool
    prefix: str
    """The dotted parts, each followed by a dot; empty for the client."""
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook whose name is literal."""

    attribute: Code
    name: str
    payload: Code
    """Its type, also at run time."""
    imports: tuple[Code, ...]
    """Import statements that the payload needs at run time."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client of one workflow: the types of its latest version."""

    name: str
    version: str
    class_name: Code
    """Without `Client`, `Run` and `Hooks`."""
    doc: str | None
    imports: tuple[Code, ...]
    input: Parameter | None
    output: Code
    hooks: tuple[Hook, ...]
    """Those that are attributes; any other is reached by `run.hooks["its name"]`."""


@dataclass(frozen=True, slots=True)
class Type:
    """A type declared in a workflow or worker file."""

    name: str
    text: Code


@dataclass(frozen=True, slots=True)
class File:
    """The importable module that stands for one source file, and its stub."""

    file: str
    """The user's file, relative to the project."""
    path: str
    """The user's file, relative to the folder of the generated module."""
    imports: tuple[Code, ...]
    types: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue of one step, or of all steps of one name."""

    attribute: Code
    step: str
    workers: tuple[str, ...]
    """Ids of the workers that its jobs name, sorted; empty if they are known at run time only."""


@dataclass(frozen=True, slots=True)
class WorkflowQueues:
    """The orchestrator and the queues of one workflow: of all its versions in the file."""

    class_name: Code | None
    """Of the class around them; None at the top of the module, if the file has no other workflow."""
    indent: Code
    """Spaces before each line."""
    name: str
    queues: tuple[Queue, ...]
    """Sorted by step."""
    unknown: tuple[str, ...]
    """Where steps stand whose queue is known at run time only, `file:line`."""


@dataclass(frozen=True, slots=True)
class Queues:
    """Who works the workflows of one source file, and takes the jobs of their steps."""

    package: Code
    """The generated package, relative to the module: dots."""
    workflows: tuple[WorkflowQueues, ...]


@dataclass(frozen=True, slots=True)
class Diagram:
    """The graph of one version of one workflow."""

    name: str
    version: str
    file: str
    doc: str | None
    mermaid: Code
