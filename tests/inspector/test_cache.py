"""The cache of facts: whatever happens to it, and to what facts depend on, the answer is that of no cache."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen.settings import Settings
from wfgen_inspector import Inspection, inspect, sources
from wfgen_inspector import cache as caches
from wfgen_inspector.parsing import parse

Make = Callable[..., Settings]
FLOW = """\
from wfgen import define_workflow
from flows.wfgen_gen import Workflow
from flows.models import {model}
@define_workflow
async def {name}(workflow: Workflow, given: {model}) -> None:
    await workflow.do("a", "users.create")
    await workflow.do("a", "users.nope")
"""
WORKER = """\
from wfgen import define_worker
@define_worker("users.create")
async def create() -> None: ...
"""
USER = """\
from wfgen import define_workflow
from flows.wfgen_gen import Workflow
from flows.tasks import charge
@define_workflow
async def pay(workflow: Workflow) -> None:
    await workflow.do("charge", charge)
"""


@pytest.fixture(autouse=True)
def forget() -> None:
    """Each test is a process of its own as far as memory goes."""
    again()


def again() -> None:
    """Forget what this process has read, as a new one would."""
    caches._recent.clear()
    sources._recent.clear()


def dump(found: Inspection) -> str:
    return json.dumps([found.manifest.model_dump(mode="json"), [str(d) for d in found.diagnostics]])


def check(settings: Settings) -> Inspection:
    """Inspect as a new process and as one that goes on; both must give what no cache gives."""
    expected = dump(inspect(settings, cache=False))
    going_on = inspect(settings)
    assert dump(going_on) == expected
    again()
    assert dump(inspect(settings)) == expected
    again()
    assert dump(inspect(settings)) == expected
    return going_on


def many(count: int = 8) -> dict[str, str]:
    files = {f"flows/w{n}.workflow.py": FLOW.format(name=f"flow{n}", model="Order") for n in range(count)}
    return {**files, "flows/users.worker.py": WORKER, "flows/models.py": "class Order: ...\n"}


def path_of(folder: Path) -> Path:
    return folder / caches.FOLDER / "facts.json"


def line_of(head: Any, content: bytes) -> bytes:
    """A line that has the right hash, whatever it holds."""
    return json.dumps([*head, hashlib.sha256(content).hexdigest()]).encode() + b"\t" + content


def _cut(data: bytes, source: random.Random) -> bytes:
    return data[: source.randrange(len(data))]


def _flip(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randrange(1, 30)):
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def _shuffle(data: bytes, source: random.Random) -> bytes:
    head, *lines = data.split(b"\n")
    source.shuffle(lines)
    return b"\n".join((head, *lines))


def _swap(data: bytes, source: random.Random) -> bytes:
    """Contents under the heads of others."""
    head, *lines = data.rstrip(b"\n").split(b"\n")
    parts = [line.partition(b"\t") for line in lines if line]
    contents = [part[2] for part in parts]
    source.shuffle(contents)
    return b"\n".join((head, *(part[0] + b"\t" + content for part, content in zip(parts, contents, strict=True))))


def _retype(data: bytes, source: random.Random) -> bytes:
    """Values of other types, each with a hash that is right."""
    head, *lines = data.rstrip(b"\n").split(b"\n")
    changed = []
    for line in filter(None, lines):
        before, _, content = line.partition(b"\t")
        facts = json.loads(content)
        key = source.choice(sorted(facts))
        facts[key] = source.choice([None, 7, "text", [[1]], {"a": {}}])
        if key not in ("readable", "lost", "suppressions", "problems", "dependencies", "imports"):
            changed.append(line_of(json.loads(before)[:2], json.dumps(facts).encode()))
    return b"\n".join((head, *changed, b"[" * 10_000, b"[1]\t{}", b'["a"]\t', b"\t\t", b""))


@pytest.mark.parametrize("damage", [_cut, _flip, _shuffle, _swap])
@pytest.mark.parametrize("seed", range(6))
def test_damage(make: Make, tmp_path: Path, damage: Callable[[bytes, random.Random], bytes], seed: int) -> None:
    """Cut off, with flipped bits, in another order, mixed up: what cannot be trusted is read anew."""
    settings = make(many())
    inspect(settings)
    path = path_of(tmp_path)
    path.write_bytes(damage(path.read_bytes(), random.Random(seed)))
    again()
    check(settings)


@pytest.mark.parametrize("seed", range(4))
def test_wrong_types(make: Make, tmp_path: Path, seed: int) -> None:
    """Lines that are whole and hold nonsense lead to no failure."""
    settings = make(many())
    inspect(settings)
    path = path_of(tmp_path)
    path.write_bytes(_retype(path.read_bytes(), random.Random(seed)))
    again()
    inspect(settings)


def test_what_is_no_file_of_ours(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a pipe that nobody writes to and a file of absurd size are no caches, and none is waited for."""
    settings = make(many())
    inspect(settings)
    path = path_of(tmp_path)
    data = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    again()
    check(settings)
    path.unlink()
    path.mkdir()
    check(settings)
    path.rmdir()
    monkeypatch.setattr(caches, "_LARGEST", len(data) - 1)
    path.write_bytes(data.replace(b"users.create", b"users.delete"))
    again()
    check(settings)


