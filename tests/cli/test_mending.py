"""From findings with fixes to files: rounds, guards, and what is never touched."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_cli.failures import FixError
from wfgen_cli.mending import MAX_ROUNDS, Mended, MendedFile, mend
from wfgen_cli.overwriting import overwrite
from wfgen_inspector.diagnostics import Applicability, Diagnostic, Edit, Fix
from wfgen_inspector.sources import Edited, Source

Finder = Callable[[dict[str, str]], list[Diagnostic]]


def finding(file: str, line: int, start: int, end: int, text: str, **other: object) -> Diagnostic:
    """A finding whose fix replaces a stretch of a line."""
    message = f"bad {other.get('word', 'word')} in line {line}."
    applicability: Applicability = "unsafe" if other.get("unsafe") else "safe"
    target = str(other.get("target", file))
    edits = (Edit(target, line, start, line, end, text), *other.get("more", ()))  # type: ignore[misc]
    fix = Fix("mend it", applicability, edits)
    return Diagnostic(file, line, start, line, end, "WF999", "error", message, fix=fix)


def each(word: str, text: str, **other: object) -> Finder:
    """Finds every occurrence of a word, and replaces it."""

    def find(texts: dict[str, str]) -> list[Diagnostic]:
        return [
            finding(file, number, match.start() + 1, match.end() + 1, text, word=word, **other)
            for file, content in texts.items()
            for number, line in enumerate(content.split("\n"), 1)
            for match in re.finditer(rf"\b{word}\b", line)
        ]

    return find


@pytest.fixture
def mended(tmp_path: Path) -> Callable[..., Mended]:
    """Mend files of a project in which `find` finds what is wrong."""

    def run(files: dict[str, str], find: Finder, *, unsafe: bool = False) -> Mended:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content.encode())

        def look(edited: Edited) -> Sequence[Diagnostic]:
            texts = {}
            for name in files:
                real = os.path.realpath(tmp_path / name)
                texts[name] = Source(edited.get(real) or Path(real).read_bytes()).text()
            return find(texts)

        return mend(Settings(project=tmp_path), look, unsafe=unsafe)

    return run


def outcome(mended: Mended) -> dict[str, str]:
    return {file.name: file.after.written() for file in mended.files}


def test_fixes_of_fixes_are_made_in_rounds(mended: Callable[..., Mended]) -> None:
    """What a fix brings about is fixed as well, and all of it is counted."""
    steps = [each("a", "b"), each("b", "c"), each("c", "d")]
    result = mended({"x.py": "a\na; b\n"}, lambda texts: [d for step in steps for d in step(texts)])
    assert (outcome(result), result.count, result.refused) == ({"x.py": "d\nd; d\n"}, 8, ())


def test_fixes_that_bring_each_other_about_end(mended: Callable[..., Mended]) -> None:
    """After so many rounds the rest is left out, and told."""
    result = mended({"x.py": "a\n"}, lambda texts: [*each("a", "b")(texts), *each("b", "a")(texts)])
    assert (result.count, result.files) == (0, ())
    assert result.refused == (
        f"the fix of WF999 in x.py:1:1 was left out: there was still something to mend after {MAX_ROUNDS} rounds.",
    )


def test_a_fix_that_breaks_a_file_is_left_out(mended: Callable[..., Mended]) -> None:
    """The file keeps what it has, other files get their fixes, and the reason is told."""
    files = {"x.py": "a\n", "y.py": "a\n"}

    def find(texts: dict[str, str]) -> list[Diagnostic]:
        broken = each("a", "a(")({"x.py": texts["x.py"]})
        return [*broken, *each("a", "b")({"y.py": texts["y.py"]})]

    result = mended(files, find)
    assert outcome(result) == {"y.py": "b\n"}
    assert len(result.refused) == 1
    assert result.refused[0].startswith(
        "the fix of WF999 in x.py:1:1 was left out: x.py could not be read any more: syntax error:"
    )


def test_a_fix_that_does_not_help_is_left_out(mended: Callable[..., Mended]) -> None:
    """A finding that would be there all the same keeps its fix from the file; the others are applied."""

    def find(texts: dict[str, str]) -> list[Diagnostic]:
        return [*each("a", "a")(texts), *each("longer", "x")(texts), *each("b", "( b )")(texts)]

    result = mended({"x.py": "longer; a\nb\n"}, find)
    assert outcome(result) == {"x.py": "x; a\nb\n"}
    assert [reason.partition(": ")[2] for reason in result.refused] == ["the finding would still be there."] * 2


def test_several_causes_in_one_place_are_mended_one_by_one(mended: Callable[..., Mended]) -> None:
    """A finding that stays where it is, with a fix for another place, was helped."""

    def find(texts: dict[str, str]) -> list[Diagnostic]:
        causes = each("cause", "cure")({"helper.py": texts["helper.py"]})
        return [
            Diagnostic("x.py", 1, 1, 1, 2, "WF999", "error", "it calls the cause.", fix=cause.fix)
            for cause in causes[:1]
        ]

    result = mended({"x.py": "call()\n", "helper.py": "cause; cause\ncause\n"}, find)
    assert outcome(result) == {"helper.py": "cure; cure\ncure\n"}


def test_unsafe_fixes_are_counted_or_made(mended: Callable[..., Mended]) -> None:
    """Without being asked for they are only counted."""
    files = {"x.py": "a\nb\na\n"}

    def find(texts: dict[str, str]) -> list[Diagnostic]:
        return [*each("a", "c", unsafe=True)(texts), *each("b", "c")(texts)]

    result = mended(files, find)
    assert (outcome(result), result.unsafe) == ({"x.py": "a\nc\na\n"}, 2)
    result = mended(files, find, unsafe=True)
    assert (outcome(result), result.unsafe) == ({"x.py": "c\nc\nc\n"}, 0)


def test_files_of_one_fix_belong_together(mended: Callable[..., Mended]) -> None:
    """They are one batch, together with what else is changed in them."""

    def find(texts: dict[str, str]) -> list[Diagnostic]:
        both = [
            finding("x.py", 1, 1, 2, "b", more=(Edit("y.py", 1, 1, 1, 2, "b"),)) for _ in texts["x.py"][:1].strip("b")
        ]
        return [*both, *each("c", "d")(texts)]

    result = mended({"x.py": "a\n", "y.py": "a; c\n", "z.py": "c\n"}, find)
    assert [[file.name for file in batch.files] for batch in result.batches] == [["x.py", "y.py"], ["z.py"]]
    assert result.count == 3
    assert outcome(result) == {"x.py": "b\n", "y.py": "b; d\n", "z.py": "d\n"}


def test_generated_files_are_left_alone(mended: Callable[..., Mended]) -> None:
    """Neither what lies in the generated package nor what says that it was generated is changed."""
    head = "# Generated by wfgen; do not edit. sha256:" + "0" * 64
    files = {"wfgen_gen/x.py": "a\n", "old/y.py": f"{head}\na\n", "z.py": "a\n"}
    result = mended(files, each("a", "b"))
    assert outcome(result) == {"z.py": "b\n"}
    assert result.errors == ()
    assert result.refused == tuple(f"{name} is generated: its fixes were left out." for name in sorted(files)[:2])


def test_files_outside_the_project_are_left_alone(tmp_path: Path) -> None:
    """A link that leads out of the project, or a path that does, is not followed."""
    (tmp_path / "project").mkdir()
    (tmp_path / "outside.py").write_text("a\n")
    (tmp_path / "project/link.py").symlink_to(tmp_path / "outside.py")

    def look(edited: Edited) -> Sequence[Diagnostic]:
        return each("a", "b")({"link.py": "a\n", "../outside.py": "a\n"})

    result = mend(Settings(project=tmp_path / "project"), look)
    assert result.files == ()
    assert result.refused == tuple(
        f"{name} lies outside the project: its fixes were left out." for name in ("../outside.py", "link.py")
    )


def test_two_names_of_one_file(tmp_path: Path, mended: Callable[..., Mended]) -> None:
    """A file that is found under two names is changed once, and the link stays a link."""
    (tmp_path / "y.py").symlink_to("x.py")
    result = mended({"x.py": "a\n", "y.py": "a\n"}, each("a", "b"))
    assert outcome(result) == {"x.py": "b\n"}
    for batch in result.batches:
        overwrite(batch.files)
    assert ((tmp_path / "x.py").read_text(), (tmp_path / "y.py").is_symlink()) == ("b\n", True)


def test_text_that_the_encoding_lacks(mended: Callable[..., Mended], tmp_path: Path) -> None:
    """A fix that the file's own encoding cannot hold is left out."""
    head = "# coding: ascii\n"
    result = mended({"x.py": f"{head}a; b\n"}, lambda texts: [*each("a", "é")(texts), *each("b", "c")(texts)])
    assert result.files == ()
    assert "cannot be written in ascii" in result.refused[0]


