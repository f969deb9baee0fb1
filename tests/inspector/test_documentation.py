"""The page that documents the rules."""

from pathlib import Path

from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.rules import RULES
from wfgen_inspector.rules.documentation import page

PAGE = Path(__file__).parents[2] / "docs/rules.md"


def test_the_page_is_current() -> None:
    """docs/rules.md is what `python -m wfgen_inspector.rules` writes."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run: .venv/bin/python -m wfgen_inspector.rules > docs/rules.md"


def test_every_finding_links_to_its_rule() -> None:
    """A finding's address is an anchor on the page."""
    text = page()
    for code in RULES:
        anchor = Diagnostic("a.py", 1, 1, 1, 1, code, "error", "m.").url.partition("#")[2]
        assert f'<a id="{anchor}"></a>{code} ' in text
