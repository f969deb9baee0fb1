"""Which package may import which, and what `import wfgen` costs a production image."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ALLOWED = {
    "runtime/wfgen": set(),
    "inspector/wfgen_inspector": {"wfgen"},
    "templates/wfgen_templates": set(),
    "codegen/wfgen_codegen": {"wfgen", "wfgen_templates"},
    "cli/wfgen_cli": {"wfgen", "wfgen_inspector", "wfgen_codegen", "wfgen_templates"},
}
FIRST_PARTY = {folder.partition("/")[2] for folder in ALLOWED}


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_imports_go_one_way(folder: str) -> None:
    """Inspector and codegen meet only in the manifest; the runtime imports none of the others."""
    own = folder.partition("/")[2]
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                if top in FIRST_PARTY - ALLOWED[folder] - {own}:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")
    assert not found


@pytest.mark.parametrize("module", ["wfgen", "wfgen.generated", "wfgen.engine"])
def test_the_runtime_needs_pydantic_and_nothing_heavier(module: str) -> None:
    """In a fresh interpreter the runtime loads the standard library, pydantic and what pydantic itself loads."""
    code = f"""
import sys
import annotated_types, pydantic, pydantic.json_schema
from pydantic import TypeAdapter
TypeAdapter(int).validate_json(b"1")
before = {{name.partition(".")[0] for name in sys.modules}}
import {module}
after = {{name.partition(".")[0] for name in sys.modules}}
print(*sorted(after - before - set(sys.stdlib_module_names) - {{"wfgen"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
