"""`inspect` as a whole: bad input, determinism, the cache, and what it depends on."""

from __future__ import annotations

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
from wfgen_inspector import Inspection, inspect
from wfgen_inspector import cache as caches
from wfgen_inspector import reading as readings

Make = Callable[..., Settings]
SOUND = """\
from wfgen import define_workflow
from flows.wfgen_gen import Workflow
@define_workflow
async def {name}(workflow: Workflow) -> None:
    await workflow.do("a", "users.create")
    await workflow.do("a", workers.nope)
"""
WORKER = """\
from wfgen import define_worker
@define_worker("users.create")
async def create() -> None: ...
"""


@pytest.fixture(autouse=True)
def forget() -> None:
    """Each test is a process of its own as far as the cache goes."""
    caches._recent.clear()


def codes(found: Inspection) -> list[tuple[str, str, int]]:
    return [(d.file.rpartition("/")[2], d.code, d.line) for d in found.diagnostics]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbf" + SOUND.format(name="flow").encode(), []),
        (SOUND.format(name="flow").replace("\n", "\r\n").encode(), []),
        (SOUND.format(name="flow").replace("\n", "\r").encode(), []),
        (b"# coding: latin-1\nx = '\xe9'\n", []),
        (b"# -*- coding: nonsense -*-\n", ["WF002"]),
        (b"# coding: hex\n", ["WF002"]),
        (b"\xef\xbb\xbf# coding: latin-1\n", ["WF002"]),
        (b"x = 1\ny = '\xff'\n", ["WF002"]),
        (b"x = (\n", ["WF001"]),
        (b"x = 1\n  y = 2\n", ["WF001"]),
        (b"x = '\x00'\n", ["WF001"]),
        (b"def f(:\n    pass\n", ["WF001"]),
        (b"x = " + b"-" * 50_000 + b"1\n", ["WF001"]),
        (b"x = a" + b".b" * 50_000 + b"\n", ["WF001"]),
        (b"x = " + b"(" * 5_000 + b")" * 5_000 + b"\n", ["WF001"]),
        (b"x = '\\d'\n", []),
    ],
)
def test_bad_files_have_a_place_and_a_code(make: Make, data: bytes, expected: list[str]) -> None:
    """Empty, BOM, CRLF, CR and declared encodings are fine; what has no text or no syntax is one error in its place."""
    found = inspect(make({"flows/bad.workflow.py": data, "flows/users.worker.py": WORKER}))
    assert [d.code for d in found.diagnostics if d.file.endswith("bad.workflow.py")][: len(expected)] == expected
    bad = [d for d in found.diagnostics if d.code in ("WF001", "WF002", "WF901")]
    assert [d.code for d in bad] == expected
    assert all(d.file == "flows/bad.workflow.py" and d.line >= 1 and d.column >= 1 and d.message for d in bad)
    assert found.unreadable == ({"flows/bad.workflow.py"} if expected else set())
    assert [w.id for w in found.manifest.workers] == ["users.create"]


def test_the_place_of_a_bad_byte_is_given(make: Make) -> None:
    """Line and column count characters of the lines before it."""
    found = inspect(make({"a.workflow.py": "x = 1\r\nü = 'ö".encode() + b"\xff'\n"}))
    assert codes(found) == [("a.workflow.py", "WF002", 2)]
    assert found.diagnostics[0].column == 7


def test_line_ends_make_no_difference(make: Make, tmp_path: Path) -> None:
    """A checkout with CRLF gives the same manifest."""
    plain = inspect(make({"flows/a.workflow.py": SOUND.format(name="flow")}), cache=False)
    crlf = inspect(make({"flows/a.workflow.py": SOUND.format(name="flow").replace("\n", "\r\n").encode()}), cache=False)
    assert plain.manifest == crlf.manifest


def test_a_file_that_cannot_be_read_is_reported(make: Make, tmp_path: Path) -> None:
    """It is an error of its own, and never cached."""
    settings = make({"flows/a.workflow.py": "", "flows/b.workflow.py": ""})
    (tmp_path / "flows" / "a.workflow.py").unlink()
    (tmp_path / "flows" / "a.workflow.py").symlink_to("nowhere.py")
    found = inspect(settings)
    assert codes(found) == [("a.workflow.py", "WF002", 1)]
    assert found.unreadable == {"flows/a.workflow.py"}


