"""What the engine and the user's workflows log, as lines on stderr."""

from __future__ import annotations

import logging
import sys

from wfgen_cli import terminal

_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        style = _STYLES.get(record.levelno)
        label = level if style is None else terminal.paint(level, style, sys.stderr)
        run, code = getattr(record, "run_id", None), getattr(record, "code", None)
        if code is not None:
            label = terminal.paint(f"{level}[{code}]", style or "bold", sys.stderr)
        hint = getattr(record, "hint", None)
        advice = f"\n  {terminal.paint('hint', 'cyan', sys.stderr)}: {hint}" if hint else ""
        return f"{label}: {f'{run}: ' if run else ''}{super().format(record)}{advice}"


def show_logs(*, engine: int) -> None:
    """Print to stderr what the user's workflows log, from INFO on, and what the engine has to say.

    Args:
        engine: the level from which on the engine is heard.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logger = logging.getLogger("wfgen")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.getLogger("wfgen.engine").setLevel(engine)
    # A failed attempt is an event, which is told already.
    logging.getLogger("wfgen.step").setLevel(logging.WARNING)
