"""The generated package at run time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wfgen.settings import Settings

FIXTURES = Path(__file__).parents[2] / "fixtures"
PROJECTS = sorted(path.name for path in FIXTURES.iterdir() if (path / "expected").is_dir())


def run(project: Path, name: str, script: str) -> str:
    """Run a script in a copy of a golden project with its generated files, in which steps wait no longer than 10 ms."""
    shutil.copytree(FIXTURES / name / "input", project, dirs_exist_ok=True)
    shutil.copytree(FIXTURES / name / "expected", project, dirs_exist_ok=True)
    settings = Settings.load(project)
    for source in project.rglob("*.workflow.py"):
        source.write_text(source.read_text("utf-8").replace('"5m"', '"10ms"'), "utf-8")
    package = next(path.parent for path in sorted(settings.import_root.rglob("wfgen_gen/registry.py")))
    dotted = package.relative_to(settings.import_root).as_posix().replace("/", ".")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, dotted],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(settings.import_root), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PROJECTS)
def test_user_code_runs_when_it_is_needed(name: str, tmp_path: Path) -> None:
    """Every module but those in `files` imports without the user's; then the registry loads every definition."""
    script = (
        "import importlib, pkgutil, sys\n"
        "from pathlib import Path\n"
        "name = sys.argv[1]\n"
        "package = importlib.import_module(name)\n"
        "for module in pkgutil.walk_packages(package.__path__, name + '.'):\n"
        "    if not module.name.startswith(name + '.files.'):\n"
        "        importlib.import_module(module.name)\n"
        "root = Path(package.__file__).parents[name.count('.') + 1]\n"
        "found = [(key, Path(m.__file__)) for key, m in sys.modules.items() if getattr(m, '__file__', None)]\n"
        "mine = {key for key, path in found if root in path.parents and not key.startswith(name)}\n"
        "assert mine <= {name.rpartition('.')[0]}, mine\n"
        "registry = package.registry\n"
        "for workflow, version in registry.workflows:\n"
        "    registry.workflow(workflow, version).signature\n"
        "for worker in registry.workers:\n"
        "    registry.worker(worker).signature\n"
        "print(len(registry.workflows))\n"
    )
    assert int(run(tmp_path, name, script)) > 0


def test_a_declared_type_is_one_class(tmp_path: Path) -> None:
    """What a client's run returns is an instance of the class in the generated module, which pickles."""
    script = (
        "import asyncio, pickle\n"
        "from flows.models import Approval, Signup\n"
        "from flows.wfgen_gen import connect\n"
        "from flows.wfgen_gen.files.onboarding import Welcome\n"
        "async def main():\n"
        "    async with connect() as wf:\n"
        "        run = await wf.onboarding.start(Signup(name='Ada', amount=100))\n"
        "        await run.hooks.approval.resume(Approval(ok=True))\n"
        "        assert (await wf.onboarding.get_run(run.id)).id == run.id\n"
        "        return await run.result()\n"
        "welcome = asyncio.run(main())\n"
        "assert type(welcome) is Welcome, type(welcome)\n"
        "assert Welcome.__module__ == 'flows.wfgen_gen.files.onboarding', Welcome.__module__\n"
        "assert pickle.loads(pickle.dumps(welcome)) == welcome\n"
        "print(welcome)\n"
    )
    assert run(tmp_path, "simple", script) == "user_id='Ada' tax=8.0\n"


def test_hooks_of_declared_types_are_validated(tmp_path: Path) -> None:
    """A payload's type from a workflow file is known at run time too: the wrong one is refused at once."""
    script = (
        "import asyncio\n"
        "from survey.shared import Person\n"
        "from survey.wfgen_gen import connect\n"
        "from survey.wfgen_gen.files.survey import Answer, Correction, Survey\n"
        "from wfgen import InvalidInputError\n"
        "async def main():\n"
        "    async with connect() as wf:\n"
        "        run = await wf.survey.start(Survey(place={}, person=Person(name='Ada')))\n"
        "        try:\n"
        "            await run.hooks.correction.resume(3)\n"
        "        except InvalidInputError:\n"
        "            await run.hooks.correction.resume(Correction(answer=Answer(text='x')))\n"
        "        return await run.result()\n"
        "print(asyncio.run(main()))\n"
    )
    assert run(tmp_path, "declared_types", script).startswith("[Detailed(text='X', mood=<Mood.GOOD")
