"""Reads backtest reports back from their JSON files, and checks what others rely on; it computes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sysmith_errors import InputError
from sysmith_files import why_unreadable
from tuners.upgrade_sched.backtest.report import SCHEMA_VERSION

_MEND = "Name a file that sysmith upgrade-sched backtest --json or --report FILE.json wrote."
_CLAIM: dict[str, type | tuple[type, ...]] = {
    "load": (int, float),
    "against": str,
    "figure": str,
    "goal": (int, float),
    "ratio": dict,
    "met": bool,
    "why_not": str,
}


def read_report(path: Path) -> dict[str, Any]:
    """A backtest's report. Raises InputError naming the file, the field and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {why_unreadable(error)}", mend=_MEND) from None
    try:
        report = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{path} is no whole JSON document ({where}: {error.msg})", mend=_MEND) from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply", mend=_MEND) from None
    fault = _fault(report)
    if fault:
        raise InputError(f"{path} is no report of a backtest: {fault}", mend=_MEND)
    found: dict[str, Any] = report
    return found


def _fault(report: Any) -> str:
    if not isinstance(report, dict):
        return "it is no object"
    for name in ("history", "setup", "rows", "claims"):
        if name not in report:
            return f"the field {name} is missing"
    if report.get("schema_version") != SCHEMA_VERSION:
        return f"schema_version is {_short(report.get('schema_version'))}, not {SCHEMA_VERSION}"
    history, claims, beyond = report["history"], report["claims"], report.get("beyond_claims", [])
    if not isinstance(history, dict) or not isinstance(history.get("source"), str):
        return "history.source is no text"
    for name, rows in (("claims", claims), ("beyond_claims", beyond)):
        if not isinstance(rows, list):
            return f"{name} is no list"
        for number, claim in enumerate(rows):
            fault = _claim_fault(claim)
            if fault:
                return f"{name}[{number}]{fault}"
    return ""


def _claim_fault(claim: Any) -> str:
    if not isinstance(claim, dict):
        return " is no object"
    for name, kind in _CLAIM.items():
        value = claim.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            return f".{name} is {_short(value)}" if name in claim else f".{name} is missing"
    numbers: Mapping[str, Any] = claim["ratio"] | {"load": claim["load"], "goal": claim["goal"]}
    for name in ("value", "low", "high", "load", "goal"):
        value = numbers.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f".{name if name in ('load', 'goal') else f'ratio.{name}'} is {_short(value)}, no finite number"
    oracle = claim.get("oracle_ratio")
    if oracle is not None and (isinstance(oracle, bool) or not isinstance(oracle, int | float)):
        return f".oracle_ratio is {_short(oracle)}, no number"
    return ""


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
