"""One parsed file of the project: its text, its tree, and what its names are bound to."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from wfgen_inspector.positions import Text
from wfgen_inspector.scopes import Bound, Function, Imported, Names, Scope, bindings, function_names, is_generator


class Module:
    """A file of the project, parsed.

    Args:
        name: import name; of a workflow or worker file that of the generated module that stands for it.
        path: POSIX, relative to the project.
        package: import name of the package in which the file lies, for relative imports.
        text: its text.
        tree: the same, parsed.
    """

    __slots__ = ("_names", "_walrus", "_yields", "name", "package", "path", "scope", "text", "tree")

    def __init__(self, name: str, path: str, package: str, text: Text, tree: ast.Module) -> None:
        self.name = name
        self.path = path
        self.package = package
        self.text = text
        self.tree = tree
        self._walrus = ":=" in text.text
        self._yields = "yield" in text.text
        self._names: dict[ast.AST, Names] = {}
        self.scope = Scope(bindings(tree.body, package=package, walrus=self._walrus), None, prefix=name)
        if "global " in text.text:
            self._bind_globals()

    def names_of(self, node: Function | ast.Lambda | ast.ClassDef) -> Names:
        """What a function or class body binds."""
        found = self._names.get(node)
        if found is None:
            if isinstance(node, ast.ClassDef):
                found = bindings(node.body, package=self.package, walrus=self._walrus)
            else:
                found = function_names(node, package=self.package, walrus=self._walrus)
            self._names[node] = found
        return found

    def _bind_globals(self) -> None:
        """Names that functions declare `global` and bind are names of the module as well.

        What is imported so is known. Of anything else only that it is bound: a constant is none then, and an alias of
        something else may be anything.
        """
        own = self.scope.names
        for node in ast.walk(self.tree):
            if not isinstance(node, Function):
                continue
            declared = {name for part in _own(node) if isinstance(part, ast.Global) for name in part.names}
            for name in sorted(declared):
                names = self.names_of(node)
                for what in names.bound.get(name, ()):
                    before = own.bound.setdefault(name, [])
                    own.count[name] = own.count.get(name, 0) + 1
                    if isinstance(what, Imported):
                        own.imports.setdefault(name, what)
                        before.append(what)
                    elif not all(_is_plain(one) for one in before):
                        before.append(None)

    @property
    def public(self) -> frozenset[str] | None:
        """Names that `from module import *` binds by `__all__`; None if there is none that can be read."""
        bound = self.scope.names.bound.get("__all__", [])
        if len(bound) != 1 or not isinstance(bound[0], ast.List | ast.Tuple):
            return None
        texts = [element.value for element in bound[0].elts if isinstance(element, ast.Constant)]
        return frozenset(map(str, texts)) if len(texts) == len(bound[0].elts) else None

    def is_generator(self, node: Function | ast.Lambda) -> bool:
        """Whether a function yields."""
        return self._yields and is_generator(node)


def _own(function: Function) -> Iterator[ast.stmt]:
    """Statements of a function, without those of functions and classes in it."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.expr | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            left.extend(ast.iter_child_nodes(node))


def _is_plain(bound: Bound) -> bool:
    """Whether a name is given a value of its own, which stands for nothing else."""
    return isinstance(bound, ast.expr) and not isinstance(bound, ast.Name | ast.Attribute)
