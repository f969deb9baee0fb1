"""From the manifest to the view model: one view for each file of the generated package."""

from __future__ import annotations

import inspect
import keyword
import posixpath
import unicodedata
from collections.abc import Callable, Iterator

from wfgen.manifest import Manifest, SourceFile, Step, WorkerEntry, WorkflowEntry, walk
from wfgen.names import is_name, version_key
from wfgen_codegen import views
from wfgen_codegen.errors import RenderError
from wfgen_codegen.mermaid import mermaid
from wfgen_codegen.naming import Tree, camel, checked_identifiers, is_module, worker_tree, workflow_tree
from wfgen_codegen.quoting import Code
from wfgen_codegen.typenames import TypeNames

MAX_OVERLOADS = 200
"""Workers up to which each id has an overload of `do`: 500 make mypy four times slower, and an error 500 lines long."""
MAX_SECOND_OVERLOADS = 50
"""Workers up to which each id has another overload for `on_error="continue"`. With 100, mypy takes 1.3 times as long
over an edited workflow as with the untyped handle, and with 200 twice as long as with one overload an id."""

_Describe = Callable[[str], tuple[str, str, str | None]]
"""From an id to the class of its reference, its annotation and its documentation."""

_OWN = frozenset({"annotations", "TYPE_CHECKING", "_wfgen", "_wfgen_registry", "_wfgen_typing"})
_CLIENT_OWN = _OWN | {"name", "run_class", "hooks", "start", "run", "get_run", "cancel_run"}


def latest_workflows(manifest: Manifest) -> dict[str, WorkflowEntry]:
    """Name -> the entry of its latest version, sorted by name."""
    latest: dict[str, WorkflowEntry] = {}
    for entry in manifest.workflows:
        known = latest.get(entry.name)
        if known is None or version_key(known.version) < version_key(entry.version):
            latest[entry.name] = entry
    return dict(sorted(latest.items()))


def registry(manifest: Manifest) -> views.Registry:
    """Every definition with its generated module."""
    workflows = [
        views.WorkflowSource(w.name, w.version, source.module, w.file)
        for source in manifest.files
        for w in source.workflows
    ]
    workers = [views.WorkerSource(w.id, source.module, w.file) for source in manifest.files for w in source.workers]
    return views.Registry(
        workflows=tuple(sorted(workflows, key=lambda w: (w.name, version_key(w.version), w.version))),
        workers=tuple(sorted(workers, key=lambda w: w.id)),
    )


def handle(manifest: Manifest) -> views.Handle:
    """The typed `Workflow`, with an overload for each worker."""
    if len(manifest.workers) > MAX_OVERLOADS:
        return views.Handle(imports=(), workers=(), any_id=True, or_error=False)
    names = TypeNames(_OWN | {"Workflow", "do"}, "workflow.py")
    workers = tuple(
        views.Worker(
            id=worker.id,
            doc=_doc(worker),
            input=_parameter(worker, names, "data"),
            output=names.use(worker.output, worker.imports),
        )
        for worker in manifest.workers
    )
    or_error = len(workers) <= MAX_SECOND_OVERLOADS
    return views.Handle(imports=names.imports, workers=workers, any_id=False, or_error=or_error)


def workers(manifest: Manifest) -> views.References:
    """References to all workers.

    Raises:
        RenderError: two workers have one id, or ids that cannot both be attributes.
    """
    by_id: dict[str, WorkerEntry] = {}
    for worker in manifest.workers:
        other = by_id.setdefault(worker.id, worker)
        if other is not worker:
            raise RenderError(f"worker {worker.id!r} is defined in {other.file} and in {worker.file}.")
    tree = worker_tree(by_id)
    names = TypeNames(_OWN | tree.parts(), "workers.py")

    def reference(worker_id: str) -> tuple[str, str, str | None]:
        worker = by_id[worker_id]
        factory = "AsyncWorkerRef" if worker.is_async else "SyncWorkerRef"
        return factory, _reference_type(factory, worker, names), _doc(worker)

    entries = tuple(_entries(tree, reference))
    return views.References(Code("workers"), names.imports, entries)


def workflows(manifest: Manifest) -> views.References:
    """References to all workflows, with the types of their latest versions."""
    latest = latest_workflows(manifest)
    tree = workflow_tree(latest)
    names = TypeNames(_OWN | tree.parts(), "workflows.py")

    def reference(name: str) -> tuple[str, str, str | None]:
        entry = latest[name]
        return "WorkflowRef", _reference_type("WorkflowRef", entry, names), _doc(entry)

    entries = tuple(_entries(tree, reference))
    return views.References(Code("workflows"), names.imports, entries)


def namespaces(manifest: Manifest) -> Iterator[tuple[str, views.Namespace]]:
    """Path and view of the client and of every namespace in it."""
    latest = latest_workflows(manifest)

    def visit(tree: Tree, folder: str, prefix: str) -> Iterator[tuple[str, views.Namespace]]:
        members = []
        for part in sorted((*tree.leaves, *tree.branches)):
            if part in tree.leaves:
                entry = latest[tree.leaves[part]]
                class_name = Code(camel(checked_identifiers(entry.name, "workflow")) + "Client")
                members.append(views.Member(Code(part), class_name, _doc(entry)))
            else:
                members.append(views.Member(Code(part), Code("Namespace"), f"Workflows in `{prefix}{part}`."))
        path = f"{folder}/__init__.py" if prefix else "client.py"
        yield path, views.Namespace(root=not prefix, prefix=prefix, members=tuple(members))
        for part, branch in sorted(tree.branches.items()):
            yield from visit(branch, f"{folder}/{part}", f"{prefix}{part}.")

    yield from visit(workflow_tree(latest), "clients", "")


