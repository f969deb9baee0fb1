"""How names of workflows and workers become identifiers, attributes and files, without two becoming one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from wfgen.names import RESERVED, identifiers, is_name
from wfgen_codegen.errors import RenderError


@dataclass(slots=True)
class Tree:
    """Dotted names as a tree: a name is a leaf, what precedes a dot is a branch."""

    leaves: dict[str, str] = field(default_factory=dict)
    """Identifier -> the whole name that ends here."""
    branches: dict[str, Tree] = field(default_factory=dict)
    """Identifier -> the names below it."""

    def parts(self) -> frozenset[str]:
        """Every identifier in the tree."""
        found = set(self.leaves) | set(self.branches)
        for branch in self.branches.values():
            found |= branch.parts()
        return frozenset(found)


def tree(names: Iterable[str], what: str, *, reserved: frozenset[str] = frozenset()) -> Tree:
    """Arrange names by their dots.

    Args:
        names: names of workflows, or ids of workers.
        what: `workflow` or `worker`, for errors.
        reserved: identifiers that no name may start with.

    Raises:
        RenderError: a name is malformed or taken, or two of them cannot both be attributes.
    """
    root = Tree()
    for name in sorted(names):
        parts = checked_identifiers(name, what)
        if parts[0] in reserved:
            raise RenderError(
                f"{what} {name!r}: {parts[0]!r} is taken in the generated package.", hint=f"Rename the {what}."
            )
        here = root
        for part in parts[:-1]:
            if part in here.leaves:
                raise _collision(what, here.leaves[part], name)
            here = here.branches.setdefault(part, Tree())
        last = parts[-1]
        if last in here.leaves:
            raise _collision(what, here.leaves[last], name)
        if last in here.branches:
            raise _collision(what, _any_leaf(here.branches[last]), name)
        here.leaves[last] = name
    return root


def workflow_tree(names: Iterable[str]) -> Tree:
    """Arrange the names of workflows, which are attributes of the client."""
    return tree(names, "workflow", reserved=RESERVED)


def worker_tree(ids: Iterable[str]) -> Tree:
    """Arrange the ids of workers."""
    return tree(ids, "worker")


def checked_identifiers(name: str, what: str) -> tuple[str, ...]:
    """The path of identifiers of a name.

    Raises:
        RenderError: the name is malformed, or a part of it belongs to Python or to wfgen.
    """
    if not is_name(name):
        raise RenderError(
            f"{name!r:.160} cannot name a {what}.",
            hint="Use letters, digits, `_`, `-` and `.`, 128 at most.",
        )
    parts = identifiers(name)
    for part in parts:
        if not part.isidentifier() or part.startswith(("__", "_wfgen")) or part == "mro":
            raise RenderError(f"{what} {name!r}: {part!r} cannot be an attribute.", hint=f"Rename the {what}.")
    return parts


def camel(parts: tuple[str, ...]) -> str:
    """A class name: `("crm", "sign_up")` is `CrmSignUp`."""
    words = [word for part in parts for word in part.split("_") if word]
    text = "".join(word[0].upper() + word[1:] for word in words)
    return text if text[:1].isalpha() else f"_{text}"


def is_module(module: str) -> bool:
    """Whether this is the name of a generated module: `files.` and identifiers."""
    first, *rest = module.split(".")
    return first == "files" and bool(rest) and all(p.isidentifier() and not p.startswith("__") for p in rest)


def _any_leaf(branch: Tree) -> str:
    while branch.branches and not branch.leaves:
        branch = next(iter(branch.branches.values()))
    return next(iter(branch.leaves.values()))


def _collision(what: str, first: str, second: str) -> RenderError:
    return RenderError(
        f"{what}s {first!r} and {second!r} cannot both be attributes of the generated package.", hint="Rename one."
    )
