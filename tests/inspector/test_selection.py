"""The settings `select`, `ignore` and `per-file-ignores`."""

import pytest

from wfgen.errors import ConfigurationError
from wfgen.settings import Settings
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.rules import RULES
from wfgen_inspector.selection import Selection


def shown(select: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> set[str]:
    selection = Selection.of(Settings(select=select, ignore=ignore), RULES)
    return {code for code in RULES if selection.shows(code)}


def kept(code: str, file: str, exemptions: dict[str, tuple[str, ...]], **settings: tuple[str, ...]) -> bool:
    """Whether a finding in a file is reported."""
    selection = Selection.of(Settings(per_file_ignores=exemptions, **settings), RULES)  # type: ignore[arg-type]
    return selection.keeps(Diagnostic(file, 1, 1, 1, 2, code, "warning", "m."))


OPTIONAL = {code for code, rule in RULES.items() if not rule.required}
REQUIRED = set(RULES) - OPTIONAL
CONTRACTS = {code for code in RULES if code.startswith("WF4")}


def test_everything_is_reported_by_default() -> None:
    """No setting, no code left out."""
    assert shown() == set(RULES)


def test_select_takes_codes_and_prefixes() -> None:
    """Only what is selected is reported, and what is required."""
    assert shown(select=("WF101", "WF4")) == REQUIRED | {"WF101"} | CONTRACTS


def test_ignore_takes_codes_and_prefixes() -> None:
    """What is ignored is not reported."""
    assert shown(ignore=("WF4", "wf101")) == set(RULES) - CONTRACTS - {"WF101"} | REQUIRED


def test_the_longer_prefix_decides() -> None:
    """A code can be taken out of a family, or kept of an ignored one; of equals, ignore wins."""
    assert shown(select=("WF4",), ignore=("WF402",)) == REQUIRED | CONTRACTS - {"WF402"}
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


@pytest.mark.parametrize(
    ("glob", "matches"),
    [
        ("flows/a.workflow.py", True),
        ("./flows/a.workflow.py", True),
        ("flows", True),
        ("flows/", True),
        ("flows/*", True),
        ("*.workflow.py", True),
        ("a.*", True),
        ("**/a.workflow.py", True),
        ("flow", False),
        ("*/b.*", False),
        ("legacy/**", False),
        ("!legacy/**", True),
        ("!flows/**", False),
    ],
)
def test_files_are_exempted_by_glob(glob: str, matches: bool) -> None:
    """A glob means paths as for `exclude`; a bare name means files of that name anywhere, `!` all other files."""
    assert kept("WF101", "flows/a.workflow.py", {glob: ("WF1",)}) is not matches
    assert kept("WF301", "flows/a.workflow.py", {glob: ("WF1",)})


def test_an_exemption_counts_whatever_is_selected() -> None:
    """`select` does not bring back what a file is exempted from; other files are reported."""
    exemptions = {"old/**": ("wf1", "WF301")}
    assert not kept("WF101", "old/a.workflow.py", exemptions, select=("WF101",))
    assert kept("WF101", "new/a.workflow.py", exemptions, select=("WF101",))
    assert not kept("WF402", "new/a.workflow.py", exemptions, ignore=("WF402",))


def test_required_rules_have_no_exemptions() -> None:
    """A prefix leaves required rules alone; naming one is an error that names the glob."""
    assert kept("WF005", "old/a.workflow.py", {"old/**": ("WF",)})
    with pytest.raises(ConfigurationError, match=r"WF005 .*cannot be ignored \(setting 'per-file-ignores' for 'old/\*"):
        kept("WF005", "a.py", {"old/**": ("WF005",)})


def test_an_exemption_is_checked() -> None:
    """An unknown code names the glob and the nearest code; an empty pattern is refused."""
    with pytest.raises(ConfigurationError, match=r"'WF1O1' in setting 'per-file-ignores' for 'a'.*mean 'WF101'"):
        kept("WF101", "a.py", {"a": ("WF1O1",)})
    with pytest.raises(ConfigurationError, match="an empty pattern in setting 'per-file-ignores'"):
        kept("WF101", "a.py", {"!": ("WF101",)})
