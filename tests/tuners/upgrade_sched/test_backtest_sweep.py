"""The sweep: selection by the user's cost alone, shared fits, and which points are Pareto-efficient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.protocols import Problem, Proposal
from sysmith_errors import BudgetExhausted, InputError
from tuners.upgrade_sched.backtest.blocks import Blocks, Setup
from tuners.upgrade_sched.backtest.choice import Choice
from tuners.upgrade_sched.backtest.pareto import efficient
from tuners.upgrade_sched.backtest.ratios import RatioBlocks
from tuners.upgrade_sched.backtest.run import Backtest, open_run
from tuners.upgrade_sched.backtest.score import cost
from tuners.upgrade_sched.backtest.search import Task, Validation
from tuners.upgrade_sched.backtest.simulate import COUNTS, play
from tuners.upgrade_sched.backtest.sweep import CostSeeds, parse_ratios
from tuners.upgrade_sched.backtest.tradeoff import mark, tradeoff
from tuners.upgrade_sched.durations.fit import CHOSEN, fit
from tuners.upgrade_sched.types import History

from .conftest import SWEPT, SWEPT_SETUP
from .made import history

points_of = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30)


@given(points_of)
def test_a_point_is_efficient_when_none_beats_it(points: list[tuple[int, int]]) -> None:
    found = efficient(np.array(points, dtype=float).reshape(-1, 2))
    for mine, is_efficient in zip(points, found, strict=True):
        beaten = any(o[0] <= mine[0] and o[1] <= mine[1] and o != mine for o in points)
        assert is_efficient == (not beaten)


def test_points_of_another_shape_are_refused() -> None:
    for wrong in (np.zeros(3), np.zeros((2, 3)), np.array([[0.0, np.nan]])):
        with pytest.raises(ValueError, match="n x 2"):
            efficient(wrong)


def test_ratios_are_sorted_and_named_once() -> None:
    assert parse_ratios(" 4,1, 2.5,4 ") == (1.0, 2.5, 4.0)


@pytest.mark.parametrize("text", [",", "a", "1,b", "0", "-1", "nan", "inf", "2000", ",".join(map(str, range(1, 30)))])
def test_a_ratio_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--cost-ratios"):
        parse_ratios(text)


@pytest.fixture(scope="module")
def blocks() -> Blocks:
    families = ("history", "squared", "asymmetric", "bins")
    setup = Setup(window_s=7200.0, slots=2, loads=(2.0,), splits=1, families=families, cost_ratio=2.0)
    return Blocks(history(1000, censored=0.05), setup)


def test_what_the_ratio_does_not_change_is_shared(blocks: Blocks) -> None:
    other = RatioBlocks(blocks, 30.0)
    mine, base = other.fitted(1), blocks.fitted(1)
    assert other.query(1, 2.0) is blocks.query(1, 2.0)
    assert other.chances(1, 2.0, "history") is blocks.chances(1, 2.0, "history")
    assert set(mine.families) == set(base.families)
    same = mine.choice == base.choice and "asymmetric" not in mine.choice.values()
    assert (other.chances(1, 2.0, CHOSEN) is blocks.chances(1, 2.0, CHOSEN)) == same
    assert base.cost_ratio == 2.0
    assert RatioBlocks(blocks, 2.0).fitted(1) is base


def test_the_choice_of_models_is_that_of_a_fit_at_the_ratio(blocks: Blocks) -> None:
    s = blocks.setup
    rows, at = blocks.training(1)
    names = tuple(blocks.fitted(1).families)
    alone = fit(blocks.index, rows, at, cost_ratio=30.0, longest_s=s.window_s, names=names, seed=s.seed)
    shared = RatioBlocks(blocks, 30.0).fitted(1)
    assert shared.choice == alone.choice
    assert shared.losses.keys() == alone.losses.keys()
    for kind, losses in alone.losses.items():
        assert shared.losses[kind] == pytest.approx(losses)
    assert shared.likeness == alone.likeness


def test_the_cost_is_the_users_and_nothing_else(blocks: Blocks) -> None:
    choice = Choice(model="history", risk=0.7)
    demand = blocks.demand(0, 2.0)
    counts = play(demand, choice.policy(blocks, 0, 2.0)).counts.sum(axis=0)
    proposal = Proposal(choice.key, "search", payload=vars(choice))
    for ratio in (1.0, 9.0):
        judge = Validation(Task(RatioBlocks(blocks, ratio), 0, 2.0), "cost")
        found = judge.evaluate(Problem("p"), proposal)
        assert found.objective == pytest.approx(cost(counts, ratio), abs=1e-6)
        assert "missed" not in found.metrics
    by_goals = Validation(Task(blocks, 0, 2.0)).evaluate(Problem("p"), proposal)
    assert "missed" in by_goals.metrics


def test_a_policy_is_judged_on_the_last_two_blocks() -> None:
    setup = Setup(window_s=7200.0, slots=2, loads=(2.0,), splits=2, families=("history",))
    three = Blocks(history(1200), setup)
    assert [Task(three, block, 2.0).validated for block in (0, 1, 2)] == [(0,), (0, 1), (1, 2)]
    choice = Choice(model="history", risk=0.7)
    sums = sum(play(three.demand(b, 2.0), choice.policy(three, b, 2.0)).counts.sum(axis=0) for b in (1, 2))
    found = Validation(Task(three, 2, 2.0)).evaluate(Problem("p"), Proposal(choice.key, "search", payload=vars(choice)))
    assert found.metrics["completed"] == sums[2]


def test_a_dearer_overrun_asks_for_surer_upgrades(blocks: Blocks) -> None:
    def risks(ratio: float) -> list[float]:
        task = Task(RatioBlocks(blocks, ratio), 0, 2.0)
        seeds = CostSeeds(task).propose(Validation(task, "cost").analyze(Problem("p")), ())
        return [seed.payload["risk"] for seed in seeds if seed.payload["model"] == CHOSEN]

    assert risks(9.0) == pytest.approx([0.889, 0.9] * 3)
    assert max(risks(1.0)) < min(risks(4.0)) < min(risks(9.0))


def test_each_ratio_and_load_has_a_point_and_a_cost(swept: dict[str, Any]) -> None:
    sweep = swept["sweep"]
    wanted = {(load, ratio) for load in SWEPT_SETUP.loads for ratio in SWEPT.cost_ratios}
    selected = [p for p in sweep["points"] if p["cost_ratio"] is not None]
    assert {(p["load"], p["cost_ratio"]) for p in selected} == wanted
    assert {(c["load"], c["cost_ratio"]) for c in sweep["costs"]} == wanted
    assert len(sweep["selections"]) == len(wanted) * SWEPT_SETUP.splits
    names = {p["policy"] for p in sweep["points"]}
    assert {"sysmith", "cutoff:60", "median-5 as due", "oracle longest first"} <= names


def test_costs_are_what_the_points_spent(swept: dict[str, Any]) -> None:
    points = {(p["load"], p["policy"]): p for p in swept["sweep"]["points"]}

    def spent(load: float, policy: str, ratio: float) -> float:
        point = points[load, policy]
        return float(point["idle_minutes"]["value"] + ratio * point["wasted_minutes"]["value"])

    for one in swept["sweep"]["costs"]:
        load, ratio = one["load"], one["cost_ratio"]
        assert one["cost"]["value"] == pytest.approx(spent(load, one["policy"], ratio))
        others = [p for at, p in points if at == load and points[at, p]["kind"] == "baseline"]
        assert one["best_baseline"] == min(others, key=lambda p: spent(load, p, ratio))
        over = one["cost_over_best_baseline"]
        assert over["value"] == pytest.approx(one["cost"]["value"] / one["best_baseline_cost"]["value"])
        assert over["low"] <= over["value"] <= over["high"]
        limits = [p for at, p in points if at == load and points[at, p]["kind"] == "limit"]
        assert one["limit_cost"] == pytest.approx(min(spent(load, p, ratio) for p in limits))


def test_a_point_played_twice_is_counted_alike(swept: dict[str, Any]) -> None:
    rows = {(row["load"], row["policy"]): row for row in swept["rows"]}
    for point in swept["sweep"]["points"]:
        if point["policy"] in ("sysmith", "cutoff:60"):
            row = rows[point["load"], point["policy"]]
            for figure in ("completed", "wasted_minutes", "idle_minutes"):
                assert point[figure] == row[figure]


def test_limits_take_no_part_in_what_is_efficient(swept: dict[str, Any]) -> None:
    for point in swept["sweep"]["points"]:
        is_limit = point["kind"] == "limit"
        assert (point["efficient_idle_wasted"] is None) == is_limit
        assert (point["policy"].split(" ")[0] == "oracle") == is_limit
    for load in SWEPT_SETUP.loads:
        here = [p for p in swept["sweep"]["points"] if p["load"] == load]
        again = [dict(p) for p in here]
        mark(again)
        assert again == here
        assert any(p["efficient_idle_wasted"] for p in here)


@pytest.mark.slow
def test_a_sweep_changes_nothing_else_and_can_be_added_later(
    swept: dict[str, Any], swept_history: History, tmp_path: Path
) -> None:
    plain = replace(SWEPT, cost_ratios=())
    with open_run(plain, swept_history, tmp_path, None) as folder:
        without = Backtest(plain, swept_history, folder, tmp_path).run()
    assert "sweep" not in without
    assert without | {"run": ""} == {name: value for name, value in swept.items() if name != "sweep"} | {"run": ""}
    with open_run(SWEPT, swept_history, tmp_path, "latest") as folder:
        added = Backtest(SWEPT, swept_history, folder, tmp_path).run()
    assert added | {"run": ""} == swept | {"run": ""}


@pytest.mark.slow
def test_a_sweep_stopped_half_way_resumes_to_the_same_report(
    swept: dict[str, Any], swept_history: History, tmp_path: Path
) -> None:
    stopped = replace(SWEPT, max_evaluations=30)
    with (
        open_run(stopped, swept_history, tmp_path, None) as folder,
        pytest.raises(BudgetExhausted, match=r"selecting split-1/load-.*--resume"),
    ):
        Backtest(stopped, swept_history, folder, tmp_path).run()
    with open_run(SWEPT, swept_history, tmp_path, "latest") as folder:
        again = Backtest(SWEPT, swept_history, folder, tmp_path).run()
    assert again | {"run": ""} == swept | {"run": ""}


def test_with_no_baseline_there_is_nothing_to_compare_with() -> None:
    counts = np.ones((4, len(COUNTS)))
    cells = {(1.0, policy): [counts] for policy in ("oracle as due", "sysmith", "sysmith 2:1")}
    (spent,) = tradeoff(cells, (2.0,), (1.0,), 0)["costs"]
    assert (spent["best_baseline"], spent["best_baseline_cost"], spent["cost_over_best_baseline"]) == (None, None, None)


def test_a_baseline_that_does_the_same_in_every_order_is_one_point() -> None:
    lazy, busy = np.zeros((5, len(COUNTS))), np.zeros((5, len(COUNTS)))
    for counts in (lazy, busy):
        counts[:, [COUNTS.index("offered"), COUNTS.index("capacity_s")]] = (9, 3600)
    busy[:, [COUNTS.index("scheduled"), COUNTS.index("completed"), COUNTS.index("useful_s")]] = (4, 4, 1800)
    cells = {(2.0, "oracle as due"): [busy], (2.0, "sysmith"): [lazy], (2.0, "sysmith 3:1"): [lazy]}
    cells |= {(2.0, f"per-type-mean {order}"): [lazy] for order in ("shortest first", "as due")}
    cells |= {(2.0, "median-5 as due"): [busy], (2.0, "median-5 longest first"): [lazy]}
    made = tradeoff(cells, (3.0,), (2.0,), 0)
    names = [point["policy"] for point in made["points"]]
    assert names == ["oracle", "sysmith", "sysmith 3:1", "per-type-mean", "median-5 as due", "median-5 longest first"]
    (spent,) = made["costs"]
    assert (spent["cost"]["value"], spent["best_baseline"], spent["limit_cost"]) == (300.0, "median-5 as due", 150.0)
