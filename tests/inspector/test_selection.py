"""The settings `select` and `ignore`."""

import pytest

from wfgen.errors import ConfigurationError
from wfgen.settings import Settings
from wfgen_inspector.rules import RULES
from wfgen_inspector.selection import Selection


def shown(select: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> set[str]:
    selection = Selection.of(Settings(select=select, ignore=ignore), RULES)
    return {code for code in RULES if selection.shows(code)}


OPTIONAL = {code for code, rule in RULES.items() if not rule.required}
REQUIRED = set(RULES) - OPTIONAL


def test_everything_is_reported_by_default() -> None:
    """No setting, no code left out."""
    assert shown() == set(RULES)


def test_select_takes_codes_and_prefixes() -> None:
    """Only what is selected is reported, and what is required."""
    assert shown(select=("WF101", "WF4")) == REQUIRED | {"WF101", "WF401", "WF402", "WF403"}


def test_ignore_takes_codes_and_prefixes() -> None:
    """What is ignored is not reported."""
    assert shown(ignore=("WF4", "wf101")) == set(RULES) - {"WF401", "WF402", "WF403", "WF101"}


def test_the_longer_prefix_decides() -> None:
    """A code can be taken out of a family, or kept of an ignored one; of equals, ignore wins."""
    assert shown(select=("WF4",), ignore=("WF402",)) == REQUIRED | {"WF401", "WF403"}
    assert shown(select=("WF402",), ignore=("WF4",)) == REQUIRED | {"WF402"}
    assert shown(select=("WF402",), ignore=("WF402",)) == REQUIRED


def test_required_rules_are_always_reported() -> None:
    """A prefix leaves required rules alone; naming one in `ignore` is an error."""
    assert shown(ignore=("WF",)) == REQUIRED
    with pytest.raises(ConfigurationError, match=r"WF005 \(id-collision\) cannot be ignored"):
        shown(ignore=("WF005",))


@pytest.mark.parametrize("setting", ["select", "ignore"])
@pytest.mark.parametrize(
    ("text", "advice"), [("WF1O1", "Did you mean 'WF101'"), ("", "prefix such as 'WF1'"), ("E501", "prefix")]
)
def test_an_unknown_code_is_a_configuration_error(setting: str, text: str, advice: str) -> None:
    """A code or prefix that no rule has names the setting, and the nearest code."""
    with pytest.raises(ConfigurationError, match=f"unknown code '{text}' in setting '{setting}'. .*{advice}"):
        shown(**{setting: (text,)})
