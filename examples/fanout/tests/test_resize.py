"""A thousand steps, with a limit, with failures, and with a crash in the middle."""

import asyncio

from thumbnails.models import Album

from wfgen.testing import TestEngine

PICTURES = [f"{number:04}.jpg" for number in range(1000)]


async def test_a_thousand_pictures_so_many_at_once(wf: TestEngine) -> None:
    at_work = most = 0

    async def work(picture: str) -> str:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return picture

    resize = wf.mock("pictures.resize", side_effect=work)
    report = await wf.execute("resize", Album(id="A", pictures=PICTURES, at_once=50))
    assert (report.made, report.failed) == (1000, [])
    assert sorted(resize.inputs) == PICTURES
    assert 1 < most <= 50


async def test_a_broken_picture_stops_none_of_the_others(wf: TestEngine) -> None:
    report = await wf.execute("resize", Album(id="A", pictures=["1.jpg", "notes.txt", "2.jpg"]))
    assert (report.made, report.failed) == (2, ["notes.txt"])


async def test_a_picture_that_fails_once_is_tried_again(wf: TestEngine) -> None:
    wf.fail("resize 1.jpg", ConnectionError("storage"), attempt=1)
    assert (await wf.execute("resize", Album(id="A", pictures=["1.jpg", "2.jpg"]))).failed == []


async def test_a_crash_in_the_middle_resizes_no_recorded_picture_again(wf: TestEngine) -> None:
    resize = wf.mock("pictures.resize", side_effect=lambda picture: picture)
    wf.crash_after("resize 0100.jpg")
    run = await wf.start("resize", Album(id="A", pictures=PICTURES[:200], at_once=10))
    assert (await run.result()).made == 200
    again = len(resize.calls) - 200
    assert 0 <= again <= 10, "at most those that were at work"
