"""Distinct types for ids, so that a checker refuses a run id where a hook token is wanted."""

from __future__ import annotations

from typing import NewType

RunId = NewType("RunId", str)
"""One execution of a workflow."""

WorkflowId = NewType("WorkflowId", str)
"""A workflow's name that is known at run time only."""

WorkerId = NewType("WorkerId", str)
"""A worker's id that is known at run time only."""

HookToken = NewType("HookToken", str)
"""What resumes a hook; whoever holds it may resume."""

JobId = NewType("JobId", str)
"""A step that is handed to another process over a queue."""
