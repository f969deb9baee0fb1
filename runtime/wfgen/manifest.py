"""The manifest: the one contract between inspector, codegen and runtime.

Frozen data only. Paths are POSIX and relative to the project root, everything that has no order of its own is
sorted, and nothing depends on time or machine: the same sources give the same bytes. On disk there is one file per
source file and an index, so that two branches that add workflows merge without a conflict.

Type expressions are texts in which every name is fully qualified (`dict[str, flows.models.Signup]`); the modules
that such a text needs imported stand beside it in `imports`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
DYNAMIC = "<dynamic>"
"""Stands where the source has a value that cannot be known without running it."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Span(_Data):
    """A stretch of source text. Lines and columns are 1-based; the end column is one past the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


class _Node(_Data):
    span: Span
    file: str | None = None
    """Set where the node stands in another file than its workflow (a helper that was entered)."""


StepForm = Literal[
    "rpc", "inline", "sleep", "sleep_until", "hook", "create_hook", "call", "start", "compensate", "continue_as_new"
]


class Step(_Node):
    """A durable operation on the handle: `do`, `sleep`, `hook`, `call`, …"""

    kind: Literal["step"] = "step"
    form: StepForm
    name: str
    """The step's name, or `<dynamic>`."""
    dynamic: bool = False
    """Whether the name is known at run time only."""
    target: str | None = None
    """Form rpc: the worker id; call and start: the workflow id; inline: the callable as written; or `<dynamic>`."""
    description: str | None = None
    data: str | None = None
    """The input, duration or time as written."""
    retry: dict[str, Any] | str | None = None
    timeout: str | None = None
    payload: str | None = None
    """Hooks: the payload's type expression."""
    imports: tuple[str, ...] = ()
    """Modules that `payload` needs."""
    awaited: bool = True
    await_result: bool | str | None = None
    """What `do` is told so; `<dynamic>` if that is known at run time only, None if it is not told: it waits."""
    key: str | None = None
    """Of a name or target that is known at run time only: short hash of what it is computed from."""
    data_key: str | None = None
    """Short hash of what the input is computed from; names of variables and where things stand leave it alone."""


class Use(_Node):
    """A plain use of the handle (`log`, `now`, `run_id`), which is not a durable operation."""

    kind: Literal["use"] = "use"
    name: str


class Sequence(_Node):
    """Nodes that run one after the other; `label` names the helper that was entered, if any."""

    kind: Literal["sequence"] = "sequence"
    label: str | None = None
    body: tuple[Node, ...] = ()
    apart: bool = False
    """Whether the helper is a coroutine that is not awaited on the spot, so that it becomes a task of its own."""


class Arm(_Data):
    label: str
    """`if`, `elif`, `else`, `case`, `and`, `or`, or `except ValueError`."""
    test: str | None = None
    body: tuple[Node, ...] = ()
    key: str | None = None
    """Short hash of what the test is computed from."""
    patch: str | None = None
    """The change whose path this is: the test is `workflow.patched(change)`."""
    unpatched: str | None = None
    """The change without which this is the path: the test is `not workflow.patched(change)`."""


class Branch(_Node):
    kind: Literal["branch"] = "branch"
    form: Literal["if", "match", "conditional", "and", "or"]
    arms: tuple[Arm, ...]


class Loop(_Node):
    kind: Literal["loop"] = "loop"
    form: Literal["for", "while", "async_for", "comprehension"]
    header: str
    """What is iterated over or tested, as written."""
    body: tuple[Node, ...] = ()
    orelse: tuple[Node, ...] = ()
    key: str | None = None
    """Short hash of what the header is computed from, and of when the loop is left early."""
    leaves: bool = False
    """Whether `break` or `continue` may leave a turn early."""


class ParallelBranch(_Data):
    name: str | None = None
    body: tuple[Node, ...] = ()


class Parallel(_Node):
    """Branches that run at once. Form `task` is a task that was created and is not awaited on the spot."""

    kind: Literal["parallel"] = "parallel"
    form: Literal["gather", "task_group", "parallel", "task"]
    branches: tuple[ParallelBranch, ...]
    joined: bool = True
    """Whether all branches have ended before what follows begins."""


class Try(_Node):
    kind: Literal["try"] = "try"
    body: tuple[Node, ...] = ()
    handlers: tuple[Arm, ...] = ()
    orelse: tuple[Node, ...] = ()
    final: tuple[Node, ...] = ()


class With(_Node):
    kind: Literal["with"] = "with"
    header: str
    body: tuple[Node, ...] = ()


class Return(_Node):
    kind: Literal["return"] = "return"
    body: tuple[Node, ...] = ()
    """Operations inside the returned expression."""


class Raise(_Node):
    kind: Literal["raise"] = "raise"
    error: str | None = None
    body: tuple[Node, ...] = ()


class Opaque(_Node):
    """A use of the handle that cannot be followed."""

    kind: Literal["opaque"] = "opaque"
    reason: str


