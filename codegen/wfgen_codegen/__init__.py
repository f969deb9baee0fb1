"""wfgen's codegen: from a manifest to the files of the generated package."""

from wfgen_codegen.checkers import MypyCall, mypy_call
from wfgen_codegen.mermaid import mermaid
from wfgen_codegen.plan import Change, Plan, plan
from wfgen_codegen.render import render
from wfgen_codegen.stored import carry_over, load_manifest

__all__ = ["Change", "MypyCall", "Plan", "carry_over", "load_manifest", "mermaid", "mypy_call", "plan", "render"]
