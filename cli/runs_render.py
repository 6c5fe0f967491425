"""Runs, problems, trials and events as documents and as text for people; reads no disk and decides nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from agents.events import Event
from agents.run_dir import RunInfo
from agents.run_reading import ProblemView, RunView
from cli.text import indented, safe

SCHEMA_VERSION = 1


def run_line(info: RunInfo, live: bool) -> str:
    """One line of ``runs list``."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.created)) if info.created else "-"
    state = info.fault or ("at work" if live else "")
    return f"{info.id}  {when}  {safe(info.command, 40) or '-'}  {safe(state, 200)}".rstrip()


def run_document(run: RunView) -> dict[str, Any]:
    """What ``runs show`` prints with ``--json``."""
    from agents.rules_session import rule_counts
    from agents.run_diff import costs_of, spent

    rows = []
    for problem in run.problems.values():
        best = problem.best
        evaluation = run.unpack_leniently(dict(best.evaluation)) if best and best.evaluation else {}
        rows.append(
            {
                "problem": problem.name,
                "status": problem.status,
                "objective": evaluation.get("objective"),
                "trials": len(problem.trials),
                "stop": None if problem.end is None else problem.end.get("stop"),
                "feedback": str(evaluation.get("feedback", "")),
            }
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "id": run.info.id,
        "command": run.info.command,
        "created": run.info.created,
        "fault": run.info.fault,
        "options": dict(run.info.options),
        "versions": dict(run.info.versions),
        "problems": rows,
        "spent": vars(spent(run)),
        "costs": costs_of(run).to_json(),
        "rules": rule_counts(run.events),
    }


def run(document: Mapping[str, Any]) -> str:
    """A run in short: one line a problem, then the cost."""
    head = f"run {document['id']}: {safe(document['fault'] or document['command'], 400)}"
    lines = [head]
    for row in document["problems"]:
        objective = "" if row["objective"] is None else f" {row['objective']:.6g}"
        text = f"  {safe(row['problem'], 80)}: {row['status']}{objective} ({_count(row['trials'], 'trial')})"
        lines.append(f"{text} {safe(row['feedback'], 200)}".rstrip())
    lines.append(f"spent: {cost(document['spent'])}")
    lines += [*_costs(document["costs"])]
    if any(document["rules"].values()):
        lines.append("rules: " + ", ".join(f"{n} {what}" for what, n in document["rules"].items() if n))
    if document["problems"]:
        lines.append("one problem: --problem NAME; one trial, with what a model was asked: --problem NAME --trial N")
    return "\n".join(lines)


def cost(spent: Mapping[str, Any]) -> str:
    """A cost in words; what is zero is left out."""
    words = [
        (spent.get("evaluations"), lambda v: _count(v, "evaluation")),
        (spent.get("wall_s"), lambda v: f"{v:.1f} s of work"),
        (spent.get("calls"), lambda v: _count(v, "model call")),
        (spent.get("tokens"), lambda v: f"{v} tokens"),
        (spent.get("dollars"), lambda v: f"${v:.4f}"),
    ]
    return ", ".join(say(value) for value, say in words if value) or "nothing"


def _costs(report: Mapping[str, Any]) -> list[str]:
    """What models cost, one line for each problem, phase and model, and the total."""
    if not report["rows"]:
        return ["models: none was asked"]
    head = f"  {'problem':24} {'phase':14} {'model':24} {'calls':>6} {'retries':>8} {'tokens':>9} {'dollars':>10}"
    lines = ["models, by problem and phase:", head]
    for row in [*report["rows"], report["total"]]:
        name = "" if row is report["total"] else row["problem"] or "(the run)"
        lines.append(
            f"  {safe(name, 24):24} {safe(row['phase'], 14):14} {safe(row['model'], 24):24} {row['calls']:6} "
            f"{row['retries']:8} {row['tokens']:9} {row['dollars']:10.4f}"
        )
    return lines


def problem_document(run: RunView, view: ProblemView) -> dict[str, Any]:
    """What ``runs show --problem`` prints with ``--json``: every event with its texts in place."""
    rows = [run.event_document(event) for event in view.events]
    head = {"schema_version": SCHEMA_VERSION, "id": run.info.id, "problem": view.name, "status": view.status}
    return head | {"fault": run.info.fault, "options": dict(run.info.options), "events": rows}


def problem(document: Mapping[str, Any]) -> str:
    """Every event of a problem in full."""
    lines = [f"run {document['id']}, {safe(document['problem'], 200)}: {document['status']}"]
    for row in document["events"]:
        lines.append(f"{row['seq']:6} {row['kind']}\n{safe(json.dumps(row['data'], indent=2))}")
    return "\n".join(lines)


