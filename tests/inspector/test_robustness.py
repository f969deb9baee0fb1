"""No code of any kind makes the inspector crash or hang."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.parsing import BadSyntaxError, parse

HEAD = "from wfgen import Workflow, define_workflow\n@define_workflow\nasync def flow(workflow: Workflow) -> None:\n"
STEP = "await workflow.sleep('a', '1s')"
SECONDS = 60
"""That any of these files may take; they take about a tenth of it."""


def nested(opening: str, count: int, inside: str) -> str:
    """Blocks within blocks in a workflow, indented by one space each."""
    lines = [" " * (depth + 4) + opening for depth in range(count)]
    return HEAD + "\n".join([*lines, " " * (count + 4) + inside]) + "\n"


SOURCES = {
    "deep blocks": nested("if workflow.patched('x'):", 80, STEP),
    "deep loops": nested("for _ in range(3):", 18, STEP),
    "deep functions": nested("async def inner():", 80, STEP),
    "deep classes": nested("class A:", 80, f"x = {STEP.removeprefix('await ')}"),
    "deep brackets": f"{HEAD}    x = {'[' * 150}{STEP}{']' * 150}\n",
    "too deep brackets": f"{HEAD}    x = {'[' * 900}{STEP}{']' * 900}\n",
    "deep calls": f"{HEAD}    x = {'f(' * 150}{STEP}{')' * 150}\n",
    "a long chain of methods": f"{HEAD}    x = workflow{'.a()' * 700}\n",
    "a long sum": f"{HEAD}    x = {' + '.join(['workflow.now()'] * 700)}\n",
    "a long text in pieces": f"{HEAD}    x = {' + '.join(['workflow.run_id'] * 3_000)}\n",
    "many elifs": f"{HEAD}    if 1: pass\n" + "".join(f"    elif {n}: {STEP}\n" for n in range(300)),
    "1 MB of steps": HEAD + "".join(f"    await workflow.sleep('s{n}', '1s')\n" for n in range(27_000)),
    "1 MB of one text": f"{HEAD}    {STEP}\n    x = '{'a' * 1_000_000}'\n",
    "1 MB of helpers": HEAD + f"    {STEP}\n" + "".join(f"def f{n}(w):\n    return w.now()\n" for n in range(30_000)),
    "10,000 aliases": "\n".join(["a0 = print", *(f"a{n} = a{n - 1}" for n in range(1, 10_000))])
    + f"\n{HEAD}    a9999(workflow)\n    {STEP}\n",
    "aliases of the handle": f"{HEAD}    a0 = workflow\n"
    + "".join(f"    a{n} = a{n - 1}\n" for n in range(1, 1_000))
    + "    await a999.sleep('a', '1s')\n",
    "helpers that call two helpers": "".join(
        f"async def f{n}(w):\n    await f{n + 1}(w)\n    await f{n + 1}(w)\n" for n in range(40)
    )
    + f"async def f40(w): ...\n{HEAD}    await f0(workflow)\n",
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_deep_and_large_files(make: Callable[..., Settings], source: str) -> None:
    """They are read in a bounded time; what is nested too deeply is an error of the file, and others are read."""
    other = f"{HEAD}    {STEP}\n".replace("def flow", "def other")
    settings = make({"flows/a.workflow.py": source, "flows/b.workflow.py": other})
    begin = time.process_time()
    found = inspect(settings)
    assert time.process_time() - begin < SECONDS
    assert "other" in {entry.name for entry in found.manifest.workflows}
    assert not [d.message for d in found.diagnostics if d.code == "WF901" and "nested too deeply" not in d.message]


NEWER = [
    ("type Names = list[str]", (3, 12)),
    ("type Names[T] = list[T]", (3, 12)),
    ("def first[T](x: T) -> T: ...", (3, 12)),
    ("class Box[T]: ...", (3, 12)),
    ("x = f'{d['a']}'", (3, 12)),
    ("x = f'{chr(10).join([\"\\n\"])}'", (3, 12)),
    ("class Box[T = int]: ...", (3, 13)),
    ("try: ...\nexcept ValueError, KeyError:\n    ...", (3, 14)),
    ("x = t'hello {name}'", (3, 14)),
]


@pytest.mark.parametrize(("source", "version"), NEWER)
def test_syntax_of_later_pythons(source: str, version: tuple[int, int]) -> None:
    """It is read by a Python that has it, and any other says which one does."""
    if sys.version_info >= version:
        parse(source)
        return
    with pytest.raises(BadSyntaxError) as caught:
        parse(source)
    assert f"Python {version[0]}.{version[1]} and later" in caught.value.hint


@pytest.mark.parametrize("source", ["x = (", "def f(:\n    pass", "type = = 3", "x = f'{'", "x = 'a"])
def test_other_mistakes_have_the_usual_hint(source: str) -> None:
    """What no Python accepts is to be mended."""
    with pytest.raises(BadSyntaxError) as caught:
        parse(source)
    assert "and later have" not in caught.value.hint
