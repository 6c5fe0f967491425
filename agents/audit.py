"""What the candidates of a run tried, found by detection rules in its event log; it stops nothing and starts nothing.

Two tiers. The first applies every rule to every text of every event: cheap, and it sees all. The second looks deeper,
at the flagged texts only: is it code or a comment, what is behind an encoding, and what does a model say, if there is
one. The second tier explains and adds; a model's word never takes a finding away, because the text it reads was
written by the suspect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agents.audit_deeper import Look, look_at
from agents.audit_rules import SECRET, SEVERITIES, AuditRule
from agents.events import Event
from agents.llm.quote import visible
from agents.llm.secrets import Redactor
from agents.run_reading import RunView

SCHEMA_VERSION = 1
LONGEST = 1_000_000  # characters of one text that are read
LONGEST_FILE = 64 << 20  # bytes of a report beside the log
LONG_KEY = 12  # characters; a shorter name hides nothing
_CONTEXT = 60
# A fenced block as agents.llm.quote makes it: mark, label, text.
_DATA = re.compile(r"^BEGIN DATA ([0-9a-f]{12}): (.*)\n((?:.*\n)*?)END DATA \1$", re.MULTILINE)

# A second opinion in words on a finding's rule, excerpt and text, or "".
Opinion = Callable[["Finding", str], str]


@dataclass(frozen=True)
class Finding:
    """Something suspicious.

    ``event`` is the line of the log (0: run.json and reports), ``where`` the place in its data, ``excerpt`` the text
    around the first of ``matches``, without secrets. ``deeper`` is what the second tier said, ``opinion`` what a model
    did.
    """

    rule: str
    severity: str
    title: str
    why: str
    event: int
    problem: str | None
    trial: int | None
    channel: str
    where: str
    excerpt: str
    matches: int = 1
    deeper: str = ""
    opinion: str = ""


@dataclass(frozen=True)
class Text:
    """One text of a run and its place."""

    event: int
    problem: str | None
    trial: int | None
    channel: str
    where: str
    text: str


def audit(
    run: RunView, rules: Iterable[AuditRule], *, opinion: Opinion | None = None, redactor: Redactor | None = None
) -> dict[str, Any]:
    """Apply ``rules`` to everything in a run; the document of ``sysmith runs audit --json``.

    ``findings`` are in order of severity, then of events. ``severe`` counts what makes the exit code 1.
    """
    chosen, seen = list(rules), 0
    redactor = redactor or Redactor.of_environment()
    found: dict[tuple[Any, ...], Finding] = {}
    for text in texts_of(run):
        seen += 1
        for finding in _first_tier(text, chosen, run.info.command, redactor):
            # A verdict says one thing in several places of a trial (a reason, a feedback), a conversation repeats its
            # beginning: that counts once. Each file of a candidate counts, and a secret must be removed everywhere.
            each = finding.rule == SECRET or finding.channel in ("candidate", "answer")
            place = (finding.event, finding.where) if each else finding.channel
            key = (finding.rule, finding.problem, finding.trial, place)
            if key not in found:
                own, *hidden = _second_tier(finding, text, chosen, run.info.command, redactor, opinion)
                found[key] = own
                for inner in hidden:  # two findings in one text decode the same
                    found.setdefault((inner.rule, inner.problem, inner.trial, (inner.event, inner.where)), inner)
    findings = sorted(found.values(), key=lambda f: (SEVERITIES.index(f.severity), f.event, f.rule))
    counts = {severity: sum(f.severity == severity for f in findings) for severity in SEVERITIES}
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run.info.id,
        "command": run.info.command,
        "events": len(run.events),
        "texts": seen,
        "rules": [rule.id for rule in chosen],
        "counts": counts,
        "severe": counts["severe"],
        # Also the names of places, which a candidate may choose.
        "findings": [redactor.value(vars(finding)) for finding in findings],
    }


def texts_of(run: RunView) -> Iterator[Text]:
    """Every text in a run's events and options, with its channel and the trial it belongs to."""
    for path, text in _leaves(dict(run.info.options), "options"):
        yield Text(0, None, None, "options", path, text)
    for file in sorted(run.info.path.glob("*.json")):
        if file.name != "run.json" and file.stat().st_size <= LONGEST_FILE:
            yield Text(0, None, None, "other", file.name, file.read_text("utf-8", "replace"))
    begun: dict[str | None, int] = {}  # the trials begun so far, by problem
    at_work: dict[str | None, int | None] = {}
    for event in run.events:
        if event.kind == "proposal_started":
            at_work[event.problem] = begun[event.problem] = _index(event)
        trial = at_work.get(event.problem)
        if event.kind.startswith("llm") and trial is None and event.problem is not None:
            trial = begun.get(event.problem, -1) + 1  # it is asked for the next one
        for path, text in _leaves(run.unpack_leniently(dict(event.data)), ""):
            channel, shown = channel_of(event.kind, path), text[:LONGEST]
            if channel == "prompt":  # our own words are above suspicion, the evidence in them is not
                for block in _DATA.finditer(shown):
                    where = f"{path} ({block[2]})"
                    yield Text(event.seq, event.problem, trial, "prompt", where, block[3])
                channel = "other"
            yield Text(event.seq, event.problem, trial, channel, path, shown)
        if event.kind == "trial_finished":
            at_work[event.problem] = None


