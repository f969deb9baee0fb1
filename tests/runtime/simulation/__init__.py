"""A seeded, deterministic simulation of several processes that work one store, with faults, and what must always hold.

`world` has the time and decides who goes next, `loop` is the event loop of one simulated process, `process` an engine
on it, `store` the real SQLite store without its threads and with faults, `workload` what is run, `model` what is
checked after each commit and at the end, `replays` that live equals replay, `mutations` bugs that must be found.
"""
