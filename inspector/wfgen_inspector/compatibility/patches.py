"""Bodies as they are for runs that go without a change that `workflow.patched` guards."""

from __future__ import annotations

from collections.abc import Sequence

from wfgen_inspector.compatibility.shapes import (
    Attempt,
    Choice,
    Helper,
    Path,
    Repetition,
    Shape,
    Shapes,
    Together,
)


def unpatched(body: Shapes, known: frozenset[str]) -> Shapes:
    """A body as it is for runs that have passed all changes but the known ones without them."""
    result: list[Shape] = []
    for shape in body:
        if isinstance(shape, Choice):
            result += _unpatched_choice(shape, known)
        else:
            result.append(_inner(shape, known))
    return tuple(result)


def _unpatched_choice(choice: Choice, known: frozenset[str]) -> Sequence[Shape]:
    paths: list[Path] = []
    for path in choice.paths:
        if path.patch is not None and path.patch not in known:
            continue
        paths.append(path.model_copy(update={"body": unpatched(path.body, known)}))
        if path.unpatched is not None and path.unpatched not in known:
            break
    if len(paths) == 1:
        return paths[0].body
    return [choice.model_copy(update={"paths": tuple(paths)})] if any(path.body for path in paths) else []


def _inner(shape: Shape, known: frozenset[str]) -> Shape:
    match shape:
        case Repetition():
            parts_ = {"body": unpatched(shape.body, known), "orelse": unpatched(shape.orelse, known)}
            return shape.model_copy(update=parts_)
        case Together():
            lanes = tuple(lane.model_copy(update={"body": unpatched(lane.body, known)}) for lane in shape.lanes)
            return shape.model_copy(update={"lanes": lanes})
        case Attempt():
            handlers = tuple(p.model_copy(update={"body": unpatched(p.body, known)}) for p in shape.handlers)
            update = {key: unpatched(getattr(shape, key), known) for key in ("body", "orelse", "final")}
            return shape.model_copy(update={**update, "handlers": handlers})
        case Helper():
            return shape.model_copy(update={"body": unpatched(shape.body, known)})
        case _:
            return shape
