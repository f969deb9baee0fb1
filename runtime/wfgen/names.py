"""Names of workflows and workers: what is allowed, and how they become identifiers and versions compare."""

from __future__ import annotations

import keyword
import re
from functools import lru_cache

NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
"""Workflow names, worker ids and versions: letters, digits, `_`, `-`, `.`, up to 128."""

MAX_STEP_NAME = 255
"""Characters of a step name; any printable text."""

MAX_TAG = 100
"""Characters of a tag."""

RESERVED = frozenset({"close", "get_run", "list_runs", "get_job", "list_jobs", "engine", "registry"})
"""First parts of a workflow name that the generated client uses itself (`wf.get_run`)."""


def is_name(text: str) -> bool:
    """Whether the text may name a workflow, a worker or a version."""
    return NAME.fullmatch(text) is not None


def is_tag(text: object) -> bool:
    """Whether the value may be a tag of a run: 1 to 100 printable characters."""
    return isinstance(text, str) and 0 < len(text) <= MAX_TAG and text.isprintable()


def is_key(text: object) -> bool:
    """Whether the value may be an idempotency key: 1 to 255 printable characters."""
    return isinstance(text, str) and is_step_name(text)


def is_step_name(text: str) -> bool:
    """Whether the text may name a step: 1 to 255 printable characters."""
    return 0 < len(text) <= MAX_STEP_NAME and text.isprintable()


def identifier(part: str) -> str:
    """Make one dotted part of a name a Python identifier: `-` becomes `_`, keywords and digits get an underscore.

    Two names can give one identifier; the inspector reports that.
    """
    text = part.replace("-", "_")
    if not text or text[0].isdigit():
        text = f"_{text}"
    return f"{text}_" if keyword.iskeyword(text) or text in ("None", "True", "False") else text


@lru_cache(maxsize=10_000)
def identifiers(name: str) -> tuple[str, ...]:
    """The path of identifiers under which the generated package offers a name: `crm.sign-up` is `crm`, `sign_up`."""
    return tuple(identifier(part) for part in name.split("."))


def queue_name(workflow: str, step: str) -> str:
    """The queue of a workflow's step."""
    return f"{workflow}.{step}"


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key for versions: digit runs compare as numbers, so that `10` follows `9` and `1.10` follows `1.9`."""
    parts = re.findall(r"\d+|[^\d]+", version)
    return tuple((1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts)
