"""All codes that wfgen prints: those of the inspector's rules and those of the errors that it raises."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import wfgen_codegen.errors
import wfgen_inspector.compatibility.errors
from wfgen.errors import WfgenError
from wfgen_cli import failures
from wfgen_inspector import RULES, explain
from wfgen_inspector.explanation import as_data, rule_of, runtime_errors, unknown


def summaries() -> dict[str, str]:
    """Code -> one sentence."""
    raised = {code: _sentence(error) for code, error in (runtime_errors() | _own_errors()).items()}
    return dict(sorted((raised | {rule.code: rule.summary for rule in RULES.values()}).items()))


def text(code: str) -> str:
    """The documentation of a code or of a rule's name.

    Raises:
        ConfigurationError: there is none.
    """
    wanted = code.strip().upper()
    error = _own_errors().get(wanted)
    if error is None or wanted in RULES:
        return explain(code)
    paragraphs = [textwrap.fill(p, 100) for p in inspect.cleandoc(error.__doc__ or "").split("\n\n")]
    return "\n\n".join((f"{wanted} {error.__name__} (raised by the command line)", *paragraphs))


def entries() -> list[dict[str, Any]]:
    """What is known of every code, as plain data, sorted by code."""
    return [entry(code) for code in summaries()]


def entry(code: str) -> dict[str, Any]:
    """What is known of a code or a rule's name, as plain data. Errors have the same keys as rules.

    Raises:
        ConfigurationError: there is none.
    """
    rule = rule_of(code)
    if rule is not None:
        return as_data(rule)
    wanted = code.strip().upper()
    error = (runtime_errors() | _own_errors()).get(wanted)
    if error is None:
        raise unknown(code)
    empty = dict.fromkeys(("severity", "fix", "why", "remedy", "example", "instead", "url"))
    text = inspect.cleandoc(error.__doc__ or "")
    told = {"code": wanted, "name": error.__name__, "kind": "error", "summary": _sentence(error), "what": text}
    return {**told, **empty, "required": False}


def _own_errors() -> dict[str, type[WfgenError]]:
    """Errors of the packages above the runtime."""
    return {
        value.code: value
        for module in (wfgen_codegen.errors, wfgen_inspector.compatibility.errors, failures)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, WfgenError) and value.__module__ == module.__name__
    }


def _sentence(error: type[WfgenError]) -> str:
    return " ".join((error.__doc__ or "").partition("\n\n")[0].split()).partition(". ")[0].rstrip(".") + "."
