"""The fix of WF102: a step whose name is taken gets one of its own."""

from collections.abc import Callable

import pytest

from wfgen.settings import Settings
from wfgen_inspector import Diagnostic, inspect
from wfgen_inspector.fixes import apply_fixes

HEADER = """\
from wfgen import Workflow, define_workflow

"""
FLOW = """\
@define_workflow
async def flow(workflow: Workflow, order: str) -> None:
"""
PATH = "flows/a.workflow.py"
Mend = Callable[[str], str]


def duplicates(settings: Settings) -> tuple[Diagnostic, ...]:
    return tuple(d for d in inspect(settings, cache=False).diagnostics if d.code == "WF102")


@pytest.fixture
def mend(make: Callable[..., Settings]) -> Mend:
    """Rename what can be renamed, in rounds as the command does it."""

    def mended(text: str) -> str:
        for _ in range(5):
            new = apply_fixes({PATH: text}, duplicates(make({PATH: text.encode()})), unsafe=True).texts.get(PATH)
            if new is None:
                return text
            text = new
        pytest.fail("it does not end")

    return mended


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ('"wait"', '"wait"', '"wait_2"'),
        ('"wait"', "'wait'", "'wait_2'"),
        ('"wait"', 'r"wait"', 'r"wait_2"'),
        ('"wait"', '"""wait"""', '"""wait_2"""'),
        ('"wait"', "'w\\x61it'", "'w\\x61it_2'"),
        ('"cool off"', '"cool off"', '"cool off 2"'),
        ('"cool-off"', '"cool-off"', '"cool-off-2"'),
        ('"cool_off"', '"cool_off"', '"cool_off_2"'),
        ('"orders.wait"', '"orders.wait"', '"orders.wait.2"'),
        ('"größe😀"', '"größe😀"', '"größe😀_2"'),
        ('"wait"', '( # why\n        "wait" # here\n    )', '( # why\n        "wait_2" # here\n    )'),
    ],
)
def test_the_second_name_gets_a_number(mend: Mend, first: str, second: str, expected: str) -> None:
    """It stands before the closing quotation marks, after the mark that the name has between its words."""
    steps = '    "é"; await workflow.sleep({}, "1s")\n    "é"; await workflow.sleep({}, "1s")  # ü\n'
    text = HEADER + FLOW + steps
    assert mend(text.format(first, second)) == text.format(first, expected)


@pytest.mark.parametrize(
    "second", ['"wa" "it"', "NAME", 'f"wait"', '"wa" + "it"', '("wa"\n    "it")', "x[0]"], ids=repr
)
def test_names_that_are_not_written_there_stay(mend: Mend, second: str) -> None:
    """A constant may be used elsewhere, and what is put together is for somebody to look at."""
    steps = f'    x = ("wait",)\n    await workflow.sleep("wait", "1s")\n    await workflow.sleep({second}, "1s")\n'
    text = f'NAME = "wait"\n{HEADER}{FLOW}{steps}'
    assert mend(text) == text


def test_every_name_is_free(mend: Mend) -> None:
    """Three of a name get two new ones, and none that stands anywhere in the file."""
    steps = '    await workflow.sleep("wait", "1s")\n'
    other = '    await workflow.sleep("wait_3", "1s")\n'
    new = '    await workflow.sleep("wait_{}", "1s")\n'
    assert mend(HEADER + FLOW + steps * 4 + other) == (
        HEADER + FLOW + steps + "".join(new.format(n) for n in (2, 4, 5)) + other
    )


def test_a_helper_of_two_workflows_is_renamed_once(mend: Mend) -> None:
    """Both findings bring the same edit."""
    helper = (
        'async def helper(w: Workflow) -> None:\n    await w.sleep("wait", "1s")\n    await w.sleep("wait", "1s")\n\n'
    )
    flows = "".join(FLOW.replace("flow(", f"{name}(") + "    await helper(workflow)\n\n" for name in ("one", "two"))
    text = HEADER + helper + flows
    assert mend(text) == text.replace('"wait", "1s")\n\n', '"wait_2", "1s")\n\n')


def test_a_step_of_another_module_is_renamed_there(make: Callable[..., Settings]) -> None:
    """A helper's step that has the name of one in the workflow gets one that is free in both files."""
    helper = 'async def helper(w):\n    await w.sleep("wait", "1s")\n    await w.sleep("wait_2", "1s")\n'
    text = "import tasks\n" + HEADER + FLOW + '    await workflow.sleep("wait", "1s")\n    x = "wait_3"\n'
    text += "    await tasks.helper(workflow)\n"
    files = {"tasks.py": helper, "a.workflow.py": text}
    fixed = apply_fixes(files, duplicates(make(files)), unsafe=True)
    assert fixed.texts == {"tasks.py": helper.replace('"wait"', '"wait_4"')}


def test_the_name_inside_an_f_string_stays_where_it_has_no_place(mend: Mend) -> None:
    """Within an f-string nodes have no places before Python 3.12, so nothing is renamed there."""
    text = (
        HEADER
        + FLOW
        + '    await workflow.sleep("wait", "1s")\n'
        + ("    x = f\"{await workflow.do('wait', 'x.y')}\"\n")
    )
    assert mend(text) == text


def test_a_name_that_is_as_long_as_it_may_be_stays(mend: Mend) -> None:
    """A number would make it no name any more."""
    step = f'    await workflow.sleep("{"w" * 255}", "1s")\n'
    assert mend(HEADER + FLOW + step * 2) == HEADER + FLOW + step * 2
