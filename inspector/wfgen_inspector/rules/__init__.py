"""The rules: one file each, with documentation and samples beside the check.

`wfgen_inspector.checking` runs them all over a project.
"""

from __future__ import annotations

from wfgen_inspector.rules import (
    wf001_syntax_error,
    wf002_unreadable_file,
    wf003_relative_import,
    wf004_stray_stub,
    wf005_id_collision,
    wf006_bad_name,
    wf007_identifier_collision,
    wf008_module_collision,
    wf009_nested_definition,
    wf010_import_cycle,
    wf011_crossing_type,
    wf012_unused_suppression,
    wf013_computed_name,
    wf014_bad_signature,
    wf101_dynamic_step_name,
    wf102_duplicate_step_name,
    wf103_unawaited_step,
    wf104_handle_escapes,
    wf105_unknown_handle_method,
    wf106_bad_step_name,
    wf301_opaque_region,
    wf401_unknown_target,
    wf402_dynamic_target,
    wf403_missing_annotation,
    wf600_bad_setting,
    wf601_stale_output,
    wf602_edited_output,
    wf603_orphan_output,
    wf901_internal_error,
)
from wfgen_inspector.rules.rule import Finding, Rule, Sample

__all__ = ["RULES", "Finding", "Rule", "Sample"]

RULES: dict[str, Rule] = {
    module.RULE.code: module.RULE
    for module in (
        wf001_syntax_error,
        wf002_unreadable_file,
        wf003_relative_import,
        wf004_stray_stub,
        wf005_id_collision,
        wf006_bad_name,
        wf007_identifier_collision,
        wf008_module_collision,
        wf009_nested_definition,
        wf010_import_cycle,
        wf011_crossing_type,
        wf012_unused_suppression,
        wf013_computed_name,
        wf014_bad_signature,
        wf101_dynamic_step_name,
        wf102_duplicate_step_name,
        wf103_unawaited_step,
        wf104_handle_escapes,
        wf105_unknown_handle_method,
        wf106_bad_step_name,
        wf301_opaque_region,
        wf401_unknown_target,
        wf402_dynamic_target,
        wf403_missing_annotation,
        wf600_bad_setting,
        wf601_stale_output,
        wf602_edited_output,
        wf603_orphan_output,
        wf901_internal_error,
    )
}
"""Code -> rule, sorted by code."""
