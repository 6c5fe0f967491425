"""The state machine: feedback, conversations, escalation, candidates, budgets, and resume at every moment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agents.budget import Limits
from agents.costs import LLM_COMPLETED
from agents.events import EventLog, read_events
from agents.llm import Completion, Refused, Request
from agents.loop import LoopResult
from agents.protocols import Problem
from kernelgen.llm.opening import advice_for

from .answers import REFUSED_BY_LINT, RIGHT, SLOWER, WRONG, answer, learns
from .helpers import Compiler, Judges, Model, library, run


def stages(result: LoopResult) -> list[str]:
    return [trial.evaluation.metrics.get("stage", "") for trial in result.trials]


def keys(result: LoopResult) -> list[str]:
    return [trial.proposal.key for trial in result.trials]


def test_the_second_answer_passes_thanks_to_feedback(tmp_path: Path) -> None:
    model = Model(learns)
    result = run(tmp_path, model)
    assert result.stop.kind == "goal"
    assert result.best is not None
    assert result.best.proposal.source == "llm:scripted"
    assert keys(result) == ["default", "s1.a1.c1", "s1.a2.c1"]
    assert stages(result) == ["", "screen", "measure"]
    assert len(model.asked) == 2
    roles = [message.role for message in model.asked[1].messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert "got 1.5, PyTorch gives 3.1415927" in model.asked[1].messages[-1].content


def test_no_model_is_asked_where_synthesis_serves(tmp_path: Path) -> None:
    model = Model(learns)
    result = run(tmp_path, model, kernels=library(RIGHT_ALONE))
    assert result.stop.kind == "goal"
    assert not model.asked


def test_lint_ends_an_answer_before_anything_runs(tmp_path: Path) -> None:
    judges = Judges()
    model = Model(lambda messages: answer(RIGHT if len(messages) > 2 else REFUSED_BY_LINT))
    result = run(tmp_path, model, judges=judges)
    assert stages(result) == ["", "lint", "measure"]
    assert judges.asked == [None, 2, None]  # the default, the screen and the whole of the second answer
    told = model.asked[1].messages[-1].content
    assert "clone" in told
    assert "mend: " in told


def test_what_does_not_compile_is_sent_back_with_the_compilers_words(tmp_path: Path) -> None:
    heavy = RIGHT.replace("BLOCK=1024", "BLOCK=65536")
    model = Model(lambda messages: answer(RIGHT if "shared memory" in messages[-1]["content"] else heavy))
    result = run(tmp_path, model, compiler=Compiler(refuses="BLOCK=65536"))
    assert stages(result) == ["", "compile", "measure"]
    assert result.stop.kind == "goal"


def test_conversations_begin_afresh_and_the_dearer_model_follows(tmp_path: Path) -> None:
    cheap, strong = Model(numbered(WRONG), "cheap"), Model(lambda messages: answer(RIGHT), "strong")
    result = run(tmp_path, [cheap, strong], sessions=2, attempts=3)
    assert [len(cheap.asked), len(strong.asked)] == [3, 1]
    assert result.best is not None
    assert result.best.proposal.source == "llm:strong"
    first = strong.asked[0].messages
    assert [message.role for message in first] == ["system", "user"]
    assert "conversation 2 of at most 2" in first[1].content
    assert "what earlier conversations tried" in first[1].content


def test_everything_is_tried_and_then_it_ends(tmp_path: Path) -> None:
    model = Model(numbered(WRONG))
    result = run(tmp_path, model, sessions=2, attempts=3)
    assert result.stop.kind == "dry"
    assert len(model.asked) == 6
    assert len(result.trials) == 7


def test_the_same_answer_again_is_not_judged_again(tmp_path: Path) -> None:
    model = Model(lambda messages: answer(WRONG))
    result = run(tmp_path, model, sessions=1, attempts=3)
    assert len(model.asked) == 3
    assert keys(result) == ["default", "s1.a1.c1"]
    assert "the same as one that was judged" in model.asked[2].messages[-1].content


GIVEN_UP = json.dumps({"approach": "None.", "impossible": "no name that is\nallowed reads its parts"})


def test_who_says_that_it_cannot_be_done_is_not_asked_again_and_another_may_know_a_way(tmp_path: Path) -> None:
    cheap, strong, told = Model(lambda messages: GIVEN_UP, "cheap"), Model(lambda messages: answer(RIGHT), "strong"), []
    result = run(tmp_path, [cheap, strong], sessions=2, attempts=3, say=told.append)
    assert [len(cheap.asked), len(strong.asked)] == [1, 1]
    assert result.stop.kind == "goal"
    assert told == ["angle: cheap says that it cannot be done: no name that is allowed reads its parts"]
    alone = Model(lambda messages: GIVEN_UP)
    (tmp_path / "alone").mkdir()
    result = run(tmp_path / "alone", alone, sessions=2, attempts=3)
    assert (result.stop.kind, len(alone.asked), len(result.trials)) == ("dry", 2, 1)


def test_one_of_several_candidates_may_give_up(tmp_path: Path) -> None:
    replies = iter([GIVEN_UP, answer(WRONG), answer(RIGHT), GIVEN_UP])
    assert run(tmp_path, Model(lambda messages: next(replies)), best_of=2).stop.kind == "goal"


def test_best_of_n_judges_each_and_builds_on_the_best(tmp_path: Path) -> None:
    replies = iter([answer(REFUSED_BY_LINT), answer(WRONG), answer(RIGHT), answer(RIGHT)])
    model = Model(lambda messages: next(replies))
    result = run(tmp_path, model, best_of=2)
    assert result.stop.kind == "goal"
    assert len(model.asked) == 4
    assert {request.seed for request in model.asked} == {0, 1}
    built_on = model.asked[2].messages[-2].content
    assert "1.5" in built_on
    assert "clone" not in built_on


def test_an_answer_without_form_costs_the_conversation_only(tmp_path: Path) -> None:
    def script(messages: list[dict[str, str]]) -> str:
        fresh = any("conversation 2" in message["content"] for message in messages)
        return answer(RIGHT) if fresh else "I would rather not."

    model = Model(script)
    assert run(tmp_path, model).stop.kind == "goal"
    assert len(model.asked) == 3  # the answer, its repair, and the fresh conversation


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import torch\n", "defines none of the functions asked for"),
        (RIGHT.replace("angle__default", "add__Tensor"), "which nobody asked for"),
    ],
)
def test_a_file_that_serves_nothing_asked_for_is_told_so(tmp_path: Path, source: str, told: str) -> None:
    model = Model(lambda messages: answer(RIGHT if len(messages) > 2 else source))
    result = run(tmp_path, model)
    assert keys(result) == ["default", "s1.a2.c1"]
    assert told in model.asked[1].messages[-1].content


def test_a_random_operator_is_not_asked_about(tmp_path: Path) -> None:
    class Random(Judges):
        def judge(self, name, dtypes, sources, limit):  # type: ignore[no-untyped-def]  # as its base
            found = super().judge(name, dtypes, {}, limit)
            return type(found)(**{**vars(found), "missing": ("bernoulli_.float",)})

    model = Model(learns)
    assert run(tmp_path, model, judges=Random()).stop.kind == "dry"
    assert not model.asked


def test_a_kernel_that_is_wrong_is_shown_and_replaced(tmp_path: Path) -> None:
    model = Model(lambda messages: answer(RIGHT))
    result = run(tmp_path, model, kernels=library(RIGHT_ALONE.replace("3.141592653589793", "2.0")))
    assert result.stop.kind == "goal"
    task = model.asked[0].messages[1].content
    assert "at least one of them is wrong" in task
    assert "tl.where(value < 0, 2.0, 0.0)" in task


def test_a_provider_that_refuses_ends_the_work_and_a_resume_tries_again(tmp_path: Path) -> None:
    class Refusing(Model):
        def complete(self, request: Request, timeout_s: float | None) -> Completion:
            raise Refused("scripted refused the request: no credit is left")

    result = run(tmp_path, Refusing(learns))
    assert result.stop.kind == "failed"
    assert len(result.trials) == 1
    failed = [event for event in read_events(tmp_path / "events.jsonl") if event.kind == "proposer_failed"]
    assert "no credit is left" in failed[0].data["error"]
    assert run(tmp_path, Model(learns)).stop.kind == "goal"


def test_advice_is_asked_for_once(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        problem = Problem("angle")
        assert advice_for(problem, log, lambda problem: ["cast first"]) == ("cast first",)
        assert advice_for(problem, log, lambda problem: ["something else"]) == ("cast first",)
    (tmp_path / "run").mkdir()
    model = Model(learns)
    run(tmp_path / "run", model, advice=("cast first",))
    assert "what earlier runs taught" in model.asked[0].messages[1].content


def test_the_budget_holds_to_the_cent_and_a_higher_one_carries_on(tmp_path: Path) -> None:
    model = Model(numbered(WRONG))
    result = run(tmp_path, model, limits=Limits(dollars=0.03))
    assert result.stop.kind == "budget"
    assert "0.03 dollars for the run" in result.stop.text
    assert len(model.asked) == 3
    assert len(result.trials) == 4

    again = Model(numbered(WRONG, 3))
    result = run(tmp_path, again, limits=Limits(dollars=0.05))
    assert len(again.asked) == 2
    assert len(result.trials) == 6

    nothing = Model(numbered(WRONG))
    assert run(tmp_path, nothing, limits=Limits(dollars=0.05)).stop.kind == "budget"
    assert not nothing.asked


def test_the_budget_of_one_operator_holds(tmp_path: Path) -> None:
    model = Model(numbered(WRONG))
    assert run(tmp_path, model, each=Limits(calls=2)).stop.kind == "budget"
    assert len(model.asked) == 2


def test_improving_keeps_what_beats_the_incumbent(tmp_path: Path) -> None:
    texts = iter([answer(SLOWER), answer(RIGHT_ALONE)])
    slow = RIGHT_ALONE + "\n\n# " + "a comment that makes the artifact larger " * 20
    result = run(tmp_path, Model(lambda m: next(texts)), kernels=library(slow), improve=True, sessions=1, attempts=2)
    assert result.trials[0].evaluation.objective == 1.0
    assert result.trials[1].evaluation.objective is not None
    assert result.trials[1].evaluation.objective > 1  # twice the launches
    assert result.best is not None
    assert result.best.index == 2
    assert result.best.evaluation.feedback.startswith("better than the incumbent")


def test_improving_with_nothing_better_keeps_the_incumbent(tmp_path: Path) -> None:
    texts = iter([answer(SLOWER), answer(WRONG)])
    model = Model(lambda messages: next(texts))
    result = run(tmp_path, model, kernels=library(RIGHT_ALONE), improve=True, sessions=1, attempts=2)
    assert result.best is not None
    assert result.best.index == 0
    assert "of the numbers below none gets larger" in model.asked[0].messages[1].content
    assert "not better than the incumbent" in model.asked[1].messages[-1].content


# A log of two conversations with every kind of answer: faulty, refused, wrong, repeated, malformed, right.
def mixed(messages: list[dict[str, str]]) -> str:
    turn, fresh = len(messages) // 2, any("conversation 2" in message["content"] for message in messages)
    if not fresh:
        return answer([WRONG, "import torch\n", REFUSED_BY_LINT, WRONG][turn - 1])
    return answer(RIGHT) if turn > 1 else answer(WRONG.replace("1.5", "2.5"))


@pytest.mark.slow
def test_a_run_cut_at_any_event_repeats_no_paid_call(tmp_path: Path) -> None:
    (whole := tmp_path / "whole").mkdir()
    model = Model(mixed)
    expected = run(whole, model, attempts=4)
    assert [key for key in keys(expected) if key != "default"] == ["s1.a1.c1", "s1.a3.c1", "s2.a1.c1", "s2.a2.c1"]
    assert len(model.asked) == 6
    lines = (whole / "events.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) > 20
    for cut in range(len(lines)):
        broken = tmp_path / f"cut-{cut}"
        shutil.copytree(whole, broken)
        (broken / "events.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][:30])  # the last line is torn
        paid = sum(event.kind == LLM_COMPLETED for event in read_events(broken / "events.jsonl"))
        again = Model(mixed)
        result = run(broken, again, attempts=4)
        assert len(again.asked) == len(model.asked) - paid
        assert keys(result) == keys(expected)
        assert result.best is not None
        assert expected.best is not None
        assert result.best.proposal.content_hash == expected.best.proposal.content_hash


def numbered(source: str, begin: int = 0):  # type: ignore[no-untyped-def]  # a script with a counter
    count = begin

    def script(messages: list[dict[str, str]]) -> str:
        nonlocal count
        count += 1
        return answer(source.replace("1.5", f"1.5{count}"))

    return script


RIGHT_ALONE = """import torch
import triton
import triton.language as tl


@triton.jit
def _angle(out, x, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n).to(tl.float32)
    tl.store(out + i, tl.where(value < 0, 3.141592653589793, 0.0), mask=i < n)


def angle__default_kernel_impl(self):
    out = torch.empty_like(self)
    _angle[(triton.cdiv(self.numel(), 64),)](out, self, self.numel(), BLOCK=64)
    return out
"""
