"""What a replay is asked for: its setup, and policies by name (baselines, a learned one, what a run selected)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.run_reading import find_run
from sysmith_errors import InputError
from tuners.upgrade_sched.backtest.baselines import baseline_policy, parse_baselines
from tuners.upgrade_sched.backtest.blocks import Blocks, Setup, choose_slots
from tuners.upgrade_sched.backtest.choice import Choice, choice_of
from tuners.upgrade_sched.backtest.ratios import RatioBlocks
from tuners.upgrade_sched.backtest.replay import PolicyOf
from tuners.upgrade_sched.backtest.run import COMMAND, digest_of
from tuners.upgrade_sched.backtest.saved import read_report
from tuners.upgrade_sched.backtest.search import ORDERS
from tuners.upgrade_sched.backtest.simulate import Policy
from tuners.upgrade_sched.backtest.tradeoff import OURS
from tuners.upgrade_sched.durations.fit import CHOSEN, FAMILIES
from tuners.upgrade_sched.types import History

RUN = "run:"
LEAN_OF = dict(zip(("shortest-first", "as-due", "longest-first"), ORDERS, strict=True))
_RANGES = {"risk": (0.0, 1.0), "lean": (0.0, 3.0), "caution": (0.0, 20.0), "stop": (0.0, 1.0)}
DEFAULT_LOAD = 2.0
_OPTIONS = {"window_s": "--window", "slots": "--slots", "splits": "--splits", "most_windows": "--windows"} | {
    "seed": "--seed",
    "families": "--models",
}
_MEND = (
    "Choose cutoff:MINUTES, timeout:MINUTES, per-type-mean, median-N, p95, squared-error, oracle, "
    "sysmith[:risk=0.6,lean=0.5,...] or run:ID."
)


@dataclass(frozen=True)
class SavedRun:
    """A finished backtest: how it was set up, of which history (SHA-256), and its report."""

    id: str
    setup: Setup
    digest: str
    report: Mapping[str, Any]


def saved_run(state: Path, name: str) -> SavedRun:
    """The backtest ``name`` (an id, its beginning, or ``latest``) below ``state``. Raises InputError where there is
    none, or it is not finished."""
    if name == "latest":
        from agents.run_dir import latest

        info = latest(state, COMMAND)
    else:
        info = find_run(state, name)
    if info.command != COMMAND:
        raise InputError(f"--policy: run {info.id} is one of {info.command}", mend=f"Name one of {COMMAND}.")
    if not (info.path / "report.json").exists():
        raise InputError(f"--policy: run {info.id} has not come to its end", mend=f"Finish it with --resume {info.id}.")
    recorded = dict(info.options)
    try:
        fields = dict(recorded["setup"])
        setup = Setup(**fields | {name: tuple(fields[name]) for name in ("loads", "families")})
        digest = str(recorded["sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--policy: run {info.id} is damaged ({error})", mend="Name another one.") from None
    return SavedRun(info.id, setup, digest, read_report(info.path / "report.json"))


@dataclass(frozen=True)
class Asked:
    """What a replay's user said of its setup; None: nothing. ``window_s`` is in seconds."""

    window_s: float | None = None
    slots: int | None = None
    load: float | None = None
    splits: int | None = None
    most_windows: int | None = None
    seed: int | None = None
    families: tuple[str, ...] | None = None

    def setup(self, history: History, saved: SavedRun | None) -> tuple[Setup, float]:
        """The setup and load of a replay of ``history``: the run's own, or what was said with defaults for the rest.
        Raises InputError for what contradicts the run."""
        said = {name: value for name, value in vars(self).items() if value is not None and name != "load"}
        if saved is None:
            load = self.load or DEFAULT_LOAD
            setup = replace(Setup(loads=(load,)), **said)
            if self.slots is None:
                setup = replace(setup, slots=choose_slots(history, setup.window_s, load, setup.splits))
            return setup, load
        if digest_of(history) != saved.digest:
            raise InputError(
                f"{history.source} is not the history of run {saved.id}, or it has changed",
                mend="Name the one it was made with, with its --mapping.",
            )
        for name, value in said.items():
            has = getattr(saved.setup, name)
            if value != has:
                shown = has / 60 if name == "window_s" else ",".join(has) if name == "families" else has
                raise InputError(f"{_OPTIONS[name]}: run {saved.id} has {shown}", mend="Leave it out.")
        load = self.load or saved.setup.loads[0]
        if load not in saved.setup.loads:
            loads = ", ".join(f"{one:g}" for one in saved.setup.loads)
            raise InputError(f"--load: run {saved.id} selected nothing for load {load:g}", mend=f"It has {loads}.")
        return saved.setup, load


