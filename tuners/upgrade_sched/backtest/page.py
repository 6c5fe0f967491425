"""A backtest's report as one self-contained HTML page: figures, claims, trade-off, calibration; it measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tuners.upgrade_sched.backtest import drawing
from tuners.upgrade_sched.backtest.drawing import BOTTOM, LEFT, RIGHT, TOP, place_labels, polyline
from tuners.upgrade_sched.pages import templates

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PAIRS = (
    ("wasted_minutes", "idle_minutes", "efficient_idle_wasted"),
    ("cancelled_share", "completed", "efficient_completed_cancelled"),
)
_AXIS = {
    "wasted_minutes": "wasted slot minutes in a window",
    "idle_minutes": "idle slot minutes in a window",
    "cancelled_share": "share cancelled, of those admitted",
    "completed": "completed upgrades in a window",
}


def page(report: Mapping[str, Any]) -> str:
    """The page of a report as ``run.Backtest`` gives it; text from the history is escaped."""
    environment = templates(Path(__file__).parent / "templates")
    environment.filters |= {"count": count, "share": share, "ratio": ratio}
    swept = report.get("sweep")
    letters = baseline_letters(swept["points"]) if swept else {}
    text = environment.get_template("backtest.html.j2").render(
        report=report,
        name=Path(report["history"]["source"]).name or "history",
        sweep=swept,
        letters=letters,
        tradeoffs=[tradeoff(swept["points"], load, letters) for load in report["setup"]["loads"]] if swept else [],
        coverage=coverage(report["calibration"]),
        accuracy=[accuracy(load, report["setup"]["window_minutes"] * 60) for load in report["calibration"]["by_load"]],
        draw={"width": drawing.WIDTH, "height": drawing.HEIGHT}
        | {"left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
    )
    return text + "\n"


def count(figure: Mapping[str, float]) -> str:
    """A number with its interval."""
    return f"{figure['value']:.0f} ({figure['low']:.0f}\N{EN DASH}{figure['high']:.0f})"


def share(figure: Mapping[str, float]) -> str:
    """A share in percent with its interval."""
    return f"{100 * figure['value']:.1f} % ({100 * figure['low']:.1f}\N{EN DASH}{100 * figure['high']:.1f})"


def ratio(figure: Mapping[str, float]) -> str:
    """A ratio with its interval."""
    return f"{figure['value']:.2f} ({figure['low']:.2f}\N{EN DASH}{figure['high']:.2f})"


def baseline_letters(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A letter for each baseline and order, in the order of the report."""
    names = dict.fromkeys(point["policy"] for point in points if point["kind"] == "baseline")
    marks = [*LETTERS, *(f"{letter}{digit}" for digit in "123456789" for letter in LETTERS)]
    return dict(zip(names, marks, strict=False))


def tradeoff(points: Sequence[Mapping[str, Any]], load: float, letters: Mapping[str, str]) -> dict[str, Any]:
    """The two charts of one load: marks in pixels, the line along the cost ratios and the efficient front."""
    here = [point for point in points if point["load"] == load]
    return {"load": load, "charts": [_chart(here, *pair, letters) for pair in PAIRS]}


