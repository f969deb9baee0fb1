"""`wfgen check --against`: today's sources and a release."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

FLOWS = "shop/orders.workflow.py"
RESERVE = '    reserved = await workflow.do("reserve", "stock.reserve", data)\n    approval'
NEW = RESERVE.replace("    approval", '    await workflow.sleep("wait", "1s")\n    approval')


def git(shop: Any, *words: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *words], cwd=shop.folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(shop: Any) -> Any:
    """The shop, committed, with a step inserted since."""
    git(shop, "init", "-q")
    git(shop, "add", ".")
    git(shop, "commit", "-q", "-m", "release")
    git(shop, "tag", "v1")
    shop.replace(FLOWS, RESERVE, NEW)
    return shop


def check(shop: Any, *words: str, code: int = 1) -> Any:
    return shop.ask("check", "--no-types", "--output-format", "json", *words, code=code)


def test_against_a_revision(repository: Any) -> None:
    """The sources of a tag are read from git; the finding stands at the new step and names the old place."""
    status, head = git(repository, "status", "--short"), git(repository, "rev-parse", "HEAD")
    found = check(repository, "--against", "v1")
    (finding,) = found["diagnostics"]
    assert (finding["code"], finding["severity"]) == ("WF501", "error")
    line = (repository.folder / FLOWS).read_text().split("\n")[finding["line"] - 1]
    assert '"wait"' in line
    assert "step 'wait' (sleep) was inserted" in finding["message"]
    assert [(r["file"], r["message"]) for r in finding["related"]] == [(FLOWS, "as it was released")]
    assert 'version="2"' in finding["hint"]
    assert "workflow.patched(" in finding["hint"]
    verdicts = {c["workflow"]: c["verdict"] for c in found["compatibility"]}
    assert verdicts == {"approve": "needs-version", "broken": "unchanged", "nap": "unchanged", "order": "unchanged"}
    assert (git(repository, "status", "--short"), git(repository, "rev-parse", "HEAD")) == (status, head)


def test_against_a_revision_of_a_folder_in_a_repository(shop: Any) -> None:
    """The project may be a folder of the repository, whose path may hold anything."""
    outer = shop.folder.parent
    subprocess.run(["git", "init", "-q", str(outer)], check=True)
    shop.write("shop/naïve name\n.py", "X = 1\n")
    git(shop, "add", ".")
    git(shop, "commit", "-q", "-m", "release")
    shop.replace(FLOWS, RESERVE, NEW)
    assert [d["code"] for d in check(shop, "--against", "HEAD")["diagnostics"]] == ["WF501"]


def test_against_a_removed_step_names_what_stood_there(repository: Any) -> None:
    """What was removed is shown with its old line."""
    repository.replace(FLOWS, '    await workflow.sleep("long", "1h")\n', "")
    found = [d for d in check(repository, "--against", "v1")["diagnostics"] if "removed" in d["message"]]
    old = git(repository, "show", f"v1:{FLOWS}").split("\n")
    (related,) = found[0]["related"]
    assert related["message"] == "`step 'long' (sleep)` stood here"
    assert '"long"' in old[related["line"] - 1]


def test_against_lock_file_and_manifests(repository: Any) -> None:
    """A lock file, what `wfgen list --json` printed and the generated manifest all tell the same."""
    git(repository, "stash", "-q")
    repository.inside("lock")
    (repository.folder / "wfgen.lock.json").rename(repository.folder / "released.json")
    repository.write("listed.json", repository.inside("list", "--json").stdout)
    repository.inside("prebuild")
    git(repository, "stash", "pop", "-q")
    for against in ("released.json", "listed.json", "shop/wfgen_gen/manifest"):
        found = check(repository, "--against", against)
        assert [d["code"] for d in found["diagnostics"]] == ["WF501"], against


def test_the_lock_file_is_compared_with_by_itself(shop: Any) -> None:
    """Without --against a plain check uses the project's lock file, once there is one."""
    assert "compatibility" not in check(shop, code=0)
    shop.inside("lock")
    assert check(shop, code=0)["diagnostics"] == []
    shop.replace(FLOWS, RESERVE, NEW)
    assert [d["code"] for d in check(shop)["diagnostics"]] == ["WF501"]
    done = shop.inside("check", "--no-types")
    assert done.returncode == 1
    assert "Compared with wfgen.lock.json:\n  approve  1  needs-version\n" in done.stderr


