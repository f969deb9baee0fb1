"""Functions of the project that receive the handle, in whatever module: walked where they are called."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Iterable

from wfgen.manifest import Node, Return, Sequence, Use
from wfgen_inspector.body.files import placed
from wfgen_inspector.body.flow import HANDLE, Mark, merge
from wfgen_inspector.body.handle import KNOWN, READ
from wfgen_inspector.body.holders import attributes_of
from wfgen_inspector.body.operations import Operations
from wfgen_inspector.body.walker import Context, Frame
from wfgen_inspector.constants import UNKNOWN, evaluate
from wfgen_inspector.scopes import Function, Scope
from wfgen_inspector.symbols import ClassSymbol, FunctionSymbol, InstanceSymbol

MAX_DEPTH = 12
"""Helpers within helpers."""
MAX_ENTRIES = 500
"""Helpers that are entered for one workflow, all in all."""
_PARTIALS = frozenset({"functools.partial"})


class Helpers(Operations):
    """Walks helpers."""

    # Finding

    def call_helper(self, node: ast.Call, function: ast.expr, out: list[Node], context: Context) -> bool:
        """Enter what is called, if it is a function of the project that gets the handle, or an object with it."""
        if isinstance(function, ast.Attribute):
            holder = self.holder(function.value)
            if holder is not None:
                return self.call_method(holder, node, function.attr, out, context)
        given = values(node)
        if any(map(self.is_handle, given)):
            if self.mode == "step":
                self.misplaced("handle", self.span(node), out)
                return True
            symbol = self.callee(function)
            if symbol is None:
                return False
            if isinstance(function, ast.Attribute) and symbol.kind == "method":
                self.expr(function.value, out, "operand")
            self.enter_symbol(symbol, node, out, context)
            return True
        return False

    def callee(self, function: ast.expr) -> FunctionSymbol | None:
        """The one function of the project that an expression is, if that is certain."""
        found = self.reading.resolver.resolve(function, self.scope, self.module)
        symbol = found[0] if len(found) == 1 else None
        return symbol if isinstance(symbol, FunctionSymbol) and symbol.kind != "property" else None

    def call_method(self, holder: Mark, node: ast.Call, name: str, out: list[Node], context: Context) -> bool:
        """A method of an object that keeps the handle."""
        assert holder.owner is not None
        found = self.reading.resolver.member(InstanceSymbol(holder.owner), name, self.module)
        symbol = found[0] if len(found) == 1 else None
        if not isinstance(symbol, FunctionSymbol):
            return False
        if self.mode == "step":
            self.misplaced(name, self.span(node), out)
        else:
            self.enter_symbol(symbol, node, out, context, holder)
        return True

    def kept(self, node: ast.expr) -> Mark | None:
        """The object that a call makes, if it is of the project and keeps the handle that it is given."""
        if not isinstance(node, ast.Call) or not any(map(self.is_handle, values(node))):
            return None
        found = self.reading.resolver.resolve(node.func, self.scope, self.module)
        if len(found) != 1 or not isinstance(found[0], ClassSymbol):
            return None
        attributes = attributes_of(found[0], node, self.is_handle, self.reading.resolver)
        return Mark("holder", owner=found[0], attributes=attributes) if attributes else None

    def keep(self, node: ast.Call, mark: Mark, out: list[Node]) -> None:
        """Make an object that keeps the handle."""
        assert mark.owner is not None
        self.holders.append(mark)
        for symbol in self.reading.resolver.member(mark.owner, "__init__", self.module):
            if isinstance(symbol, FunctionSymbol):
                self.reading.entered.add(symbol.node)
        for value in values(node):
            if self.is_handle(value):
                out.append(Use(span=self.span(value), name="alias"))
            else:
                self.expr(value, out, "argument")

    def is_partial(self, node: ast.expr) -> bool:
        """Whether an expression is `functools.partial(helper, workflow, …)` of a function of the project."""
        return (
            isinstance(node, ast.Call)
            and self.scope.qualified(node.func) in _PARTIALS
            and bool(node.args)
            and (self.is_method(node.args[0]) or any(map(self.is_handle, values(node)[1:])))
            and (
                self.is_method(node.args[0])
                or self.callee(node.args[0]) is not None
                or self.local(node.args[0]) is not None
            )
        )

    def is_method(self, node: ast.expr) -> bool:
        """Whether an expression is one of the handle's own methods, not called."""
        return isinstance(node, ast.Attribute) and node.attr in KNOWN - READ and self.is_handle(node.value)

    def bind_partial(self, node: ast.Call, out: list[Node]) -> None:
        """What goes into a `partial` is evaluated where it is made."""
        if self.is_method(node.args[0]):
            out.append(Use(span=self.span(node.args[0]), name="alias"))
        for value in values(node)[1:]:
            if self.is_handle(value):
                out.append(Use(span=self.span(value), name="alias"))
            else:
                self.expr(value, out, "argument")

    def call_partial(self, partial: ast.Call, node: ast.Call, out: list[Node], context: Context) -> None:
        """Call the function inside a `partial` with all its arguments."""
        function, *bound = partial.args
        unknown = ast.copy_location(ast.Name("<bound>", ast.Load()), node)

        def known(value: ast.expr) -> ast.expr:
            return value if self.is_handle(value) or evaluate(value, self.scope) is not UNKNOWN else unknown

        keywords = [ast.keyword(k.arg, known(k.value)) for k in partial.keywords]
        whole = ast.Call(function, [*map(known, bound), *node.args], [*keywords, *node.keywords])
        ast.copy_location(whole, node)
        if isinstance(function, ast.Attribute) and self.is_method(function):
            self.operation(function.attr, whole, out, context)
            return
        local = self.local(function)
        if local is not None and local.function is not None and local.scope is not None:
            self.enter(local.function, local.scope, whole, self.source(function), out, context)
            return
        symbol = self.callee(function)
        if symbol is not None:
            self.enter_symbol(symbol, whole, out, context)

    def local(self, node: ast.expr) -> Mark | None:
        """The function inside the workflow that a name stands for."""
        mark = self.mark(node.id) if isinstance(node, ast.Name) else None
        return mark if mark is not None and mark.kind == "function" else None

    # Entering

    def enter_symbol(
        self, symbol: FunctionSymbol, call: ast.Call, out: list[Node], context: Context, holder: Mark | None = None
    ) -> None:
        """Walk a function of the project where it is called; a method of an object that keeps the handle with it."""
        if symbol.partial is not None:
            call = _completed(symbol.partial, call)
        scope = self.reading.resolver.function_scope(symbol)
        is_bound = symbol.kind in ("method", "class", "property")
        if symbol.module is not self.reading.module:
            self.reading.modules[symbol.module.path] = symbol.module
        self.enter(symbol.node, scope, call, symbol.name, out, context, symbol=symbol, is_bound=is_bound, holder=holder)

    def enter(
        self,
        node: Function | ast.Lambda,
        outer: Scope,
        call: ast.Call,
        label: str,
        out: list[Node],
        context: Context,
        *,
        symbol: FunctionSymbol | None = None,
        is_bound: bool = False,
        holder: Mark | None = None,
    ) -> None:
        """Walk a function where it is called.

        Args:
            node: the function.
            outer: the scope in which it is defined; with a symbol, its own.
            call: with its arguments.
            label: for the graph.
            out: where its nodes go.
            context: what becomes of the call's value.
            symbol: if it is a function of a module or of a class.
            is_bound: whether its first parameter is bound already.
            holder: the object that keeps the handle and whose method it is.
        """
        module = self.module if symbol is None else symbol.module
        scope = Scope(module.names_of(node), outer) if symbol is None else outer
        handles, refused = self.bind_arguments(node, scope, call, out, is_bound)
        given = bool(handles) or holder is not None
        handles |= self.default_handles.get(node, set())
        reason = self.refusal(node)
        if refused:
            return
        if reason is not None:
            if given or self.mentions_marks(node):
                self.obscure(self.span(call), out, reason)
            return
        frame = Frame(node, isinstance(node, ast.AsyncFunctionDef), module)
        body: list[Node] = []
        self.entries += 1
        around = tuple(reversed(self.stack))
        self.reading.keys.enter(scope, node, call, self.module, self.scope, around, self.handle_names())
        self.reading.entered.add(node)
        generator = module.is_generator(node)
        with self.inside(scope, frame):
            for name in sorted(handles):
                self.set_mark(name, HANDLE)
                self.reading.handles.setdefault(node, name)
            if holder is not None and is_bound:
                first = next(iter([*node.args.posonlyargs, *node.args.args]), None)
                if first is not None:
                    self.set_mark(first.arg, holder)
            if generator and (given or self.mentions_marks(node)):
                with self.in_mode("opaque", f"{label} is a generator"):
                    self.function(node, body)
            else:
                self.function(node, body)
        for key in [key for key in self.flow.marks if key[0] is scope]:
            del self.flow.marks[key]
        if body and isinstance(body[-1], Return):
            body[-1:] = body[-1].body
        if module is not self.module:
            body = placed(body, module.path)
        if given or body:
            span = self.span(call)
            if frame.is_async and not generator and self.mode is None:
                self.is_awaited(label, call, span, context)
            apart = frame.is_async and context != "await"
            out.append(Sequence(span=span, label=label, body=tuple(body), apart=apart))

    def refusal(self, node: ast.AST) -> str | None:
        """Why a function is not entered."""
        if node in self.stack:
            return "recursion"
        if len(self.stack) > MAX_DEPTH:
            return f"more than {MAX_DEPTH} helpers within each other"
        return f"more than {MAX_ENTRIES} calls of helpers" if self.entries >= MAX_ENTRIES else None

    def bind_arguments(
        self, node: Function | ast.Lambda, scope: Scope, call: ast.Call, out: list[Node], is_bound: bool
    ) -> tuple[set[str], bool]:
        """Match arguments and parameters: the parameters that get the handle, and whether it goes astray.

        Arguments are walked on the way; literals among them become constants of the scope.
        """
        arguments = node.args
        positional = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
        if is_bound:
            positional = positional[1:]
        named = {parameter.arg for parameter in (*arguments.args, *arguments.kwonlyargs)}
        handles: set[str] = set()
        astray = False
        assigned, self.assigned = self.assigned, None
        is_known = True  # until a `*` hides how many there are
        given: list[tuple[str | None, ast.expr]] = []
        for index, value in enumerate(call.args):
            is_known = is_known and not isinstance(value, ast.Starred)
            given.append((positional[index] if is_known and index < len(positional) else None, value))
        given += [(keyword.arg if keyword.arg in named else None, keyword.value) for keyword in call.keywords]
        for name, value in given:
            if self.is_handle(value):
                if name is None:
                    astray = True
                else:
                    handles.add(name)
                continue
            self.expr(value, out, "argument")
            if name is not None and (known := evaluate(value, self.scope)) is not UNKNOWN:
                scope.constants[name] = known
        self.assigned = assigned
        names = {name for name, _ in given}
        defaults = (
            *zip(reversed(positional), reversed(arguments.defaults), strict=False),
            *zip((parameter.arg for parameter in arguments.kwonlyargs), arguments.kw_defaults, strict=True),
        )
        for name, default in defaults:
            if isinstance(default, ast.Constant) and name not in names and is_known:
                scope.constants[name] = default.value
        if astray:
            for value in values(call):
                if self.is_handle(value):
                    self.escape(value, out, "the handle is passed by `*` or `**`")
        return handles, astray

    def function(self, node: Function | ast.Lambda, out: list[Node]) -> None:
        """Walk a function's body in its own scope and frame."""
        self.walked.add(node)
        if isinstance(node, ast.Lambda):
            self.expr(node.body, out, "return")
        else:
            self.block(node.body, out)
        self.flow = merge([*self.frame.returns, self.flow])
        self.flow.ended = False
        for nested, scope in self.frame.defined:
            if nested not in self.walked and self.mentions_marks(nested):
                self.detached(nested, scope, out, "it is in a function that is not called here")

    def detached(self, node: Function | ast.Lambda, scope: Scope, out: list[Node], reason: str) -> None:
        """Walk a function of which nobody knows when it is called."""
        if node in self.walked or not self.mentions_marks(node):
            self.walked.add(node)
            return
        with self.in_mode("opaque", reason):
            self.aside(node, scope, out)

    def inside_step(self, node: Function | ast.Lambda, scope: Scope, out: list[Node]) -> None:
        if node not in self.walked:
            if self.mentions_marks(node):
                with self.in_mode("step", ""):
                    self.aside(node, scope, out)
            self.walked.add(node)

    def aside(self, node: Function | ast.Lambda, scope: Scope, out: list[Node]) -> None:
        """Walk a function that does not run on the path that is being walked."""
        if node in self.stack:
            return
        flow = self.flow
        self.flow = flow.copy()
        inner: list[Node] = []
        frame = Frame(node, isinstance(node, ast.AsyncFunctionDef), self.module)
        with self.inside(Scope(self.module.names_of(node), scope), frame):
            for name in self.default_handles.get(node, ()):
                self.set_mark(name, HANDLE)
            self.function(node, inner)
        self.flow = flow
        out.extend(_plain(inner))

    # Left to expressions

    @abstractmethod
    def is_handle_expression(self, node: ast.expr, out: list[Node]) -> bool:
        """Whether an expression is the handle; a `:=` in it is done on the way."""


def values(call: ast.Call) -> list[ast.expr]:
    """All arguments of a call."""
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _completed(partial: ast.Call, call: ast.Call) -> ast.Call:
    """A call of a `partial` that was made elsewhere, with places for the arguments that are bound in it."""
    unknown = ast.copy_location(ast.Name("<bound>", ast.Load()), call)
    given = {keyword.arg for keyword in call.keywords}
    before = [ast.Starred(unknown) if isinstance(value, ast.Starred) else unknown for value in partial.args[1:]]
    keywords = [ast.keyword(keyword.arg, unknown) for keyword in partial.keywords if keyword.arg not in given]
    whole = ast.Call(call.func, [*before, *call.args], [*keywords, *call.keywords])
    return ast.copy_location(whole, call)


def _plain(nodes: list[Node]) -> Iterable[Node]:
    """Nodes of a function that runs elsewhere: its `return` ends nothing here."""
    for node in nodes:
        if not isinstance(node, Return):
            yield node
        else:
            yield from node.body
