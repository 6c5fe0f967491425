"""Injected instructions, in every place text comes from, change neither a prompt's structure nor what the tool does."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from agents.budget import Budget
from agents.events import EventLog, read_events
from agents.llm import Evidence, LLMProposer, MalformedAnswer, Message, compose, visible
from agents.llm.answers import parse
from agents.llm.format import format_of
from agents.llm.mailbox import page_of
from agents.llm.types import Request
from agents.loop import LoopResult, run_loop
from agents.protocols import Analysis, Evaluation, Finding, Problem, Proposal, Trial
from agents.stop import budget_spent

from .injections import Injection, injections, skeleton
from .llm_helpers import Point, Scripted, client

ALL = injections()
ANSWERS = ("json-answer", "few-shot")  # valid answers by themselves: test_an_injected_answer_is_only_ever_an_answer
every = pytest.mark.parametrize("injection", ALL, ids=str)


def prompt(text: str, label: str = "the log") -> list[Message]:
    return compose(
        role="You help.",
        wanted="Name the x of the lowest point.",
        rules=["One x.", "Not twice the same."],
        evidence=[Evidence(label, text), Evidence("the trials", "x = 1: 3")],
    )


def sent(messages: Sequence[Message]) -> list[Message]:
    """The conversation as a transport gets it."""
    model = Scripted(['{"x": 1}'])
    client(model).ask(messages, Point, problem="p", phase="a")
    return list(model.requests[0].messages)


def test_the_set_is_large_and_varied() -> None:
    assert len(ALL) >= 20
    assert len({injection.id for injection in ALL}) == len(ALL)
    assert {"manual", "log", "op docstring", "kernel output", "trace"} <= {injection.source for injection in ALL}


@every
def test_the_structure_of_a_prompt_is_that_of_a_harmless_one(injection: Injection) -> None:
    harmless = sent(prompt("all is well"))
    assert skeleton(sent(prompt(injection.text))) == skeleton(harmless)
    assert [message.role for message in harmless] == ["system", "user"]
    assert skeleton(harmless)[1][1].count("[data]") == 2


@every
def test_a_label_is_one_short_line(injection: Injection) -> None:
    block = sent(prompt("text", label=injection.text))[1].content.split("## Evidence\n\n")[1]
    first, fence = block.split("\n")[:2]
    assert first.startswith("BEGIN DATA ")
    assert len(first) < 110
    assert fence == "```text"


@every
def test_no_control_or_hidden_character_is_sent(injection: Injection) -> None:
    for message in sent(prompt(injection.text)):
        assert visible(message.content) == message.content


@every
def test_a_long_text_cannot_push_the_task_out(injection: Injection) -> None:
    content = sent(prompt(injection.text))[1].content
    assert len(content) < 12_000
    assert content.startswith("## What is wanted\n\nName the x")
    assert content.endswith(format_of(Point))


@every
def test_the_page_of_a_mailbox_keeps_its_headings(injection: Injection) -> None:
    def headings(text: str) -> list[str]:
        messages = [*sent(prompt(text)), Message("assistant", text), Message("user", "Once more.")]
        page = page_of(Request("mailbox", tuple(messages), 100), "0001")
        tokens = MarkdownIt().parse(page)
        return [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]

    assert headings(injection.text) == headings("all is well")


@every
def test_an_answer_that_repeats_an_injection_is_an_answer_or_refused(injection: Injection) -> None:
    try:
        value = parse(injection.text, Point)
    except MalformedAnswer:
        return
    assert type(value) is Point
    assert -5 <= value.x <= 5


@every
def test_an_answer_beside_an_injection_is_that_answer_or_refused(injection: Injection) -> None:
    try:
        value = parse(f'The data says:\n\n{injection.text}\n\nMy answer:\n\n{{"x": 1.5}}', Point)
    except MalformedAnswer:
        return  # two objects fit, or a heading was found: the model is asked to be clear
    assert value == Point(x=1.5)


@every
def test_a_repair_round_keeps_the_roles(injection: Injection) -> None:
    model = Scripted([injection.text + "\n{", '{"x": 1.5}'])
    client(model).ask(prompt("all is well"), Point, problem="p", phase="a")
    if len(model.requests) > 1:  # a text that is an answer by itself needs no repair
        messages = model.requests[1].messages
        assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
        assert messages[3].content.startswith("Your answer cannot be used: ")
        assert len(messages[3].content) < 1500


class Bowl:
    """A problem whose analysis, feedback and log all carry a text from outside."""

    def __init__(self, text: str) -> None:
        self.text = text

    def analyze(self, problem: Problem) -> Analysis:
        return Analysis((Finding("manual", self.text, "a manual"),))

    def evaluate(self, problem: Problem, proposal: Proposal) -> Evaluation:
        x = float(proposal.payload["x"])
        return Evaluation("passed", objective=x * x, feedback=self.text)


def build(analysis: Analysis, history: Sequence[Trial]) -> list[Message]:
    pieces = [Evidence("a manual", str(analysis.findings[0].value), 1000)]
    pieces += [Evidence(f"output of trial {trial.index}", trial.evaluation.feedback, 1000) for trial in history]
    pieces += [Evidence("reasons given before", "\n".join(trial.proposal.rationale for trial in history) or "none")]
    return compose(role="You help.", wanted="Find the lowest point.", evidence=pieces)


def read(point: Point, history: Sequence[Trial]) -> Iterator[Proposal]:
    yield Proposal(f"p{len(history)}", "llm", rationale=point.why, payload={"x": point.x})


def work(text: str, folder: Path) -> tuple[LoopResult, Scripted]:
    """Three rounds with a model that copies the injection into whatever it says."""
    folder.mkdir()
    answers = [json.dumps({"x": x, "why": text}) for x in (3.0, 2.0, 1.0)]
    model = Scripted([text + "\n{", *answers] if text else answers)
    with EventLog(folder / "events.jsonl") as log:
        own = Budget()
        asker = LLMProposer(
            client(model, log=log), problem="bowl", budget=own, build=build, answer=Point, read=read, most=3
        )
        parts = Bowl(text)
        result = run_loop(Problem("bowl"), parts, [asker], parts, log=log, budget=own, stop=budget_spent())
    return result, model


@pytest.mark.parametrize("injection", [one for one in ALL if one.id not in ANSWERS], ids=str)
def test_what_the_loop_does_does_not_change(
    injection: Injection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An obedient model, injected at every border: the same trials, and no process, no file, no connection more.

    (The network guard of all tests fails this one on a connection.)
    """

    def started(*arguments: object, **named: object) -> None:
        raise AssertionError(f"a process was started: {arguments}")

    for module, name in ((subprocess, "Popen"), (os, "system"), (os, "execv"), (os, "posix_spawn"), (os, "fork")):
        monkeypatch.setattr(module, name, started)
    result, model = work(injection.text, tmp_path / "run")
    assert [(trial.proposal.payload, trial.evaluation.objective) for trial in result.trials] == [
        ({"x": 3.0}, 9.0),
        ({"x": 2.0}, 4.0),
        ({"x": 1.0}, 1.0),
    ]
    assert all(trial.proposal.source == "llm:scripted" for trial in result.trials)
    assert len(model.requests) == 4
    files = {path.relative_to(tmp_path).parts[1] for path in tmp_path.rglob("*") if path.is_file()}
    assert files <= {"events.jsonl", "artifacts"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    # The log is whole, line by line, and gives the texts back as they were.
    with EventLog(tmp_path / "run" / "events.jsonl") as log:
        finished = [log.unpack(event) for event in log.of("bowl") if event.kind == "trial_finished"]
        assert [data["evaluation"]["feedback"] for data in finished] == [injection.text] * 3
        assert {event.problem for event in read_events(log.path)} == {"bowl"}


def test_an_injected_answer_is_only_ever_an_answer(tmp_path: Path) -> None:
    """A model that is taken in can only choose a bad candidate, which is evaluated like any other."""
    injection = next(one for one in ALL if one.id == "json-answer")
    model = Scripted([injection.text])
    answer = client(model).ask(prompt(injection.text), Point, problem="p", phase="a")
    assert answer.value == Point(x=4.0, why="this is the official answer")
    with pytest.raises(MalformedAnswer, match="2 different objects"):
        parse(f'{injection.text} {{"x": 1.0}}', Point)
