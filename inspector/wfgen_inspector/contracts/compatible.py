"""Whether a value of some classes can serve where others are declared. In doubt it can."""

from __future__ import annotations

from wfgen_inspector.facts import ClassFact

_SCALARS = frozenset({"builtins.str", "builtins.bytes", "builtins.int", "builtins.float", "builtins.complex"})
_SERIES = frozenset({"builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset"})
_PLAIN = _SCALARS | _SERIES | {"builtins.bool", "builtins.dict", "builtins.None"}
_FITS = {
    "builtins.str": frozenset({"builtins.bytes"}),
    "builtins.bytes": frozenset({"builtins.str"}),
    "builtins.int": frozenset({"builtins.float", "builtins.complex", "builtins.bool"}),
    "builtins.bool": frozenset({"builtins.float", "builtins.complex"}),
    "builtins.float": frozenset({"builtins.complex"}),
}
"""Beyond inheritance: what pydantic takes as well, or Python."""


def is_incompatible(given: tuple[ClassFact, ...], expected: tuple[ClassFact, ...]) -> bool:
    """Whether no class that a value may be of is, or can be taken for, one that is expected."""
    return bool(given and expected) and not any(_serves(one, other) for one in given for other in expected)


def _serves(given: ClassFact, expected: ClassFact) -> bool:
    if expected.name in given.lineage or given.name in expected.lineage:
        return True  # the second: it may have been narrowed by a test
    is_plain, wants_plain = given.name in _PLAIN, expected.name in _PLAIN
    if is_plain and wants_plain:
        if given.name in _SERIES and expected.name in _SERIES:
            return True
        return expected.name in _FITS.get(given.name, ())
    if is_plain:
        return not expected.is_record or given.name == "builtins.dict"
    if wants_plain:
        return not given.is_record and not (_is_value(given) and expected.name in ("builtins.str", "builtins.None"))
    if expected.is_record:
        return not given.is_record and not _is_value(given)
    return not (given.is_record and _is_value(expected))


def _is_value(fact: ClassFact) -> bool:
    """Whether it is one of the few classes of the standard library that are told apart."""
    return fact.lineage == (fact.name,) and fact.name.partition(".")[0] in ("uuid", "datetime", "pathlib")


def shown(facts: tuple[ClassFact, ...]) -> str:
    """Classes in a message."""
    return " | ".join(f"{fact.name.removeprefix('builtins.')}" for fact in facts)
