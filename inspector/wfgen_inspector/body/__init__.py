"""The body of a workflow as a tree of nodes: `build` walks the function and the helpers that receive its handle."""

from wfgen_inspector.body.builder import Body, Reading, build

__all__ = ["Body", "Reading", "build"]
