"""A replay records what the simulation did: every admission, in slots that never overlap, adding up to its counts."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.run_dir import RunDir
from sysmith_errors import InputError, SysmithError
from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.choice import Choice
from tuners.upgrade_sched.backtest.named import Asked, SavedRun, learned, policy_named, saved_run, saved_run_of
from tuners.upgrade_sched.backtest.policies import PointPolicy
from tuners.upgrade_sched.backtest.replay import Recorder, document, replay
from tuners.upgrade_sched.backtest.run import COMMAND, digest_of
from tuners.upgrade_sched.backtest.simulate import COUNTS, play
from tuners.upgrade_sched.backtest.tables import EVENT_COLUMNS, events_csv, events_lines
from tuners.upgrade_sched.durations.base import GRID
from tuners.upgrade_sched.types import History

from .conftest import SWEPT_SETUP
from .test_backtest_play import demand, some_policy

HOUR = 3600.0
COLUMN = {name: i for i, name in enumerate(COUNTS)}
windows_of = st.lists(st.lists(st.floats(1, 2 * HOUR), max_size=30), min_size=1, max_size=4)


@given(windows_of, st.integers(1, 4), st.integers(0, 99), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_is_recorded_adds_up_to_what_is_counted(
    windows: list[list[float]], slots: int, seed: int, learns: bool
) -> None:
    made = demand(windows, slots=slots)
    rng = np.random.default_rng(seed)
    if learns and len(made.rows):
        quantiles = np.sort(rng.uniform(1, 2 * HOUR, size=(len(GRID), len(made.rows))), axis=0)
        policy: Any = some_policy(made, quantiles, risk=rng.uniform(0, 0.9), learn=True, stop=0.3)
    else:
        policy = PointPolicy(rng.uniform(1, HOUR, size=len(made.rows)), 1.0, rng.choice([600.0, np.inf]))
    recorder = Recorder(policy)
    counts = play(made, recorder).counts
    np.testing.assert_array_equal(counts, play(made, policy).counts)  # to look on changes nothing
    found = recorder.admissions(made)
    for name, chosen, weight in (
        ("scheduled", found.outcome != "", np.ones(len(found.outcome))),
        ("completed", found.outcome == "completed", np.ones(len(found.outcome))),
        ("stopped_early", found.outcome == "stopped", np.ones(len(found.outcome))),
        ("useful_s", found.outcome == "completed", found.held_s),
        ("wasted_s", found.outcome != "completed", found.held_s),
    ):
        sums = np.bincount(found.window[chosen], weight[chosen], minlength=len(made))
        np.testing.assert_allclose(sums, counts[:, COLUMN[name]], atol=1e-6, err_msg=name)
    assert len(np.unique(found.position)) == len(found.position)
    assert ((found.slot >= 0) & (found.slot < slots)).all()
    assert (found.start_s + found.held_s <= made.window_s + 1e-6).all()
    for key in set(zip(found.window.tolist(), found.slot.tolist(), strict=True)):
        mine = (found.window == key[0]) & (found.slot == key[1])
        ends = (found.start_s + found.held_s)[mine]
        assert (found.start_s[mine][1:] >= ends[:-1] - 1e-5).all()  # one at a time in a slot


@pytest.fixture(scope="module")
def saved(swept: dict[str, Any], swept_history: History) -> SavedRun:
    return SavedRun("made", SWEPT_SETUP, digest_of(swept_history), swept)


def test_a_run_replayed_gives_the_figures_of_its_report(
    swept: dict[str, Any], swept_history: History, saved: SavedRun
) -> None:
    names = ("run:made", "run:made@9", "cutoff:60", "median-5")
    policies = {name: policy_named(name, "shortest-first", saved) for name in names}
    blocks = Blocks(swept_history, SWEPT_SETUP)
    answer = document(replay(blocks, policies, 3.0), blocks, 3.0)
    rows = {row["policy"]: row for row in swept["rows"] if row["load"] == 3.0}
    points = {point["policy"]: point for point in swept["sweep"]["points"] if point["load"] == 3.0}
    told = (rows["sysmith"], points["sysmith 9:1"], rows["cutoff:60"], points["median-5 shortest first"])
    for one, expected in zip(answer["policies"], told, strict=True):
        for figure in ("scheduled", "completed", "cancelled_share", "wasted_minutes", "idle_minutes", "utilisation"):
            assert one["total"][figure] == expected[figure], (one["policy"], figure)
        assert one["total"]["windows"] == expected["windows"] == len(one["windows"])


def test_windows_add_up_to_the_totals_and_events_to_the_windows(swept_history: History) -> None:
    blocks = Blocks(swept_history, SWEPT_SETUP)
    (played,) = replay(blocks, {"cutoff:45": policy_named("cutoff:45", "as-due", None)}, 1.5)
    (one,) = document([played], blocks, 1.5)["policies"]
    total, windows = one["total"], one["windows"]
    for name in ("offered", "cancelled", "deferred"):
        assert sum(window[name] for window in windows) == total[name]
    assert sum(window["admitted"] for window in windows) == total["scheduled"]["value"] == len(played.events)
    capacity = SWEPT_SETUP.slots * SWEPT_SETUP.window_s / 60
    for window in windows:
        assert window["offered"] == window["admitted"] + window["deferred"]
        assert window["admitted"] == window["completed"] + window["cancelled"]
        useful = window["utilisation"] * capacity
        assert useful + window["idle_minutes"] + window["wasted_minutes"] == pytest.approx(capacity, abs=0.01)
    for event in played.events:
        row = event["record"] - 1
        assert event["entity"] == swept_history.entity[row]
        assert event["needs_s"] == pytest.approx(swept_history.duration_s[row], abs=1e-3)
        assert event["start"] >= windows[event["window"] - 1]["opens"] - 1e-3


def test_admissions_are_written_as_csv_and_as_json_lines(swept_history: History) -> None:
    blocks = Blocks(swept_history, SWEPT_SETUP)
    (played,) = replay(blocks, {"oracle": policy_named("oracle", "shortest-first", None)}, 1.5)
    table = events_csv(played.events).splitlines()
    lines = events_lines(played.events).splitlines()
    assert table[0].split(",") == list(EVENT_COLUMNS)
    assert len(table) - 1 == len(lines) == len(played.events)
    first = json.loads(lines[0])
    assert list(first) == list(EVENT_COLUMNS)
    assert first["start"].endswith("Z")
    assert {json.loads(line)["outcome"] for line in lines} == {"completed"}
    assert (events_csv([]).splitlines(), events_lines([])) == ([",".join(EVENT_COLUMNS)], "")


def test_a_learned_policy_takes_its_parameters_by_name() -> None:
    assert learned("") == Choice()
    assert learned("risk=0.7, lean=1,caution=3,learn=yes,stop=0.1,model=bins") == Choice("bins", 0.7, 1, 3, True, 0.1)


@given(st.text(max_size=30).filter(lambda text: not text.startswith("run:")))
def test_any_other_text_is_a_policy_or_refused_in_one_sentence(text: str) -> None:
    for name in (text, f"sysmith:{text}"):
        with contextlib.suppress(InputError):
            assert callable(policy_named(name, "as-due", None))


@pytest.mark.parametrize(
    "name", ["", "guess", "cutoff", "oracle,cutoff:60", "sysmith:risk=2", "sysmith:risk", "sysmith:x=1"]
)
def test_a_policy_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="--policy"):
        policy_named(name, "as-due", None)


def test_what_contradicts_the_run_is_named(saved: SavedRun, swept_history: History) -> None:
    setup, load = Asked().setup(swept_history, saved)
    assert (setup, load) == (SWEPT_SETUP, 1.5)
    assert Asked(window_s=7200.0, slots=2, load=3.0).setup(swept_history, saved) == (SWEPT_SETUP, 3.0)
    wrong = {
        "--window": Asked(window_s=3600.0),
        "--slots": Asked(slots=9),
        "--splits": Asked(splits=5),
        "--windows": Asked(most_windows=99),
        "--seed": Asked(seed=1),
        "--models": Asked(families=("history",)),
        "--load": Asked(load=2.0),
    }
    for option, asked in wrong.items():
        with pytest.raises(InputError, match=option):
            asked.setup(swept_history, saved)
    other = replace(swept_history, duration_s=swept_history.duration_s + 1)
    with pytest.raises(InputError, match="is not the history"):
        Asked().setup(other, saved)


def test_without_a_run_the_slots_are_as_the_history_fills(swept_history: History) -> None:
    setup, load = Asked(window_s=3600.0, splits=2).setup(swept_history, None)
    assert (setup.window_s, setup.loads, load) == (3600.0, (2.0,), 2.0)
    assert setup.slots >= 1


@pytest.mark.parametrize("name", ["run:made@3", "run:made@x", "run:made@nan"])
def test_a_ratio_that_was_not_swept_is_refused(saved: SavedRun, name: str) -> None:
    with pytest.raises(InputError, match="It has 1, 9"):
        policy_named(name, "as-due", saved)
    with pytest.raises(InputError, match="no sweep"):
        policy_named(name, "as-due", replace(saved, report={"selections": []}))


def test_a_run_that_is_not_there_or_not_finished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SysmithError, match="no run"):
        saved_run(tmp_path, "latest")
    with RunDir.create(tmp_path, COMMAND, {}) as folder:
        name = folder.info.id
    with pytest.raises(InputError, match="--resume"):
        saved_run(tmp_path, name)
    (folder.path / "report.json").write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        saved_run(tmp_path, name)
    with RunDir.create(tmp_path, "kernelgen", {}) as folder:
        pass
    with pytest.raises(InputError, match="kernelgen"):
        saved_run(tmp_path, folder.info.id)
    with pytest.raises(InputError, match="two runs"):
        saved_run_of(["run:a", "cutoff:60", "run:b"], tmp_path)
    assert saved_run_of(["oracle"], tmp_path) is None