def test_a_folder_that_cannot_be_listed_is_reported(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be in it is unknown, so that is an error, and nothing is taken for deleted."""
    settings = make({"flows/a.workflow.py": "", "closed/b.workflow.py": ""})
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = inspect(settings)
    assert [(d.file, d.code) for d in found.diagnostics] == [("closed", "WF002")]
    assert found.unreadable == {"closed"}


def test_a_mistake_of_the_inspector_names_the_file(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong with one file is an error that names it; the others are read all the same."""
    settings = make({"flows/a.workflow.py": SOUND.format(name="flow"), "flows/users.worker.py": WORKER})
    original = readings.Definitions.find

    def fail(self: readings.Definitions) -> None:
        if self.reading.path.endswith("a.workflow.py"):
            raise KeyError("surprise")
        original(self)

    monkeypatch.setattr(readings.Definitions, "find", fail)
    found = inspect(settings, cache=False)
    (error,) = [d for d in found.diagnostics if d.code == "WF901"]
    assert "flows/a.workflow.py" in error.message
    assert "KeyError" in error.message
    assert [w.id for w in found.manifest.workers] == ["users.create"]


def test_code_that_is_nested_too_deeply_is_an_error(make: Make) -> None:
    """What Python parses and the walk cannot take is reported like any other mistake."""
    deep = SOUND.format(name="flow") + "    x = " + "not " * 2_000 + "workflow.now()\n"
    found = inspect(make({"flows/a.workflow.py": deep}), cache=False)
    assert {d.code for d in found.diagnostics} <= {"WF001", "WF901"}
    assert found.unreadable == {"flows/a.workflow.py"}


def test_relative_imports_are_made_absolute(make: Make) -> None:
    """The fix writes the module's full name, and changes nothing else."""
    from wfgen_inspector.fixes import apply_edits

    text = (
        "from .models import A\nfrom . import b\nfrom .. import c\nfrom ..x.y import (\n    d,\n)\nfrom . . import e\n"
        "def f():\n    from .models import A\nfrom .... import g\n"
    )
    found = inspect(make({"app/flows/a.workflow.py": text, "lib/b.workflow.py": ""}))
    assert [d.code for d in found.diagnostics] == ["WF003"] * 7
    edits = [edit for d in found.diagnostics if d.fix for edit in d.fix.edits]
    assert apply_edits(text, edits) == (
        "from app.flows.models import A\nfrom app.flows import b\nfrom app import c\nfrom app.x.y import (\n    d,\n)\n"
        "from app import e\ndef f():\n    from app.flows.models import A\nfrom .... import g\n"
    )


def test_relative_imports_at_the_import_root(make: Make) -> None:
    """There the name of the module is all there is."""
    from wfgen_inspector.fixes import apply_edits

    text = "from . import a, b as c\nfrom .models import D\n"
    found = inspect(make({"a.workflow.py": text}))
    edits = [edit for d in found.diagnostics if d.fix for edit in d.fix.edits]
    assert apply_edits(text, edits) == "import a, b as c\nfrom models import D\n"


def test_import_cycles_and_equal_names_are_read(make: Make) -> None:
    """Files that import each other's types, and files of one name in two folders, are no trouble to the inspector."""
    files = {
        f"flows/{folder}/same.workflow.py": f"""
        from wfgen import define_workflow
        from flows.wfgen_gen.files.{other}.same import Out as Theirs
        class Out: ...
        @define_workflow(name="{folder}")
        async def flow(workflow, given: Theirs) -> Out: ...
        """
        for folder, other in (("one", "two"), ("two", "one"))
    }
    found = inspect(make(files))
    assert [(w.name, w.input, w.output) for w in found.manifest.workflows] == [
        ("one", "flows.wfgen_gen.files.two.same.Out", "flows.wfgen_gen.files.one.same.Out"),
        ("two", "flows.wfgen_gen.files.one.same.Out", "flows.wfgen_gen.files.two.same.Out"),
    ]
    assert "WF008" not in {d.code for d in found.diagnostics}


def test_nothing_is_imported(make: Make, tmp_path: Path) -> None:
    """User code is never run."""
    inspect(make({"flows/a.workflow.py": f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(3)\n"}))
    assert not (tmp_path / "ran").exists()


def dump(found: Inspection) -> str:
    return json.dumps([found.manifest.model_dump(mode="json"), [str(d) for d in found.diagnostics]])


def many(count: int = 12) -> dict[str, str]:
    files = {f"flows/w{n}.workflow.py": SOUND.format(name=f"flow{n}") for n in range(count)}
    return {**files, "flows/users.worker.py": WORKER, "flows/bad.workflow.py": "x = (\n"}


def test_cold_warm_and_uncached_agree(make: Make) -> None:
    """The cache changes how long it takes and nothing else."""
    settings = make(many())
    cold = dump(inspect(settings))
    warm = dump(inspect(settings))
    caches._recent.clear()
    from_disk = dump(inspect(settings))
    assert cold == warm == from_disk == dump(inspect(settings, cache=False))


def test_unchanged_files_are_not_read_again(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what changed is parsed, and touching a file is no change."""
    settings = make(many())
    inspect(settings)
    caches._recent.clear()
    parsed: list[str] = []
    parse = readings.parse
    monkeypatch.setattr(readings, "parse", lambda text: parsed.append(text) or parse(text))
    os.utime(tmp_path / "flows" / "w3.workflow.py")
    inspect(settings)
    assert parsed == []
    (tmp_path / "flows" / "w3.workflow.py").write_text(SOUND.format(name="changed"))
    assert "changed" in [w.name for w in inspect(settings).manifest.workflows]
    assert len(parsed) == 1


def test_a_moved_output_is_noticed(make: Make) -> None:
    """Type expressions name the generated package, so facts under another package are not used."""
    settings = make(
        {
            "flows/a.workflow.py": """
            from wfgen import define_workflow
            class A: ...
            @define_workflow
            async def f(w) -> A: ...
            """
        }
    )
    assert inspect(settings).manifest.workflows[0].output == "flows.wfgen_gen.files.a.A"
    moved = settings.model_copy(update={"output": "gen"})
    assert inspect(moved).manifest.workflows[0].output == "gen.files.flows.a.A"


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_cache_is_an_empty_one(make: Make, tmp_path: Path, seed: int) -> None:
    """Truncated, scrambled or foreign, the cache never gives a wrong answer."""
    settings = make(many())
    expected = dump(inspect(settings))
    path = tmp_path / caches.FOLDER / "facts.json"
    data = bytearray(path.read_bytes())
    source = random.Random(seed)
    if seed == 0:
        data = bytearray(b"")
    elif seed == 1:
        data = data[: len(data) // 2]
    elif seed == 2:
        data = bytearray(bytes(data).replace(b"users.create", b"users.delete"))
    else:
        for _ in range(40):
            data[source.randrange(len(data))] = source.randrange(256)
    path.write_bytes(data)
    caches._recent.clear()
    assert dump(inspect(settings)) == expected
    caches._recent.clear()
    assert dump(inspect(settings)) == expected


def test_a_cache_that_cannot_be_written_is_none(make: Make, tmp_path: Path) -> None:
    """A file in the place of its folder is no error."""
    settings = make(many())
    (tmp_path / ".wfgen").write_text("in the way")
    assert dump(inspect(settings)) == dump(inspect(settings, cache=False))


def test_the_cache_keeps_itself_out_of_git(make: Make, tmp_path: Path) -> None:
    """Its folder ignores all that is in it, and holds one file."""
    inspect(make(many()))
    folder = tmp_path / caches.FOLDER
    assert (folder / ".gitignore").read_text() == "*\n"
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "facts.json"]


def test_results_do_not_depend_on_hash_seed_or_folder(make: Make, tmp_path: Path) -> None:
    """Two processes with other hash seeds, in other folders, give the same bytes."""
    make({**many(4), "flows/types.workflow.py": "import enum\n" + SOUND.format(name="more")})
    script = (
        "import json, sys; from pathlib import Path; from wfgen.settings import Settings;"
        "from wfgen_inspector import inspect;"
        "f = inspect(Settings(project=Path(sys.argv[1])), cache=False);"
        "print(f.manifest.model_dump_json(), [str(d) for d in f.diagnostics])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, folder in (("1", tmp_path), ("2", tmp_path / "flows"), ("77", Path("/")))
    }
    assert len(outputs) == 1


def test_what_is_no_regular_file_is_not_opened(make: Make, tmp_path: Path) -> None:
    """A pipe would be waited for and a device need not end: they and links to them are files that cannot be read."""
    settings = make({"a.workflow.py": SOUND.format(name="flow")})
    os.mkfifo(tmp_path / "pipe.workflow.py")
    (tmp_path / "link.worker.py").symlink_to("pipe.workflow.py")
    (tmp_path / "zero.worker.py").symlink_to("/dev/zero")
    found = inspect(settings)
    bad = {d.file: d.message for d in found.diagnostics if d.code == "WF002"}
    assert bad == dict.fromkeys(("pipe.workflow.py", "link.worker.py", "zero.worker.py"), "this is not a regular file.")
