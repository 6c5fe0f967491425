"""A fitted duration model that answers for upgrades still to run, and its file; it schedules nothing.

The file is one JSON document (boosters as UBJSON in base64) with a checksum, written in one step; nothing in it is ever
executed. It holds what was learned; the history itself is given again, since predictions read its latest records.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.protocols import canonical_json
from sysmith_errors import InputError
from sysmith_files import write_atomic
from tuners.upgrade_sched.durations.base import GRID
from tuners.upgrade_sched.durations.fit import CHOSEN, FAMILIES, Durations, fit, new_family
from tuners.upgrade_sched.features import FeaturePlan, HistoryIndex, Key, plan_features
from tuners.upgrade_sched.siblings import Likeness
from tuners.upgrade_sched.types import Floats, History, Prediction, Upgrade

SCHEMA_VERSION = 1
_MEND = "Fit the model again."


@dataclass
class FittedModel:
    """A ``DurationModel``: ``name`` is the family asked, ``chosen`` by default (the best for each type)."""

    durations: Durations
    plan: FeaturePlan
    name: str = CHOSEN

    @property
    def history(self) -> History:
        return self.durations.index.history

    def predict(self, upgrades: Sequence[Upgrade]) -> Prediction:
        """Predict each of ``upgrades`` from what ended before it is decided on (``at``; by default just after the last
        record ended). Features the history does not know are ignored, those it lacks are taken as not known."""
        if not upgrades:
            empty = np.zeros(0)
            return Prediction(empty, GRID, np.zeros((len(GRID), 0)), empty)
        after = float(self.history.end.max(initial=0.0)) + 1.0
        at = np.array([after if upgrade.at is None else upgrade.at for upgrade in upgrades], dtype=float)
        index = HistoryIndex(with_upgrades(self.history, upgrades, at), self.plan)
        rows = np.arange(len(self.history), len(index.history))
        d = self.durations
        asked = Durations(index, d.cost_ratio, d.families, d.levels, d.choice, d.losses, d.likeness)
        return asked.predict_rows(rows, at, self.name)


def with_upgrades(history: History, upgrades: Sequence[Upgrade], at: Floats) -> History:
    """``history`` with ``upgrades`` as records that never end, so that no prediction can read them."""
    count = len(upgrades)

    def number(name: str, upgrade: Upgrade) -> float:
        value = upgrade.features.get(name)
        return float(value) if isinstance(value, int | float) else np.nan

    def text(name: str, upgrade: Upgrade) -> str:
        value = upgrade.features.get(name)
        return "" if value is None else str(value)

    return History(
        np.concatenate((history.entity, [upgrade.server for upgrade in upgrades])),
        np.concatenate((history.type, [upgrade.type for upgrade in upgrades])),
        np.concatenate((history.start, np.full(count, np.inf))),
        np.concatenate((history.duration_s, np.zeros(count))),
        np.concatenate((history.censored, np.ones(count, dtype=bool))),
        np.concatenate((history.outcome, np.full(count, "completed"))),
        np.concatenate((history.submit, at)),
        {n: np.concatenate((column, [number(n, u) for u in upgrades])) for n, column in history.numbers.items()},
        {n: np.concatenate((column, [text(n, u) for u in upgrades])) for n, column in history.texts.items()},
        history.source,
    )


def fit_history(
    history: History,
    *,
    cost_ratio: float = 2.0,
    longest_s: float = 7200.0,
    names: Sequence[str] = FAMILIES,
    name: str = CHOSEN,
    threads: int = 1,
) -> FittedModel:
    """Fit on all of ``history``. ``cost_ratio``: a minute of overrun over an idle one; ``longest_s``: the window,
    beyond which an upgrade is lost however long it takes. Raises InputError for an empty history."""
    if not len(history):
        raise InputError(f"{history.source or 'the history'}: there is no record in it", mend="Give a longer history.")
    plan = plan_features(history)
    index = HistoryIndex(history, plan)
    rows = np.arange(len(history))
    at = history.submit
    durations = fit(index, rows, at, cost_ratio=cost_ratio, longest_s=longest_s, names=names, threads=threads)
    return FittedModel(durations, plan, name)


def save_model(model: FittedModel, path: Path) -> None:
    """Write the model to ``path`` in one step. Raises InputError where it cannot be written."""
    families = {}
    for name, family in model.durations.families.items():
        state, boosters = family.state()
        packed = {key: base64.b64encode(value).decode() for key, value in boosters.items()}
        families[name] = {"state": state, "boosters": packed}
    d = model.durations
    body = {
        "schema_version": SCHEMA_VERSION,
        "created": time.time(),
        "name": model.name,
        "cost_ratio": d.cost_ratio,
        "families": families,
        "levels": {name: levels.tolist() for name, levels in d.levels.items()},
        "choice": d.choice,
        "losses": d.losses,
        "likeness": {name: asdict(like) for name, like in d.likeness.items()},
        "plan": {
            "keys": [list(key.columns) for key in model.plan.keys],
            "numbers": list(model.plan.numbers),
            "chain": [list(key.columns) for key in model.plan.chain],
        },
    }
    digest = hashlib.sha256(canonical_json(body).encode()).hexdigest()
    try:
        write_atomic(path, json.dumps({"sha256": digest, "model": body}).encode() + b"\n")
    except OSError as error:
        raise InputError(f"model {path} cannot be written: {error.strerror}", mend="Choose another folder.") from error


def load_model(path: Path, history: History) -> FittedModel:
    """Read a model, to predict from ``history``. Raises InputError for a file that is missing, cut off, damaged, of
    another version, or made for other columns."""
    try:
        document = json.loads(path.read_bytes())
        body, digest = document["model"], document["sha256"]
        intact = hashlib.sha256(canonical_json(body).encode()).hexdigest() == digest
    except OSError as error:
        raise InputError(f"model {path} cannot be read: {error.strerror}", mend="Check its name and rights.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"model {path} is cut off or no model: {error}", mend=_MEND) from error
    if not intact:
        raise InputError(f"model {path} is damaged: its checksum does not match", mend=_MEND)
    if body.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"model {path} has version {body.get('schema_version')!r}, not {SCHEMA_VERSION}", mend=_MEND)
    try:
        return _restore(body, history, path)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"model {path} lacks a part ({type(error).__name__}: {error})", mend=_MEND) from error


def _restore(body: Mapping[str, Any], history: History, path: Path) -> FittedModel:
    plan = FeaturePlan(
        tuple(Key(tuple(columns)) for columns in body["plan"]["keys"]),
        tuple(body["plan"]["numbers"]),
        tuple(Key(tuple(columns)) for columns in body["plan"]["chain"]),
    )
    known = {"entity", "type", *history.numbers, *history.texts}
    needed = {name for key in (*plan.keys, *plan.chain) for name in key.columns} | set(plan.numbers)
    if needed - known:
        raise InputError(
            f"model {path} reads the column {sorted(needed - known)[0]!r}, and the history has none",
            mend="Give the history it was fitted on, or fit it again.",
        )
    durations = Durations(HistoryIndex(history, plan), body["cost_ratio"])
    for name, packed in body["families"].items():
        family = new_family(name, cost_ratio=body["cost_ratio"], threads=1)
        boosters = {key: base64.b64decode(value) for key, value in packed["boosters"].items()}
        family.restore(packed["state"], boosters)
        durations.families[name] = family
    durations.levels = {name: np.array(levels) for name, levels in body["levels"].items()}
    durations.choice, durations.losses = dict(body["choice"]), dict(body["losses"])
    durations.likeness = {
        name: Likeness(tuple(like["group_key"]), tuple(like["subgroup_key"]), like["group"], like["subgroup"])
        for name, like in body["likeness"].items()
    }
    return FittedModel(durations, plan, body["name"])
