"""`wfgen list` and `wfgen graph`."""

from __future__ import annotations

from typing import Any


def test_list(shop: Any) -> None:
    """The tables name workflows and workers with their types and places."""
    done = shop.inside("list")
    assert done.returncode == 0
    assert "WORKFLOW" in done.stdout
    assert "order     1        shop.models.Order  shop.models.Receipt" in done.stdout
    assert "shop/orders.workflow.py:6" in done.stdout
    assert "stock.reserve  -         shop.models.Order  str" in done.stdout


def test_list_json(shop: Any) -> None:
    """As JSON it is the whole manifest: workflows with their trees of nodes, and workers."""
    told = shop.json("list", "--json")
    assert told["schema_version"] == 1
    assert [w["name"] for w in told["workflows"]] == ["approve", "broken", "nap", "order"]
    order = told["workflows"][3]
    assert (order["version"], order["file"]) == ("1", "shop/orders.workflow.py")
    assert (order["input"], order["output"]) == ("shop.models.Order", "shop.models.Receipt")
    assert order["span"]["line"] == 6
    steps = [node for node in order["body"] if node["kind"] == "step"]
    assert [(s["form"], s["name"], s["dynamic"]) for s in steps] == [
        ("rpc", "reserve", False),
        ("inline", "bill", False),
    ]
    assert steps[0]["target"] == "stock.reserve"
    worker = told["workers"][0]
    assert (worker["id"], worker["dispatch"], worker["output"]) == ("stock.reserve", None, "str")


def test_list_with_errors(shop: Any) -> None:
    """A file with an error hides no other; that something may be missing is said on stderr."""
    shop.write("shop/half.workflow.py", "def (:\n")
    done = shop.inside("list", "--json")
    assert done.returncode == 0
    assert "1 error" in done.stderr
    assert '"approve"' in done.stdout


def test_graph(shop: Any) -> None:
    """A workflow as Mermaid text and as a tree."""
    done = shop.inside("graph", "order")
    assert done.returncode == 0
    assert done.stdout.startswith("flowchart ")
    assert "reserve" in done.stdout
    told = shop.json("graph", "order@1", "--format", "json")
    assert told["name"] == "order"
    assert told["body"][0]["kind"] == "step"


def test_unknown_workflow(shop: Any) -> None:
    """A mistyped name is answered with the one that was meant, an unknown version with those that exist."""
    done = shop.inside("graph", "ordr")
    assert done.returncode == 2
    assert done.stderr == "error[WF701]: there is no workflow 'ordr'.\n  hint: Did you mean 'order'?\n"
    version = shop.inside("graph", "order", "--version", "2")
    assert version.returncode == 2
    assert "There is 1." in version.stderr