def test_read_only(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written, what is there still serves, and what is new is read each time."""
    settings = make(many())
    inspect(settings)
    before = path_of(tmp_path).read_bytes()

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkstemp", refuse)
        patch.setattr("os.open", refuse)
        (tmp_path / "flows/w1.workflow.py").write_text(FLOW.format(name="other", model="Order"))
        found = check(settings)
    assert "other" in [w.name for w in found.manifest.workflows]
    assert path_of(tmp_path).read_bytes() == before


@pytest.mark.parametrize("what", ["code_digest", "version"])
def test_another_version(make: Make, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts of another wfgen, or of another LibCST, which makes fixes, are not used."""
    settings = make(many())
    inspect(settings)
    parsed = _count_parsing(monkeypatch)
    again()
    inspect(settings)
    assert parsed == []
    monkeypatch.setattr(caches, what, lambda *_: "another")
    again()
    check(settings)
    assert len(parsed) >= len(many()) - 1


def test_settings_on_which_facts_depend(make: Make, tmp_path: Path) -> None:
    """Another import root resolves names otherwise, with the same files."""
    settings = make(
        {
            "src/flows/pay.workflow.py": USER,
            "src/flows/tasks.py": "async def charge() -> None: ...\n",
            "flows/tasks.py": "charge = 1\n",
        },
        output="src/gen",
    )
    for root in ("src", ".", "src"):
        check(settings.model_copy(update={"root": root}))


def _count_parsing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    parsed: list[str] = []
    monkeypatch.setattr("wfgen_inspector.reading.parse", lambda text: parsed.append(text) or parse(text))
    return parsed


def test_a_few_changes_are_put_at_the_end(make: Make, tmp_path: Path) -> None:
    """A changed file adds a line, going back in another process adds none, and the file does not grow for ever."""
    settings = make(many())
    inspect(settings)
    path, source = path_of(tmp_path), tmp_path / "flows/w1.workflow.py"
    first = path.read_bytes()
    good = source.read_text()
    source.write_text(good.replace("flow1", "other"))
    check(settings)
    second = path.read_bytes()
    assert second.startswith(first)
    assert len(second.splitlines()) == len(first.splitlines()) + 2  # one of them empty
    source.write_text(good)
    again()
    check(settings)
    assert path.read_bytes() == second
    for number in range(50):
        source.write_text(good.replace("flow1", f"other{number}"))
        again()
        inspect(settings)
    assert len(path.read_bytes()) < 3 * len(first)
    check(settings)


def test_what_is_gone_is_forgotten(make: Make, tmp_path: Path) -> None:
    """Hashes of facts are those of the files that there are, whatever older lines the cache holds."""
    settings = make(many())
    source = tmp_path / "flows/w1.workflow.py"
    good = source.read_text()
    first = inspect(settings).digests
    assert set(first) == {path for path in many() if path != "flows/models.py"}
    source.write_text(good.replace("flow1", "other"))
    again()
    second = inspect(settings).digests
    assert {path for path in first if first[path] != second[path]} == {"flows/w1.workflow.py"}
    source.write_text(good)
    again()
    assert inspect(settings).digests == first
    source.unlink()
    again()
    assert set(inspect(settings).digests) == set(first) - {"flows/w1.workflow.py"}


TASKS = "async def charge() -> None: ...\n"
AS_WORKER = "from wfgen import define_worker\n@define_worker('pay')\nasync def charge() -> None: ...\n"


def test_dependencies(make: Make, tmp_path: Path) -> None:
    """A module that changes, goes, comes back, or comes to stand before another, is noticed by whoever uses it."""
    settings = make({**many(), "flows/pay.workflow.py": USER, "flows/__init__.py": ""})
    tasks = tmp_path / "flows/tasks.py"
    check(settings)  # not there yet
    for text in (TASKS, "def charge(", TASKS.replace("async ", ""), AS_WORKER, "from flows.more import charge\n"):
        tasks.write_text(text)
        check(settings)
    more = tmp_path / "flows/more.py"
    more.write_text(TASKS)
    check(settings)
    more.write_text(TASKS.replace("async ", ""))
    check(settings)
    package = tmp_path / "flows/tasks/__init__.py"  # stands before the module of that name
    package.parent.mkdir()
    package.write_text(TASKS)
    check(settings)
    package.unlink()
    check(settings)
    tasks.unlink()
    package.parent.rmdir()
    check(settings)
    package.parent.mkdir()  # a folder is a package, too
    check(settings)


def test_a_module_that_comes_to_stand_before_another(make: Make, tmp_path: Path) -> None:
    """A module at the import root hides an installed one of its name from the next look on."""
    source = "from wfgen import define_workflow\nfrom stripe import charge\n" + USER.partition("charge\n")[2]
    settings = make({"flows/pay.workflow.py": source.replace("charge)", "charge, 1)")})
    before = inspect(settings).digests
    (tmp_path / "stripe.py").write_text("from wfgen import define_worker\n" + AS_WORKER)
    check(settings)
    after = inspect(settings)
    assert after.digests != before
    assert "stripe" in after.modules
    (tmp_path / "stripe.py").unlink()
    (tmp_path / "stripe").mkdir()
    check(settings)


def test_what_is_generated_makes_no_difference(make: Make, tmp_path: Path) -> None:
    """Facts are the same before and after the package was generated."""
    settings = make({"pay.workflow.py": USER.replace("flows.", ""), "tasks.py": TASKS})
    parsed = inspect(settings).digests
    (tmp_path / "wfgen_gen/files").mkdir(parents=True)
    (tmp_path / "wfgen_gen/__init__.py").write_text("")
    again()
    assert inspect(settings).digests == parsed
    check(settings)


def test_same_size_and_time(make: Make, tmp_path: Path) -> None:
    """A module and a source that are replaced by others of the same size, with the same times, are noticed."""
    settings = make({"flows/pay.workflow.py": USER, "flows/tasks.py": TASKS, "flows/users.worker.py": WORKER})
    old = 1_500_000_000
    paths = (tmp_path / "flows/tasks.py", tmp_path / "flows/pay.workflow.py", tmp_path / "flows/users.worker.py")
    for path in paths:
        os.utime(path, (old, old))
    check(settings)
    for path, (before, after) in zip(
        paths, [("charge", "refund"), ('"charge"', '"refund"'), ("users", "staff")], strict=True
    ):
        path.write_text(path.read_text().replace(before, after))
        os.utime(path, (old, old))
        check(settings)
        other = path.with_suffix(".new")  # put in place by renaming
        other.write_text(path.read_text().replace(after, before))
        os.utime(other, (old, old))
        os.replace(other, path)
        check(settings)


def test_files_that_look_the_same_are_not_read_again(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process reads a file again when it looks different, or was so young that a change might not show."""
    settings = make({"flows/users.worker.py": WORKER})
    place = str(tmp_path / "flows/users.worker.py")
    first = sources.read(place)
    assert sources.read(place) is not first
    monkeypatch.setattr(sources, "_SETTLED", -1.0)
    second = sources.read(place)
    assert sources.read(place) is second
    Path(place).write_text(WORKER.replace("users", "staff"))
    assert b"staff" in sources.read(place).data
    os.utime(place)
    assert sources.read(place).data == sources.read(place).data
    assert inspect(settings).manifest.workers[0].id == "staff.create"


WRITE = """
import json, random, sys
from pathlib import Path
from wfgen.settings import Settings
from wfgen_inspector import inspect
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
source = random.Random(seed)
text = (folder / "flows/w1.workflow.py").read_text()
for number in range(30):
    if seed % 2:  # one of two changes files, both look
        path = folder / f"flows/w{source.randrange(8)}.workflow.py"
        path.write_text(text.replace("flow1", f"flow_{seed}_{number}"))
    inspect(Settings(project=folder))
"""


def test_two_processes_at_once(make: Make, tmp_path: Path) -> None:
    """However processes that read and write one cache fall together, the next one gives what no cache gives."""
    settings = make(many())
    for round_ in range(3):
        processes = [
            subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path), str(3 * round_ + number)])
            for number in range(3)
        ]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        again()
        check(settings)
    assert [path.name for path in path_of(tmp_path).parent.glob(".facts*")] == []
