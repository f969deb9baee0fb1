"""What `wfgen doctor` says of one thing that it has looked at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from wfgen.origins import Origins
from wfgen_cli.terminal import count, printable

if TYPE_CHECKING:
    from wfgen_cli.store_processes import Member

OLD = 60.0
"""Seconds after which work that nobody does is worth a word."""
MANY_CLAIMS = 2
"""Claims in a row in which a run got no further, from which on it looks as if it killed the processes that take it."""
SHOWN = 10
"""Runs, jobs or processes that are named, of each kind."""

State = Literal["ok", "info", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    state: State
    message: str
    hint: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """More of it for programs."""


@dataclass(frozen=True)
class Ward:
    """What all findings of one look go by."""

    members: Sequence[Member]
    """All processes of the store."""
    known: Collection[tuple[str, str]]
    """Name and version of the workflows that the project defines."""
    now: float
    """By the store's clock, in seconds since the epoch."""
    origins: Origins = field(default_factory=lambda: Origins((), "", ()))
    """Which workflows are of other projects."""

    @property
    def live(self) -> Sequence[Member]:
        """The processes that live."""
        return [member for member in self.members if member.state == "live"]

    def member(self, process_id: str | None) -> Member | None:
        """The process of that id, if it has not left."""
        return next((member for member in self.members if member.process.process_id == process_id), None)

    def workers_of(self, workflow: str, version: str) -> Sequence[Member]:
        """The live processes that work runs of that version."""
        return [member for member in self.live if member.works(workflow, version)]

    def nobody_serves(self, workflow: str, version: str) -> tuple[str, str]:
        """What to say of a version that no live process serves: the message and what to do."""
        served: dict[str, list[str]] = {}
        for member in self.live:
            for name, other in member.workflows or ():
                if name == workflow:
                    served.setdefault(other, []).append(member.name)
        others = "; ".join(f"version {other!r} is served by {listed(names)}" for other, names in sorted(served.items()))
        which = f"workflow {workflow!r} version {version!r}"
        if (stranger := self.origins.stranger(workflow, version)) is not None:
            said = f"{which} is not of this project but of {stranger}, and no live process serves it"
            return f"{said}{f' ({others})' if others else ''}", "Start a worker of that project."
        if (workflow, version) in self.known:
            for member in self.live:
                if (reason := member.unloadable.get((workflow, version))) is not None:
                    hint = "Mend it and start that process anew."
                    return f"no live process serves {which}: {member.name} cannot load it: {printable(reason)}", hint
            return f"no live process serves {which}{f' ({others})' if others else ''}", "Start `wfgen worker`."
        return (
            f"{which} is not defined here, and no live process serves it{f' ({others})' if others else ''}",
            "Bring that version's file back and start a worker with it, or `wfgen runs terminate` them; "
            "`wfgen runs list --stranded` has all.",
        )


def listed(names: Collection[str]) -> str:
    """Some of many names."""
    named = list(names)
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return f"{', '.join(named[:SHOWN])}{more}"


def processes(number: int) -> str:
    """`1 process`, `2 processes`."""
    return count(number, "process") if number == 1 else f"{number} processes"
