"""Type checking: mypy over the workflow and worker files and the generated package.

mypy runs in a process of its own, in the project's root and with the project's configuration. Where the generated
package is missing or out of date, mypy gets what prebuild would write, from a temporary folder that comes before the
import root; the project itself is left alone. `.wfgen/mypy_cache` keeps what mypy knows.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from wfgen_cli.failures import TypeCheckError
from wfgen_cli.typereport import CODE, Entry, findings, read_report, unexplained
from wfgen_codegen import carry_over, load_manifest, mypy_call, ownership, render
from wfgen_codegen.errors import RenderError, StoredManifestError, TemplateError
from wfgen_inspector import RULES, Diagnostic, Inspection
from wfgen_inspector.diagnostics import ordered
from wfgen_inspector.selection import Selection
from wfgen_inspector.suppressions import UNUSED, suppress

if TYPE_CHECKING:
    from wfgen.manifest import Manifest
    from wfgen.settings import Settings

CACHE = Path(".wfgen", "mypy_cache")
LIMIT = 600.0
"""Seconds after which mypy is given up."""
OPTIONS = (
    "--output=json",
    "--no-pretty",
    "--no-error-summary",
    "--no-color-output",
    "--hide-error-code-links",
    "--show-error-codes",
    # Only some of the modules that the configuration speaks of are checked here.
    "--no-warn-unused-configs",
)
_PYTHON = (".py", ".pyi")
_CONFIGURATION = re.compile(r"^(?:\S*[\\/])?(?:\.?mypy\.ini|pyproject\.toml|setup\.cfg|config): ")
"""How a line begins in which mypy complains of its configuration."""


def type_findings(settings: Settings, inspection: Inspection) -> tuple[Diagnostic, ...]:
    """What mypy finds in a project's sources and generated package, and nobody has said yet.

    Left out is what the inspection reports in the same place, what comments and the settings `select` and `ignore`
    leave out, and all that stands in other modules. Nothing is written in the project but below `.wfgen`.

    Args:
        settings: of the project.
        inspection: of the same project, just now.

    Raises:
        TypeCheckError: mypy is not installed, does not accept its configuration, crashed, or took too long.
    """
    if not is_wanted(settings, inspection):
        return ()
    require_mypy()
    with generated_package(settings, inspection) as package:
        found: list[Diagnostic] = []
        for manifest in groups(inspection.manifest):
            call = mypy_call(manifest, settings, overlay=package.overlay, generated=package.modules)
            options = (*OPTIONS, "--follow-imports=silent", f"--cache-dir={_cache(settings)}", *call.options)
            entries, is_stopped = _mypy(settings, options, call.files, call.environment)
            places = Places(settings, inspection, package.overlay, everywhere=is_stopped)
            found += findings(entries, settings.project, places)
    return judged(settings, inspection, found)


def is_wanted(settings: Settings, inspection: Inspection) -> bool:
    """Whether there is anything to check, and the settings do not leave types out."""
    return bool(inspection.manifest.files) and Selection.of(settings, RULES).shows(CODE)


def judged(settings: Settings, inspection: Inspection, found: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Of mypy's findings those that are to be shown, and the comments that no finding of mypy needs."""
    selection = Selection.of(settings, RULES)
    rules = {code: RULES[code] for code in (CODE, UNUSED)}
    kept = suppress(unexplained(found, inspection.diagnostics), inspection.suppressions, rules, separate=True)
    return ordered(filter(selection.keeps, kept))


def require_mypy() -> None:
    """Make sure that mypy can be run.

    Raises:
        TypeCheckError: it is not installed where wfgen is.
    """
    if importlib.util.find_spec("mypy") is None:
        raise TypeCheckError(
            f"mypy is not installed for {sys.executable}.", hint="Install mypy there, or leave types out: --no-types."
        )


@dataclass(frozen=True, slots=True)
class Package:
    """The generated package as mypy is to see it."""

    overlay: Path | None
    """Folder that stands for the import root; None if the package on disk is up to date."""
    modules: frozenset[str]
    """Python files and stubs in the package, POSIX, relative to it."""


@contextlib.contextmanager
def generated_package(settings: Settings, inspection: Inspection) -> Iterator[Package]:
    """The package as prebuild would write it, on disk for as long as the context lasts."""
    output = settings.project / inspection.manifest.output
    rendered = _rendered(settings, inspection, output)
    if rendered is None or _is_current(output, rendered):
        yield Package(None, _modules(output))
        return
    overlay = Path(tempfile.mkdtemp(prefix="wfgen-types-"))
    try:
        inside = PurePosixPath(Path(os.path.relpath(output, settings.import_root)).as_posix())
        # The packages around it must be found here as well, else mypy takes the package on disk.
        for folder in inside.parents:
            for name in ("__init__.py", "__init__.pyi"):
                source = settings.import_root / folder / name
                if source.is_file() and folder.parts:
                    (overlay / folder).mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, overlay / folder / name)
        for path, content in rendered.items():
            target = overlay / inside / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield Package(overlay, frozenset(path for path in rendered if path.endswith(_PYTHON)))
    finally:
        shutil.rmtree(overlay, ignore_errors=True)


def groups(manifest: Manifest) -> list[Manifest]:
    """The manifest in parts in which mypy gives each source a module name of its own.

    A folder whose name is no identifier is no package to mypy, so that `my-a/x.workflow.py` and `my-b/x.workflow.py`
    are both `x.workflow`. Ordinary projects have one part.
    """
    parts: list[dict[str, int]] = []
    for index, source in enumerate(manifest.files):
        folders = PurePosixPath(source.file).parts[:-1]
        opaque = [number for number, folder in enumerate(folders) if not folder.isidentifier()]
        name = source.file if not opaque else "/".join(source.file.split("/")[opaque[-1] + 1 :])
        part = next((part for part in parts if name not in part), None)
        if part is None:
            parts.append(part := {})
        part[name] = index
    return [
        manifest.model_copy(update={"files": tuple(manifest.files[index] for index in sorted(part.values()))})
        for part in parts
    ]