def channel_of(kind: str, path: str) -> str:
    """Who wrote the text at ``path`` in an event of this kind (see ``audit_rules.toml``)."""
    if kind == "proposal_started":
        return "candidate" if path.startswith("proposal.payload") else "answer"
    if kind == "trial_finished":
        return "verdict"
    if kind == "problem_started":
        return "analysis"
    if kind.startswith("llm"):
        return "prompt" if "messages" in path or path.startswith("request") else "answer"
    return "other"


def _index(event: Event) -> int:
    index = event.data.get("index")
    return index if isinstance(index, int) else 0


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else str(key)
            if len(str(key)) >= LONG_KEY:
                yield f"{inner} (its name)", str(key)
            yield from _leaves(item, inner)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}[{number}]")


def _first_tier(text: Text, rules: Iterable[AuditRule], command: str, redactor: Redactor) -> Iterator[Finding]:
    for rule in rules:
        if rule.id == SECRET or not rule.looks_at(text.channel, text.where, command):
            continue
        matches = [match for pattern in rule.patterns for match in pattern.finditer(text.text)]
        if matches:
            first = min(matches, key=lambda match: match.start())
            yield _finding(rule, text, _excerpt(text.text, first, redactor), len(matches))
    yield from _secrets(text, rules, redactor)


def _secrets(text: Text, rules: Iterable[AuditRule], redactor: Redactor) -> Iterator[Finding]:
    own = next((rule for rule in rules if rule.id == SECRET), None)
    clean = redactor.text(text.text)
    if clean != text.text:
        mark = re.search(r"\[redacted[^\]]*\]", clean)
        title, why = "holds a secret", "Change the key: whoever can read the run has it."
        rule = AuditRule(SECRET, own.severity if own else "severe", title, why, (), ())
        yield _finding(rule, text, _excerpt(clean, mark, redactor), clean.count("[redacted"))


def _finding(rule: AuditRule, text: Text, excerpt: str, matches: int) -> Finding:
    place = (text.event, text.problem, text.trial, text.channel, text.where)
    return Finding(rule.id, rule.severity, rule.title, rule.why, *place, excerpt, matches)


def _excerpt(text: str, match: re.Match[str] | None, redactor: Redactor) -> str:
    """The match and a little around it, as one visible line."""
    start, end = match.span() if match else (0, 0)
    clean = redactor.text(text[max(0, start - _CONTEXT) : min(len(text), end + _CONTEXT)])
    return " ".join(visible(clean).split())[:240]


def _second_tier(
    finding: Finding,
    text: Text,
    rules: list[AuditRule],
    command: str,
    redactor: Redactor,
    opinion: Opinion | None,
) -> Iterator[Finding]:
    """The finding with what a deeper look says, and what was hidden behind an encoding."""
    look: Look = look_at(finding.rule, text.text, finding.channel, _patterns(rules, finding.rule))
    severity = "note" if look.harmless else finding.severity
    said = opinion(finding, text.text) if opinion else ""
    yield replace(finding, severity=severity, deeper=look.words, opinion=said)
    for place, decoded in look.decoded:
        inner = replace(text, text=decoded, where=f"{text.where} ({place})")
        for hidden in _first_tier(inner, rules, command, redactor):
            if hidden.rule != finding.rule:
                yield replace(hidden, deeper=f"it was hidden: {place}")


def _patterns(rules: list[AuditRule], rule_id: str) -> tuple[re.Pattern[str], ...]:
    return next((rule.patterns for rule in rules if rule.id == rule_id), ())
