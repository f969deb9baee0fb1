"""The files of a new project."""

from __future__ import annotations

PYPROJECT = """\
[project]
name = {name}
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["wfgen-runtime"]

[tool.wfgen]
# Where runs are recorded; a relative path starts at this folder. This is the default.
engine = "sqlite:///.wfgen/wfgen.db"

[tool.mypy]
# Give mypy explicit paths: `mypy main.py flows/*.py`.
strict = true
"""

GITIGNORE = """\
# wfgen's database and caches. The generated package (flows/wfgen_gen) may be committed.
.wfgen/
__pycache__/
.venv/
.mypy_cache/
"""

PACKAGE = '"""Workflows, the workers that they call, and the types that both share."""\n'

MODELS = '''\
"""The types that go in and out of workflows and workers."""

from pydantic import BaseModel


class Person(BaseModel):
    name: str
    language: str = "en"


class Greeting(BaseModel):
    text: str
    characters: int
'''

WORKER = '''\
"""Workers do the work: whatever talks to the world outside goes here."""

from flows.models import Person
from wfgen import Retry, define_worker

SALUTATIONS = {"de": "Guten Tag", "en": "Hello", "fr": "Bonjour"}


@define_worker("phrases.salutation", retry=Retry(attempts=3), timeout="10s")
async def salutation(person: Person) -> str:
    """How to address somebody in their language. A real one would ask a database or a service."""
    return SALUTATIONS.get(person.language, SALUTATIONS["en"])
'''

WORKFLOW = '''\
"""A workflow says what happens in which order. Each step that has completed is recorded and never runs again."""

from flows.models import Greeting, Person
from flows.wfgen_gen import Workflow
from wfgen import define_workflow


@define_workflow(name="greeting", version="1", timeout="1h")
async def greeting(workflow: Workflow, person: Person) -> Greeting:
    """Find the right words, pause, and greet."""
    salutation = await workflow.do("find_words", "phrases.salutation", person)
    await workflow.sleep("pause", "1s")
    text = await workflow.do("compose", lambda: f"{salutation}, {person.name}!")
    return Greeting(text=text, characters=len(text))
'''

MAIN = '''\
"""Starts a workflow and waits for its result, through the client that `wfgen prebuild` generates."""

import asyncio

from flows.models import Person
from flows.wfgen_gen import connect


async def main() -> None:
    async with connect() as wf:
        run = await wf.greeting.start(Person(name="Ada"))
        print(f"started {run.id}")
        greeting = await run.result()
        print(greeting.text)


if __name__ == "__main__":
    asyncio.run(main())
'''


def files(name: str) -> dict[str, str]:
    """POSIX path -> content of a new project.

    Args:
        name: the project's name, as a TOML string with its quotes.
    """
    return {
        "pyproject.toml": PYPROJECT.format(name=name),
        ".gitignore": GITIGNORE,
        "flows/__init__.py": PACKAGE,
        "flows/models.py": MODELS,
        "flows/phrases.worker.py": WORKER,
        "flows/greeting.workflow.py": WORKFLOW,
        "main.py": MAIN,
    }
