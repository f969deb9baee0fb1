"""WF003: a relative import in a file that is not imported by its name."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, Sample

_MODELS = """\
from pydantic import BaseModel


class Signup(BaseModel):
    email: str
"""
_BODY = """

@define_workflow
async def onboarding(workflow: Workflow, signup: Signup) -> None:
    await workflow.sleep("cool_off", "5m")
"""

RULE = Rule(
    code="WF003",
    name="relative-import",
    severity="error",
    summary="A workflow or worker file uses a relative import.",
    what="Reports `from .models import …` in `*.workflow.py` and `*.worker.py`.",
    why="These files run as modules of the generated package (`wfgen_gen.files.…`), so a relative import starts at "
    "another folder than the one where the file lies; type checkers, which see a dotted file name, resolve it "
    "wrongly too.",
    remedy="Write the import in full, from the folder that the application imports from; `wfgen check --fix` does it.",
    check=reported("WF003", fix="write the import in full"),
    fixes="safe",
    invalid=(
        Sample(
            {
                "flows/onboarding.workflow.py": f"""\
from wfgen import Workflow, define_workflow

from .models import Signup  # <- here
{_BODY}""",
                "flows/models.py": _MODELS,
            }
        ),
        Sample(
            {
                "flows/crm/onboarding.workflow.py": f"""\
from wfgen import Workflow, define_workflow

from .. import models  # <- here
from ..models import Signup  # <- here
{_BODY}""",
                "flows/models.py": _MODELS,
            }
        ),
    ),
    valid=(
        Sample(
            {
                "flows/onboarding.workflow.py": f"""\
from flows.models import Signup
from wfgen import Workflow, define_workflow
{_BODY}""",
                "flows/models.py": _MODELS,
            }
        ),
    ),
)
