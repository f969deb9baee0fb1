"""A seeded, deterministic simulation of several processes that work one store, with faults, and what must always hold.

`world` has the time and decides who goes next, `loop` is the event loop of one simulated process, `process` an engine
on it, `place` where the runs are kept, `store` the real SQLite store without its threads and with faults, `postgres`
place and store on a real server, `workload` what is run, `model` what is checked after each commit and at the end,
`asked` what a piece of work asks of a store, `replays` that live equals replay, `mutations` and `postgres_mutations`
bugs that must be found.
"""
