"""`wfgen check`: what would break, from all that looks at a project.

First the findings are gathered (`looking`), then fixes are made of them (`fixing`), then they are told once
(`reporting`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from wfgen_cli.options import EngineUrl, GroupedCommand, Project, example, new_app

app = new_app()

_WHAT, _FIXES, _OUTPUT = "What is reported", "Fixes", "Output"


@app.command(
    cls=GroupedCommand,
    epilog=example(
        "wfgen check",
        "wfgen check flows/checkout.workflow.py --no-types",
        "wfgen check --diff",
        "wfgen check --fix",
        "wfgen check --output-format sarif --output-file wfgen.sarif",
    ),
)
def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Report only what stands in these files and folders."),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select",
            metavar="CODES",
            help="Report only these codes or prefixes, such as WF1,WF201. Instead of the setting.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            metavar="CODES",
            help="Leave these codes or prefixes out. Instead of the setting.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    no_types: Annotated[
        bool,
        typer.Option(
            "--no-types",
            help="Leave out mypy: in a small project about 2 s at first, and 0.3 s once it has a cache.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors.", rich_help_panel=_WHAT)] = False,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="End with exit code 0 whatever is found.", rich_help_panel=_WHAT)
    ] = False,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Mend what can be mended safely, and report what is left.", rich_help_panel=_FIXES),
    ] = False,
    unsafe_fixes: Annotated[
        bool,
        typer.Option(
            "--unsafe-fixes",
            help="With --fix or --diff: also fixes that have to be looked at.",
            rich_help_panel=_FIXES,
        ),
    ] = False,
    diff: Annotated[
        bool,
        typer.Option(
            "--diff", help="Print what --fix would change as a patch, and write nothing.", rich_help_panel=_FIXES
        ),
    ] = False,
    output_format: Annotated[
        str,
        typer.Option(
            "--output-format",
            metavar="FORMAT",
            help="full, concise, json, jsonl, github, gitlab or sarif.",
            rich_help_panel=_OUTPUT,
        ),
    ] = "full",
    output_file: Annotated[
        str | None,
        typer.Option("--output-file", metavar="FILE", help="Write the findings to a file.", rich_help_panel=_OUTPUT),
    ] = None,
    statistics: Annotated[
        bool,
        typer.Option(
            "--statistics", help="Also count the findings, and what the graphs cover.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="REF|FILE|store",
            help="Compare with the sources at a git revision, a lock file, a manifest, or what was deployed to the "
            "store last. Default: wfgen.lock.json, if there is one.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Ask the store which runs are in flight, and which of them would break.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    project: Project = None,
    engine: EngineUrl = None,
) -> None:
    """Look for what would break; only with --fix is anything written.

    Exit code 0: nothing, or only warnings; 1: errors (with --strict also warnings); 2: it could not be done.
    """
    from wfgen_cli import looking, reporting
    from wfgen_cli.failures import FOUND
    from wfgen_cli.project import load_settings

    settings = load_settings(project, engine=engine, select=_codes(select), ignore=_codes(ignore))
    named = looking.named(paths or (), settings)
    wanted = looking.Wanted(files=named, types=not no_types, against=against, live=live)
    report = reporting.Report(
        format=output_format, file=output_file, strict=strict or settings.strict, statistics=statistics
    )
    reporting.refuse_impossible(report)
    fixed = 0
    if fix or diff or unsafe_fixes:
        from wfgen_cli import fixing

        fixing.refuse_unclear(fix=fix, diff=diff)
        act = fixing.show if diff else fixing.fix
        fixed = act(settings, lambda edited: looking.look(settings, wanted, edited).diagnostics, unsafe=unsafe_fixes)
        if diff:
            raise typer.Exit(0 if exit_zero and fixed == FOUND else fixed)
    found = looking.look(settings, wanted)
    code = reporting.tell(found, report, settings)
    if found.failure is not None:
        raise found.failure
    raise typer.Exit(max(fixed, 0 if exit_zero else code))


def _codes(texts: list[str] | None) -> tuple[str, ...] | None:
    """Codes of a repeatable option, each text of it a list with commas."""
    return None if not texts else tuple(part for text in texts for part in text.split(","))
