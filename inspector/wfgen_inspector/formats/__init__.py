"""Findings as text, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from wfgen.errors import ConfigurationError
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.suggestions import did_you_mean, nearest

Format = Literal["full", "concise", "json", "jsonl", "github", "gitlab", "sarif"]
FORMATS: tuple[str, ...] = get_args(Format)

__all__ = ["FORMATS", "Format", "refuse_unknown", "render"]


def render(
    diagnostics: Sequence[Diagnostic],
    format: str,
    project: Path,
    color: bool = False,
    *,
    columns: int | None = None,
    others: Mapping[str, Any] | None = None,
) -> str:
    """Render findings.

    Args:
        diagnostics: findings in output order.
        format: `full` (source excerpt and advice), `concise` (one line each), `json`, `jsonl` (one object a line),
            `github` (annotations), `gitlab` (Code Quality), or `sarif`.
        project: project root, from which lines of sources are read.
        color: whether `full` and `concise` use terminal colours.
        columns: of the terminal, into which the excerpts of `full` have to fit; None if it is none.
        others: further keys of the document that `json` is.

    Returns:
        Text that ends with a newline. Without findings it is empty, or a document that says so.

    Raises:
        ConfigurationError: no such format.
    """
    refuse_unknown(format)
    if format == "full":
        from wfgen_inspector.formats import full

        return full.render(diagnostics, project, color=color, columns=columns)
    if format == "concise":
        from wfgen_inspector.formats import concise

        return concise.render(diagnostics, color=color)
    if format in ("json", "jsonl"):
        from wfgen_inspector.formats import json

        return json.render(diagnostics, others) if format == "json" else json.render_lines(diagnostics)
    if format == "github":
        from wfgen_inspector.formats import github

        return github.render(diagnostics, project)
    if format == "gitlab":
        from wfgen_inspector.formats import gitlab

        return gitlab.render(diagnostics, project)
    from wfgen_inspector.formats import sarif

    return sarif.render(diagnostics, project)


def refuse_unknown(format: str) -> None:
    """Refuse a format that does not exist, before there is anything to render.

    Raises:
        ConfigurationError: there is none; the nearest is named.
    """
    if format not in FORMATS:
        hint = did_you_mean(nearest(format, FORMATS)) or f"Known formats: {', '.join(FORMATS)}."
        raise ConfigurationError(f"unknown output format {format!r}.", hint=hint)
