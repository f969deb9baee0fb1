"""Where settings come from, which one counts, and what is said about a bad one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from wfgen.errors import ConfigurationError
from wfgen.settings import Settings


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WFGEN_"):
            monkeypatch.delenv(name)


def project(folder: Path, table: str) -> Path:
    (folder / "pyproject.toml").write_text(table, encoding="utf-8")
    return folder


def test_no_configuration_is_fine(tmp_path: Path) -> None:
    """Without any file the defaults apply, at the folder asked for."""
    settings = Settings.load(tmp_path)
    assert settings.project == tmp_path
    assert settings == Settings(project=tmp_path)
    assert settings.engine == "sqlite:///.wfgen/wfgen.db"


def test_the_table_is_read(tmp_path: Path) -> None:
    """Every kind of setting can stand in the table, with dashes or underscores."""
    project(
        tmp_path,
        '[tool.wfgen]\nengine = "sqlite:///a.db"\nexclude = ["a/*", "b"]\nstrict = true\npayload-limit = 5\n'
        'concurrency = 3\nlease = "1m"\n',
    )
    settings = Settings.load(tmp_path)
    assert settings.engine == "sqlite:///a.db"
    assert settings.exclude == ("a/*", "b")
    assert settings.strict is True
    assert (settings.payload_limit, settings.concurrency, settings.lease) == (5, 3, "1m")


def test_arguments_beat_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place overrides the one before; an argument of None is not given."""
    project(tmp_path, '[tool.wfgen]\nengine = "sqlite:///file.db"\nlease = "20s"\nconcurrency = 1\n')
    monkeypatch.setenv("WFGEN_ENGINE", "sqlite:///environment.db")
    monkeypatch.setenv("WFGEN_LEASE", "30s")
    settings = Settings.load(tmp_path, engine="sqlite:///argument.db", lease=None)
    assert (settings.engine, settings.lease, settings.concurrency) == ("sqlite:///argument.db", "30s", 1)


