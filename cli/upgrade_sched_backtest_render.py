"""A backtest's report as text: figures, claims and the sweep; it computes no figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cli.upgrade_sched_history import table


def render(report: Mapping[str, Any]) -> str:
    """The report as text: a row a policy and load, then each claim."""
    setup, history = report["setup"], report["history"]
    rows: list[Sequence[str]] = [
        (
            *("load", "policy", "scheduled", "completed", "cancelled", "utilisation"),
            *("idle min", "wasted min", "deferred long"),
        )
    ]
    for row in report["rows"]:
        rows.append(
            (
                f"{row['load']:g}",
                row["policy"],
                _count(row["scheduled"]),
                _count(row["completed"]),
                _share(row["cancelled_share"]),
                _share(row["utilisation"]),
                _count(row["idle_minutes"]),
                _count(row["wasted_minutes"]),
                _count(row["deferred_long"]),
            )
        )
    claims: list[Sequence[str]] = [("load", "against", "figure", "goal", "ratio", "95 % interval", "verdict")]
    for claim in (*report["claims"], *report["beyond_claims"]):
        below = claim["figure"] == "cancelled_share"
        ratio = claim["ratio"]
        claims.append(
            (
                f"{claim['load']:g}",
                claim["against"],
                claim["figure"],
                f"{'<=' if below else '>='} {claim['goal']:.2f}",
                f"{ratio['value']:.2f}",
                f"{ratio['low']:.2f} .. {ratio['high']:.2f}",
                "met" if claim["met"] else f"not met: {claim['why_not']}",
            )
        )
    head = (
        f"{history['source']}: {history['records']} records ({history['censored']} censored), "
        f"windows of {setup['window_minutes']:g} min x {setup['slots']} slots, {setup['splits']} splits"
    )
    met = sum(claim["met"] for claim in report["claims"])
    return "\n".join(
        [
            head,
            "",
            table(rows),
            "",
            table(claims),
            "",
            *(sweep_lines(report["sweep"]) if report.get("sweep") else ()),
            f"{met} of {len(report['claims'])} claims met (run {report['run']})",
        ]
    )


def sweep_lines(sweep: Mapping[str, Any]) -> list[str]:
    """A row for each cost ratio and load, then what no other policy beats in two figures at once."""
    rows: list[Sequence[str]] = [
        (
            "load",
            "cost ratio",
            "idle min",
            "wasted min",
            "completed",
            "cancelled",
            "cost",
            "cheapest baseline: its cost",
        )
    ]
    points = {(point["load"], point["policy"]): point for point in sweep["points"]}
    for one in sweep["costs"]:
        point, best = points[one["load"], one["policy"]], one["best_baseline"]
        rows.append(
            (
                f"{one['load']:g}",
                f"{one['cost_ratio']:g}:1",
                _count(point["idle_minutes"]),
                _count(point["wasted_minutes"]),
                _count(point["completed"]),
                _share(point["cancelled_share"]),
                _count(one["cost"]),
                f"{best}: {_count(one['best_baseline_cost'])}" if best else "-",
            )
        )
    lines = ["selected for each cost ratio of overrun to idle time:", "", table(rows), ""]
    pairs = {"efficient_idle_wasted": "idle against wasted", "efficient_completed_cancelled": "completed, cancelled"}
    for load in dict.fromkeys(point["load"] for point in sweep["points"]):
        for flag, name in pairs.items():
            found = [point["policy"] for point in sweep["points"] if point["load"] == load and point[flag]]
            lines.append(f"Pareto-efficient at load {load:g}, {name}: {', '.join(found)}")
    return [*lines, ""]


def _count(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.0f} ({figure['low']:.0f}-{figure['high']:.0f})"


def _share(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.1%} ({figure['low']:.1%}-{figure['high']:.1%})"
