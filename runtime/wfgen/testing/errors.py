"""What a test is told. All are AssertionErrors: they fail the test that they reach, and are no errors of the code."""

from __future__ import annotations


class TestingError(AssertionError):
    """A test was set up in a way that cannot work, or what it waits for cannot come.

    Attributes:
        message: what happened.
        hint: what to do, or None.
    """

    __test__ = False  # pytest: no test class, whatever its name

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} {hint}")
        self.message = message
        self.hint = hint


class MockError(TestingError):
    """A mock does not fit the worker that it stands in for."""


class WorkerRefusedError(TestingError):
    """A worker that is not mocked would have run, and the test allows none."""


class AnswerError(TestingError):
    """An answer does not fit the hook that it was meant for."""


class StuckError(TestingError):
    """Nothing can happen any more, and what the test waits for has not."""


class UnreachedError(TestingError):
    """A failure, crash or answer was arranged, and no run got there."""