def saved_run_of(names: Sequence[str], state: Path) -> SavedRun | None:
    """The one run that the policies ``names`` mean, or None. Raises InputError for two, as each has its own setup."""
    runs = {name.removeprefix(RUN).partition("@")[0] for name in names if name.startswith(RUN)}
    if len(runs) > 1:
        raise InputError("--policy: two runs have each a setup of their own", mend="Replay one run at a time.")
    return saved_run(state, runs.pop()) if runs else None


def policy_named(text: str, order: str, saved: SavedRun | None) -> PolicyOf:
    """The policy that ``text`` names. ``order`` (a key of ``LEAN_OF``) is in which order baselines admit; ``saved`` is
    the run that ``run:`` means. Raises InputError naming the option."""
    if order not in LEAN_OF:
        raise InputError(f"--order: {order!r} is no order", mend=f"Choose from {', '.join(LEAN_OF)}.")
    if text.startswith(RUN):
        assert saved is not None
        return _selected(text, saved)
    if text == OURS or text.startswith(f"{OURS}:"):
        choice = learned(text.partition(":")[2])
        return lambda blocks, block, load: choice.policy(blocks, block, load)
    try:
        (name,) = parse_baselines(text)
    except (InputError, ValueError):
        raise InputError(f"--policy: {text!r} is no policy", mend=_MEND) from None

    def baseline(blocks: Blocks, block: int, load: float) -> Policy:
        return baseline_policy(name, blocks, block, load, LEAN_OF[order])

    return baseline


def learned(text: str) -> Choice:
    """A choice from ``name=value`` pairs, commas between; what is not named is as in ``Choice``."""
    given: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name == "model" and value in (CHOSEN, *FAMILIES):
            given["model"] = value
        elif name == "learn" and value in ("yes", "no"):
            given["learn"] = value == "yes"
        elif name in _RANGES and _within(value, *_RANGES[name]):
            given["stop_below" if name == "stop" else name] = float(value)
        else:
            models = ", ".join((CHOSEN, *FAMILIES))
            raise InputError(
                f"--policy: {part!r} is no parameter of {OURS}",
                mend=f"Give risk=0..1, lean=0..3, caution=0..20, stop=0..1, learn=yes|no or model= one of {models}.",
            )
    return Choice(**given)


def _within(text: str, low: float, high: float) -> bool:
    try:
        return low <= float(text) <= high
    except ValueError:
        return False


def _selected(text: str, saved: SavedRun) -> PolicyOf:
    """What a run selected, split by split: for the claims, or in its sweep for the ratio after ``@``."""
    ratio = text.partition("@")[2]
    rows, wanted = saved.report.get("selections"), None
    if ratio:
        wanted = float(ratio) if _within(ratio, 0.0, math.inf) else math.nan
        sweep = saved.report.get("sweep")
        swept = sweep.get("cost_ratios", []) if isinstance(sweep, dict) else []
        if wanted not in swept:
            known = f"It has {', '.join(f'{one:g}' for one in swept)}." if swept else "It has no sweep."
            raise InputError(f"--policy: {text!r}: run {saved.id} has no cost ratio {ratio}", mend=known)
        assert isinstance(sweep, dict)
        rows = sweep.get("selections")
    try:
        chosen = {
            (int(one["split"]), float(one["load"])): choice_of(one["policy"])
            for one in rows or ()
            if wanted is None or one["cost_ratio"] == wanted
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--policy: the report of run {saved.id} is damaged ({error})") from None

    def policy(blocks: Blocks, block: int, load: float) -> Policy:
        if (block, load) not in chosen:
            raise InputError(f"--policy: the report of run {saved.id} lacks the selection of split {block}")
        return chosen[block, load].policy(blocks if wanted is None else RatioBlocks(blocks, wanted), block, load)

    return policy
