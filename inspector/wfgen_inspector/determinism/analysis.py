"""What can be reached from a call, through any number of functions of the project."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from weakref import WeakKeyDictionary

from wfgen_inspector.determinism.construction import construction
from wfgen_inspector.determinism.effects import Body, Call, Callee, Construction, Reached, key_of
from wfgen_inspector.determinism.meaning import Meaning, Names
from wfgen_inspector.determinism.table import Table
from wfgen_inspector.determinism.walk import Walk
from wfgen_inspector.modules import Module
from wfgen_inspector.program import Program
from wfgen_inspector.resolution import Resolver
from wfgen_inspector.symbols import FunctionSymbol

MAX_DEPTH = 40
"""Calls from a workflow to an effect."""
MAX_CALLEES = 20_000
"""Functions that are looked at for one call."""
_MAX_NESTED = 20
"""Helpers within helpers that are asked whether what they give has an order."""

_Key = tuple[object, ...]


@dataclass
class _Known:
    """What was found in modules that many files share."""

    names: Names = field(default_factory=Names)
    bodies: dict[_Key, Body] = field(default_factory=dict)
    reached: dict[_Key, Mapping[str, Reached]] = field(default_factory=dict)


_known: WeakKeyDictionary[Program, dict[int, _Known]] = WeakKeyDictionary()
"""By program, and within it by table."""


class Analysis:
    """Finds effects of callees; remembers them, so that what a thousand workflows call is looked at once.

    Args:
        program: the project's modules, which do not change while it lives.
        resolver: of the program.
        table: what is impure.
        own: the file that is being examined; what is found in it is forgotten with it.
    """

    def __init__(self, program: Program, resolver: Resolver, table: Table, own: Module) -> None:
        self._shared = _known.setdefault(program, {}).setdefault(id(table), _Known())
        self._mine = _Known()
        self._own = own
        self._table = table
        self._walking: set[_Key] = set()
        self.meaning = Meaning(resolver, table, own, self._shared.names)

    def reach(self, callee: Callee) -> Mapping[str, Reached]:
        """For each code, the nearest effect of a callee."""
        key = key_of(callee)
        known = self._reached_of(callee)
        if key not in known:
            self._search(callee)
        return known.get(key, {})

    def entered(self, symbol: FunctionSymbol, handle: str | None) -> Body:
        """What a function does that is workflow code itself."""
        return self._walk(symbol, handle, is_entered=True)

    def body(self, callee: Callee) -> Body:
        """What a callee does by itself."""
        known = self._known_of(callee).bodies
        key = key_of(callee)
        found = known.get(key)
        if found is None:
            if key in self._walking or len(self._walking) > _MAX_NESTED:
                return Body()
            self._walking.add(key)
            if isinstance(callee, Construction):
                found = construction(callee, self.meaning, self._table)
            else:
                found = self._walk(callee, None, is_entered=False)
            self._walking.discard(key)
            known[key] = found
        return found

    def _walk(self, symbol: FunctionSymbol, handle: str | None, *, is_entered: bool) -> Body:
        return Walk(
            symbol,
            self.meaning.resolver.function_scope(symbol),
            self.meaning,
            self._table,
            handle=handle,
            is_entered=is_entered,
            gives_unordered=lambda function: self.body(function).is_unordered,
        ).run()

    def _search(self, callee: Callee) -> None:
        """Find what a callee and all that it calls reach, cycles included; each is looked at once and remembered."""
        nodes: dict[_Key, Callee] = {key_of(callee): callee}
        callers: dict[_Key, list[tuple[_Key, Call]]] = {}
        ready: list[tuple[int, int, _Key, str, Reached]] = []
        order = count()
        left = deque(nodes.items())
        while left:
            key, one = left.popleft()
            known = self._reached_of(one).get(key)
            if known is not None:
                for code, reached in known.items():
                    heappush(ready, (reached.length, next(order), key, code, reached))
                continue
            body = self.body(one)
            for effect in body.effects:
                heappush(ready, (0, next(order), key, effect.code, Reached(effect)))
            for call in body.calls:
                inner = key_of(call.callee)
                if inner not in nodes and len(nodes) < MAX_CALLEES:
                    nodes[inner] = call.callee
                    left.append((inner, call.callee))
                callers.setdefault(inner, []).append((key, call))
        found: dict[_Key, dict[str, Reached]] = {key: {} for key in nodes}
        while ready:  # the nearest first, from callees to callers
            length, _, key, code, reached = heappop(ready)
            if found[key].setdefault(code, reached) is reached and length < MAX_DEPTH:
                for caller, call in callers.get(key, ()):
                    if code not in found[caller]:
                        heappush(
                            ready,
                            (length + 1, next(order), caller, code, Reached(reached.effect, call, reached, length + 1)),
                        )
        for key, one in nodes.items():
            self._reached_of(one).setdefault(key, found[key])

    def _reached_of(self, callee: Callee) -> dict[_Key, Mapping[str, Reached]]:
        return self._known_of(callee).reached

    def _known_of(self, callee: Callee) -> _Known:
        module = callee.symbol.module if isinstance(callee, Construction) else callee.module
        return self._mine if module is self._own else self._shared
