"""WF007: names that the generated package cannot offer side by side."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen.manifest import Span
from wfgen.names import RESERVED, identifiers, is_name
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample, sample

Place = tuple[str, Span]


def check(project: Project) -> Iterator[Finding]:
    """One finding for every name that is taken, or that a name before it (in order of text) leaves no room for."""
    workflows = {
        name: (definitions[0][0].path, definitions[0][1].name_span)
        for name, definitions in project.workflows_by_name.items()
        if is_name(name)
    }
    workers = {
        worker_id: (definitions[0][0].path, definitions[0][1].id_span)
        for worker_id, definitions in project.workers_by_id.items()
        if is_name(worker_id)
    }
    yield from _taken("workflow", workflows, RESERVED)
    yield from _taken("worker", workers, frozenset())
    yield from _collisions("workflow", workflows)
    yield from _collisions("worker", workers)
    yield from _cases(workflows)
    for definitions in project.workflows_by_name.values():
        yield from _version_cases({fact.entry.version: (facts.path, fact.version_span) for facts, fact in definitions})


def _taken(kind: str, names: dict[str, Place], reserved: frozenset[str]) -> Iterator[Finding]:
    for name, (file, span) in names.items():
        path = identifiers(name)
        private = next((part for part in path if part.startswith("__")), None)
        own = next((part for part in path if part.startswith("_wfgen") or part == "mro"), None)
        if path[0] in reserved:
            message = f"the {kind} name {name!r} is taken: the generated client has a `{path[0]}` of its own."
            yield Finding(file, span, message, f"Choose another name; taken are {', '.join(sorted(reserved))}.")
        elif private is not None:
            message = (
                f"the {kind} name {name!r} becomes `{'.'.join(path)}`, and `{private}` is private to Python classes."
            )
            yield Finding(file, span, message, "Let no part of the name start with two underscores or hyphens.")
        elif own is not None:
            owner = "Python" if own == "mro" else "the generated package"
            message = f"the {kind} name {name!r} becomes `{'.'.join(path)}`, and {owner} has a `{own}` of its own."
            yield Finding(file, span, message, "Let no part of the name be `mro` or start with `_wfgen`.")


def _collisions(kind: str, names: dict[str, Place]) -> Iterator[Finding]:
    paths: dict[tuple[str, ...], str] = {}
    for name in sorted(names):
        path = identifiers(name)
        if path in paths:
            message = f"the {kind} names {paths[path]!r} and {name!r} both become `{'.'.join(path)}`"
            yield _finding(kind, names, name, paths[path], message)
        paths.setdefault(path, name)
    for path, name in paths.items():
        for length in range(1, len(path)):
            shorter = paths.get(path[:length])
            if shorter is not None:
                message = (
                    f"the {kind} name {name!r} lies below {shorter!r}, and `{'.'.join(path[:length])}` cannot be both"
                    f" a {kind} and a group of {kind}s"
                )
                yield _finding(kind, names, name, shorter, message)
                break


def _cases(names: dict[str, Place]) -> Iterator[Finding]:
    """Workflows whose clients would be one file, or lie in one folder, where the file system ignores case."""
    paths: dict[tuple[str, bool], tuple[tuple[str, ...], str]] = {}
    for name in sorted(names):
        path = identifiers(name)
        for length in range(1, len(path) + 1):
            start = path[:length]
            first, other = paths.setdefault(("/".join(start).casefold(), start == path), (start, name))
            if first != start:
                parts = "" if start == path else f"begin with `{'.'.join(first)}` and `{'.'.join(start)}`, which "
                message = f"the workflow names {other!r} and {name!r} {parts}differ in nothing but case and share files"
                yield _finding("workflow", names, name, other, message)
                break


def _version_cases(versions: dict[str, Place]) -> Iterator[Finding]:
    """Versions of one workflow whose diagrams would be one file where the file system ignores case."""
    seen: dict[str, str] = {}
    for version in sorted(versions):
        other = seen.setdefault(version.casefold(), version)
        if other != version:
            message = f"the versions {other!r} and {version!r} differ in nothing but case and share files"
            yield _finding("version", versions, version, other, message)


def _finding(kind: str, names: dict[str, Place], name: str, other: str, message: str) -> Finding:
    file, span = names[name]
    other_file, place = names[other]
    return Finding(
        file,
        span,
        f"{message} in the generated package.",
        f"Rename one of them; {other!r} is defined in {other_file}, line {place.line}.",
        (Related(other_file, place.line, place.column, f"{kind} {other!r} is defined here"),),
    )


_ONE = """\
from wfgen import Workflow, define_workflow


@define_workflow(name="{first}")
async def first(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")


@define_workflow(name="{second}"){mark}
async def second(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""

RULE = Rule(
    code="WF007",
    name="identifier-collision",
    severity="error",
    summary="Names cannot stand side by side in the generated package.",
    what="Reports names that become the same Python identifier (`sign-up` and `sign_up`), a name that is also the "
    "first part of another (`users` and `users.create`), names and versions of workflows that differ in nothing but "
    "case, names that the generated client uses itself "
    f"({', '.join(f'`{name}`' for name in sorted(RESERVED))}), and names with a part that Python or the generated "
    "package uses (`mro`, and what starts with `__` or `_wfgen`).",
    why="The generated package offers every name as an attribute (`wf.sign_up`, `workers.users.create`); of two names "
    "for one attribute, one could not be reached. Workflows have files of their own in it as well, and many file "
    "systems ignore case: there, one would overwrite the other.",
    remedy="Rename one of them.",
    check=check,
    required=True,
    invalid=(
        sample(_ONE.format(first="sign-up", second="sign_up", mark="  # <- here")),
        sample(_ONE.format(first="users", second="users.create", mark="  # <- here")),
        sample(_ONE.format(first="users", second="get_run", mark="  # <- here")),
        sample(_ONE.format(first="users", second="crm.__init__", mark="  # <- here")),
        sample(_ONE.format(first="Users", second="users", mark="  # <- here")),
        Sample(
            {
                "a.worker.py": """\
from wfgen import define_worker


@define_worker("send-mail")
async def send_mail(address: str) -> None:
    print(address)
""",
                "b.worker.py": """\
from wfgen import define_worker


@define_worker("send_mail")  # <- here
async def send_mail(address: str) -> None:
    print(address)
""",
            }
        ),
    ),
    valid=(
        sample(_ONE.format(first="users.create", second="users.delete", mark="")),
        sample(_ONE.format(first="class", second="users.get_run", mark="")),
    ),
)
