"""Rule packs: merging, packs of the user's own, and clear refusals of damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelgen.lint import lint_source, load_packs
from sysmith_errors import InputError

SOURCE = """import torch
import triton
import triton.language as tl
@triton.jit
def _k(x_ptr, o_ptr):
    tl.store(o_ptr, tl.special_op(tl.load(x_ptr)))
def op__default_kernel_impl(self):
    out = torch.empty_like(self)
    _k[(1,)](self, out)
    return out
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


def test_a_pack_of_the_users_own_adds_and_denies_names(tmp_path: Path) -> None:
    assert {f.rule for f in lint_source(SOURCE).errors} == {"tl-name"}
    own = write(tmp_path, '[kernel]\ntl = ["special_op"]\n')
    assert lint_source(SOURCE, packs=load_packs(["interpret"], [own])).ok
    own = write(tmp_path, '[deny.wrapper]\nalloc = ["empty_like"]\n')
    assert "aten-function" in {f.rule for f in lint_source(SOURCE, packs=load_packs(["interpret"], [own])).errors}


def test_a_pack_of_the_users_own_changes_severity_and_adds_a_rule(tmp_path: Path) -> None:
    text = '[rules.tl-name]\nseverity = "warning"\n[rules.no-special]\nseverity = "error"\nwhy = "w"\nmend = "m"\n'
    packs = load_packs(["interpret"], [write(tmp_path, text + '[forbidden]\n"torch.empty_like" = "no-special"\n')])
    report = lint_source(SOURCE, packs=packs)
    assert {f.rule: f.severity for f in report.findings} == {"tl-name": "warning", "no-special": "error"}
    assert next(f for f in report.findings if f.rule == "no-special").mend == "m"


def test_libdevice_is_for_targets_that_have_it() -> None:
    source = SOURCE.replace("tl.special_op", "libdevice.tanh").replace(
        "@triton.jit", "from triton.language.extra import libdevice\n@triton.jit"
    )
    assert {f.rule for f in lint_source(source).errors} == {"libdevice"}
    assert lint_source(source, targets=["cuda:80", "hip:gfx942"]).ok
    assert not lint_source(source, targets=["cuda:80", "interpret"]).ok


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[rules", "not valid TOML"),
        ('[rules.tl-name]\nseverity = "fatal"\n', "rules.tl-name.severity"),
        ('[rules.mine]\nwhy = "x"\nmend = "y"\n', "rules.mine.severity"),
        ('[rules.tl-name]\nweight = "x"\n', "rules.tl-name.weight"),
        ("[rules.tl-name]\nwhy = 3\n", "rules.tl-name.why"),
        ("rules = 3\n", "rules"),
        ("[kernel]\ntl = 3\n", "kernel.tl"),
        ('[kernel]\nnames = ["a"]\n', "kernel.names"),
        ("kernel = 3\n", "kernel"),
        ('[deny.other]\ntl = ["a"]\n', "deny.other"),
        ("deny = 3\n", "deny"),
        ('[forbidden]\n"a.b" = "no-such-rule"\n', "forbidden.a.b"),
        ("[unknown]\n", "unknown"),
    ],
)
def test_a_damaged_pack_is_refused_by_file_and_field(tmp_path: Path, text: str, named: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_packs(["interpret"], [path])
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_a_missing_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_packs(["interpret"], [tmp_path / "none.toml"])


def test_a_plugin_target_without_a_pack_gets_the_common_rules() -> None:
    packs = load_packs(["npu:7"])
    assert packs.rules["bf16-uncast"].severity == "warning"
    assert "exp" in packs.lists["kernel.tl"]
