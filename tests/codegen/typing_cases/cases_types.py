"""Types declared in workflow files, and hooks, in the projects `declared_types`, `same_names` and `hooks`."""

from typing import assert_type

from approvals.models import Comment, Decision
from approvals.wfgen_gen import connect as connect_approvals
from desk.wfgen_gen import connect as connect_desk
from desk.wfgen_gen.files.sales.report import Report as SalesReport
from desk.wfgen_gen.files.support.report import Report as SupportReport
from survey.shared import Person
from survey.wfgen_gen import connect as connect_survey
from survey.wfgen_gen.files.survey import Answer, Answers, Correction, Detailed, Mood, Place, Survey


async def declared() -> None:
    """Models, dataclasses, typed dictionaries, enumerations and aliases serve clients."""
    place: Place = {"city": "Bonn"}
    answers: Answers = {"a": Answer(text="x", mood=Mood.BAD)}
    survey = Survey(place=place, person=Person(name="Ada"), kind="long", answers=answers)
    async with connect_survey() as wf:
        run = await wf.survey.start(survey)
        await run.hooks.correction.resume(Correction(answer=Answer()))
        assert_type(await run.result(), list[Detailed])
        assert_type((await run.result())[0].loud(), str)


async def equal_names() -> None:
    """Two files of one name have types of their own."""
    async with connect_desk() as wf:
        assert_type(await wf.sales.report.run(1), SalesReport)
        assert_type(await wf.support.report.run("a"), SupportReport)


async def hooks() -> None:
    """Each hook takes its own payload; one that is opened with several types takes each of them."""
    async with connect_approvals() as wf:
        run = await wf.review.start("title")
        await run.hooks.decision.resume(Decision(ok=True))
        await run.hooks.approvals.resume(Decision(ok=True))
        await run.hooks.note.resume(Comment(text="x"))
        await run.hooks.note.resume(Decision(ok=False))
        await run.hooks.address.resume({"city": "Bonn"})
        await run.hooks.number.resume(3)
        await run.hooks.late.resume(Decision(ok=True))
        await run.hooks["second look"].resume(Comment(text="x"))


async def wrong() -> None:
    """Another type, field or literal is an error."""
    Place(city=3)  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]
    Survey(place={}, person=Person(name="x"), kind="longer")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Mood.UGLY  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
    async with connect_desk() as wf:
        report: SupportReport = await wf.sales.report.run(1)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        del report
    async with connect_approvals() as wf_approvals:
        run = await wf_approvals.review.get_run("x")
        await run.hooks.decision.resume(Comment(text="x"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await run.hooks.number.resume("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await run.hooks.address.resume({"town": "Bonn"})  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]
        run.hooks.class_  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
