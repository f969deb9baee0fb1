"""Pictures and albums."""

import asyncio

from thumbnails.models import Report
from wfgen import NonRetryable, Retry, define_worker


@define_worker("pictures.resize", retry=Retry(attempts=3, delay="1s"), timeout="30s")
async def resize(picture: str) -> str:
    """Gives the thumbnail's path."""
    if not picture.endswith(".jpg"):
        raise NonRetryable(f"{picture} is no picture")
    await asyncio.sleep(0)
    return picture.replace(".jpg", ".thumb.jpg")


@define_worker("albums.publish")
async def publish(report: Report) -> None:
    print(f"{report.album_id}: {report.made} thumbnails")
