"""`wfgen doctor`: what this project runs on, and what is not as it should be."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfgen_cli.options import AsJson, EngineUrl, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen_cli.health_findings import Finding
    from wfgen_inspector import Inspection

app = new_app()

PACKAGES = ("wfgen-runtime", "wfgen-inspector", "wfgen-templates", "wfgen-codegen", "wfgen-cli")
_STYLES = {"ok": "green", "info": "cyan", "problem": "red"}


@app.command(epilog=example("wfgen doctor", "wfgen doctor run_0123456789abcdef", "wfgen doctor --json"))
def doctor(
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="RUN_ID", help="Only say why this run does not move.", show_default=False),
    ] = None,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong with this installation and project, and for runs and jobs that do not move.

    Python, wfgen, settings, the generated package, the store, its processes, runs and queues. The store is only read.

    Exit code 0: no problem; 1: there is one; 2: it could not be looked.
    """
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.store_health import store_health

    settings = load_settings(project, engine=engine)
    outputs, known, package = _outputs(settings)
    around = [] if run_id is not None else [*_versions(), *_settings(settings, engine), outputs]
    findings = [*around, *asyncio.run(store_health(settings, known, package, run_id))]
    problems = sum(f.state == "problem" for f in findings)
    if as_json:
        listed = [
            {"topic": f.topic, "state": f.state, "message": f.message, "hint": f.hint, **f.data} for f in findings
        ]
        terminal.say_json({"schema_version": 1, "problems": problems, "findings": listed})
    else:
        for f in findings:
            mark = terminal.paint(f"{f.state:<7}", _STYLES[f.state])
            terminal.say(f"{mark}  {f.topic:<9}  {terminal.printable(f.message)}")
            if f.hint:
                terminal.say(f"{'':<20}{terminal.printable(f.hint)}")
        terminal.say("No problems." if not problems else f"{terminal.count(problems, 'problem')}.")
    if problems:
        raise typer.Exit(1)


def _versions() -> list[Finding]:
    from wfgen_cli.health_findings import Finding

    found = [Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")]
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    different = len(set(versions.values())) > 1
    text = ", ".join(f"{package.removeprefix('wfgen-')} {number or 'missing'}" for package, number in versions.items())
    found.append(
        Finding(
            "wfgen",
            "problem" if different else "ok",
            text,
            "The packages belong to one version: install them together." if different else None,
            {"versions": versions},
        )
    )
    return found


def _settings(settings: Settings, engine: str | None) -> list[Finding]:
    from wfgen_cli.health_findings import Finding

    path = settings.project / "pyproject.toml"
    table: dict[str, Any] = {}
    if path.is_file():
        table = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("tool", {}).get("wfgen", {})
    names = {key.replace("-", "_") for key in table}
    found = [Finding("project", "ok", str(settings.project), None, {"path": str(settings.project)})]
    for name, value in settings.model_dump(mode="json").items():
        if name == "engine" and engine is not None:
            origin = "--engine"
        elif f"WFGEN_{name.upper()}" in os.environ:
            origin = f"WFGEN_{name.upper()} in the environment"
        elif name in names:
            origin = f"[tool.wfgen] in {path}"
        else:
            origin = "default"
        shown = _without_password(value) if name == "engine" else value
        if origin != "default" or name in ("engine", "lease"):
            data = {"name": name, "value": shown, "origin": origin}
            found.append(Finding("setting", "ok", f"{name} = {shown!r} ({origin})", None, data))
    return found


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return re.sub(r"(?i)(password=)[^&]*", r"\1…", f"{scheme}{separator}{rest.rpartition('@')[2]}")


def _outputs(settings: Settings) -> tuple[Finding, frozenset[tuple[str, str]], str]:
    """Whether the generated package is up to date, what the sources define (name, version), and its import name."""
    from wfgen_inspector import inspect

    inspection = inspect(settings)
    manifest = inspection.manifest
    known = frozenset((workflow.name, workflow.version) for workflow in manifest.workflows)
    return _package(settings, inspection), known, manifest.package


def _package(settings: Settings, inspection: Inspection) -> Finding:
    from wfgen.errors import WfgenError
    from wfgen_cli.health_findings import Finding
    from wfgen_cli.terminal import count
    from wfgen_codegen import plan, render

    manifest = inspection.manifest
    errors = sum(d.severity == "error" for d in inspection.diagnostics)
    if errors:
        return Finding("sources", "problem", count(errors, "error"), "`wfgen check` shows them.")
    output = settings.project / manifest.output
    try:
        planned = plan(render(manifest, settings), output)
    except WfgenError as error:
        return Finding("outputs", "problem", f"{error.code}: {error.message}", error.hint)
    if not output.is_dir():
        return Finding("outputs", "problem", f"nothing is generated in {output} yet.", "Run `wfgen prebuild`.")
    stale = sum(change.action != "unchanged" and change not in planned.kept for change in planned.changes)
    if stale:
        message = f"{output} is out of date ({count(stale, 'file')})."
        return Finding("outputs", "problem", message, "Run `wfgen prebuild`.")
    found = f"{count(len(manifest.workflows), 'workflow')}, {count(len(manifest.workers), 'worker')}"
    return Finding("outputs", "ok", f"{output} is up to date ({found})")
