"""Types in `wfgen check`: the real mypy on real projects."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from wfgen.settings import Settings
from wfgen_cli import typechecking
from wfgen_cli.failures import TypeCheckError
from wfgen_cli.typechecking import groups, type_findings
from wfgen_inspector import Diagnostic, inspect

PACKAGE = "shop/wfgen_gen"
ORDERS = "shop/orders.workflow.py"
PACKING = """\
from shop.models import Order
from wfgen import define_worker


@define_worker("stock.pack")
async def pack(order: Order) -> int:
    return order.amount
"""
PACKED = """\
from shop.models import Order
from shop.wfgen_gen import Workflow
from wfgen import define_workflow


@define_workflow(name="packed", version="1")
async def packed(workflow: Workflow, order: Order) -> int:
    return await workflow.do("pack", "stock.pack", order)
"""


@pytest.fixture(scope="module", name="prebuilt")
def warm_shop(prebuilt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prebuilt shop with mypy's cache of it; what the fixture `shop` copies."""
    folder = tmp_path_factory.mktemp("warm") / "shop"
    shutil.copytree(prebuilt, folder)
    assert findings(folder) == []
    assert (folder / ".wfgen/mypy_cache").is_dir()
    return folder


def findings(folder: Path, **arguments: Any) -> list[Diagnostic]:
    """What mypy finds in a project."""
    settings = Settings.load(folder, **arguments)
    return list(type_findings(settings, inspect(settings)))


def told(folder: Path) -> list[tuple[str, int, str]]:
    """File, line and mypy's code of what it finds."""
    return [(d.file, d.line, d.message.rpartition("[")[2].rstrip("]")) for d in findings(folder)]


