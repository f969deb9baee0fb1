"""What the server allows: commits of one row a second, one after the other. Prints one JSON object.

Rows like those of a step, a prepared statement, binary parameters. Arguments: URL, commits.
"""

from __future__ import annotations

import json
import sys
import time

import psycopg
from store import DATA, PAYLOAD

INSERT = "INSERT INTO events (run, seq, type, time, key, data, payload) VALUES (%s, %s, %s, %s, %s, %s, %s)"


def main() -> None:
    url, commits = sys.argv[1], int(sys.argv[2])
    data = json.dumps(DATA)
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        connection.execute(
            "CREATE TABLE events (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run bigint, seq integer,"
            " type text, time double precision, key text, data text, payload bytea, UNIQUE (run, seq))"
        )

        def insert(count: int, first: int) -> None:
            for seq in range(first, first + count):
                row = (1, seq, "step_completed", time.time(), "0/charge", data, PAYLOAD)
                connection.execute(INSERT, row, binary=True)

        insert(commits // 4, 0)
        began = time.perf_counter()
        insert(commits, commits)
        print(json.dumps({"one": commits / (time.perf_counter() - began)}))


if __name__ == "__main__":
    main()
