"""The context of a run, to a type checker."""

from typing import Any, assert_type

from till.models import Counter, Shop
from till.process import process
from till.wfgen_gen import Workflow, connect

import wfgen


async def takes_any(workflow: Workflow) -> None: ...


async def takes_shop(workflow: Workflow[Shop]) -> None: ...


async def accepted(shop: Workflow[Shop], plain: Workflow, loose: wfgen.Workflow[Shop], job: wfgen.Job[Shop]) -> None:
    assert_type(shop.context, Shop)
    assert_type(plain.context, Any)
    assert_type(loose.context, Shop)
    assert_type(job.context, Shop)
    assert_type(shop.log.child(order=1), wfgen.Logger)
    await takes_any(shop)
    await takes_shop(plain)
    shop.emit("paid", {"amount": 3})
    shop.progress(1, total=3, message="one of three")
    shop.metrics.count("orders", currency=shop.context.currency)
    shop.log.info("%s of %d", "one", 3, order="o-1")
    assert_type(await shop.do("key", "pay.key"), str)
    async with connect(process=process) as client:
        run = await client.loose.start()
        assert_type(await run.progress(), wfgen.Progress | None)


async def refused(shop: Workflow[Shop], counter: Workflow[Counter], job: wfgen.Job[Counter]) -> None:
    print(shop.context.number)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    shop.context = Shop("EUR")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    print(job.context.currency)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await takes_shop(counter)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shop.progress("half")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shop.metrics.count("orders", n="many")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    connect(process="till.process:process")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