def snapshot(folder: Path) -> dict[str, bytes]:
    """All files of a project but wfgen's own."""
    paths = (path for path in folder.rglob("*") if path.is_file() and ".wfgen" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def fake_mypy(shop: Any, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a shell script in the place of mypy."""
    path = shop.write("fake", f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(path))


def test_mistakes(shop: Any) -> None:
    """A wrong input, a wrong use of a result, and an attribute that is not there are found where they stand."""
    shop.replace(ORDERS, '"stock.reserve", data)\n    total', '"stock.reserve", 5)\n    total')
    shop.replace(ORDERS, "total=total", 'total="seven"')
    shop.replace(ORDERS, "{approval.ok}", "{approval.okay}")
    own = inspect(Settings.load(shop.folder)).diagnostics
    assert [(d.code, d.line) for d in own] == [("WF405", 9)]
    assert [d.line for d in findings(shop.folder)] == [11, 18]
    # Who leaves wfgen's own word out gets mypy's.
    found = findings(shop.folder, ignore=("WF405",))
    assert {(d.file, d.code, d.severity) for d in found} == {(ORDERS, "WF410", "error")}
    assert [(d.line, d.message.rpartition(" ")[2]) for d in found] == [
        (9, "[call-overload]"),
        (11, "[arg-type]"),
        (18, "[attr-defined]"),
    ]
    wrong_input = found[0]
    assert (wrong_input.column, wrong_input.end_column) == (22, 64)
    assert wrong_input.hint == "Worker 'stock.reserve' takes Order and gives str."
    shop.replace(ORDERS, '"stock.reserve", 5)', '"stock.reserve", 5, on_error="continue")')
    assert findings(shop.folder, ignore=("WF405",))[0].hint == (
        "Worker 'stock.reserve' takes Order and gives str | StepError."
    )


def test_command(shop: Any) -> None:
    """mypy's findings stand among the others, count as errors, and have the same keys in JSON; `--no-types` skips."""
    assert shop.inside("check").returncode == 0
    shop.replace(ORDERS, "total=total", 'total="seven"')
    shop.replace(ORDERS, '    await workflow.do("first"', '    workflow.do("first"')
    done = shop.ask("check", "--output-format", "json", code=1)
    assert [(d["code"], d["line"]) for d in done["diagnostics"]] == [("WF410", 11), ("WF103", 23)]
    assert len({frozenset(d) for d in done["diagnostics"]}) == 1
    assert done["diagnostics"][0]["url"].endswith("#wf410")
    without = shop.ask("check", "--no-types", "--output-format", "json", code=1)
    assert [d["code"] for d in without["diagnostics"]] == ["WF103"]


def test_stale_package(shop: Any) -> None:
    """A worker that is not generated yet is known with its types, and nothing is written for it."""
    shop.write("shop/packing.worker.py", PACKING)
    shop.write("shop/packed.workflow.py", PACKED)
    before = snapshot(shop.folder)
    assert told(shop.folder) == []
    shop.write("shop/packed.workflow.py", PACKED.replace("await", "(await").replace(", order)", ", order)).nothing"))
    assert told(shop.folder) == [("shop/packed.workflow.py", 8, "attr-defined")]
    shop.write("shop/packed.workflow.py", PACKED)
    assert snapshot(shop.folder) == before


def test_missing_package(shop: Any) -> None:
    """Before the first prebuild types are checked as well, and still nothing is written."""
    shutil.rmtree(shop.folder / PACKAGE)
    assert told(shop.folder) == []
    shop.replace(ORDERS, "total=total", 'total="seven"')
    assert told(shop.folder) == [(ORDERS, 11, "arg-type")]
    assert not (shop.folder / PACKAGE).exists()


def test_removed_worker(shop: Any) -> None:
    """A worker that is gone is unknown, though its types are still on disk."""
    shop.replace("shop/stock.worker.py", '"stock.reserve"', '"stock.keep"')
    shop.replace(ORDERS, "from shop.wfgen_gen import Workflow", "from shop.wfgen_gen import Workflow, workers")
    shop.replace(ORDERS, '"stock.reserve", data)\n    total', "workers.stock.reserve, data)\n    total")
    settings = Settings.load(shop.folder)
    inspection = inspect(settings)
    assert {d.code for d in inspection.diagnostics} == {"WF401"}
    assert type_findings(settings, inspection) == ()


def test_package_in_namespace(shop: Any) -> None:
    """Where the package around the generated one has no `__init__.py`, what is on disk is not taken for current."""
    (shop.folder / "shop/__init__.py").unlink()
    test_stale_package(shop)


def test_errors_in_the_generated_package(shop: Any) -> None:
    """What mypy finds in the generated package is shown; in other modules of the project it is not."""
    shop.write("shop/helpers.py", 'NUMBER: int = "no"\n')
    shop.replace("shop/stock.worker.py", "from wfgen import", "from nowhere import Thing\nfrom wfgen import")
    shop.replace("shop/stock.worker.py", "-> str:", "-> Thing:")
    shop.replace(ORDERS, "from wfgen import", "import shop.helpers\nfrom wfgen import")
    found = told(shop.folder)
    assert ("shop/stock.worker.py", 4, "import-not-found") in found
    assert (f"{PACKAGE}/workers.py", "import-not-found") in [(file, code) for file, _, code in found]
    assert "shop/helpers.py" not in {file for file, _, _ in found}


def test_suppressions(shop: Any) -> None:
    """`# type: ignore` counts, and `# wfgen: ignore[WF410]` as well; one that nothing needs is reported."""
    shop.replace(ORDERS, "total=total, reserved=reserved)", 'total="7", reserved=reserved)  # type: ignore[arg-type]')
    shop.replace(ORDERS, '{approval.ok}"', '{approval.okay}"  # wfgen: ignore[WF410]')
    assert findings(shop.folder) == []
    shop.replace(ORDERS, "{approval.okay}", "{approval.ok}")
    (unused,) = findings(shop.folder)
    assert (unused.code, unused.severity, unused.line) == ("WF012", "warning", 18)
    # Without types nobody knows whether it is needed.
    assert shop.inside("check", "--no-types", "--strict").returncode == 0
    assert shop.inside("check", "--strict").returncode == 1


def test_selection(shop: Any) -> None:
    """Settings that leave WF410 out leave mypy out."""
    shop.write("mypy.ini", "[mypy]\nnonsense = 1\n")
    assert shop.inside("check").returncode == 2
    for variables in ({"WFGEN_IGNORE": "WF410"}, {"WFGEN_IGNORE": "WF4"}, {"WFGEN_SELECT": "WF1"}):
        assert shop.inside("check", env=variables).returncode == 0


def test_duplicates(shop: Any) -> None:
    """What wfgen has said of a place, mypy does not say again; what is wrong elsewhere on the line it does."""
    shop.write(
        "shop/wrong.workflow.py",
        """\
import asyncio

from shop.models import Order
from shop.wfgen_gen import Workflow, workers
from wfgen import define_workflow


@define_workflow(name="wrong", version="1")
async def wrong(workflow: Workflow, order: Order) -> None:
    workflow.do("forgotten", "stock.reserve", order)
    await workflow.do("unknown", "stock.reserv", order)
    await workflow.do("reference", workers.stock.reserv, order)
    await workflow.dooo("method")
    await asyncio.gather(workflow.do("a", "stock.reserv", order), "text".upper(1))
""",
    )
    shop.write("pyproject.toml", "[tool.wfgen]\n[tool.mypy]\nenable_error_code = ['unused-awaitable']\n")
    settings = Settings.load(shop.folder)
    inspection = inspect(settings)
    own = [(d.code, d.line) for d in inspection.diagnostics if d.severity == "error"]
    assert own == [("WF103", 10), ("WF401", 11), ("WF401", 12), ("WF105", 13), ("WF401", 14)]
    (found,) = findings(shop.folder)
    assert (found.line, found.column) == (14, 67)


def test_unreadable_sources(shop: Any) -> None:
    """mypy is told of sound files only, and what was generated from the others stays known."""
    shop.write("shop/packing.worker.py", PACKING)
    shop.write("shop/packed.workflow.py", PACKED)
    assert shop.inside("prebuild").returncode == 0
    shop.replace("shop/packing.worker.py", "def pack(", "def pack((")
    shop.replace(ORDERS, "total=total", 'total="seven"')
    assert told(shop.folder) == [(ORDERS, 11, "arg-type")]
    only = shop.folder / "shop/packed.workflow.py"
    for path in shop.folder.glob("shop/*.w*.py"):
        path.write_text("def (")
    assert only.read_text() == "def ("
    assert findings(shop.folder) == []


def test_colliding_definitions(shop: Any) -> None:
    """Definitions that cannot be generated are wfgen's to report; types of the others are checked all the same."""
    shop.write("shop/more.worker.py", PACKING.replace("stock.pack", "stock.reserve"))
    shop.replace(ORDERS, "total=total", 'total="seven"')
    assert (ORDERS, 11, "arg-type") in told(shop.folder)


def test_error_that_stops_mypy(shop: Any) -> None:
    """An error at which mypy stops is shown wherever it stands: nothing else is known."""
    shop.write("shop/helpers.py", "x = = 1\n")
    shop.replace(ORDERS, "from wfgen import", "import shop.helpers\nfrom wfgen import")
    assert told(shop.folder) == [("shop/helpers.py", 1, "syntax")]


def test_same_names(shop: Any) -> None:
    """Files of one name in different folders are told apart, even in folders that are no packages."""
    for folder in ("one", "two", "not-a-package", "nor-this"):
        name = folder.replace("-", "_")
        text = PACKED.replace("packed", name).replace("-> int", "-> str").replace("stock.pack", "stock.reserve")
        text = text.replace("await", "(await").replace(", order)", ", order)).nothing")
        shop.write(f"shop/{folder}/same.workflow.py", text)
    settings = Settings.load(shop.folder)
    assert [len(part.files) for part in groups(inspect(settings).manifest)] == [5, 1]
    expected = ("nor-this", "not-a-package", "one", "two")
    assert told(shop.folder) == [(f"shop/{folder}/same.workflow.py", 8, "attr-defined") for folder in expected]


def test_src_layout(prebuilt: Path, tmp_path: Path) -> None:
    """Imports start at `src` if the sources lie there, with a package that is up to date and with one that is not."""
    shutil.copytree(prebuilt / "shop", tmp_path / "src/shop", ignore=shutil.ignore_patterns("wfgen_gen"))
    shutil.copytree(prebuilt / ".wfgen/mypy_cache", tmp_path / ".wfgen/mypy_cache")
    (tmp_path / "pyproject.toml").write_text("[tool.wfgen]\n")
    orders = tmp_path / "src" / ORDERS
    orders.write_text(orders.read_text().replace("total=total", 'total="seven"'))
    expected = [(f"src/{ORDERS}", 11, "arg-type")]
    assert told(tmp_path) == expected
    shutil.copytree(prebuilt / PACKAGE, tmp_path / "src" / PACKAGE)
    assert told(tmp_path) == expected


def test_own_configuration(shop: Any) -> None:
    """The project's own configuration counts: strictness, plugins, output options; noise of plugins is no finding."""
    shop.write(
        "pyproject.toml",
        "[tool.wfgen]\n[tool.mypy]\nstrict = true\nplugins = ['pydantic.mypy']\npretty = true\n"
        "show_absolute_path = true\nhide_error_codes = true\nexclude = ['wfgen_gen']\nwarn_unused_configs = true\n"
        "[[tool.mypy.overrides]]\nmodule = 'elsewhere.*'\nignore_errors = true\n",
    )
    # The plugin knows that a model's field is read; strict that a helper has no types.
    shop.replace("shop/models.py", "amount: int = 1", "amount: int = Field(default='one', gt=0)")
    shop.replace("shop/models.py", "import BaseModel", "import BaseModel, Field")
    shop.replace(ORDERS, "    return Receipt(", "    helper(1)\n    return Receipt(")
    shop.write(ORDERS, (shop.folder / ORDERS).read_text() + "\n\ndef helper(x):\n    return x\n")
    line = (shop.folder / ORDERS).read_text().count("\n") - 1
    assert told(shop.folder) == [(ORDERS, 11, "no-untyped-call"), (ORDERS, line, "no-untyped-def")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mypy.ini", "[mypy]\nnonsense = 1\n", "mypy.ini: [mypy]: Unrecognized option: nonsense"),
        ("mypy.ini", "strict = true\n", "mypy.ini: File contains no section headers"),
        ("pyproject.toml", "[tool.wfgen]\n[tool.mypy]\nstrict = 'perhaps'\n", "pyproject.toml: [mypy]: strict"),
    ],
    ids=["unknown option", "no section", "wrong type"],
)
def test_broken_configuration(shop: Any, name: str, content: str, words: str) -> None:
    """A configuration that mypy does not accept is an error with a code; wfgen's own findings are told first."""
    shop.replace(ORDERS, '    await workflow.do("first"', '    workflow.do("first"')
    shop.write(name, content)
    done = shop.inside("check", "--output-format", "concise")
    assert done.returncode == 2
    assert done.stdout.count("\n") == done.stdout.count("WF103") == 1
    assert done.stderr.startswith(f"error[WF612]: mypy does not accept its configuration: {words}")
    assert "--no-types" in done.stderr


def test_missing_plugin(shop: Any) -> None:
    """A plugin that cannot be loaded is an error of the file that names it."""
    shop.write("pyproject.toml", "[tool.wfgen]\n[tool.mypy]\nplugins = ['nowhere.plugin']\n")
    (found,) = findings(shop.folder)
    assert (found.file, found.code) == ("pyproject.toml", "WF410")
    assert "nowhere.plugin" in found.message


def test_mypy_is_not_installed(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mypy it says where to install it, and how to go without."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mypy" else find_spec(name))
    with pytest.raises(TypeCheckError, match="not installed") as raised:
        findings(shop.folder)
    assert "--no-types" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'INTERNAL ERROR: it broke' >&2; exit 2", "exit code 2: INTERNAL ERROR: it broke"),
        ("kill -9 $$", "exit code -9: it said nothing"),
        ("echo 'shop.py:1: error: as text'; exit 1", "exit code 1: shop.py:1: error: as text"),
        ("echo '{\"file\": 1}'; exit 1", "cannot read"),
        ("echo '{\"file'; exit 1", "cannot read"),
        ("exec sleep 600", "given up after 0 seconds"),
    ],
    ids=["crash", "killed", "text", "other keys", "half a line", "hangs"],
)
def test_mypy_fails(shop: Any, monkeypatch: pytest.MonkeyPatch, script: str, words: str) -> None:
    """When mypy crashes, hangs or prints something else, it is an error that says so."""
    fake_mypy(shop, monkeypatch, script)
    if "sleep" in script:
        monkeypatch.setattr(typechecking, "LIMIT", 0.3)
    with pytest.raises(TypeCheckError, match=words):
        findings(shop.folder)