def client(entry: WorkflowEntry) -> tuple[str, views.Client]:
    """Path and view of a workflow's client."""
    parts = checked_identifiers(entry.name, "workflow")
    class_name = camel(parts)
    hooks = _hooks(entry)
    attributes = [name for name in hooks if _is_attribute(name)]
    taken = _CLIENT_OWN | {class_name + suffix for suffix in ("Client", "Run", "Hooks")} | set(attributes)
    names = TypeNames(taken, f"workflow {entry.name!r} in {entry.file}")
    view = views.Client(
        name=entry.name,
        version=entry.version,
        class_name=Code(class_name),
        doc=_doc(entry),
        input=_parameter(entry, names, entry.input_name),
        output=names.use(entry.output, entry.imports),
        hooks=tuple(_hook(name, hooks[name], names) for name in attributes),
        imports=names.imports,
    )
    return f"clients/{'/'.join(parts)}.py", view


def source_file(manifest: Manifest, source: SourceFile) -> tuple[str, views.File]:
    """Path without suffix, and view, of the module that stands for a source file."""
    if not is_module(source.module):
        raise RenderError(f"{source.file}: {source.module!r} is no name of a generated module.")
    path = source.module.replace(".", "/")
    folder = posixpath.join(manifest.output, posixpath.dirname(path))
    statements = sorted({line.strip() for declaration in source.declarations for line in declaration.imports})
    return path, views.File(
        file=source.file,
        path=posixpath.relpath(source.file, folder),
        imports=tuple(Code(line) for line in statements),
        types=tuple(
            views.Type(declaration.name, Code(declaration.text.rstrip())) for declaration in source.declarations
        ),
    )


def diagram(entry: WorkflowEntry) -> tuple[str, views.Diagram]:
    """Path and view of the page with a workflow's graph."""
    checked_identifiers(entry.name, "workflow")
    checked_version(entry)
    view = views.Diagram(entry.name, entry.version, entry.file, _doc(entry), mermaid(entry))
    return f"diagrams/{entry.id}.md", view


def checked_version(entry: WorkflowEntry) -> None:
    """Refuse a version that cannot be part of a file name.

    Raises:
        RenderError: it is malformed.
    """
    if not is_name(entry.version):
        raise RenderError(
            f"workflow {entry.name!r} in {entry.file}: {entry.version!r:.160} cannot be a version.",
            hint="Use letters, digits, `_`, `-` and `.`, 128 at most.",
        )


def _entries(tree: Tree, reference: _Describe, prefix: str = "", depth: int = 0) -> Iterator[views.Entry]:
    indent = Code("    " * depth)
    after_namespace = depth == 0
    for part in sorted((*tree.leaves, *tree.branches)):
        if part in tree.leaves:
            factory, type_, doc = reference(tree.leaves[part])
            yield views.Entry(indent, Code(part), tree.leaves[part], Code(factory), type_, doc, after_namespace)
        else:
            yield views.Entry(indent, Code(part), f"{prefix}{part}", None, "", None, after_namespace)
            yield from _entries(tree.branches[part], reference, f"{prefix}{part}.", depth + 1)
        after_namespace = part in tree.branches


def _reference_type(factory: str, entry: WorkerEntry | WorkflowEntry, names: TypeNames) -> str:
    input_type = names.use(entry.input, entry.imports)
    if entry.input is not None and not entry.input_required:
        input_type = Code(f"{input_type} | None")
    return f"_wfgen.{factory}[{input_type}, {names.use(entry.output, entry.imports)}]"


def _parameter(entry: WorkerEntry | WorkflowEntry, names: TypeNames, name: str | None) -> views.Parameter | None:
    if entry.input is None:
        return None
    if name is None or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        name = "data"
    elif name in ("self", "version", "idempotency_key"):
        name += "_"
    return views.Parameter(Code(name), names.use(entry.input, entry.imports), entry.input_required)


def _hooks(entry: WorkflowEntry) -> dict[str, list[Step]]:
    """Name -> the steps that open a hook of that literal name, sorted by name."""
    found: dict[str, list[Step]] = {}
    for node in walk(entry.body):
        if isinstance(node, Step) and node.form in ("hook", "create_hook") and not node.dynamic:
            found.setdefault(node.name, []).append(node)
    return dict(sorted(found.items()))


def _is_attribute(name: str) -> bool:
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("_")
        and unicodedata.normalize("NFKC", name) == name
    )


def _hook(name: str, steps: list[Step], names: TypeNames) -> views.Hook:
    """A hook's attribute; one that is opened with several types takes any of them."""
    own = names.again()
    types = []
    for step in steps:
        payload, imports = ("typing.Any", ("typing",)) if step.payload is None else (step.payload, step.imports)
        names.use(payload, imports)
        types.append(own.use(payload, imports))
    return views.Hook(Code(name), name, Code(" | ".join(dict.fromkeys(types))), own.imports)


def _doc(entry: WorkerEntry | WorkflowEntry) -> str | None:
    texts = [inspect.cleandoc(text) for text in (entry.description, entry.doc) if text and text.strip()]
    return "\n\n".join(dict.fromkeys(texts)) or None