def trial(document: Mapping[str, Any]) -> str:
    """One trial, section by section."""
    proposal, checks = document["proposal"], document["checks"]
    head = f"run {document['run']}, {safe(document['problem'], 200)}, trial {document['trial']}: {document['status']}"
    parts = [head]
    for turn in document["conversation"]:
        title = f"{turn['role']}" + (f" ({turn['phase']})" if turn.get("phase") else "")
        title = {"answer": f"answer of {turn.get('model', 'the model')}"}.get(str(turn["role"]), f"prompt, {title}")
        parts.append(_section(title, str(turn["text"])))
    if not document["conversation"]:
        parts.append(_section("prompt and answer", "no model was asked for this trial"))
    about = [f"{proposal.get('key')} from {proposal.get('source')}", str(proposal.get("rationale") or "")]
    about += [f"cites {citation}" for citation in proposal.get("citations") or ()]
    parts.append(_section("proposal", "\n".join(line for line in about if line)))
    parts.append(_section("candidate", _payload(proposal.get("payload"))))
    for name, title in (("lint", "lint"), ("compile", "compile"), ("tests", "tests")):
        parts.append(_section(title, _check(checks[name])))
    if document["metrics"]:
        parts.append(_section("other metrics", _payload(document["metrics"])))
    evaluation = document["evaluation"]
    if evaluation is None:
        parts.append(_section("evaluation", "none yet: the trial is in flight, or the run ended in the middle of it"))
    else:
        objective = "" if evaluation.get("objective") is None else f", objective {evaluation['objective']:.6g}"
        text = f"{evaluation.get('status')}{objective}; cost: {cost(evaluation.get('cost') or {})}"
        parts.append(_section("evaluation", f"{text}\n{evaluation.get('feedback') or ''}".strip()))
    return "\n".join(parts)


def event_document(event: Event) -> dict[str, Any]:
    """An event as ``runs tail --json`` prints it; long texts stay references."""
    return vars(event) | {"data": dict(event.data)}


def event_line(event: Event) -> str:
    """An event as one line."""
    data = event.data
    words = ""
    if event.kind == "proposal_started" and isinstance(data.get("proposal"), Mapping):
        words = f"trial {data.get('index')}: {data['proposal'].get('key')} from {data['proposal'].get('source')}"
    elif event.kind == "trial_finished" and isinstance(data.get("evaluation"), Mapping):
        evaluation = data["evaluation"]
        objective = evaluation.get("objective")
        feedback = evaluation.get("feedback") if isinstance(evaluation.get("feedback"), str) else ""
        words = f"trial {data.get('index')}: {evaluation.get('status')}"
        words += "" if objective is None else f" {objective:.6g}"
        words += f" {feedback}" if feedback else ""
    elif event.kind == "problem_finished" and isinstance(data.get("stop"), Mapping):
        words = f"{data['stop'].get('kind')}: {data['stop'].get('text')} ({_count(data.get('trials', 0), 'trial')})"
    elif event.kind != "problem_started":
        words = json.dumps(data)
    when = time.strftime("%H:%M:%S", time.localtime(event.time))
    return f"{when} {safe(event.problem or '-', 40)} {safe(event.kind, 40)} {safe(words, 160)}".rstrip()


def difference(found: Mapping[str, Any]) -> str:
    """Two runs compared, what differs only."""
    before, after = found["before"], found["after"]
    lines = [
        f"before: run {before['id']} of {before['command']}, {before['passed']} of {before['problems']} passed",
        f"after:  run {after['id']} of {after['command']}, {after['passed']} of {after['problems']} passed",
    ]
    for what in ("options", "versions"):
        for name, (old, new) in found[what].items():
            lines.append(f"{what[:-1]} {name}: {safe(json.dumps(old), 120)} -> {safe(json.dumps(new), 120)}")
    for name, pair in found["changed"].items():
        sign = "lost" if name in found["lost"] else "gained" if name in found["gained"] else "changed"
        lines.append(f"{sign:8} {safe(name, 80)}: {_ending(pair['before'])} -> {_ending(pair['after'])}")
    for key, word in (("only_before", "only before"), ("only_after", "only after")):
        if found[key]:
            lines.append(f"{word}: {safe(', '.join(found[key]), 400)}")
    lines.append(f"{_count(found['same'], 'problem')} ended the same")
    lines.append(f"cost: {cost(found['cost']['before'])} -> {cost(found['cost']['after'])}")
    if found["evaluations_needed"]["problems"]:
        lines.append(_needed(found["evaluations_needed"]))
    return "\n".join(lines)


def _needed(effort: Mapping[str, Any]) -> str:
    interval = effort["saved_95"]
    sure = f", 95 % interval {interval[0]:.1f} to {interval[1]:.1f}" if interval else ""
    means = f"{effort['before']:.1f} -> {effort['after']:.1f} (saved {effort['saved']:.1f}{sure}; "
    counts = f"fewer for {effort['fewer']}, more for {effort['more']})"
    return f"evaluations until equally good, mean of {_count(effort['problems'], 'problem')}: {means}{counts}"


def _ending(row: Mapping[str, Any]) -> str:
    objective = "" if row["objective"] is None else f" {row['objective']:.6g}"
    feedback = f" ({safe(row['feedback'], 120)})" if row["feedback"] else ""
    return f"{row['status']}{objective} by {safe(row['source'] or '-', 40)}{feedback}"


def _section(title: str, text: str) -> str:
    return f"\n== {safe(title, 120)}\n{indented(safe(text))}"


def _payload(value: Any) -> str:
    """A payload as JSON, with its long texts (kernel sources) set out below it as they are."""
    texts: list[tuple[str, str]] = []

    def short(item: Any, path: str) -> Any:
        if isinstance(item, Mapping):
            return {key: short(inner, f"{path}.{key}".lstrip(".")) for key, inner in item.items()}
        if isinstance(item, str) and "\n" in item:
            texts.append((path, item))
            return f"<{len(item)} characters, below>"
        return item

    parts = [json.dumps(short(value, ""), indent=2)]
    parts += [f"-- {path}\n{text}" for path, text in texts]
    return "\n".join(parts)


def _check(found: Mapping[str, Any]) -> str:
    said = {key: value for key, value in found.items() if value not in ({}, [], "", None)}
    return _payload(said) if said else "nothing to report"


def _count(number: Any, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
