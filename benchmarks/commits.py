"""What the disk allows: commits of one row a second that plain SQLite makes durable. Prints one JSON object.

Write-ahead log and synchronous=FULL, rows like those of a step. Arguments: folder, commits.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from store import raw_single

if __name__ == "__main__":
    folder, commits = Path(sys.argv[1]), int(sys.argv[2])
    raw_single(folder / "warm.db", commits // 4)
    print(json.dumps({"one": raw_single(folder / "raw.db", commits)}))
