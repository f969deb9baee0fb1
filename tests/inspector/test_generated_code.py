"""The inspector reads whatever Python's grammar allows without falling over."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import hypothesmith
from hypothesis import HealthCheck, given, settings

from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.facts import FileFacts
from wfgen_inspector.program import Program
from wfgen_inspector.reading import read_facts
from wfgen_inspector.sources import Source

EXAMPLES = int(os.environ.get("WFGEN_TEST_EXAMPLES", "30"))
"""How many programs each test generates."""
PLACE = SourcePath("flow.workflow.py", "workflow", "files.flow", "")
PROGRAM = Program(Path("nowhere"), Path("nowhere"), "wfgen_gen")
_SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def facts_of(text: str) -> FileFacts:
    return read_facts(PLACE, Source(text.encode("utf-8", "surrogatepass")), PROGRAM)


def internal(facts: FileFacts) -> list[str]:
    return [problem.message for problem in facts.problems if problem.code.startswith("WF9")]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=_SLOW)
@given(hypothesmith.from_node())
def test_any_program_is_read(text: str) -> None:
    """Every generated module gives facts, none an internal error."""
    assert internal(facts_of(text)) == []


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=_SLOW)
@given(hypothesmith.from_node())
def test_any_program_is_read_as_the_body_of_a_workflow(text: str) -> None:
    """The same inside a workflow, where each statement is walked and examined by all rules."""
    body = textwrap.indent(text.replace("\r", "\n"), "    ", lambda line: True)
    source = (
        "from wfgen import Workflow, define_workflow\n\n\n"
        f"@define_workflow\nasync def flow(workflow: Workflow) -> None:\n    await workflow.sleep('a', '1s')\n{body}\n"
    )
    assert internal(facts_of(source)) == []
