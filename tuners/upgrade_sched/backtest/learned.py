"""What backtests learn from each other: policies that served where a history looked alike; it judges nothing.

A lesson has a date: the end of the records that it was drawn from. A split is offered what was known by then and
nothing later, as a backtest asks how good a policy *would have been*: a run over a longer history, or the same one
again, would otherwise hand a split's future back to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agents.protocols import Analysis, Proposer, Trial
from agents.rules_habits import Habits
from agents.rules_session import RuleSession
from agents.run_dir import RunDir
from knowledge.rules import Rule
from knowledge.rules_book import RuleBook
from tuners.upgrade_sched.backtest.choice import checked_choice
from tuners.upgrade_sched.backtest.search import JUDGED_BY, UNTIL

# How many windows there were says how much a lesson weighs, and not where it holds.
HABITS = Habits("upgrade-sched", required=(JUDGED_BY,), noted=(UNTIL, "windows", "offered"))


class BacktestRules:
    """The rules of one backtest: pass ``proposers`` and ``reflect`` to the loop. Raises InputError for a damaged rule
    store."""

    def __init__(self, state: Path, run: RunDir, *, use: bool = True) -> None:
        self._session = RuleSession(
            RuleBook(state), HABITS, run.log, run.info.id, complete=_complete, admit=known_by_then, offer=use, learn=use
        )
        self.reflect = self._session.reflect

    def proposers(self, others: Sequence[Proposer]) -> list[Proposer]:
        """What earlier runs taught, then ``others`` with what failed for sure put off."""
        return [self._session.proposer(), *(self._session.cautious(other) for other in others)]


def known_by_then(rule: Rule, analysis: Analysis) -> Rule | None:
    """The rule as it stood when this problem's records ended: with the evidence of that time, None without any.

    Evidence that has no date (an import may bring some) is not known to be old enough.
    """
    now = analysis.get(UNTIL)
    if now is None or not isinstance(now.value, int | float):
        return None
    dated = [(one, one.figures.get(UNTIL)) for one in rule.evidence]
    old = tuple(one for one, date in dated if isinstance(date, int | float) and date <= now.value)
    if not any(one.outcome in ("learned", "confirmed") for one in old):
        return None
    confirmed, refuted = (sum(one.outcome == outcome for one in old) for outcome in ("confirmed", "refuted"))
    return replace(rule, evidence=old, confirmed=confirmed, refuted=refuted)


def _complete(payload: Mapping[str, Any], analysis: Analysis, history: Sequence[Trial]) -> dict[str, Any]:
    """The whole policy; ValueError where the rule says none."""
    return asdict(checked_choice(payload))
