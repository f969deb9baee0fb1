"""Rebuilding what changed gives what a whole prebuild gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wfgen_cli.rebuilding import Rebuilder
from wfgen_codegen import plan, render
from wfgen_inspector import inspect

EDITS = [
    ("shop/orders.workflow.py", '"bill"', '"charge"'),
    ("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill."),
    ("shop/orders.workflow.py", '\n\n@define_workflow(name="nap"', '\n\n\n\n@define_workflow(name="nap"'),
    ("shop/orders.workflow.py", 'name="nap", version="1"', 'name="nap", version="2"'),
    ("shop/orders.workflow.py", 'name="nap"', 'name="long.nap"'),
    ("shop/orders.workflow.py", 'timeout="1h"', 'timeout="2h"'),
    ("shop/orders.workflow.py", 'hook("approval", Approval', 'hook("consent", Approval'),
    ("shop/stock.worker.py", "-> str:", "-> object:"),
    ("shop/stock.worker.py", '"stock.reserve"', '"stock.hold"'),
    ("shop/orders.workflow.py", '"stock.reserve"', '"stock.hold"'),
]


def _drift(project: Path) -> list[str]:
    """Generated files that a whole prebuild would change."""
    rebuilder = Rebuilder(str(project))
    inspection = inspect(rebuilder.settings)
    output = project / inspection.manifest.output
    changes = plan(render(inspection.manifest, rebuilder.settings), output).changes
    return [f"{change.action} {change.path}" for change in changes if change.action != "unchanged"]


def test_partial_is_whole(shop: Any) -> None:
    """After each of many kinds of edits, the outputs are those of a prebuild of everything."""
    rebuilder = Rebuilder(str(shop.folder))
    rebuilder.rebuild()
    for path, old, new in EDITS:
        shop.replace(path, old, new)
        outcome = rebuilder.rebuild()
        assert outcome.failure is None
        assert list(outcome.changed) == [path]
        if not outcome.errors:
            assert _drift(shop.folder) == [], (old, new)
    assert rebuilder.rebuild().errors == 0
    (shop.folder / "shop/orders.workflow.py").unlink()
    assert rebuilder.rebuild().removed > 0
    assert _drift(shop.folder) == []


def test_unexpected_failure(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a later stage ends no watching: it is told once, and all is looked at again afterwards."""
    rebuilder = Rebuilder(str(shop.folder))
    rebuilder.rebuild()
    with monkeypatch.context() as patch:
        patch.setattr("wfgen_cli.rebuilding.plan", lambda *_, **__: 1 // 0)
        shop.replace(*EDITS[0])
        first, second = rebuilder.rebuild(), rebuilder.rebuild()
    assert first.failure is not None
    assert first.failure.code == "WF900"
    assert "ZeroDivisionError" in first.failure.message
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    after = rebuilder.rebuild()
    assert after.recovered
    assert second.failure is None
    assert _drift(shop.folder) == []
