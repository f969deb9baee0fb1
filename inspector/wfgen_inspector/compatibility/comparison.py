"""Which runs of the old code a new body would not reproduce.

A replay delivers what is recorded in its order, and every recorded operation must have been asked for by then, under
the same branch, name and occurrence, with the same form and target. So a change is safe if each sequence of completions
that the old body can produce, cut off anywhere, is one that the new body can produce with the same decisions. Two
bodies are compared side by side, from the outside in:

- In a sequence, operations are matched in order. One that is new, gone, renamed, moved, or of another form or target
  breaks a run that was recorded beyond it. At the end of all that can be recorded (`last`) more may follow: a run that
  got there is over, or will ask for what is new.
- The same choice must be made again. If a condition is computed otherwise, runs may take another path than they did,
  which matters if the paths differ in operations. A path that was added behind the others takes runs from `else`.
- A loop turns as often as before only if what it turns on is the same; nothing may be added to its turns.
- What runs at once is found by name, so its order is free; but each coroutine that is not an operation itself becomes
  a task, and its number is part of the name of all that it does.
- `try` is entered by an error at any point, so what is inside is never the end. A `try` that is new around what was
  there catches errors that have ended their runs before: none of those is left.
- `if workflow.patched("id"):` is not taken by a run that has passed it without: if the old body does not know the id,
  its recorded runs see the other path.

Whatever is not plainly safe counts as breaking.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from wfgen.manifest import DYNAMIC
from wfgen_inspector.compatibility.patches import unpatched
from wfgen_inspector.compatibility.shapes import (
    Attempt,
    Choice,
    End,
    Helper,
    Lane,
    Operation,
    Repetition,
    Shape,
    Shapes,
    Together,
    Unknown,
    changes,
    operations,
    parts,
)
from wfgen_inspector.compatibility.verdicts import Placed, Reason, Verdict

_STEPS = frozenset({"rpc", "inline", "call", "start", "compensate", "continue_as_new"})


@dataclass(frozen=True, slots=True)
class _Around:
    """What surrounds a body."""

    last: bool
    """Whether nothing can be recorded behind its end."""
    ends: bool
    """Whether nothing can be recorded behind a `return` or `raise` in it."""
    caught: bool = False
    """Whether errors in it are caught around it."""

    def inside(self) -> _Around:
        """Of a body that something follows on."""
        return _Around(False, self.ends, self.caught)


class Comparison:
    """Compares the bodies of one workflow version.

    Args:
        old: as it was released.
        new: as it is today.
    """

    def __init__(self, old: Shapes, new: Shapes) -> None:
        self.reasons: list[Reason] = []
        self.hooks: list[tuple[Operation, Operation]] = []
        """Hooks that are there in both, for a look at their payloads."""
        self._old_names = {operation.name for operation in operations(old)}
        self._new_names = {operation.name for operation in operations(new)}
        self._bodies(old, unpatched(new, changes(old)), _Around(True, True))

    # Sequences

    def _bodies(self, old: Shapes, new: Shapes, around: _Around) -> None:
        before, old_end = _cut(old)
        after, new_end = _cut(new)
        if not around.caught and not any(isinstance(s, Attempt) for s in before):
            after, new_end = _cut((*_untried(after), *([new_end] if new_end else [])))
        last = around.last
        if old_end is not None:
            last = around.ends
            if new_end is None and not around.ends:
                self._breaks(f"what followed no longer ends here with `{old_end.form}`", old_end, None)
            elif new_end is not None and new_end.form != old_end.form and not around.ends:
                self._breaks(f"`{old_end.form}` has become `{new_end.form}`", old_end, new_end)
        elif new_end is not None and not around.last:
            self._breaks(f"a `{new_end.form}` was inserted", None, new_end)
        self._sequences(before, after, _Around(last, around.ends, around.caught))

    def _sequences(self, old: Shapes, new: Shapes, around: _Around) -> None:
        matcher = difflib.SequenceMatcher(None, [_sign(s) for s in old], [_sign(s) for s in new], autojunk=False)
        opcodes = matcher.get_opcodes()
        gone = {_sign(s) for tag, i1, i2, _, _ in opcodes if tag in ("delete", "replace") for s in old[i1:i2]}
        come = {_sign(s) for tag, _, _, j1, j2 in opcodes if tag in ("insert", "replace") for s in new[j1:j2]}
        for tag, i1, i2, j1, j2 in opcodes:
            if tag == "equal":
                for offset in range(i2 - i1):
                    is_last = around.last and i1 + offset == len(old) - 1
                    inner = _Around(is_last, around.ends, around.caught)
                    self._pair(old[i1 + offset], new[j1 + offset], inner)
            elif around.last and i1 == len(old):
                for shape in new[j1:j2]:
                    self._note("safe", f"{_name(shape)} was added behind the last one", None, shape)
            else:
                self._replaced(list(old[i1:i2]), list(new[j1:j2]), gone & come, around)

    def _replaced(self, old: list[Shape], new: list[Shape], moved: set[object], around: _Around) -> None:
        """Shapes that have no counterpart in their place."""
        old = [s for s in old if not (around.ends and _only_ends(s))]
        for before in list(old):
            twin = next((s for s in new if _is_twin(before, s)), None)
            if twin is None or _sign(before) in moved:
                continue
            old.remove(before)
            new.remove(twin)
            assert isinstance(before, Operation)
            assert isinstance(twin, Operation)
            what = "form" if before.form != twin.form else "target"
            self._breaks(f"{before} has another {what} now: {_told(twin)}", before, twin)
        for before, after in zip(list(old), list(new), strict=False):
            if not (isinstance(before, Operation) and isinstance(after, Operation)):
                continue
            if before.name in self._new_names - {DYNAMIC} or after.name in self._old_names - {DYNAMIC}:
                continue
            old.remove(before)
            new.remove(after)
            if before.name == after.name == DYNAMIC:
                self._breaks(f"the name or target of a step ({after.form}) is computed otherwise", before, after)
                continue
            same = (before.form, before.target) == (after.form, after.target)
            how = "was renamed to" if same else "was replaced by"
            self._breaks(f"{before} {how} {after if not same else repr(after.name)}", before, after)
        for before in old:
            now = next((s for s in new if _sign(s) == _sign(before)), None)
            if isinstance(before, Operation) and before.name in self._new_names:
                self._breaks(f"{before} was moved", before, now)
            else:
                self._breaks(f"{_name(before)} was removed", before, now)
        for after in new:
            if isinstance(after, Operation) and after.name in self._old_names:
                if not any(r.message.startswith(f"{after} was moved") for r in self.reasons):
                    self._breaks(f"{after} was moved", None, after)
            else:
                self._breaks(f"{_name(after)} was inserted", None, after, plain=isinstance(after, Operation))

    # Pairs

    def _pair(self, old: Shape, new: Shape, around: _Around) -> None:
        match old, new:
            case Operation(), Operation():
                self._operations(old, new)
            case Choice(), Choice():
                self._choices(old, new, around)
            case Repetition(), Repetition():
                if old.key != new.key:
                    how = f"{old.header!r} has become {new.header!r}"
                    if old.header == new.header:
                        how = f"what {old.header!r} is computed from, or when a turn is left, has changed"
                    self._breaks(f"the loop turns otherwise: {how}", old, new)
                self._bodies(old.body, new.body, _Around(False, around.ends, around.caught))
                self._bodies(old.orelse, new.orelse, around)
            case Together(), Together():
                self._together(old, new, around)
            case Attempt(), Attempt():
                self._attempts(old, new, around)
            case Helper(), Helper():
                self._bodies(old.body, new.body, _Around(around.last, around.last, around.caught))
            case _:
                pass

    def _operations(self, old: Operation, new: Operation) -> None:
        if old.form in ("hook", "create_hook"):
            self.hooks.append((old, new))
        if old.apart != new.apart:
            how = "does not wait" if new.apart else "waits"
            self._breaks(f"{new} {how} for its result now", old, new)
        if old.data != new.data:
            if old.form in _STEPS:
                self._note("safe-with-warning", f"{new} gets another input than before", old, new)
            else:
                self._note("safe", f"{new} waits for another time; what is recorded keeps its own", old, new)

    def _choices(self, old: Choice, new: Choice, around: _Around) -> None:
        before, after = old.paths[:-1], new.paths[:-1]
        common = min(len(before), len(after))
        if any(a.key != b.key for a, b in zip(before, after, strict=False)):
            skeletons = {_skeleton(path.body) for path in (*old.paths, *new.paths)}
            if len(skeletons) == 1:
                self._note("safe", "a condition has changed whose paths have the same operations", old, new)
                return
            one, other = next((a, b) for a, b in zip(before, after, strict=False) if a.key != b.key)
            how = (
                f"the condition {one.test!r} has become {other.test!r}"
                if one.test != other.test
                else f"what the condition {one.test!r} is computed from has changed"
            )
            self._breaks(how, one if one.line != old.line else old, new)
            if [_skeleton(p.body) for p in old.paths] == [_skeleton(p.body) for p in new.paths]:
                return
        for a, b in zip(before[:common], after[:common], strict=True):
            self._bodies(a.body, b.body, around)
        for path in after[common:]:
            self._bodies(old.paths[-1].body, path.body, around)
        for path in before[common:]:
            self._bodies(path.body, new.paths[-1].body, around)
        self._bodies(old.paths[-1].body, new.paths[-1].body, around)

    def _attempts(self, old: Attempt, new: Attempt, around: _Around) -> None:
        handled = (*old.handlers, *new.handlers)
        is_plain = not any(path.body for path in handled) and not (old.final or new.final or old.orelse or new.orelse)
        last = around.last and is_plain
        labels = [path.label for path in old.handlers]
        keys = [(path.key, path.label.startswith("except*")) for path in old.handlers]
        if [(path.key, path.label.startswith("except*")) for path in new.handlers[: len(labels)]] != keys:
            shown = ", ".join(path.label for path in new.handlers) or "no handler"
            self._breaks(
                f"errors are caught otherwise: {', '.join(labels) or 'no handler'} has become {shown}", old, new
            )
        elif len(new.handlers) > len(labels) and around.caught:
            self._breaks(f"`{new.handlers[len(labels)].label}` was added within another `try`", old, new)
        self._bodies(old.body, new.body, _Around(last, last, True))
        inner = _Around(around.last and not (old.final or new.final), around.ends and not old.final, around.caught)
        for one, other in zip(old.handlers, new.handlers, strict=False):
            self._bodies(one.body, other.body, inner)
        self._bodies(old.orelse, new.orelse, inner)
        self._bodies(old.final, new.final, around)

    def _together(self, old: Together, new: Together, around: _Around) -> None:
        if old.joined != new.joined:
            self._breaks("what runs at once is waited for otherwise", old, new)
        apart = [[i for i, lane in enumerate(t.lanes) if lane.apart] for t in (old, new)]
        if (apart[0] or apart[1]) and old.is_group != new.is_group:
            self._breaks("tasks are started otherwise, so that they are numbered anew", old, new)
            return
        if apart[0] != apart[1][: len(apart[0])] or (len(apart[1]) > len(apart[0]) and not around.last):
            self._breaks("tasks that run at once were added, removed or moved: they are numbered anew", old, new)
            return
        for index in apart[0]:
            self._bodies(old.lanes[index].body, new.lanes[index].body, _Around(around.last, around.last, around.caught))
        self._lanes(
            [lane for lane in old.lanes if not lane.apart], [lane for lane in new.lanes if not lane.apart], around
        )

    def _lanes(self, old: list[Lane], new: list[Lane], around: _Around) -> None:
        """Operations that are open at once: each is found by its name, in whatever order."""
        left = list(new)
        pairs: list[tuple[Lane, Lane]] = []
        unmatched: list[Lane] = []
        for lane in old:
            found = next((o for o in left if _skeleton(o.body) == _skeleton(lane.body)), None)
            if found is None:
                unmatched.append(lane)
            else:
                left.remove(found)
                pairs.append((lane, found))
        positions = [new.index(other) for _, other in pairs]
        if positions != sorted(positions):
            self._note("safe", "operations that are open at once come in another order", old[0], new[0])
        for lane, other in pairs:
            self._bodies(lane.body, other.body, around.inside())
        common = min(len(unmatched), len(left))
        for lane, other in zip(unmatched[:common], left[:common], strict=True):
            self._bodies(lane.body, other.body, _Around(around.last, around.last, around.caught))
        for lane in unmatched[common:]:
            self._replaced(list(lane.body), [], set(), around)
        for lane in left[common:]:
            for shape in lane.body:
                if around.last:
                    self._note("safe", f"{_name(shape)} was added behind the last one", None, shape)
                else:
                    self._breaks(f"{_name(shape)} was inserted", None, shape)

    # Reasons

    def _breaks(self, message: str, old: Placed | None, new: Placed | None, *, plain: bool = False) -> None:
        self._note("needs-version", message, old, new, plain=plain)

    def _note(
        self, verdict: Verdict, message: str, old: Placed | None, new: Placed | None, *, plain: bool = False
    ) -> None:
        self.reasons.append(Reason(verdict, message, old=old, new=new, plain=plain))


def _cut(body: Shapes) -> tuple[Shapes, End | None]:
    """A body up to its first `return` or `raise`, which is apart."""
    for index, shape in enumerate(body):
        if isinstance(shape, End):
            return body[:index], shape
    return body, None


def _untried(body: Shapes) -> Shapes:
    """A body on the way without errors."""
    result: list[Shape] = []
    for shape in body:
        if isinstance(shape, Attempt):
            result += _untried((*shape.body, *shape.orelse, *shape.final))
        else:
            result.append(shape)
    return tuple(result)


def _sign(shape: Shape) -> object:
    """What makes two shapes counterparts."""
    match shape:
        case Operation():
            return shape.identity
        case Repetition(form=form):
            return ("loop", form)
        case Unknown(reason=reason):
            return ("unknown", reason)
        case _:
            return shape.kind


def _is_twin(old: Shape, new: Shape) -> bool:
    return isinstance(old, Operation) and isinstance(new, Operation) and old.name == new.name and old.key == new.key


def _skeleton(body: Shapes) -> object:
    """A body without conditions and inputs, to be compared."""
    result: list[object] = []
    for shape in body:
        match shape:
            case Operation():
                result.append(shape.identity)
            case End(form=form):
                result.append(form)
            case Repetition():
                result.append(("loop", shape.key, *map(_skeleton, parts(shape))))
            case Choice(paths=paths):
                result.append(("choice", *((path.key, _skeleton(path.body)) for path in paths)))
            case _:
                result.append((shape.kind, *map(_skeleton, parts(shape))))
    return tuple(result)


def _only_ends(shape: Shape) -> bool:
    """A choice that holds ways out and nothing else: who passed it before passes without it."""
    return isinstance(shape, Choice) and all(all(isinstance(s, End) for s in path.body) for path in shape.paths)


def _told(operation: Operation) -> str:
    return f"{operation.form}{f' -> {operation.target}' if operation.target else ''}"


def _name(shape: Shape) -> str:
    """A shape in messages: by its first operation where it is not one itself."""
    if isinstance(shape, Operation):
        return str(shape)
    first = next(operations([shape]), None)
    kind = {"choice": "a choice", "loop": "a loop", "together": "a group", "try": "a `try`"}.get(shape.kind, "a part")
    if first is not None:
        return f"{kind} with {first}"
    return "something that cannot be followed" if isinstance(shape, Unknown) else f"{kind} that may end the workflow"
