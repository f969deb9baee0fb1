"""Reading files in several processes: the same results, and a file that ends its process costs that file alone.

Each test runs in an interpreter of its own, because a process with threads, as a test runner's may be, is not forked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen.settings import Settings

Make = Callable[..., Settings]

FLOW = """\
from wfgen import define_workflow
from flows.wfgen_gen import Workflow, workers
from flows.steps import charge
@define_workflow
async def {name}(workflow: Workflow) -> None:
    await workflow.do("a", "users.create")
    await workflow.do("b", workers.users.create)
    await workflow.do("c", charge)
    await workflow.do("a", workers.nope)
"""
WORKER = """\
from wfgen import define_worker
@define_worker("users.create")
async def create() -> None: ...
"""
STEPS = """\
async def charge() -> int:
    return 1
"""
INSPECT = """
import json, os, sys
from pathlib import Path
from wfgen.settings import Settings
from wfgen_inspector import inspect, inspection, processes
inspection.PAYS = 0
parent = os.getpid()
read_facts = inspection.read_facts
def told(found):
    return [found.manifest.model_dump(mode="json"), [str(d) for d in found.diagnostics], dict(found.modules)]
"""


def run(script: str, *arguments: object, **environment: str) -> Any:
    """What a script prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def inspect_with(script: str, folder: Path, **environment: str) -> Any:
    """The same for a script that has an inspection to do."""
    return run(INSPECT + textwrap.dedent(script), folder, **environment)


def files(count: int = 12) -> dict[str, str]:
    flows = {f"flows/w{n}.workflow.py": FLOW.format(name=f"flow{n}") for n in range(count)}
    return {**flows, "flows/users.worker.py": WORKER, "flows/steps.py": STEPS, "flows/bad.workflow.py": "x = (\n"}


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_task_is_done_once(jobs: int) -> None:
    """However many processes there are, each task has one result, and no process stays."""
    found = run(
        f"""
        import json, multiprocessing
        from wfgen_inspector.processes import divided
        results = list(divided(range(100), lambda number: str(number * number).encode(), {jobs}))
        print(json.dumps([sorted((n, int(r)) for n, r in results), len(multiprocessing.active_children())]))
        """
    )
    assert found == [[[n, n * n] for n in range(100)], 0]


LONG_AGO = "sys._getframe(1).f_locals['current'][1] -= 100 * 10**9"
"""Has a task begin 100 seconds before it did, as the process tells it: nobody waits, and no other task is late."""


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("os._exit(3)", "ended with exit code 3"),
        ("raise MemoryError", "ended with exit code 1"),
        (f"{LONG_AGO}; time.sleep(600)", "took longer than 60 seconds"),
    ],
)
def test_a_task_that_ends_its_process(end: str, reason: str) -> None:
    """Death and hanging cost the task at which it happened, and no other; each is told as what it was."""
    found = run(
        f"""
        import json, os, resource, signal, sys, time
        from wfgen_inspector import processes
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        processes._LOOK = 0.1
        def task(number):
            if number in (0, 7, 8, 49):
                {end}
            return b"done"
        results = dict(processes.divided(range(50), task, 2))
        lost = {{n: r.reason for n, r in results.items() if isinstance(r, processes.Lost)}}
        print(json.dumps([lost, len(results)]))
        """
    )
    assert found == [dict.fromkeys(("0", "7", "8", "49"), reason), 50]


def test_no_process_outlives_the_work() -> None:
    """When nobody wants the results any more, the processes end at once, whatever they are at."""
    found = run(
        """
        import json, multiprocessing, time
        from wfgen_inspector.processes import divided
        began = time.monotonic()
        results = divided(range(100), lambda number: b"" if number == 0 else time.sleep(60), 2)
        first = next(results)
        results.close()
        print(json.dumps([first[0], len(multiprocessing.active_children()), time.monotonic() - began < 30]))
        """
    )
    assert found == [0, 0, True]


