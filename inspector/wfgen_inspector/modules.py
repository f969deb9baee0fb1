"""One parsed file of the project: its text, its tree, and what its names are bound to."""

from __future__ import annotations

import ast

from wfgen_inspector.positions import Text
from wfgen_inspector.scopes import Function, Names, Scope, bindings, function_names, is_generator


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

    def is_generator(self, node: Function | ast.Lambda) -> bool:
        """Whether a function yields."""
        return self._yields and is_generator(node)
