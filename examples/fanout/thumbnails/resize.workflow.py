"""Make a thumbnail of each picture of an album, so many at once; a broken picture stops none of the others."""

from thumbnails.models import Album, Report
from thumbnails.wfgen_gen import Workflow
from wfgen import StepError, define_workflow


@define_workflow(name="resize")
async def resize(workflow: Workflow, album: Album) -> Report:
    """Fan out over the pictures, and count."""
    results = await workflow.parallel(
        {
            picture: workflow.do(f"resize {picture}", "pictures.resize", picture, description="Make one thumbnail")
            for picture in album.pictures
        },
        limit=album.at_once,
        errors="collect",
        description="All pictures of the album",
    )
    failed = [picture for picture, result in results.items() if isinstance(result, StepError)]
    report = Report(album_id=album.id, made=len(results) - len(failed), failed=failed)
    await workflow.do("publish", "albums.publish", report)
    return report
