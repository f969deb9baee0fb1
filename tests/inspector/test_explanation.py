"""`explain`: what a code means."""

import pytest

from wfgen.errors import ConfigurationError
from wfgen_inspector.explanation import explain, runtime_errors
from wfgen_inspector.rules import RULES


@pytest.mark.parametrize("code", RULES)
def test_every_rule_is_explained(code: str) -> None:
    """An explanation says what, why and how to fix, in lines that fit a terminal."""
    text = explain(code)
    head, *_ = text.splitlines()
    assert head.startswith(f"{code} {RULES[code].name} ({RULES[code].severity}")
    for section in ("What it does", "Why is this bad", "How to fix"):
        assert f"\n{section}\n" in text
    assert "# <- here" not in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    "code", [code for code, rule in RULES.items() if rule.check and code not in ("WF002", "WF901")]
)
def test_rules_of_source_show_an_example(code: str) -> None:
    """What is found in source is shown in source, wrong and right."""
    text = explain(code)
    assert "\nExample\n" in text
    assert "\nUse instead\n" in text
    assert f"# {code}" in text


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("WF101", "Suppress it on one statement with `# wfgen: ignore[WF101]`."),
        ("WF005", "It cannot be suppressed or ignored: what is generated would be wrong."),
        ("WF004", 'Leave it out with `ignore = ["WF004"]` in `[tool.wfgen]`.'),
    ],
)
def test_an_explanation_says_how_to_do_without_the_rule(code: str, advice: str) -> None:
    """Whether a comment, a setting or nothing silences a rule stands at the end."""
    assert explain(code).endswith(f"{advice}\n")


@pytest.mark.parametrize("code", [code for code in runtime_errors() if code not in RULES])
def test_every_error_is_explained(code: str) -> None:
    """Errors that are raised at run time are explained by their docstring."""
    error = runtime_errors()[code]
    text = explain(code)
    assert text.startswith(f"{code} {error.__name__} (raised at run time)\n")
    assert (error.__doc__ or "").strip().splitlines()[0] in text
    assert f"wfgen.errors.{error.__name__}" in text


@pytest.mark.parametrize("spelling", ["wf101", " WF101\n", "dynamic-step-name"])
def test_codes_are_understood_in_any_case_and_by_name(spelling: str) -> None:
    """Case, blanks and the rule's name make no difference."""
    assert explain(spelling) == explain("WF101")


def test_an_unknown_code_names_the_nearest() -> None:
    """A code that does not exist is an error that says which ones do."""
    with pytest.raises(ConfigurationError, match=r"no rule or error has the code 'WF1O1'. Did you mean 'WF101'"):
        explain("WF1O1")
    with pytest.raises(ConfigurationError, match="Did you mean 'dynamic-step-name'"):
        explain("dynamic-step-nam")
    with pytest.raises(ConfigurationError, match="Codes look like WF101"):
        explain("")
