"""Two runs compared: options, versions, how each problem ended, what it cost; it judges neither and renders nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from agents.costs import CostReport, cost_report
from agents.protocols import Cost
from agents.run_effort import SAME_OBJECTIVE, effort
from agents.run_reading import EVENTS, ProblemView, RunView
from sysmith_errors import InputError

SCHEMA_VERSION = 1


def diff(before: RunView, after: RunView) -> dict[str, Any]:
    """What differs between two runs, as plain JSON.

    ``lost`` and ``gained`` name the problems that passed in one run only, of those that both have; ``changed`` has each
    problem whose status, objective, source or feedback differs. ``evaluations_needed`` is ``run_effort.effort``.
    """
    common = [name for name in before.problems if name in after.problems]
    changed = {}
    for name in common:
        then, now = _ending(before, before.problems[name]), _ending(after, after.problems[name])
        if not _alike(then, now):
            changed[name] = {"before": then, "after": now}
    return {
        "schema_version": SCHEMA_VERSION,
        "before": _head(before),
        "after": _head(after),
        "options": _differing(before.info.options, after.info.options),
        "versions": _differing(before.info.versions, after.info.versions),
        "only_before": [name for name in before.problems if name not in after.problems],
        "only_after": [name for name in after.problems if name not in before.problems],
        "same": len(common) - len(changed),
        "changed": changed,
        "lost": [n for n in common if _passed(before, n) and not _passed(after, n)],
        "gained": [n for n in common if _passed(after, n) and not _passed(before, n)],
        "cost": {"before": asdict(spent(before)), "after": asdict(spent(after))},
        "evaluations_needed": effort(before, after),
    }


def spent(run: RunView) -> Cost:
    """What a run cost: evaluations and work from what each problem last said, models from their own events.

    Raises InputError for a damaged event.
    """
    models = costs_of(run).total
    total = Cost(tokens=models.tokens, dollars=models.dollars, calls=models.calls)
    for problem in run.problems.values():
        for event in reversed(problem.events):
            if isinstance(event.data.get("spent"), Mapping):
                said = event.data["spent"]
                total += Cost(wall_s=said.get("wall_s", 0.0), evaluations=said.get("evaluations", 0))
                break
    return total


def costs_of(run: RunView) -> CostReport:
    """What models cost in a run. Raises InputError for a damaged event."""
    try:
        return cost_report(run.events)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{run.info.path / EVENTS}: an event of a model call is damaged ({type(error).__name__}: {error})",
            mend="Restore the file from a copy.",
        ) from error


def _head(run: RunView) -> dict[str, Any]:
    return {
        "id": run.info.id,
        "command": run.info.command,
        "problems": len(run.problems),
        "passed": sum(_passed(run, name) for name in run.problems),
    }


def _passed(run: RunView, name: str) -> bool:
    return run.problems[name].status == "passed"


def _ending(run: RunView, problem: ProblemView) -> dict[str, Any]:
    best = problem.best
    evaluation = run.unpack_leniently(dict(best.evaluation)) if best and best.evaluation else {}
    return {
        "status": problem.status,
        "objective": evaluation.get("objective"),
        "source": best.proposal.get("source") if best else None,
        "trials": len(problem.trials),
        "feedback": str(evaluation.get("feedback", "")),
    }


def _alike(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    a, b = then["objective"], now["objective"]
    near = a is b if a is None or b is None else abs(a - b) <= SAME_OBJECTIVE * max(abs(a), abs(b))
    return near and all(then[name] == now[name] for name in ("status", "source", "feedback"))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Name -> [before, after], with None for what is not set."""
    names = sorted({*before, *after})
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}