def changed(path: Path, after: bytes) -> MendedFile:
    return MendedFile(path.name, path, Source(path.read_bytes()), Source(after))


def test_a_file_that_somebody_changed_is_not_overwritten(tmp_path: Path) -> None:
    """Nor are those that belong to it; no temporary file stays."""
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    for path in (one, two):
        path.write_text("before\n")
    files = [changed(one, b"after\n"), changed(two, b"after\n")]
    two.write_text("edited\n")
    with pytest.raises(FixError, match=r"two\.py was not changed: somebody else changed it"):
        overwrite(files)
    assert (one.read_text(), two.read_text()) == ("before\n", "edited\n")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_disk_that_fails_in_between_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file of a batch is put back when the second cannot be replaced."""
    paths = [tmp_path / name for name in ("one.py", "two.py")]
    for path in paths:
        path.write_text("before\n")
    files = [changed(path, b"after\n") for path in paths]
    replace, calls = os.replace, [0]

    def fail_second(source: str, target: Path) -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(FixError, match=r"one\.py, two\.py were not changed: No space left on device"):
        overwrite(files)
    assert [path.read_text() for path in paths] == ["before\n", "before\n"]
    assert len(list(tmp_path.iterdir())) == 2


def test_an_interrupt_in_between_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between the files of a batch puts the first one back and goes on its way."""
    paths = [tmp_path / name for name in ("one.py", "two.py")]
    for path in paths:
        path.write_text("before\n")
    files = [changed(path, b"after\n") for path in paths]
    replace = os.replace

    def interrupted(source: str, target: Path) -> None:
        if target == paths[1]:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        overwrite(files)
    assert [path.read_text() for path in paths] == ["before\n", "before\n"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """It is not made anew."""
    path = tmp_path / "one.py"
    path.write_text("before\n")
    file = changed(path, b"after\n")
    path.unlink()
    with pytest.raises(FixError, match="No such file"):
        overwrite([file])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o664])
def test_the_mode_of_a_file_is_kept(tmp_path: Path, mode: int) -> None:
    """Whatever new files get here, who might read and run the old one may do so with the new one."""
    path = tmp_path / "one.py"
    path.write_text("before\n")
    path.chmod(mode)
    overwrite([changed(path, b"after\n")])
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("after\n", mode)
