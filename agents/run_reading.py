"""A run read back from disk: its problems, trials and what happened around each; it changes nothing and runs nothing.

It reads while another process writes, and runs of any optimizer: whatever is not there yet is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.artifacts import ArtifactStore
from agents.events import Event, read_events
from agents.protocols import Trial
from agents.records import evaluation_from_json, proposal_from_json
from agents.replay import PROBLEM_FINISHED, PROPOSAL_STARTED, TRIAL_FINISHED
from agents.run_dir import LATEST, RunInfo, latest, list_runs
from sysmith_errors import InputError

EVENTS = "events.jsonl"


@dataclass(frozen=True)
class TrialView:
    """One trial as the log has it: ``proposal`` and ``evaluation`` as JSON, the latter None while it is in flight.

    ``before`` are the problem's events since the trial before it (what a model was asked, say), ``during`` those while
    it was evaluated.
    """

    index: int
    proposal: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None = None
    before: tuple[Event, ...] = ()
    during: tuple[Event, ...] = ()

    @property
    def status(self) -> str:
        """The evaluation's status, or ``in flight``."""
        return "in flight" if self.evaluation is None else str(self.evaluation.get("status"))


@dataclass(frozen=True)
class ProblemView:
    """One problem of a run: its events and trials in order, and how it ended (None: it has not)."""

    name: str
    events: tuple[Event, ...]
    trials: tuple[TrialView, ...]
    end: Mapping[str, Any] | None = None

    @property
    def best(self) -> TrialView | None:
        """The best trial; without one the last trial that was judged, which says why it failed."""
        index = None if self.end is None else self.end.get("best")
        chosen = next((trial for trial in self.trials if trial.index == index), None)
        return chosen or next((trial for trial in reversed(self.trials) if trial.evaluation is not None), None)

    @property
    def status(self) -> str:
        """``passed`` or how the last trial ended; ``in flight`` or ``no trial`` before that."""
        return self.best.status if self.best else "in flight" if self.trials else "no trial"


@dataclass(frozen=True)
class RunView:
    """A whole run. ``problems`` are in the order in which work on them began."""

    info: RunInfo
    events: tuple[Event, ...] = ()
    problems: Mapping[str, ProblemView] = field(default_factory=dict)

    def unpack(self, data: Any) -> Any:
        """Data of an event with its long texts in place. Raises InputError for a missing or damaged artifact."""
        return ArtifactStore(self.info.path / "artifacts").unpack(data)

    def unpack_leniently(self, data: Any) -> Any:
        """The same, but what is missing or damaged is said in its place."""
        try:
            return self.unpack(data)
        except InputError as error:
            if isinstance(data, Mapping) and "$artifact" not in data:
                return {key: self.unpack_leniently(value) for key, value in data.items()}
            if isinstance(data, Sequence) and not isinstance(data, str):
                return [self.unpack_leniently(value) for value in data]
            return f"[{error.message}]"

    def event_document(self, event: Event) -> dict[str, Any]:
        """An event as plain JSON, its texts in place."""
        return {
            "seq": event.seq,
            "time": event.time,
            "kind": event.kind,
            "problem": event.problem,
            "data": self.unpack_leniently(dict(event.data)),
        }

    def problem(self, name: str) -> ProblemView:
        """Raises InputError for a name the run does not know."""
        if name not in self.problems:
            raise InputError(
                f"run {self.info.id} has no problem {name!r}", mend="See sysmith runs show without --problem."
            )
        return self.problems[name]

    def trials(self, name: str) -> list[Trial]:
        """The finished trials of a problem as the loop knows them. Raises InputError for an event that is damaged."""
        found = []
        for view in self.problem(name).trials:
            if view.evaluation is None:
                continue
            try:
                proposal = proposal_from_json(self.unpack(view.proposal))
                found.append(Trial(name, view.index, proposal, evaluation_from_json(self.unpack(view.evaluation))))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"run {self.info.id}: trial {view.index} of {name} is damaged ({type(error).__name__}: {error})",
                    mend="Restore the run from a copy.",
                ) from error
        return found


def find_run(state: Path, wanted: str = LATEST) -> RunInfo:
    """The run with this id, or the only one whose id begins so, or the newest. Raises InputError for none."""
    if wanted == LATEST:
        return latest(state)
    infos = list_runs(state)
    found = [i for i in infos if i.id == wanted] or [i for i in infos if wanted and i.id.startswith(wanted)]
    if len(found) > 1:
        raise InputError(f"{len(found)} runs in {state / 'runs'} begin with {wanted}", mend="Give more of the id.")
    if not found:
        raise InputError(f"there is no run {wanted} in {state / 'runs'}", mend="See sysmith runs list.")
    return found[0]


def read_run(info: RunInfo) -> RunView:
    """Read a run's log. Raises InputError naming file and line for damage; a torn last line is left out."""
    path = info.path / EVENTS
    return view_of(info, read_events(path) if path.exists() else [])


def view_of(info: RunInfo, events: Sequence[Event]) -> RunView:
    """The view of a run with these events. Raises InputError for an event of the loop that lacks what it needs."""
    by_problem: dict[str, list[Event]] = {}
    for event in events:
        if event.problem is not None:
            by_problem.setdefault(event.problem, []).append(event)
    problems = {name: _problem(info, name, own) for name, own in by_problem.items()}
    return RunView(info, tuple(events), problems)


def _problem(info: RunInfo, name: str, events: Sequence[Event]) -> ProblemView:
    trials: dict[int, TrialView] = {}
    end: Mapping[str, Any] | None = None
    gathered: list[Event] = []
    open_index: int | None = None
    for event in events:
        try:
            if event.kind == PROPOSAL_STARTED:
                open_index, end = int(event.data["index"]), None
                # A resumed run starts the proposal in flight again; what came before belongs to it as well.
                earlier = trials[open_index].before if open_index in trials else ()
                trials[open_index] = TrialView(open_index, event.data["proposal"], None, (*earlier, *gathered))
                gathered = []
            elif event.kind == TRIAL_FINISHED:
                index = int(event.data["index"])
                was = trials[index]
                trials[index] = TrialView(index, was.proposal, event.data["evaluation"], was.before, tuple(gathered))
                gathered, open_index = [], None
            elif event.kind == PROBLEM_FINISHED:
                end = event.data
            else:
                gathered.append(event)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{info.path / EVENTS}, line {event.seq}: the {event.kind} event is damaged "
                f"({type(error).__name__}: {error})",
                mend="Restore the file from a copy.",
            ) from error
    if open_index is not None and gathered:
        was = trials[open_index]
        trials[open_index] = TrialView(open_index, was.proposal, None, was.before, tuple(gathered))
    return ProblemView(name, tuple(events), tuple(trials.values()), end)