def _chart(
    points: Sequence[Mapping[str, Any]], x: str, y: str, flag: str, letters: Mapping[str, str]
) -> dict[str, Any]:
    def size(name: str, point: Mapping[str, Any], part: str = "value") -> float:
        # Loads and splits have other numbers of windows, so minutes and counts are those of one.
        return float(point[name][part]) / (1 if name == "cancelled_share" else point["windows"])

    drawn = [p for p in points if p["kind"] == "selected"]
    xs = [size(x, p) for p in points] + [size(x, p, "high") for p in drawn]
    ys = [size(y, p) for p in points] + [size(y, p, "high") for p in drawn]
    x_axis = drawing.linear(xs, LEFT, RIGHT, percent=x == "cancelled_share")
    y_axis = drawing.linear(ys, BOTTOM, TOP)
    marks = []
    for p in points:
        selected = p["kind"] == "selected"
        letter = letters.get(p["policy"], "")
        marks.append(
            {
                "x": x_axis.at(size(x, p)),
                "y": y_axis.at(size(y, p)),
                "kind": ("goals" if p["cost_ratio"] is None else "selected") if selected else p["kind"],
                "letter": letter,
                "label": (f"{p['cost_ratio']:g}:1" if p["cost_ratio"] is not None else "claims") if selected else "",
                "efficient": p[flag],
                "x_low": x_axis.at(size(x, p, "low")),
                "x_high": x_axis.at(size(x, p, "high")),
                "y_low": y_axis.at(size(y, p, "low")),
                "y_high": y_axis.at(size(y, p, "high")),
                "title": f"{p['policy']}: {_said(x, size(x, p))}, {_said(y, size(y, p))}",
            }
        )
    place_labels(marks)
    line = [(m["x"], m["y"]) for m in marks if m["kind"] == "selected"]
    # Less is better along x; along y it is for minutes and is not for completions.
    front = sorted({(m["x"], m["y"]) for m in marks if m["efficient"]}, key=lambda at: (at[0], -at[1]))
    steps = [corner for a, b in pairwise(front) for corner in (a, (b[0], a[1]))] + front[-1:]
    return {
        "x_axis": x_axis.places,
        "y_axis": y_axis.places,
        "x_label": _AXIS[x],
        "y_label": _AXIS[y],
        "better": "down and left" if y == "idle_minutes" else "up and left",
        "marks": sorted(marks, key=lambda m: ("limit", "baseline", "goals", "selected").index(m["kind"])),
        "line": polyline(line),
        "front": polyline(steps),
    }


def _said(name: str, value: float) -> str:
    if name == "cancelled_share":
        return f"{100 * value:.1f} % cancelled"
    return f"{value:.1f} {name.replace('_minutes', ' minutes')}"


def coverage(calibration: Mapping[str, Any]) -> dict[str, Any]:
    """Observed against nominal coverage: a line for each load, with intervals."""
    x_axis = drawing.linear([1.0], LEFT, RIGHT, percent=True)
    y_axis = drawing.linear([1.0], BOTTOM, TOP, percent=True)
    lines = []
    for number, load in enumerate(calibration["by_load"]):
        shift = 3 * (number - (len(calibration["by_load"]) - 1) / 2)  # so that intervals stand side by side
        marks: list[dict[str, Any]] = [
            {
                "x": round(x_axis.at(one["level"]) + shift, 2),
                "y": y_axis.at(one["value"]),
                "low": y_axis.at(one["low"]),
                "high": y_axis.at(one["high"]),
                "title": f"load {load['load']:g}: {100 * one['value']:.1f} % took no longer than the "
                f"{100 * one['level']:g} % quantile",
            }
            for one in load["observed"]
        ]
        line = polyline((mark["x"], mark["y"]) for mark in marks)
        lines.append({"load": load["load"], "number": number % 4, "marks": marks, "line": line})
    return {"x_axis": x_axis.places, "y_axis": y_axis.places, "lines": lines}


def accuracy(load: Mapping[str, Any], window_s: float) -> dict[str, Any]:
    """Actual durations of groups of like predictions, on logarithmic axes."""
    groups = load["groups"]
    every = [g["predicted_s"] for g in groups] + [v for g in groups for v in g["actual_s"].values()]
    x_axis, y_axis = drawing.durations(every, LEFT, RIGHT), drawing.durations(every, BOTTOM, TOP)
    boxes = [
        {"x": x_axis.at(g["predicted_s"]), "upgrades": g["upgrades"], "predicted_s": g["predicted_s"]}
        | {name: y_axis.at(value) for name, value in g["actual_s"].items()}
        | {"actual_s": g["actual_s"]}
        for g in groups
    ]
    inside = y_axis.low <= window_s <= y_axis.high
    window = y_axis.at(window_s) if inside else None
    ends = (x_axis.low, x_axis.high)
    diagonal = [x_axis.at(ends[0]), y_axis.at(ends[0]), x_axis.at(ends[1]), y_axis.at(ends[1])]
    return {
        **{name: load[name] for name in ("load", "upgrades", "typical_factor", "bias_factor")},
        "x_axis": x_axis.places,
        "y_axis": y_axis.places,
        "boxes": boxes,
        "window": window,
        "diagonal": diagonal,
    }
