"""What is told of findings: rendered once, to stdout or a file, with an exit code."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfgen_cli import terminal
from wfgen_cli.failures import FOUND, ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wfgen.settings import Settings
    from wfgen_cli.looking import Look
    from wfgen_inspector import Diagnostic


@dataclass(frozen=True)
class Report:
    """How findings are told."""

    format: str = "full"
    file: str | None = None
    """Where to write them; None for stdout."""
    strict: bool = False
    """Whether warnings count as errors."""
    statistics: bool = False
    """Whether to count findings and what the graphs cover."""


def refuse_impossible(report: Report) -> None:
    """Refuse what cannot be told before the work is done, not after it.

    Raises:
        ConfigurationError: there is no such format.
        ArgumentError: the file cannot be written.
    """
    from wfgen_inspector.formats import refuse_unknown

    refuse_unknown(report.format)
    if report.file is None:
        return
    path = Path(report.file)
    if path.is_dir() or not path.parent.is_dir():
        problem = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise ArgumentError(f"--output-file {report.file} cannot be written: {problem}.")


def tell(look: Look, report: Report, settings: Settings) -> int:
    """Tell of findings, on stdout or in a file.

    Returns:
        The exit code.

    Raises:
        ArgumentError: the file cannot be written.
    """
    from wfgen_inspector.formats import render
    from wfgen_inspector.formats.text import summary

    found = look.diagnostics
    statistics = _statistics(look) if report.statistics else None
    others = {} if look.compatibility is None else look.compatibility.data()
    is_shown = report.file is None and sys.stdout.isatty()
    text = render(
        found,
        report.format,
        settings.project,
        is_shown and terminal.has_color(sys.stdout),
        columns=shutil.get_terminal_size().columns if is_shown else None,
        others=others if statistics is None else {**others, "statistics": statistics},
    )
    if report.file is None:
        terminal.say_text(text)
    else:
        _write(Path(report.file), text)
        if found:
            terminal.note(f"Found {summary(found)}; written to {terminal.printable(report.file)}.")
    if statistics is not None and report.format != "json":
        _tell_statistics(statistics, is_for_people=report.format in ("full", "concise"))
    if look.compatibility is not None:
        look.compatibility.note()
    _tell_of_nothing(look, settings)
    return FOUND if _counts(found, strict=report.strict) else 0


def _tell_of_nothing(look: Look, settings: Settings) -> None:
    """Say on stderr that nothing was found, or looked at."""
    from wfgen_cli.inspecting import note_no_sources
    from wfgen_cli.looking import is_among

    sources = look.inspection.sources
    for name in look.files:
        if not any(is_among(file, (name,)) for file in (*sources, *(d.file for d in look.diagnostics))):
            terminal.note(
                f"{terminal.printable(name)} holds no *.workflow.py or *.worker.py that is read; "
                "other files and the setting `exclude` are left out."
            )
    if not sources:
        note_no_sources(settings.project)
    elif not look.diagnostics and look.failure is None:
        looked = [file for file in sources if is_among(file, look.files)] if look.files else sources
        terminal.note(f"No findings in {terminal.count(len(looked), 'file')}.")


def _counts(found: Sequence[Diagnostic], *, strict: bool) -> bool:
    counting = ("error", "warning") if strict else ("error",)
    return any(d.severity in counting for d in found)


def _statistics(look: Look) -> dict[str, Any]:
    """Findings by code, the most frequent first, and what the graphs of all workflows cover."""
    from wfgen_inspector.coverage import coverage

    covered = coverage(look.inspection.manifest)
    codes = sorted(Counter(d.code for d in look.diagnostics).items(), key=lambda item: (-item[1], item[0]))
    return {"codes": dict(codes), "coverage": {**asdict(covered), "percent": covered.percent}}


def _tell_statistics(statistics: dict[str, Any], *, is_for_people: bool) -> None:
    from wfgen_inspector import RULES

    covered = statistics["coverage"]
    width = max((len(str(number)) for number in statistics["codes"].values()), default=0)
    names = {code: f" {RULES[code].name}" if code in RULES else "" for code in statistics["codes"]}
    lines = [f"{number:>{width}}  {code}{names[code]}" for code, number in statistics["codes"].items()]
    workflows, steps, uses = (terminal.count(covered[f"{noun}s"], noun) for noun in ("workflow", "step", "use"))
    opaque = terminal.count(covered["opaque"], "opaque region")
    percent = math.floor(covered["percent"] * 10) / 10  # what is not all of it is never 100.0
    lines.append(f"{workflows}: {steps}, {uses} of the handle, {opaque}; {percent:.1f} % covered")
    for line in lines:
        (terminal.say if is_for_people else terminal.note)(line)


def _write(path: Path, text: str) -> None:
    """Write a file in one step; what is no regular file, such as `/dev/stdout`, as it is."""
    data = text.encode("utf-8", "backslashreplace")
    temporary: str | None = None
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        target = Path(os.path.realpath(path))
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise ArgumentError(f"--output-file {path} cannot be written: {error.strerror or error}.") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