Node = Annotated[
    Step | Use | Sequence | Branch | Loop | Parallel | Try | With | Return | Raise | Opaque,
    Field(discriminator="kind"),
]


class FieldShape(_Data):
    """A field of a payload's type."""

    name: str
    type: str
    """Its type expression."""
    required: bool = True


class TypeShape(_Data):
    """What a payload's type looks like in JSON: a class of the project's own, or an alias."""

    name: str
    """Qualified."""
    fields: tuple[FieldShape, ...] | None = None
    """Models, dataclasses, typed dictionaries: fields in order, inherited ones first."""
    values: tuple[str, ...] | None = None
    """Enumerations: values as written, sorted."""
    alias: str | None = None
    """Aliases and new types: the type expression that they stand for."""
    closed: bool = False
    """Whether fields that it does not have are refused."""


class WorkflowEntry(_Data):
    """One version of one workflow."""

    name: str
    version: str
    file: str
    span: Span
    """Of the definition, decorator to last statement."""
    function: str
    """The function's name in its file."""
    description: str | None = None
    doc: str | None = None
    tags: tuple[str, ...] = ()
    timeout: str | None = None
    execution_mode: Literal["inline", "remote"] | str = "inline"
    middleware: tuple[str, ...] = ()
    retry: dict[str, Any] | str | None = None
    input: str | None = None
    """The input's type expression; None when the workflow takes no input."""
    input_name: str | None = None
    input_required: bool = True
    output: str = "None"
    context: str | None = None
    """`Ctx` of `Workflow[Ctx]`."""
    imports: tuple[str, ...] = ()
    """Modules that `input`, `output` and `context` need."""
    types: tuple[TypeShape, ...] = ()
    """The project's own types that input, output and hooks are made of, sorted by name."""
    body: tuple[Node, ...] = ()
    before: tuple[Step, ...] | None = None
    """Tasks before its code; None if it is defined without."""
    after: tuple[Step, ...] | None = None
    """Tasks after its code; None if it is defined without."""
    code_key: str = ""
    """Short hash of the function's code; comments, formatting and names of variables leave it alone."""
    interface_hash: str
    steps_hash: str

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


class WorkerEntry(_Data):
    """A worker function."""

    id: str
    file: str
    span: Span
    function: str
    description: str | None = None
    doc: str | None = None
    tags: tuple[str, ...] = ()
    is_async: bool = True
    dispatch: Literal["inline", "queue"] | str | None = None
    """None: as the workflow's `execution_mode` says."""
    expires: str | None = None
    """How long its jobs wait on a queue."""
    timeout: str | None = None
    retry: dict[str, Any] | str | None = None
    input: str | None = None
    input_name: str | None = None
    input_required: bool = True
    output: str = "None"
    takes_job: bool = False
    """Whether it asks for its `Job`."""
    imports: tuple[str, ...] = ()
    types: tuple[TypeShape, ...] = ()
    """The project's own types that input and output are made of, sorted by name."""
    interface_hash: str


class Declaration(_Data):
    """A type declared in a workflow or worker file that clients need, as text fit for a stub."""

    name: str
    text: str
    imports: tuple[str, ...] = ()
    """Import statements that the text needs, each a full line."""


class SourceFile(_Data):
    """What one `*.workflow.py` or `*.worker.py` defines."""

    schema_version: int = SCHEMA_VERSION
    file: str
    module: str
    """Dotted name of the generated module below the generated package, such as `files.onboarding`."""
    source_hash: str
    workflows: tuple[WorkflowEntry, ...] = ()
    workers: tuple[WorkerEntry, ...] = ()
    declarations: tuple[Declaration, ...] = ()


class Manifest(_Data):
    """All source files of a project, sorted by path."""

    schema_version: int = SCHEMA_VERSION
    package: str
    """Import name of the generated package, such as `flows.wfgen_gen`."""
    output: str
    """Its folder, relative to the project root."""
    files: tuple[SourceFile, ...] = ()

    @property
    def workflows(self) -> tuple[WorkflowEntry, ...]:
        return tuple(sorted((w for f in self.files for w in f.workflows), key=lambda w: (w.name, w.version)))

    @property
    def workers(self) -> tuple[WorkerEntry, ...]:
        return tuple(sorted((w for f in self.files for w in f.workers), key=lambda w: w.id))


def walk(nodes: tuple[Node, ...]) -> Iterator[Node]:
    """Yield every node of a body, parents before children, in source order."""
    for node in nodes:
        yield node
        match node:
            case Step() | Use() | Opaque():  # most nodes are leaves
                pass
            case Branch():
                for arm in node.arms:
                    yield from walk(arm.body)
            case Parallel():
                for branch in node.branches:
                    yield from walk(branch.body)
            case Try():
                yield from walk(node.body)
                for arm in node.handlers:
                    yield from walk(arm.body)
                yield from walk(node.orelse)
                yield from walk(node.final)
            case Loop():
                yield from walk(node.body)
                yield from walk(node.orelse)
            case Sequence() | With() | Return() | Raise():
                yield from walk(node.body)
