"""Tests of workflows: an engine whose time, workers and failures are in the test's hands.

Nothing here needs pytest; the pytest plugin of the same distribution gives the fixture `wf`.
"""

from wfgen.testing.clock import TestClock
from wfgen.testing.engine import TestEngine
from wfgen.testing.errors import (
    AnswerError,
    MockError,
    StuckError,
    TestingError,
    UnreachedError,
    WorkerRefusedError,
)
from wfgen.testing.histories import export_history, history_files, load_history
from wfgen.testing.mocks import Call, Mock
from wfgen.testing.replays import assert_replays, replay_history
from wfgen.testing.validation import validate_definitions

__all__ = [
    "AnswerError",
    "Call",
    "Mock",
    "MockError",
    "StuckError",
    "TestClock",
    "TestEngine",
    "TestingError",
    "UnreachedError",
    "WorkerRefusedError",
    "assert_replays",
    "export_history",
    "history_files",
    "load_history",
    "replay_history",
    "validate_definitions",
]
