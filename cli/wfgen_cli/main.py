"""The entry point: runs what was asked for, and turns every failure into a line and an exit code."""

from __future__ import annotations

import io
import os
import sys


def main() -> int:
    """Run the command that `sys.argv` asks for.

    Returns:
        0: fine; 1: errors or drift were found, or a run failed; 2: bad arguments or settings, an unusable store, or
        an internal error; 130: interrupted.
    """
    if sys.stderr is None:  # closed by whoever started us: then nobody is told
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        from wfgen_cli.failures import OutputError, report

        return report(OutputError("standard output is closed"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no Unicode is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        code = 1
    except Exception as error:
        from wfgen_cli.failures import OutputError, report

        if isinstance(error, OSError) and _is_of_output(error):
            error = OutputError(error.strerror or str(error))
        code = report(error)
    _end_quietly()
    return code


def _run() -> int:
    from wfgen_cli import generating

    wanted = generating.wanted(sys.argv[1:])
    if wanted is None:
        from wfgen_cli.commands import run

        return run()
    try:  # Typer takes longer to load than an idle prebuild takes
        return generating.generate(None, wanted)
    except KeyboardInterrupt:
        return 130


def _is_of_output(error: OSError) -> bool:
    """Whether an error was raised by what writes to standard output: the innermost of the functions under way."""
    from wfgen_cli import terminal

    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    writers = [terminal.say, terminal.say_text, terminal.say_bytes, main]
    if "typer" in sys.modules:
        writers.append(sys.modules["typer"].echo)
    return place is not None and place.tb_frame.f_code in [writer.__code__ for writer in writers]


def _end_quietly() -> None:
    """Flush, and if whoever read our output is gone, keep the interpreter from complaining about it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
