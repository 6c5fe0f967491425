"""Runs read back: views, trials with their conversations, comparison, export, following a live one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from agents.events import Event
from agents.protocols import Problem
from agents.run_diff import diff, spent
from agents.run_dir import RunDir, RunInfo
from agents.run_export import export_run, run_document
from agents.run_reading import RunView, find_run, read_run, view_of
from agents.run_tail import follow, is_live
from agents.run_trial import trial_of
from sysmith_errors import InputError

from .trials import Toy, run_toy

ROOT = Path(__file__).resolve().parents[2]
SCORES: dict[str, float | None] = {"a": 9.0, "b": None, "c": 7.0}
LONG = "\n".join(f"line {n}" for n in range(2000))


def toy_run(state: Path, scores: dict[str, float | None] | None = None, **more: Any) -> RunView:
    _, run_id = run_toy(state, Toy(scores or SCORES, texts=["def f():\n    pass\n", LONG]), **more)
    return read_run(find_run(state, run_id))


def test_a_run_is_read_as_it_was(tmp_path: Path) -> None:
    view = toy_run(tmp_path)
    problem = view.problem("p")
    assert [trial.status for trial in problem.trials] == ["passed", "failed", "passed"]
    assert problem.status == "passed"
    assert problem.best is not None
    assert problem.best.index == 2
    trials = view.trials("p")
    assert [trial.evaluation.objective for trial in trials] == [9.0, None, 7.0]
    assert trials[1].proposal.payload["source"] == LONG
    with pytest.raises(InputError, match="no problem 'q'"):
        view.problem("q")


def test_any_cut_of_a_log_can_be_read(tmp_path: Path) -> None:
    view = toy_run(tmp_path)
    for cut in range(len(view.events) + 1):
        part = view_of(view.info, view.events[:cut])
        if "p" in part.problems:
            assert part.problem("p").status in ("no trial", "in flight", "passed", "failed")
            assert part.trials("p") == view.trials("p")[: len(part.trials("p"))]


def test_a_resumed_run_is_one_run(tmp_path: Path) -> None:
    whole = toy_run(tmp_path / "whole")
    _, run_id = run_toy(tmp_path, Toy(SCORES, texts=["def f():\n    pass\n", LONG]), limit=1)
    run_toy(
        tmp_path,
        Toy(SCORES, texts=["def f():\n    pass\n", LONG]),
        run=RunDir.resume(tmp_path, "toy", {"n": 1}, run_id=run_id),
    )
    resumed = read_run(find_run(tmp_path, run_id))
    assert [t.proposal for t in resumed.trials("p")] == [t.proposal for t in whole.trials("p")]
    assert resumed.problem("p").end is not None


def test_runs_are_found_by_the_beginning_of_their_id(tmp_path: Path) -> None:
    ids = [toy_run(tmp_path).info.id for _ in range(2)]
    assert find_run(tmp_path).id == ids[1]
    assert find_run(tmp_path, ids[0][:-2]).id == ids[0]
    for wanted, words in (("", "there is no run"), ("xyz", "there is no run"), (ids[0][:4], "2 runs in")):
        with pytest.raises(InputError, match=words):
            find_run(tmp_path, wanted)


def event(seq: int, kind: str, problem: str | None = "p", **data: Any) -> Event:
    return Event(seq, float(seq), kind, problem, data)


def asked(seq: int, key: str, text: str, answer: str) -> list[Event]:
    place = {"key": key, "phase": "propose", "model": "m", "booked_to": "run"}
    request = {"messages": [{"role": "system", "content": "You help."}, {"role": "user", "content": text}]}
    completion = {
        "text": answer,
        "model": "m",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "dollars": 0.25,
        "seconds": 1.0,
    }
    cost = {"tokens": 15, "dollars": 0.25, "calls": 1}
    return [
        event(seq, "llm_requested", request=request, reserved=cost, attempt=1, **place),
        event(seq + 1, "llm_completed", completion=completion, cost=cost, **place),
    ]


def started(seq: int, index: int, source: str) -> Event:
    proposal = {"key": f"k{index}", "source": source, "rationale": "r", "citations": [], "payload": {"n": index}}
    return event(seq, "proposal_started", index=index, proposal=proposal, spent={})


def finished(seq: int, index: int, status: str = "failed", **metrics: Any) -> Event:
    evaluation = {"status": status, "objective": None, "metrics": metrics, "feedback": "f", "cost": {}}
    return event(
        seq, "trial_finished", index=index, evaluation=evaluation, spent={"evaluations": index + 1, "wall_s": 2.0}
    )


@pytest.fixture
def talk() -> RunView:
    """Trial 0 is free, 1 and 2 are one batch of a model, 3 had a repair."""
    events = [
        event(1, "problem_started", analysis=[]),
        started(2, 0, "search"),
        finished(3, 0),
        *asked(4, "k1", "first question", "first answer"),
        started(6, 1, "llm:m"),
        finished(
            7,
            1,
            lint={"add": "line 3"},
            compiled={"cuda:90": False},
            compile_errors={"cuda:90": "bad"},
            catch="c",
            own=4,
        ),
        started(8, 2, "llm:m"),
        finished(9, 2),
        *asked(10, "k2", "second question", "not what was wanted"),
        event(12, "llm_malformed", key="k2", phase="propose", model="m", booked_to="run", error="it does not fit"),
        *asked(13, "k3", "repair", "third answer"),
        started(15, 3, "llm:m"),
        finished(16, 3, "passed"),
    ]
    return view_of(RunInfo("r", Path("/nonexistent"), command="toy"), events)


@pytest.mark.parametrize(
    ("index", "texts"),
    [
        (0, []),
        (1, ["You help.", "first question", "first answer"]),
        (2, ["You help.", "first question", "first answer"]),
        (
            3,
            [
                "You help.",
                "second question",
                "not what was wanted",
                "it does not fit",
                "You help.",
                "repair",
                "third answer",
            ],
        ),
    ],
)
def test_a_trial_comes_with_what_the_model_was_asked(talk: RunView, index: int, texts: list[str]) -> None:
    assert [turn["text"] for turn in trial_of(talk, "p", index)["conversation"]] == texts


def test_a_trials_checks_are_told_apart_and_nothing_is_lost(talk: RunView) -> None:
    document = trial_of(talk, None, 1)
    assert document["checks"] == {
        "lint": {"lint": {"add": "line 3"}},
        "compile": {"compiled": {"cuda:90": False}, "compile_errors": {"cuda:90": "bad"}},
        "tests": {"catch": "c"},
    }
    assert document["metrics"] == {"own": 4}
    assert document["evaluation"]["feedback"] == "f"


def test_a_trial_that_is_not_there_is_refused(talk: RunView, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="p has trials 0 to 3, not 4"):
        trial_of(talk, "p", 4)
    two = view_of(talk.info, [*talk.events, event(17, "problem_started", "q")])
    with pytest.raises(InputError, match="has 2 problems, and --trial needs one"):
        trial_of(two, None, 0)
    with pytest.raises(InputError, match="q has no trial, not 0"):
        trial_of(two, "q", 0)


def test_what_a_run_spent(talk: RunView) -> None:
    cost = spent(talk)
    assert (cost.evaluations, cost.wall_s, cost.tokens, cost.dollars, cost.calls) == (4, 2.0, 45, 0.75, 3)


def test_equal_runs_do_not_differ_and_a_lost_problem_is_named(tmp_path: Path) -> None:
    one, same = toy_run(tmp_path), toy_run(tmp_path)
    equal = diff(one, same)
    assert (equal["changed"], equal["options"], equal["versions"], equal["lost"], equal["same"]) == ({}, {}, {}, [], 1)

    worse = toy_run(tmp_path, {"a": None}, options={"n": 2, "m": [1]})
    found = diff(one, worse)
    assert found["lost"] == ["p"]
    assert found["options"] == {"m": [None, [1]], "n": [1, 2]}
    assert found["changed"]["p"]["before"]["objective"] == 7.0
    assert found["changed"]["p"]["after"]["feedback"] == "a does not work"
    assert diff(worse, one)["gained"] == ["p"]

    other = toy_run(tmp_path, problem="q")
    assert (diff(one, other)["only_before"], diff(one, other)["only_after"]) == (["p"], ["q"])


def test_a_json_document_holds_all_texts_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_API_KEY", "planted-secret-value")
    view = toy_run(tmp_path, options={"url": "planted-secret-value"})
    document = run_document(view)
    assert document["options"] == {"url": "[redacted TOY_API_KEY]"}
    assert LONG in [
        e["data"]["proposal"]["payload"].get("source") for e in document["events"] if "proposal" in e["data"]
    ]
    assert run_document(view, redact=False)["options"] == {"url": "planted-secret-value"}


def test_an_archive_is_the_run_and_always_the_same(tmp_path: Path) -> None:
    view = toy_run(tmp_path)
    for name in ("a.tar.gz", "b.tgz"):
        export_run(view, tmp_path / name)
        time.sleep(0.01)
    content = (tmp_path / "a.tar.gz").read_bytes()
    assert content == (tmp_path / "b.tgz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(tmp_path / "other" / "runs", filter="data")
    copy = read_run(find_run(tmp_path / "other", view.info.id))
    assert copy.trials("p") == view.trials("p")
    assert copy.info.options == view.info.options


@pytest.mark.parametrize("where", [".", "no/such/folder/x.json"])
def test_an_export_that_cannot_be_written_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(InputError, match=r"is a folder|cannot be written"):
        export_run(toy_run(tmp_path), tmp_path / where)


def test_an_ended_run_is_followed_to_its_end_only(tmp_path: Path) -> None:
    view = toy_run(tmp_path)
    assert not is_live(view.info)
    assert [e.seq for e in follow(view.info)] == [e.seq for e in view.events]
    assert [e.seq for e in follow(view.info, last=2)] == [e.seq for e in view.events[-2:]]
    assert list(follow(view.info, last=0)) == []
    assert len(list(follow(view.info, last=999))) == len(view.events)


def test_a_run_open_in_this_process_is_live_and_keeps_its_lock(tmp_path: Path) -> None:
    with RunDir.create(tmp_path, "toy", {}) as run:
        assert is_live(run.info)
        asking = (
            "import sys; from pathlib import Path; from agents.run_dir import RunDir\n"
            "RunDir.resume(Path(sys.argv[1]), 'toy')"
        )
        done = subprocess.run(
            [sys.executable, "-c", asking, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert "open in another process" in done.stderr
    assert not is_live(run.info)


WRITER = """
import sys, time
from pathlib import Path
from agents.run_dir import RunDir
with RunDir.create(Path(sys.argv[1]), "toy", {}) as run:
    for n in range(5):
        run.log.append("step", {"n": n}, problem="p")
        if n == 1:
            print("half", flush=True)
            sys.stdin.readline()