def test_the_environment_is_text_for_every_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, flags and lists are read from text."""
    monkeypatch.setenv("WFGEN_CONCURRENCY", "7")
    monkeypatch.setenv("WFGEN_STRICT", "true")
    monkeypatch.setenv("WFGEN_SELECT", "WF1, WF201,")
    monkeypatch.setenv("WFGEN_OUTPUT", "out")
    settings = Settings.load(tmp_path)
    assert (settings.concurrency, settings.strict, settings.select) == (7, True, ("WF1", "WF201"))
    assert settings.output == "out"


def test_the_project_is_the_nearest_folder_with_a_table(tmp_path: Path) -> None:
    """A table further up wins over a file without one; without a table the nearest file is the project."""
    inner = tmp_path / "inner"
    deep = inner / "deep"
    deep.mkdir(parents=True)
    project(inner, "[project]\nname = 'x'\n")
    assert Settings.load(deep).project == inner
    project(tmp_path, "[tool.wfgen]\nstrict = true\n")
    assert Settings.load(deep).project == tmp_path
    assert Settings.load(deep).strict


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    (tmp_path / "pyproject.toml").write_bytes(b"\xef\xbb\xbf[tool.wfgen]\r\nstrict = true\r\n")
    assert Settings.load(tmp_path).strict


def test_the_import_root_is_src_when_there_is_code_in_it(tmp_path: Path) -> None:
    """`src` counts when it is no package and holds Python files; a setting decides otherwise."""
    assert Settings.load(tmp_path).import_root == tmp_path
    (tmp_path / "src" / "flows").mkdir(parents=True)
    assert Settings.load(tmp_path).import_root == tmp_path
    (tmp_path / "src" / "flows" / "a.py").touch()
    assert Settings.load(tmp_path).import_root == tmp_path / "src"
    (tmp_path / "lib").mkdir()
    assert Settings.load(tmp_path, root="lib").import_root == tmp_path / "lib"
    (tmp_path / "src" / "__init__.py").touch()
    assert Settings.load(tmp_path).import_root == tmp_path


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (
            "[tool.wfgen]\nengin = 'x'\n",
            r"unknown setting 'engin' \(\[tool.wfgen\] engin in .*pyproject.toml\).*'engine'",
        ),
        ("[tool.wfgen]\nzzz = 1\n", "unknown setting 'zzz'.*Known settings: .*concurrency, determinism, .*engine"),
        ("[tool.wfgen]\nproject = 'x'\n", "unknown setting 'project'"),
        ("[tool.wfgen]\nengine = 5\n", r"bad setting 'engine' \(\[tool.wfgen\] engine in .*got 5"),
        ("[tool.wfgen]\nstrict = 'no'\n", "bad setting 'strict'.*got 'no'"),
        ("[tool.wfgen]\npayload_limit = '5'\n", "bad setting 'payload_limit'.*got '5'"),
        ("[tool.wfgen]\nconcurrency = true\n", "bad setting 'concurrency'.*got True"),
        ("[tool.wfgen]\nconcurrency = 0\n", "bad setting 'concurrency'.*greater than 0"),
        ("[tool.wfgen]\nexclude = 'a'\n", "bad setting 'exclude'.*got 'a'"),
        ("[tool.wfgen]\nexclude = ['a', 5]\n", "bad setting 'exclude'.*got 5"),
        ("[tool.wfgen]\nlease = 15\n", "bad setting 'lease'"),
        ("[tool.wfgen]\nlease = 'soon'\n", "bad setting 'lease'.*'soon' is no duration"),
        ("[tool.wfgen]\nlease = '10ms'\n", "bad setting 'lease'.*at least one second"),
        ("[tool]\nwfgen = 3\n", "not a table"),
        ("[tool.wfgen\n", r"pyproject\.toml cannot be read"),
    ],
)
def test_a_bad_setting_names_itself_and_its_place(tmp_path: Path, table: str, match: str) -> None:
    """Nothing is guessed: unknown names, wrong types and values out of range are errors that say where they stand."""
    with pytest.raises(ConfigurationError, match=match):
        Settings.load(project(tmp_path, table))


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        (
            "WFGEN_CONCURRENCY",
            "many",
            r"bad setting 'concurrency' \(WFGEN_CONCURRENCY in the environment\).*got 'many'",
        ),
        ("WFGEN_CONCURRENCY", "-1", r"bad setting 'concurrency' \(WFGEN_CONCURRENCY in the environment\).*got -1"),
        ("WFGEN_STRICT", "perhaps", "bad setting 'strict'.*got 'perhaps'"),
        ("WFGEN_LEASES", "1m", r"unknown setting 'leases' \(WFGEN_LEASES in the environment\).*'lease'"),
    ],
)
def test_a_bad_variable_names_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, match: str
) -> None:
    """The environment is checked like the file."""
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError, match=match):
        Settings.load(tmp_path)


@pytest.mark.parametrize("arguments", [{"engine": 5}, {"lease": "x"}, {"enginee": "x"}])
def test_a_bad_argument_names_itself(tmp_path: Path, arguments: dict[str, Any]) -> None:
    """So are arguments."""
    (name,) = arguments
    with pytest.raises(ConfigurationError, match=f"argument {name}"):
        Settings.load(tmp_path, **arguments)


@pytest.mark.parametrize("content", [b"tool = 3\n", b""], ids=["no table", "empty"])
def test_a_file_that_says_nothing_about_wfgen_is_fine(tmp_path: Path, content: bytes) -> None:
    """An odd or empty pyproject.toml has no settings."""
    (tmp_path / "pyproject.toml").write_bytes(content)
    assert Settings.load(tmp_path) == Settings(project=tmp_path)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    """A pyproject.toml in another encoding is named, not traced back."""
    (tmp_path / "pyproject.toml").write_bytes(b"[tool.wfgen]\nengine = '\xff'\n")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml cannot be read"):
        Settings.load(tmp_path)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('root = "nope"', "there is no folder 'nope'"),
        ('output = "."', "no package that could be imported"),
        ('output = "../x"', "no package that could be imported"),
        ('output = "a b/c-d"', "no package that could be imported"),
        ('output = "flows/models"', "a module of that name stands beside it"),
    ],
)
def test_folders_that_cannot_serve(tmp_path: Path, table: str, words: str) -> None:
    """A root that is missing and an output that could not be imported are refused with the setting's name."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "models.py").touch()
    (tmp_path / "pyproject.toml").write_text(f"[tool.wfgen]\n{table}\n")
    with pytest.raises(ConfigurationError, match=words) as caught:
        Settings.load(tmp_path)
    assert "pyproject.toml" in str(caught.value)
