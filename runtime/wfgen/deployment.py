"""What a process brings with it: the definitions of its workflows, as the generated package's manifest has them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wfgen.graph import DYNAMIC, SCHEMA_VERSION, nodes_of, read_source
from wfgen.store.deployments import NewDefinition

if TYPE_CHECKING:
    from wfgen.registry import Registry
    from wfgen.store.protocol import Store


async def record_deployment(store: Store, registry: Registry, pairs: Collection[tuple[str, str]]) -> None:
    """Record in a store the definitions of workflows (name, version). Those that were added by hand are left out.

    Raises:
        StoreError: they cannot be recorded.
    """
    if any(registry.module_of(*pair) is not None for pair in pairs):
        found = await asyncio.to_thread(lambda: list(deployed(registry, pairs)))
        if found:
            await store.record_definitions(found)


def deployed(registry: Registry, pairs: Collection[tuple[str, str]]) -> Iterator[NewDefinition]:
    """The definitions of workflows (name, version), each with the workers that its steps name."""
    sources: dict[str, Mapping[str, Any]] = {}

    def source(module: str | None) -> Mapping[str, Any]:
        if module is None:
            return {}
        if module not in sources:
            sources[module] = read_source(registry.package, module) or {}
        return sources[module]

    for name, version in pairs:
        entry = _entry(source(registry.module_of(name, version)), "workflows", name=name, version=version)
        if entry is None or not isinstance(entry.get("steps_hash"), str):
            continue
        workers = [_entry(source(registry.module_of_worker(id)), "workers", id=id) for id in _workers_of(entry)]
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "package": registry.package,
            "workflows": [entry],
            "workers": [worker for worker in workers if worker is not None],
        }
        text = json.dumps(manifest, separators=(",", ":"))
        yield NewDefinition(name, version, entry["steps_hash"], text.encode())


def _entry(source: Mapping[str, Any], kind: str, **identity: str) -> dict[str, Any] | None:
    for entry in source.get(kind) or []:
        if all(entry.get(name) == value for name, value in identity.items()):
            found: dict[str, Any] = entry
            return found
    return None


def _workers_of(entry: Mapping[str, Any]) -> list[str]:
    """Ids of the workers that the steps of a workflow name, sorted."""
    steps = nodes_of([*(entry.get("before") or ()), *(entry.get("body") or ()), *(entry.get("after") or ())])
    return sorted({step["target"] for step in steps if step.get("form") == "rpc" and step.get("target")} - {DYNAMIC})
