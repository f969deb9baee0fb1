"""The darkroom: its steps take long, so they go to processes of their own over a queue."""

import os
import time

from studio.models import Picture
from wfgen import Job, Retry, define_worker

PAUSE = float(os.environ.get("STUDIO_PAUSE", "0.4"))


@define_worker("darkroom.develop", dispatch="queue", retry=Retry(attempts=3, delay="100ms"), timeout="1m")
def develop(picture: Picture, job: Job) -> str:
    """Develop one picture; gives the name of the print."""
    for quarter in range(1, 5):
        if job.is_over:
            break
        time.sleep(PAUSE / 4)
        job.report(f"{quarter * 25} %")
    return f"{picture.name}.print"
