"""Compatibility: what today's sources mean for runs and clients of what was released before.

`snapshot` keeps a release, `classification` compares it with today's sources, `findings` words what comes of it;
`acceptance` says whether a graph can produce what is recorded of one run.
"""

LOCK = "wfgen.lock.json"
"""Name of the lock file, in the project's folder."""
