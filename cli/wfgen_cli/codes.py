"""All codes that wfgen prints: those of the inspector's rules and those of the errors that it raises."""

from __future__ import annotations

import inspect
import textwrap

import wfgen_codegen.errors
from wfgen.errors import WfgenError
from wfgen_cli import failures
from wfgen_inspector import RULES, explain
from wfgen_inspector.explanation import runtime_errors


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


def _own_errors() -> dict[str, type[WfgenError]]:
    """Errors of the packages above the runtime."""
    return {
        value.code: value
        for module in (wfgen_codegen.errors, failures)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, WfgenError) and value.__module__ == module.__name__
    }


def _sentence(error: type[WfgenError]) -> str:
    return " ".join((error.__doc__ or "").partition("\n\n")[0].split()).partition(". ")[0].rstrip(".") + "."
