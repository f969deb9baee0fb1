"""A project whose steps go to queues; `go` and `mended` are files that its workers look for."""

from __future__ import annotations

FILES = {
    "pyproject.toml": "[tool.wfgen]\n",
    "post/__init__.py": "",
    "post/mail.worker.py": """\
import asyncio
from pathlib import Path

from wfgen import Job, define_worker


@define_worker("mail.send", dispatch="queue")
async def send(to: str, job: Job) -> str:
    print(f"sending to {to}", flush=True)
    job.report({"addressed": to})
    while not Path("go").exists():
        await asyncio.sleep(0.01)
    return f"sent to {to} in attempt {job.attempt}"


@define_worker("mail.weigh", dispatch="queue", expires="1h")
def weigh(to: str) -> int:
    if not Path("mended").exists():
        raise OSError("the scales are broken")
    return len(to)


@define_worker("mail.stamp", dispatch="queue", expires="1ms")
async def stamp(to: str) -> int:
    return 80
""",
    "post/post.workflow.py": """\
from post.wfgen_gen import Workflow
from wfgen import define_workflow


@define_workflow(name="letter")
async def letter(workflow: Workflow, to: str) -> str:
    await workflow.do("address", lambda: to.upper())
    return await workflow.do("send", "mail.send", to)


@define_workflow(name="parcel")
async def parcel(workflow: Workflow, to: str) -> str:
    ref = await workflow.do("weigh", "mail.weigh", to, await_result=False)
    return ref.job_id


@define_workflow(name="weighed")
async def weighed(workflow: Workflow, to: str) -> int:
    return await workflow.do("weigh", "mail.weigh", to)


@define_workflow(name="late")
async def late(workflow: Workflow, to: str) -> int:
    return await workflow.do("stamp", "mail.stamp", to)
""",
}