def test_mypy_cannot_be_started(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is gone is an error that says so."""
    monkeypatch.setattr(sys, "executable", str(shop.folder / "gone"))
    with pytest.raises(TypeCheckError, match="cannot be started"):
        findings(shop.folder)


def test_names_of_python(shop: Any) -> None:
    """Modules of the project that are called like Python's own are not mypy's."""
    for name in ("json", "argparse", "mypy"):
        shop.write(f"{name}.py", "raise SystemExit(9)\n")
    assert findings(shop.folder) == []


def test_nowhere_to_write(shop: Any) -> None:
    """A project that cannot be written is checked without a cache."""
    shutil.rmtree(shop.folder / ".wfgen")
    shop.replace(ORDERS, "total=total", 'total="seven"')
    shop.folder.chmod(0o555)
    try:
        done = shop("check", "--output-format", "concise", unprivileged=True)
    finally:
        shop.folder.chmod(0o755)
    assert (done.returncode, done.stdout.count("WF410")) == (1, 1), done.stderr
    assert not (shop.folder / ".wfgen").exists()


def test_leaves_nothing(shop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Temporary folders are gone afterwards, and so is every process of mypy's."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text() if sys.platform == "linux" else ""
    shutil.rmtree(shop.folder / PACKAGE)
    assert findings(shop.folder) == []
    assert list(temporary.iterdir()) == []
    if sys.platform == "linux":
        assert children.read_text() == before


def test_json_is_stable(shop: Any) -> None:
    """Two runs, cold and warm, say the same."""
    shop.replace(ORDERS, "total=total", 'total="seven"')
    shop.replace(ORDERS, "{approval.ok}", "{approval.okay}")
    first, second = (shop.inside("check", "--output-format", "json") for _ in range(2))
    assert first.stdout == second.stdout
    assert len(json.loads(first.stdout)["diagnostics"]) == 2
