"""The front desk: it tells customers."""

import asyncio
import os

from studio.models import Album
from wfgen import Retry, define_worker

PAUSE = float(os.environ.get("STUDIO_PAUSE", "0.4"))


@define_worker("desk.tell", dispatch="queue", retry=Retry(attempts=5, delay="100ms"))
async def tell(album: Album) -> str:
    """Tell a customer that the album is ready; gives what was said."""
    await asyncio.sleep(PAUSE / 2)
    return f"Album {album.id} is ready: {len(album.pictures)} prints."
