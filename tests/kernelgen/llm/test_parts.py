"""The parts around the state machine: answers to files, examples, documentation, measures, notes, kept kernels."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.llm import LLMSettings
from agents.protocols import Evaluation, Proposal, Trial
from kernelgen.compile.result import CompileResult
from kernelgen.compile.specialisation import Specialisation
from kernelgen.lint import lint_source
from kernelgen.llm.assemble import assemble, complete, outline
from kernelgen.llm.docs import askable, draws_random_numbers, nested_docs, overload_doc
from kernelgen.llm.examples import nearest
from kernelgen.llm.feedback import findings_text, shortened
from kernelgen.llm.kept import KeptKernels, KeptProposer
from kernelgen.llm.measure import Measure, compared, measure
from kernelgen.llm.notes import dialect_notes
from kernelgen.llm.options import resolve
from kernelgen.llm.situation import Step, furthest, situation, step_of
from kernelgen.run import leave_out, library
from sysmith_errors import InputError

from .answers import RIGHT

ANGLE = "angle.default"


def trial(index: int, key: str = "default", status: str = "failed", payload: object = None, **metrics: object) -> Trial:
    proposal = Proposal(key, "synthesis", payload=payload or {"variants": {}})  # type: ignore[arg-type]  # a dict
    return Trial("angle", index, proposal, Evaluation(status, metrics=metrics))  # type: ignore[arg-type]  # a status


def test_library_functions_are_copied_in_and_imports_written_once() -> None:
    made = assemble(f"```python\n{RIGHT}```", [ANGLE], {ANGLE})
    text = made.kernels[ANGLE]
    assert not made.faults
    assert text.count("import torch\n") == 1
    assert "def _collapse(" in text
    assert "def _offsets(" in text
    compile(text, "kernel", "exec")


def test_a_file_that_needs_no_library_stays_as_it_is() -> None:
    text = "import torch\n\n\ndef angle__default_kernel_impl(self):\n    return self\n"
    assert complete(text) == (text, "")


def test_a_name_of_the_library_cannot_mean_two_things() -> None:
    text, fault = complete(RIGHT + "\n\n_COMPUTE = 3\n")
    assert text == ""
    assert "_COMPUTE" in fault


def test_one_file_may_serve_several_overloads() -> None:
    both = RIGHT + RIGHT.replace("angle__default", "sgn__default").partition("@triton.jit")[2].partition("\n\n\n")[2]
    assert set(assemble(both, [ANGLE], {ANGLE, "sgn.default"}).kernels) == {ANGLE, "sgn.default"}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | st.text(alphabet="`python\n \"'():=_angle#\\def", max_size=200))
def test_any_text_becomes_a_file_or_a_fault(text: str) -> None:
    made = assemble(text, [ANGLE], {ANGLE})
    assert set(made.kernels) <= {ANGLE}
    assert bool(made.kernels) != bool(made.faults)


@pytest.mark.parametrize(
    "text", ["x = " + "(" * 5000, "x = " + "1 + " * 30_000 + "1", "x = " + "[" * 300 + "]" * 300, "\0", "x = '\ud800'"]
)
def test_text_that_breaks_parsers_is_left_to_lint(text: str) -> None:
    made = assemble(text, [ANGLE], {ANGLE})
    assert bool(made.kernels) != bool(made.faults)
    for kernel in made.kernels.values():
        assert not lint_source(kernel).ok


def test_every_shipped_kernel_splits_into_its_parts() -> None:
    for key, found in list(library().items())[::20]:
        helpers, body = outline(found[0].text)
        assert key.replace(".", "__") in body
        assert not set(helpers) & {line.split("(")[0][4:] for line in body.splitlines() if line.startswith("def ")}


@pytest.mark.parametrize(
    ("asked", "family", "expected"),
    [
        ("mm.default", "matmul", {"bmm.default", "addmm.default"}),
        ("amax.default", "reduction", {"amin.default"}),
        ("fractional_max_pool2d.default", "pooling", {"adaptive_max_pool2d.default"}),
        ("special_bessel_y0.default", "pointwise", {"special_bessel_y1.default", "special_bessel_j0.default"}),
    ],
)
def test_the_nearest_kernels_are_of_the_same_kind(asked: str, family: str, expected: set[str]) -> None:
    found = nearest([asked], family, library())
    assert len(found) == 3
    assert expected <= {example.overload for example in found}
    assert asked not in {example.overload for example in found}
    assert [example.likeness for example in found] == sorted((e.likeness for e in found), reverse=True)


def test_what_failed_is_no_example() -> None:
    found = nearest(["mm.default"], "matmul", library(), {"bmm.default"})
    assert "bmm.default" not in {example.overload for example in found}


def test_an_empty_library_gives_no_examples() -> None:
    assert nearest(["mm.default"], "matmul", {}) == []


def test_documentation_is_found_and_followed() -> None:
    doc = overload_doc("special_bessel_y0.default")
    assert doc is not None
    assert doc.name == "torch.special.bessel_y0"
    assert overload_doc("_cdist_forward.default") is None
    names = [found.name for found in nested_docs("See :func:`torch.nn.functional.max_unpool2d` and ``torch.relu``.")]
    assert "torch.nn.functional.max_unpool2d" in names
    assert nested_docs("see :func:`torch.does_not_exist` and :func:`torch.os.system.__class__`") == []


def test_what_a_file_can_serve() -> None:
    assert askable("add.Tensor")
    assert not askable("torch_nn::_linear_cross_entropy_batch_chunked.default")
    assert not askable("no_such_operator.default")
    assert draws_random_numbers("bernoulli_.float")
    assert not draws_random_numbers("add.Tensor")


def test_a_measure_beats_another_only_without_a_loss() -> None:
    base = Measure(100, 64, {"cuda:90": 5000}, {"cuda:90": 0}, {"cuda:90": 40}, {"cuda:90": 1024})
    fewer, traded = replace(base, launches=50), replace(base, launches=50, registers={"cuda:90": 41})
    smaller_blocks = replace(base, block=32, registers={"cuda:90": 20})
    larger_blocks = replace(base, block=128)
    assert compared(fewer, base)[0] < 1
    assert compared(base, fewer)[0] > 1
    assert compared(traded, base)[0] > 1
    assert compared(smaller_blocks, base)[0] > 1
    assert compared(larger_blocks, base)[0] == 1
    assert compared(base, base) == (1.0, "not better than the incumbent: nothing changed")
    assert compared(fewer, base)[1] == "better than the incumbent: launches 100 -> 50"


def test_a_measure_reads_blocks_and_threads_from_the_launches() -> None:
    constants = {"BLOCK": 1024, "NDIM": 8, "ROWS": 16}
    signature = [[name, "constexpr"] for name in constants]
    launch = {"kernel": "_k", "signature": signature, "constants": constants, "options": {}}
    key = Specialisation.from_json(launch).key
    result = CompileResult("cuda:90", "_k", key, True, size=500, registers=30, spills=2)
    found = measure({"stats": {"launches": 7}}, [result], {"x.default": [launch]})
    assert found == Measure(7, 16384, {"cuda:90": 500}, {"cuda:90": 2}, {"cuda:90": 30 * 128}, {})
    assert Measure.from_json(json.loads(json.dumps(found.to_json()))) == found


NUMBERS = st.integers(0, 10**6)
MEASURES = st.builds(
    lambda a, b, c, d, e, f: Measure(a, f, {"t": b}, {"t": c}, {"t": d}, {"t": e}),
    *[NUMBERS] * 6,
)


@given(MEASURES, MEASURES)
def test_two_measures_never_beat_each_other(one: Measure, other: Measure) -> None:
    forth, back = compared(one, other)[0], compared(other, one)[0]
    assert math.isfinite(forth)
    assert not (forth < 1 and back < 1)
    if forth < 1:
        assert one.block >= other.block
        assert all(value <= other.named()[name] for name, value in one.named().items() if "block" not in name)


def test_long_messages_are_shortened_and_keep_their_errors() -> None:
    lines = [f"  at 0x{n:x} in frame {n}" for n in range(400)]
    assert shortened("\n".join(lines)).splitlines() == [lines[0], "[... and 399 more like this]"]
    mixed = [chr(97 + n % 26) * (n + 1) for n in range(300)]
    mixed[150] = "error: operand #1 must be a tensor"
    short = shortened("\n".join(mixed))
    assert len(short.splitlines()) < 70
    assert mixed[150] in short
    assert mixed[-1] in short
    assert "lines left out" in short


@given(st.text(max_size=2000))
def test_shortening_never_breaks_and_never_grows_much(text: str) -> None:
    assert len(shortened(text)) <= len(text) + 100 * (text.count("\n") + 2)


def test_many_findings_are_counted() -> None:
    finding = {
        "rule": "aten-method",
        "line": 3,
        "message": "no",
        "why": "because",
        "mend": "do not",
        "snippet": "x.sum()",
    }
    text = findings_text([finding] * 20)
    assert text.count("why: because") == 1
    assert "and 8 more: aten-method (8)" in text


def test_notes_are_those_of_the_targets(tmp_path: Path) -> None:
    for name in ("triton_dialect", "nvidia", "amd", "interpreter"):
        (tmp_path / f"{name}.md").write_text(f"# About {name}\n\nText of {name}.\n")
    titles = [note.title for note in dialect_notes(["cuda:90"], tmp_path)]
    assert titles == ["About interpreter", "About nvidia", "About triton_dialect"]
    assert dialect_notes(["cuda:90"], tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("history", "expected", "refusal"),
    [
        ([], {}, "nothing was judged"),
        ([trial(0, missing=[ANGLE])], {ANGLE: "missing"}, ""),
        ([trial(0, culprits=[ANGLE], reason="wrong_value")], {ANGLE: "failing"}, ""),
        ([trial(0, reason="PyTorch itself cannot run this sample here", missing=[ANGLE])], {}, "PyTorch cannot run"),
        ([trial(0, missing=["torch_nn::x.default"])], {}, "a kernel file cannot serve torch_nn::x.default"),
        ([trial(0)], {}, "no overload is known"),
        ([trial(0, missing=["randint.default"])], {}, "random numbers"),
        ([trial(0, status="passed", used=[ANGLE])], {}, "it passes already"),
    ],
)
def test_what_the_history_asks_for(history: list[Trial], expected: dict[str, str], refusal: str) -> None:
    found = situation(history, improve=False)
    assert dict(found.wanted) == expected
    assert refusal in found.refusal
    assert bool(found.refusal) == bool(refusal)


def test_partial_judgements_never_shrink_a_score() -> None:
    whole = trial(0, scores={"float32": {"total": 900, "passed": 0}})
    screened = trial(1, scores={"float32": {"total": 2, "passed": 1}}, partial=True)
    assert furthest([whole, screened]) is whole


def test_steps_are_read_from_keys() -> None:
    own = trial(1, "s2.a3.c4", payload={"kernels": {ANGLE: "x"}})
    assert step_of(own) == (Step(1, 2), 3)
    assert step_of(trial(1, "s2.a3.c4")) is None
    assert step_of(trial(1, "default", payload={"kernels": {}})) is None


def test_options_say_what_is_wrong() -> None:
    two = LLMSettings(models=("cheap", "strong"))
    assert resolve(LLMSettings()) is None
    options = resolve(two, sessions=3)
    assert options is not None
    assert [options.tier(session) for session in range(3)] == [0, 0, 1]
    with pytest.raises(InputError, match="--sessions 1 is fewer than the 2 models"):
        resolve(two, sessions=1)
    with pytest.raises(InputError, match="--improve is given without --models"):
        resolve(LLMSettings(), improve=True)


def test_kernels_are_left_out_by_pattern() -> None:
    everything = {"add.Tensor": (), "mul.Tensor": (), "neg.default": ()}
    assert set(leave_out(everything, ["*.Tensor"])) == {"neg.default"}
    assert leave_out(everything, []) == everything
    with pytest.raises(InputError, match="--without: no shipped kernel serves 'div'"):
        leave_out(everything, ["div"])


def test_kept_kernels_are_offered_once_and_survive_damage(tmp_path: Path) -> None:
    kept = KeptKernels(tmp_path)
    kept.keep({ANGLE: RIGHT}, "llm:m", "angle", "run1")
    kept.keep({ANGLE: RIGHT}, "llm:other", "angle", "run2")
    (kept.folder / "broken.json").write_text("{")
    (kept.folder / "old.json").write_text(json.dumps({"schema_version": 99}))
    (kept.folder / "odd.json").write_text("[1]")
    again = KeptKernels(tmp_path)
    (kernel,) = again.of(ANGLE)
    assert (kernel.source, kernel.author, kernel.run) == (RIGHT, "llm:m", "run1")
    proposer = KeptProposer(again, "hash")
    (proposal,) = proposer.propose(None, [trial(0, missing=[ANGLE])])  # type: ignore[arg-type]  # it reads no analysis
    assert proposal.source == "llm:m"
    assert proposal.payload["kernels"] == {ANGLE: RIGHT}
    assert list(proposer.propose(None, [trial(0, status="passed")])) == []  # type: ignore[arg-type]  # as above
