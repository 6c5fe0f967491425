"""One trial of a run as a document: prompt, answer, candidate, lint, compile, tests, feedback; it renders nothing.

What an optimizer's evaluator measured is in the metrics under names of its own. The checks that optimizers share are
told apart by name here, and every other metric is kept as it is, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agents.events import Event
from agents.run_reading import ProblemView, RunView, TrialView
from sysmith_errors import InputError

SCHEMA_VERSION = 1
_CHECKS = {
    "lint": ("lint",),
    "compile": ("compiled", "compile_errors", "refused"),
    "tests": ("scores", "errors", "replays", "culprits", "missing", "catch", "status", "reason"),
}


def trial_of(run: RunView, problem: str | None, index: int) -> dict[str, Any]:
    """The document of trial ``index``; ``problem`` may be None where the run has only one.

    Raises InputError for a problem or a trial that the run does not have.
    """
    view = run.problem(problem) if problem else _only_problem(run)
    trial = next((trial for trial in view.trials if trial.index == index), None)
    if trial is None:
        has = f"trials 0 to {len(view.trials) - 1}" if view.trials else "no trial"
        raise InputError(f"run {run.info.id}: {view.name} has {has}, not {index}", mend="Choose one of them.")
    proposal = run.unpack_leniently(dict(trial.proposal))
    evaluation = None if trial.evaluation is None else run.unpack_leniently(dict(trial.evaluation))
    metrics = dict((evaluation or {}).get("metrics") or {})
    checks = {name: {k: metrics.pop(k) for k in keys if k in metrics} for name, keys in _CHECKS.items()}
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run.info.id,
        "problem": view.name,
        "trial": index,
        "status": trial.status,
        "proposal": proposal,
        "conversation": conversation(run, _asked_for(view, trial)),
        "checks": checks,
        "metrics": metrics,
        "evaluation": None if evaluation is None else {k: v for k, v in evaluation.items() if k != "metrics"},
        "events": [{"seq": e.seq, "kind": e.kind} for e in (*trial.before, *trial.during)],
    }


def conversation(run: RunView, events: Iterable[Event]) -> list[dict[str, Any]]:
    """What a model was asked and answered in these events, in order: ``role``, ``text``, and for an answer its model
    and cost where the event says so."""
    turns: list[dict[str, Any]] = []
    for event in events:
        if not event.kind.startswith("llm"):
            continue
        data = run.unpack_leniently(dict(event.data))
        request = data.get("request") if isinstance(data.get("request"), Mapping) else data
        completion = data.get("completion") if isinstance(data.get("completion"), Mapping) else data
        common = {"event": event.seq, "kind": event.kind, "phase": data.get("phase")}
        for message in request.get("messages") or ():
            if isinstance(message, Mapping):
                turns.append(common | {"role": message.get("role"), "text": message.get("content")})
        if isinstance(completion.get("text"), str):
            figures = ("model", "prompt_tokens", "completion_tokens", "dollars", "seconds")
            answer = {name: completion[name] for name in figures if name in completion}
            turns.append(common | {"role": "answer", "text": completion["text"]} | answer)
        elif data.get("error"):
            turns.append(common | {"role": "error", "text": str(data["error"])})
    return turns


def _only_problem(run: RunView) -> ProblemView:
    if len(run.problems) != 1:
        raise InputError(
            f"run {run.info.id} has {len(run.problems)} problems, and --trial needs one of them",
            mend="Add --problem NAME.",
        )
    return next(iter(run.problems.values()))


def _asked_for(view: ProblemView, trial: TrialView) -> list[Event]:
    """The events that led to a trial. A batch of proposals is asked for once, before its first trial; later trials of
    the batch look back to it."""
    if any(event.kind.startswith("llm") for event in trial.before) or not _by_model(trial):
        return [*trial.before, *trial.during]
    earlier = [t for t in view.trials if t.index < trial.index and _by_model(t)]
    for other in reversed(earlier):
        if any(event.kind.startswith("llm") for event in other.before):
            return [*other.before, *trial.before, *trial.during]
    return [*trial.before, *trial.during]


def _by_model(trial: TrialView) -> bool:
    return str(trial.proposal.get("source", "")).startswith("llm")