def test_orphaned_processes_end() -> None:
    """When whoever gave the work is killed, the processes end as soon as they have done their task."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import multiprocessing, os, signal, time\n"
            "from wfgen_inspector.processes import divided\n"
            "parent, both = os.getpid(), multiprocessing.get_context('fork').Barrier(2)\n"
            "def task(number):\n"
            "    os.write(1, b'%d\\n' % os.getpid())\n"
            "    if both.wait() == 0:\n"
            "        os.kill(parent, signal.SIGKILL)\n"
            "    while os.getppid() == parent:\n"
            "        time.sleep(0.01)\n"
            "    return b''\n"
            "list(divided(range(2), task, 2))\n",
        ],
        capture_output=True,  # which waits until the last process that holds the pipe is gone
        text=True,
        timeout=60,
    )
    assert done.returncode == -9
    assert len(done.stdout.split()) == 2


def test_results_do_not_depend_on_processes(make: Make, tmp_path: Path) -> None:
    """One process or several, cold or warm, with any hash seed: the same manifest, findings and cache."""
    make(files())
    cache = tmp_path / ".wfgen/cache/facts.json"
    seen, caches = [], []
    for jobs in (1, 2, 4):
        cache.unlink(missing_ok=True)
        for seed in ("1", "2"):  # the second one is warm
            script = f"print(json.dumps(told(inspect(Settings(project=Path(sys.argv[1]), jobs={jobs})))))"
            seen.append(inspect_with(script, tmp_path, PYTHONHASHSEED=seed))
        caches.append(cache.read_bytes())
    assert seen[0][0]["files"]
    assert sum("WF102" in text for text in seen[0][1]) == 12
    assert all(one == seen[0] for one in seen)
    assert len(set(caches)) == 1


def test_processes_are_used_when_it_pays(make: Make, tmp_path: Path) -> None:
    """Few bytes are read in the process itself, many in others, and never when there are threads."""
    make(files())
    script = """
    import threading
    seen = set()
    inspection.decoded = lambda line: seen.add("other") or decoded(line)
    inspection.read_facts = lambda *given: (os.getpid() == parent and seen.add("own")) or read_facts(*given)
    from wfgen_inspector.cache import decoded
    def where(pays):
        inspection.PAYS = pays
        seen.clear()
        inspect(Settings(project=Path(sys.argv[1]), jobs=2), cache=False)
        return sorted(seen)
    told = [where(0), where(10_000_000)]
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    told.append(where(0))
    done.set()
    print(json.dumps(told))
    """
    assert inspect_with(script, tmp_path) == [["other"], ["own"], ["own"]]


def test_a_file_that_ends_its_process_is_named(make: Make, tmp_path: Path) -> None:
    """It is an error with its name, the other files are read, and the next run is as careful with it."""
    make(files())
    script = """
    import resource, signal
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    def deadly(place, source, program):
        if place.path == "flows/w3.workflow.py":
            os.kill(os.getpid(), signal.SIGSEGV)
        return read_facts(place, source, program)
    inspection.read_facts = deadly
    settings = Settings(project=Path(sys.argv[1]), jobs=2)
    first = inspect(settings)
    inspection.PAYS = 10_000_000
    second = inspect(settings)
    inspection.read_facts = read_facts
    third = inspect(settings)
    def bad(found):
        return [(d.file, d.message) for d in found.diagnostics if d.code == "WF901"]
    print(json.dumps([bad(first), bad(second), bad(third), [len(f.manifest.workflows) for f in (first, third)],
        sorted(first.unreadable)]))
    """
    error = ["flows/w3.workflow.py", "the process that read flows/w3.workflow.py was killed by SIGSEGV."]
    found = inspect_with(script, tmp_path)
    assert found == [[error], [error], [], [11, 12], ["flows/bad.workflow.py", "flows/w3.workflow.py"]]


def test_a_file_that_takes_too_much_memory_is_named(make: Make, tmp_path: Path) -> None:
    """Running out of memory while a file is read is an error of that file."""
    make(files())
    script = """
    def greedy(self):
        if self.reading.path == "flows/w3.workflow.py":
            raise MemoryError
        find(self)
    from wfgen_inspector import reading
    find = reading.Definitions.find
    reading.Definitions.find = greedy
    found = inspect(Settings(project=Path(sys.argv[1]), jobs=2))
    print(json.dumps([(d.file, d.code) for d in found.diagnostics if d.code == "WF901"]))
    """
    assert inspect_with(script, tmp_path) == [["flows/w3.workflow.py", "WF901"]]