"""


def test_a_live_run_is_followed_until_its_process_ends(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    info = find_run(tmp_path)
    assert is_live(info)
    seen: list[int] = []

    def read() -> None:
        seen.extend(e.data["n"] for e in follow(info, poll_s=0.02))

    reader = threading.Thread(target=read)
    reader.start()
    deadline = time.monotonic() + 30
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen == [0, 1]
    assert reader.is_alive()
    process.communicate("go\n", timeout=30)
    reader.join(timeout=30)
    assert seen == [0, 1, 2, 3, 4]


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    view = toy_run(tmp_path)
    path = view.info.path / "events.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-7])
    states = iter([True, True, False])

    def live(info: RunInfo) -> bool:
        state = next(states)
        if state:
            return True
        path.write_bytes(content)
        return False

    assert [e.seq for e in follow(view.info, poll_s=0.001, live=live)] == [e.seq for e in view.events]


def test_an_event_that_lacks_its_parts_is_refused_by_line(tmp_path: Path) -> None:
    info = RunInfo("r", tmp_path, command="toy")
    with pytest.raises(InputError, match=r"events\.jsonl, line 1: the trial_finished event is damaged"):
        view_of(info, [finished(1, 0)])


def test_a_damaged_event_of_a_model_call_is_refused(talk: RunView) -> None:
    damaged = view_of(talk.info, [*talk.events, event(17, "llm_completed", key="k")])
    with pytest.raises(InputError, match="an event of a model call is damaged"):
        spent(damaged)


def test_a_run_without_events_is_empty(tmp_path: Path) -> None:
    with RunDir.create(tmp_path, "toy", {}) as run:
        pass
    view = read_run(run.info)
    assert (view.events, view.problems) == ((), {})
    assert json.dumps(run_document(view))
    assert Problem("p").name not in view.problems
