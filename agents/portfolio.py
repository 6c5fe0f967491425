"""Proposers in order of cost, asked one after the other; it proposes nothing of its own and evaluates nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agents.protocols import Analysis, Proposal, Proposer, Trial
from sysmith_errors import BudgetExhausted, Interrupted

MOST_REPEATS = 1000  # a proposer that only repeats itself this often in one asking has nothing left


def name_of(proposer: Proposer) -> str:
    """The proposer's ``name`` attribute where it has one, else its class."""
    return str(getattr(proposer, "name", type(proposer).__name__))


class Portfolio:
    """A proposer made of proposers, cheapest first.

    One call of ``propose`` is one round: it draws on the first proposer that has anything new, and the dearer ones are
    not asked. A round without any proposal means that all are dry. Proposals already in the history, or twice in one
    round, are dropped by content hash. A proposer that raises is passed to ``on_fault`` and counts as having nothing
    left in that round; only a wish of the user to stop goes through.
    """

    def __init__(
        self, proposers: Sequence[Proposer], *, on_fault: Callable[[str, Exception], None] = lambda name, error: None
    ) -> None:
        self._proposers = tuple(proposers)
        self._on_fault = on_fault
        self.out_of_budget: str | None = None  # what a proposer said when, in the last round, its budget was gone
        self.faults: tuple[str, ...] = ()  # the proposers that raised in the last round, other than for their budget

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        seen = {trial.proposal.content_hash for trial in history}
        self.out_of_budget, self.faults = None, ()
        for proposer in self._proposers:
            found = False
            for proposal in self._ask(proposer, analysis, history, seen):
                found = True
                seen.add(proposal.content_hash)
                yield proposal
            if found:
                return

    def _ask(
        self, proposer: Proposer, analysis: Analysis, history: Sequence[Trial], seen: set[str]
    ) -> Iterator[Proposal]:
        repeats = 0
        try:
            source = iter(proposer.propose(analysis, history))
        except Exception as error:  # the part is the optimizer's own and may raise anything; see _note
            self._note(proposer, error)
            return
        while repeats < MOST_REPEATS:
            try:
                proposal = next(source, None)
                if proposal is None:
                    return
                fresh = proposal.content_hash not in seen
            except Exception as error:  # as above; also an object that is no proposal
                self._note(proposer, error)
                return
            if fresh:
                repeats = 0
                yield proposal
            else:
                repeats += 1

    def _note(self, proposer: Proposer, error: Exception) -> None:
        if isinstance(error, Interrupted):
            raise error
        if isinstance(error, BudgetExhausted):
            self.out_of_budget = error.message
        else:
            self.faults = (*self.faults, name_of(proposer))
        self._on_fault(name_of(proposer), error)
