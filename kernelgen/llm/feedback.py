"""What a model is told of its last answer: where it ended and the evidence, shortened where long; it asks nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.protocols import Trial
from kernelgen.llm.question import Wanted, wanted_overload
from kernelgen.llm.situation import seen

_FINDINGS = 12
_SAMPLE = 8000
_LINES = 60

_CATCHES = {
    "aten_compute": "The wrapper called a function of PyTorch that computes; only a Triton kernel may compute.",
    "no_launch": "The wrapper returned elements without launching a kernel.",
    "mutated_input": "The kernel changed a tensor that PyTorch leaves alone.",
    "aliases_input": "The result shares memory with an input, and PyTorch's does not.",
    "stale_output": "A second call with other values gave a result of the first: keep nothing between calls.",
    "timeout": "The kernels took too long: use fewer programs with larger blocks, and no loop over single elements.",
    "memory": "The kernels took too much memory.",
}
_MEND = "Mend the cause and send the whole file again, not only what changed."


@dataclass(frozen=True)
class Block:
    """A piece of evidence; at most ``limit`` characters of it are shown."""

    label: str
    text: str
    limit: int = _SAMPLE


@dataclass(frozen=True)
class Feedback:
    """``also`` are overloads that came up for the first time."""

    summary: str
    closing: str = _MEND
    scores: str = ""
    notes: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    also: tuple[Wanted, ...] = ()


def on_trial(trial: Trial, known: Sequence[str], *, improving: bool) -> Feedback:
    """Feedback on the trial of an answer; ``known`` are the overloads named so far in the conversation."""
    metrics = trial.evaluation.metrics
    stage = str(metrics.get("stage", ""))
    if stage == "lint":
        count = len(metrics["findings"])
        words = "one error" if count == 1 else f"{count} errors"
        text = f"The linter found {words}, so nothing was run."
        return Feedback(text, blocks=(Block("what the linter found", findings_text(metrics["findings"])),))
    if stage == "compile":
        return Feedback(
            "It passes every test, and it does not compile for every target.",
            blocks=_compiler(metrics),
        )
    if stage == "measure" and improving:
        text = "It passes every test and compiles. It is " + trial.evaluation.feedback.partition(":")[0] + "."
        closing = "Find another way to make it better, or answer with the best you have."
        return Feedback(
            text, closing, blocks=(Block("the numbers, before and after", trial.evaluation.feedback, 2000),)
        )
    return _on_tests(trial, stage, known)


def _on_tests(trial: Trial, stage: str, known: Sequence[str]) -> Feedback:
    metrics = trial.evaluation.metrics
    reason = str(metrics.get("reason", "")) or trial.evaluation.feedback
    where = "the first samples of each dtype" if stage == "screen" else "all samples"
    notes = [_CATCHES[catch]] if (catch := str(metrics.get("catch", ""))) in _CATCHES else []
    if stage not in ("screen", "tests"):
        summary = "It could not be judged: the judging itself broke on it."
    else:
        summary = f"The linter accepts it. It was run on {where}, and not all passed."
    new = [key for key in metrics.get("missing", ()) if key not in known and key in seen([trial])]
    return Feedback(
        summary,
        scores=_scores(metrics.get("scores", {})),
        notes=tuple(notes),
        blocks=((Block("the first sample that failed", shortened(reason)),) if reason else ()) + _compiler(metrics),
        also=tuple(wanted_overload(key, "missing") for key in new),
    )


def _compiler(metrics: Mapping[str, Any]) -> tuple[Block, ...]:
    """What the compilers said, one block for each target that failed."""
    errors = metrics.get("compile_errors", {})
    return tuple(Block(f"the compiler on {target}", shortened(str(text))) for target, text in sorted(errors.items()))


def unusable(faults: Sequence[str]) -> Feedback:
    """Feedback on an answer that gave nothing to judge."""
    return Feedback(
        "It could not be used, so nothing was run.",
        "Send the whole file, mended.",
        blocks=(Block("why", "\n".join(faults), 4000),),
    )


def repeated(before: Feedback) -> Feedback:
    """Feedback on a file that was judged before; ``before`` is what was said of it then."""
    text = f"The file is the same as one that was judged before, so it was not judged again. {before.summary}"
    return replace(before, summary=text, closing="Go about it in another way, and send the whole file.")


def findings_text(findings: Sequence[Mapping[str, Any]]) -> str:
    """Lint findings to read: each rule's reason and mend once, at most a dozen places."""
    told: set[str] = set()
    lines = []
    for found in findings[:_FINDINGS]:
        lines.append(f"line {found['line']}: [{found['rule']}] {found['message']}")
        if found.get("snippet"):
            lines.append(f"    {found['snippet']}")
        if found["rule"] not in told:
            told.add(str(found["rule"]))
            lines += [f"    why: {found['why']}", f"    mend: {found['mend']}"]
    rest = Counter(str(found["rule"]) for found in findings[_FINDINGS:])
    if rest:
        lines.append(f"and {rest.total()} more: {', '.join(f'{rule} ({n})' for rule, n in rest.most_common())}")
    return "\n".join(lines)


def _scores(scores: Mapping[str, Mapping[str, int]]) -> str:
    return ", ".join(f"{dtype} {score['passed']} of {score['total']}" for dtype, score in scores.items())


def shortened(text: str) -> str:
    """Summarise a long message: lines that say the same but for numbers are shown once with their count, and of many
    lines the first third, those that name an error, and the last ones stay."""
    lines = _collapsed(text.splitlines())
    if len(lines) <= _LINES:
        return "\n".join(lines)
    head, tail = lines[: _LINES // 3], lines[-_LINES // 3 :]
    middle = [line for line in lines[len(head) : -len(tail)] if re.search(r"(?i)\b(error|failed|assert)", line)]
    kept = middle[: _LINES - len(head) - len(tail)]
    left_out = len(lines) - len(head) - len(tail) - len(kept)
    return "\n".join([*head, *kept, f"[... {left_out} lines left out ...]", *tail])


def _collapsed(lines: Sequence[str]) -> list[str]:
    result: list[str] = []
    before, count = "", 0
    for line in [*lines, ""]:
        shape = re.sub(r"0x[0-9a-fA-F]+|\d+", "#", line.strip())
        if shape and shape == before:
            count += 1
            continue
        if count:
            result.append(f"[... and {count} more like this]")
        result.append(line)
        before, count = shape, 0
    return result[:-1]