class Places:
    """Where the findings of a report stand, relative to the project.

    Args:
        settings: of the project.
        inspection: says which files are ours.
        overlay: folder that stands for the import root.
        everywhere: whether findings in all files count, not only those in sources and in the generated package.
    """

    def __init__(
        self, settings: Settings, inspection: Inspection, overlay: Path | None, *, everywhere: bool = False
    ) -> None:
        self._project = settings.project
        self._root = settings.import_root
        self._overlay = None if overlay is None else os.path.realpath(overlay)
        self._sources = frozenset(inspection.sources)
        self._output = f"{inspection.manifest.output}/"
        self._everywhere = everywhere

    def __call__(self, path: str) -> str | None:
        """From the path that mypy prints to a POSIX one; None if its findings do not count."""
        absolute = os.path.normpath(self._project / path)
        if self._overlay is not None and os.path.realpath(absolute).startswith(self._overlay + os.sep):
            absolute = os.path.join(self._root, os.path.relpath(os.path.realpath(absolute), self._overlay))
        file = Path(os.path.relpath(absolute, self._project)).as_posix()
        is_ours = file in self._sources or file.startswith(self._output)
        return file if is_ours or self._everywhere else None


def report_of(out: str, err: str, code: int) -> list[Entry]:
    """Read what mypy printed.

    Args:
        out: its standard output.
        err: its standard error.
        code: its exit code: 0 for no errors, 1 for errors, 2 if it stopped at one.

    Raises:
        TypeCheckError: it complained of its configuration, stopped without a place, or printed what it never did.
    """
    complaints = [line for line in err.splitlines() if _CONFIGURATION.match(line)]
    if complaints:
        raise TypeCheckError(
            f"mypy does not accept its configuration: {'; '.join(complaints)}",
            hint="Mend it; `mypy --help` lists the options. --no-types leaves types out.",
        )
    try:
        entries = list(read_report(f"{out}\n{err}"))  # errors at which mypy stops may stand in either
    except ValueError as error:
        raise TypeCheckError(
            f"mypy printed what wfgen cannot read: {error}", hint="Leave types out with --no-types."
        ) from None
    if code != 0 and not entries:
        text = " ".join((err.strip() or out.strip()).splitlines()[-3:]) or "it said nothing."
        raise TypeCheckError(
            f"mypy ended with exit code {code}: {text}",
            hint="Run mypy by itself to see more, or leave types out with --no-types.",
        )
    return entries


def _mypy(
    settings: Settings, options: Sequence[str], files: Sequence[str], extra: dict[str, str]
) -> tuple[list[Entry], bool]:
    """Run mypy to its end. Also whether it stopped at an error, so that nothing is known of what it had not read."""
    with arguments_file(files) as listed:
        # -P: a module of the project that is called like one of Python's own is not mypy's.
        command = [sys.executable, "-P", "-m", "mypy", *options, listed]
        try:
            done = subprocess.run(
                command,
                cwd=settings.project,
                env={**os.environ, **extra},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise TypeCheckError(
                f"mypy was given up after {LIMIT:.0f} seconds.", hint="Leave types out with --no-types."
            ) from None
        except OSError as error:
            raise TypeCheckError(f"mypy cannot be started: {error.strerror or error}.") from None
    return report_of(done.stdout, done.stderr, done.returncode), done.returncode not in (0, 1)


@contextlib.contextmanager
def arguments_file(files: Sequence[str]) -> Iterator[str]:
    """An argument that stands for many files, however long a command line may be."""
    with tempfile.TemporaryDirectory(prefix="wfgen-types-") as folder:
        path = Path(folder, "files")
        path.write_text("\n".join(files), encoding="utf-8")
        yield f"@{path}"


def _cache(settings: Settings) -> str:
    """mypy's cache, or nowhere if none can be written."""
    folder = settings.project / CACHE
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return os.devnull
    return str(CACHE) if os.access(folder, os.W_OK) else os.devnull


def _rendered(settings: Settings, inspection: Inspection, output: Path) -> dict[str, bytes] | None:
    """What prebuild would write for type checkers; None when definitions collide: then what there is has to do."""
    try:
        previous: Manifest | None = load_manifest(output)
    except StoredManifestError:
        previous = None
    unsound = {d.file for d in inspection.diagnostics if d.severity == "error"}
    for left_out in (inspection.unreadable, inspection.unreadable | unsound):
        files = tuple(source for source in inspection.manifest.files if source.file not in left_out)
        manifest = inspection.manifest.model_copy(update={"files": files})
        if previous is not None:
            manifest = carry_over(manifest, previous, left_out)
        with contextlib.suppress(RenderError, TemplateError):
            return render(manifest, settings, types_only=True)
    return None


def _is_current(output: Path, rendered: dict[str, bytes]) -> bool:
    """Whether a type checker sees on disk what was rendered, and nothing else of wfgen's."""
    for path, content in rendered.items():
        try:
            if (output / path).read_bytes().replace(b"\r\n", b"\n") != content:
                return False
        except OSError:
            return False
    more = (path for path in _modules(output) if path not in rendered and f"{path}i" not in rendered)
    return not any(ownership.state(path, (output / path).read_bytes()) == "ours" for path in more)


def _modules(output: Path) -> frozenset[str]:
    """Python files and stubs below a folder."""
    found = (path for path in output.rglob("*.py*") if path.suffix in _PYTHON)
    return frozenset(path.relative_to(output).as_posix() for path in found)