def test_a_version_that_is_not_locked_is_told(shop: Any) -> None:
    """A new version is only an information, also with --strict."""
    shop.inside("lock")
    source = (shop.folder / FLOWS).read_text()
    shop.write("shop/other.workflow.py", source[: source.index("@define")] + (
        '@define_workflow(name="nap", version="2")\nasync def nap_2(workflow: Workflow) -> str:\n    return "no"\n'
    ))  # fmt: skip
    (finding,) = check(shop, "--strict", code=0)["diagnostics"]
    assert (finding["code"], finding["severity"]) == ("WF505", "info")


def test_comments_suppress(shop: Any) -> None:
    """A comment counts as anywhere else, and is reported once the lock is current."""
    shop.inside("lock")
    shop.replace(FLOWS, RESERVE, NEW.replace('"1s")', '"1s")  # wfgen: ignore[WF501]'))
    assert check(shop, code=0)["diagnostics"] == []
    shop.inside("lock")
    assert [d["code"] for d in check(shop, code=0)["diagnostics"]] == ["WF012"]


@pytest.mark.parametrize(
    ("against", "code", "message"),
    [
        ("no-such-branch", "WF615", "no revision that git knows"),
        ("missing.json", "WF614", "does not exist"),
        ("--output=x", "WF615", "no revision that git knows"),
        ("shop/models.py", "WF614", "is damaged"),
    ],
)
def test_what_cannot_be_compared_with(repository: Any, against: str, code: str, message: str) -> None:
    """Neither a file nor a revision: told with a code, exit code 2."""
    done = repository.inside("check", "--no-types", f"--against={against}")
    assert done.returncode == 2
    assert f"error[{code}]" in done.stderr
    assert message in done.stderr


def test_no_repository(shop: Any) -> None:
    """Without a repository a revision cannot be read."""
    done = shop.inside(
        "check", "--no-types", "--against", "main", env={"GIT_CEILING_DIRECTORIES": str(shop.folder.parent)}
    )
    assert done.returncode == 2
    assert "error[WF615]" in done.stderr
    assert "not a git repository" in done.stderr


def test_a_new_statement_is_guarded_by_a_fix(repository: Any) -> None:
    """--unsafe-fixes puts a plain new step behind `workflow.patched`, after which the change is safe."""
    done = repository.inside("check", "--no-types", "--against", "v1", "--fix", "--unsafe-fixes")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (repository.folder / FLOWS).read_text()
    assert '    if workflow.patched("add wait"):\n        await workflow.sleep("wait", "1s")\n' in text
    found = check(repository, "--against", "v1", code=0)
    assert {c["workflow"]: c["verdict"] for c in found["compatibility"]}["approve"] == "safe"


def test_any_other_change_is_given_a_version_by_a_fix(repository: Any) -> None:
    """--unsafe-fixes writes the next version; what is left is to put the old one back."""
    repository.replace(FLOWS, '"long"', '"longer"')
    done = repository.inside("check", "--no-types", "--against", "v1", "--fix", "--unsafe-fixes")
    assert '@define_workflow(name="nap", version="2")' in (repository.folder / FLOWS).read_text()
    assert "WF502" in done.stdout
    assert "WF501" not in done.stdout


def test_formats(repository: Any) -> None:
    """Every format tells the finding; full shows both places and both ways out."""
    full = repository.inside("check", "--no-types", "--against", "v1").stdout
    assert 'await workflow.sleep("wait", "1s")' in full
    assert "as it was released" in full
    assert "workflow.patched" in full
    for name in ("concise", "jsonl", "github", "sarif"):
        done = repository.inside("check", "--no-types", "--against", "v1", "--output-format", name)
        assert done.returncode == 1
        assert "WF501" in done.stdout
        if name == "sarif":
            json.loads(done.stdout)
