"""Settings: `[tool.wfgen]` in `pyproject.toml`, then `WFGEN_*` in the environment, then arguments.

A value that does not fit names itself and where it came from.
"""

from __future__ import annotations

import difflib
import keyword
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError, field_validator

from wfgen.durations import seconds
from wfgen.errors import ConfigurationError, InvalidInputError

_SWITCHES = frozenset({"WFGEN_DEBUG"})
"""Variables that are no settings: the command line prints tracebacks with this one."""
_LISTS = {"exclude", "select", "ignore"}
_TABLES = {"per_file_ignores", "determinism"}
"""Settings that are tables, which one variable cannot hold."""


_ATTRIBUTE = re.compile(r"(?!\d)\w+(\.(?!\d)\w+)*:(?!\d)\w+(\.(?!\d)\w+)*")
_SYMBOL = re.compile(r"(?!\d)\w+(\.(?!\d)\w+)*\.((?!\d)\w+|\*)")


class Determinism(BaseModel):
    """What counts as deterministic beyond the built-in table: `[tool.wfgen.determinism]`.

    Names are qualified, as in `flows.clock.read` and `builtins.open`; a trailing `.*` means everything below.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pure: tuple[str, ...] = ()
    """Functions that workflow code may call; functions of the project among them are not looked into."""
    impure: tuple[str, ...] = ()
    """Functions that workflow code must not call."""

    @field_validator("pure", "impure")
    @classmethod
    def _names_are_qualified(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _SYMBOL.fullmatch(name):
                raise ValueError(f"{name!r} is no qualified name such as 'flows.clock.read' or 'acme.api.*'")
        return value


class Settings(BaseModel):
    """How one project is inspected, generated and run. No table at all is fine: the defaults apply."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    project: Path = Field(default=Path("."), exclude=True)
    """Absolute project root: the folder of the `pyproject.toml` that was read, or the current folder."""
    root: str | None = None
    """Folder, relative to the project, from which the application imports. Default: `src` if there is one with
    Python code, else the project root."""
    output: str | None = None
    """Folder of the generated package, relative to the project. Default: `wfgen_gen` inside the package that holds
    all workflow files, or beside them."""
    exclude: tuple[str, ...] = ()
    """Glob patterns, relative to the project, of files that are left out."""
    templates: str | None = None
    """Folder, relative to the project, whose templates replace those of the pack by name."""
    select: tuple[str, ...] = ()
    """Codes or code prefixes to report; empty means all."""
    ignore: tuple[str, ...] = ()
    """Codes or code prefixes never to report."""
    per_file_ignores: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Glob pattern of files -> codes or code prefixes not to report there, as the table `per-file-ignores`."""
    determinism: Determinism = Determinism()
    """What workflow code may and must not call."""
    strict: bool = False
    """Whether warnings count as errors."""
    engine: str = Field(default="sqlite:///.wfgen/wfgen.db", repr=False)
    """The engine as a URL, which may hold a password. A relative SQLite path starts at the project root."""
    lease: str = "15s"
    """How long a process may be silent before another takes its runs over."""
    payload_limit: int = Field(default=2_097_152, gt=0)
    """Largest encoded input, result or hook payload, in bytes."""
    concurrency: int = Field(default=1000, gt=0)
    """How many runs one process works at once, without those that wait."""
    job_concurrency: int = Field(default=100, gt=0)
    """How many jobs from queues one process works at once."""
    checkpoints_kept: int | None = Field(default=None, ge=1)
    """How many checkpoints of a run it can be rolled back to and forked from, the last ones. Default: all."""
    resident: int = Field(default=1000, ge=0)
    """How many waiting runs one process keeps in memory. Others are replayed when they go on; with 0 all are."""
    max_claims: int = Field(default=10, ge=1)
    """How many processes in a row may die with a run that gets no further before it fails (WF728)."""
    jobs: int | None = Field(default=None, ge=1)
    """How many processes read sources at once. Default: one a processor."""
    encryption_keys: str | None = None
    """Where the keys are with which payloads are encrypted: `env:NAME`, `file:PATH` or `call:module:function`."""
    off_graph: Literal["warn", "error", "ignore"] = "warn"
    """What becomes of a run that asks for a step which the graph of its workflow does not have: it is recorded and
    goes on, it fails, or nothing."""
    record_inputs: bool = False
    """Whether the input of each step is recorded with its end. Replay does not need it; people who ask later what a
    step was given do. It costs the space that the inputs take."""
    retention: str | None = None
    """How long finished runs are kept, such as `30d`; a process that works runs removes older ones. Default: for
    ever."""
    process: str | None = None
    """The WorkerProcess of the application, as `module:attribute`; imported when runs are worked."""
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("lease")
    @classmethod
    def _lease_is_a_duration(cls, value: str) -> str:
        try:
            if seconds(value) < 1:
                raise ValueError("a lease is at least one second")
        except InvalidInputError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("retention")
    @classmethod
    def _retention_is_a_duration(cls, value: str | None) -> str | None:
        try:
            if value is not None and seconds(value) < 60:
                raise ValueError("runs are kept for a minute at least")
        except InvalidInputError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("process")
    @classmethod
    def _process_names_an_attribute(cls, value: str | None) -> str | None:
        if value is not None and not _ATTRIBUTE.fullmatch(value):
            raise ValueError("it is not of the form 'module:attribute', such as 'shop.process:process'")
        return value

    def origin(self, name: str) -> str:
        """Where the value of a setting came from, for messages."""
        return self._origins.get(name, "default")

    @property
    def import_root(self) -> Path:
        """Absolute folder that stands on `sys.path` when the application runs."""
        if self.root is not None:
            return self.project / self.root
        src = self.project / "src"
        if src.is_dir() and not (src / "__init__.py").exists() and any(src.rglob("*.py")):
            return src
        return self.project

    @classmethod
    def load(cls, start: Path | None = None, **arguments: Any) -> Self:
        """Read the settings of the project around `start` (default: the current folder).

        The project root is the nearest folder upwards whose `pyproject.toml` has a `[tool.wfgen]` table, else the
        nearest with a `pyproject.toml`, else `start` itself. Arguments that are None are not given.

        Raises:
            ConfigurationError: a file cannot be read, or a value does not fit; nothing is guessed.
        """
        project, table, origin = _find((start or Path.cwd()).absolute())
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for key, value in table.items():
            name = key.replace("-", "_")
            # TOML has no tuples; all else is of its type already: `strict = "no"` is a mistake, not false.
            values[name] = _with_tuples(value)
            origins[name] = f"[tool.wfgen] {key} in {origin}"
        for name, value in _environment(os.environ).items():
            values[name], origins[name] = value, f"WFGEN_{name.upper()} in the environment"
        for name, value in arguments.items():
            if value is not None:
                values[name], origins[name] = value, f"argument {name}"
        for name, origin_of_name in origins.items():
            if name not in cls.model_fields or name == "project":
                known = sorted(set(cls.model_fields) - {"project"})
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"Known settings: {', '.join(known)}."
                raise ConfigurationError(f"unknown setting {name!r} ({origin_of_name}).", hint=hint)
            if origin_of_name.startswith("WFGEN_"):
                if name in _TABLES:
                    key = name.replace("_", "-")
                    raise ConfigurationError(
                        f"setting {name!r} is a table and cannot be given as a variable ({origin_of_name}).",
                        hint=f"Write it as [tool.wfgen.{key}] in pyproject.toml.",
                    )
                annotation: Any = cls.model_fields[name].annotation
                try:
                    values[name] = TypeAdapter(annotation).validate_python(values[name])
                except ValidationError as error:
                    raise _bad(name, origin_of_name, error) from None
        try:
            settings = cls.model_validate({"project": project, **values}, strict=True)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise _bad(name, origins.get(name, "default"), error) from None
        settings._origins = origins
        for name, problem in settings._misplaced():
            raise ConfigurationError(f"bad setting {name!r} ({origins.get(name, 'default')}): {problem}")
        return settings

    def _misplaced(self) -> Iterator[tuple[str, str]]:
        """Folders that cannot serve, each with what is wrong."""
        if self.root is not None and not (self.project / self.root).is_dir():
            yield "root", f"there is no folder {self.root!r} in {self.project}."
        if self.templates is not None and self.templates.strip() == "":
            yield "templates", "it is empty."
        if self.output is None:
            return
        try:
            parts = (self.project / self.output).relative_to(self.import_root).parts
        except ValueError:
            parts = ("..",)
        if not parts or not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
            yield (
                "output",
                (
                    f"{self.output!r} is no package that could be imported from {self.import_root}. "
                    "Give a folder below it whose parts are identifiers, such as 'flows/wfgen_gen'."
                ),
            )
        elif (self.import_root / Path(*parts)).with_suffix(".py").exists():
            yield "output", f"a module of that name stands beside it: {Path(*parts).with_suffix('.py')}."


def _bad(name: str, origin: str, error: ValidationError) -> ConfigurationError:
    first = error.errors()[0]
    inside = "".join(f"{part}: " for part in first["loc"][1:])
    problem = first["msg"].replace("valid tuple", "list")
    return ConfigurationError(f"bad setting {name!r} ({origin}): {inside}{problem}, got {first['input']!r}.")


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_tuples(inner) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _find(start: Path) -> tuple[Path, Mapping[str, Any], str]:
    nearest: Path | None = None
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if not path.is_file():
            continue
        nearest = nearest or folder
        try:
            document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}.") from None
        tool = document.get("tool")
        table = tool.get("wfgen") if isinstance(tool, dict) else None
        if table is not None:
            if not isinstance(table, dict):
                raise ConfigurationError(f"tool.wfgen in {path} is not a table.")
            return folder, table, str(path)
    return nearest or start, {}, ""


def _environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, text in environment.items():
        if key.startswith("WFGEN_") and key not in _SWITCHES:
            name = key.removeprefix("WFGEN_").lower()
            values[name] = tuple(p.strip() for p in text.split(",") if p.strip()) if name in _LISTS else text
    return values
