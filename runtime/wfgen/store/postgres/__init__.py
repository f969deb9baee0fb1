"""The store in a PostgreSQL database, for any number of processes on any number of machines.

Needs the extra `postgres` of wfgen-runtime. `wfgen.store.postgres.store.PostgresStore` is the store.
"""
