"""Print an album: each picture is developed by whoever has a darkroom, then the customer is told."""

import asyncio

from studio.models import Album, Delivery, Picture
from studio.wfgen_gen import Workflow
from wfgen import define_workflow


@define_workflow(name="album", version="1", tags=["studio"], timeout="1d")
async def album(workflow: Workflow, order: Album) -> Delivery:
    """Develop all pictures at once, wherever there is room, and tell the customer."""
    prints = await asyncio.gather(
        *[
            workflow.do("develop", "darkroom.develop", Picture(album=order.id, name=picture))
            for picture in order.pictures
        ]
    )
    message = await workflow.do("tell", "desk.tell", order)
    return Delivery(album=order.id, prints=prints, message=message)
