"""A sweep over cost ratios: for each the loop selects by the user's cost alone, and the next block tests; it renders
nothing.

Beside what is selected stand the baselines and the oracle in several orders, since the order of admission trades idle
for wasted time as well. The oracle is a limit and no policy anyone can have, so it takes no part in what is efficient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agents.loop import LoopResult
from agents.protocols import Analysis, Proposal, Proposer, Trial
from sysmith_errors import InputError
from tuners.upgrade_sched.backtest.baselines import baseline_policy
from tuners.upgrade_sched.backtest.blocks import Blocks
from tuners.upgrade_sched.backtest.choice import Choice, choice_of
from tuners.upgrade_sched.backtest.ratios import RatioBlocks
from tuners.upgrade_sched.backtest.search import ORDERS, Default, Search, Task, Validation, noted
from tuners.upgrade_sched.backtest.simulate import play
from tuners.upgrade_sched.backtest.tradeoff import ORACLE, OURS, point_name, tradeoff
from tuners.upgrade_sched.durations.base import critical_level
from tuners.upgrade_sched.types import Floats

ORDER_NAMES = dict(zip(ORDERS, ("shortest first", "as due", "longest first"), strict=True))

Select = Callable[[str, Validation, Sequence[Proposer]], LoopResult]


def parse_ratios(text: str) -> tuple[float, ...]:
    """Cost ratios, commas between, smallest first. Raises InputError naming the option."""
    try:
        ratios = tuple(sorted({float(part) for part in text.split(",") if part.strip()}))
    except ValueError:
        ratios = ()
    if not ratios or not all(0.1 <= ratio <= 1000 for ratio in ratios) or len(ratios) > 20:
        mend = "Give at most 20 numbers from 0.1 to 1000, such as 1,2,4,9."
        raise InputError(f"--cost-ratios: {text!r} is no list of cost ratios", mend=mend)
    return ratios


def selected(result: LoopResult) -> dict[str, Any]:
    """How a selection ended and who proposed its best policy, as plain JSON."""
    assert result.best is not None
    proposal = result.best.proposal
    return {
        "trials": len(result.trials),
        "stopped": result.stop.text,
        "proposed_by": proposal.source,
        "why": proposal.rationale,
        "citations": list(proposal.citations),
        "validation": dict(result.best.evaluation.metrics),
    }


class CostSeeds:
    """What the cost ratio itself suggests, before any search: winners of earlier splits, then chances at which an
    admission pays.

    An upgrade that holds its slot for as long as it has left pays where its chance p of ending in time exceeds
    (r - 1) / r, as it turns p of the idle time into finished work and makes (1 - p) of it cost r - 1 more; r / (r + 1)
    is the newsvendor's critical fractile.
    """

    name = "known policies"

    def __init__(self, task: Task) -> None:
        self.task = task

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        for choice in dict.fromkeys(self.task.carried):
            yield Proposal(choice.key, "knowledge", "the best of an earlier selection", payload=asdict(choice))
        ratio = self.task.blocks.setup.cost_ratio
        pays, fractile = max(1 - 1 / ratio, 0.2), critical_level(ratio)
        for lean in (1.0, 2.0, 0.5):
            for risk, why in ((pays, "the chance at which it pays"), (fractile, "the critical fractile")):
                choice = Choice(risk=round(risk, 3), lean=lean)
                cited = (noted("When an admission pays"),)
                yield Proposal(choice.key, "knowledge", f"{why} at {ratio:g} : 1", cited, asdict(choice))
        plain = Choice(model="history", risk=0.5, lean=2.0)
        why = "the median of the last records, longest first"
        yield Proposal(plain.key, "knowledge", why, (noted("Longest first"),), asdict(plain))


@dataclass
class Sweep:
    """Counts of the test windows of every point. ``select`` runs the loop for a problem's name, its judge and who
    proposes."""

    blocks: Blocks
    ratios: tuple[float, ...]
    baselines: tuple[str, ...]
    trials: int
    select: Select
    say: Callable[[str], None] = lambda text: None
    cells: dict[tuple[float, str], list[Floats]] = field(default_factory=dict)
    selections: list[dict[str, Any]] = field(default_factory=list)
    _winners: dict[tuple[float, float], list[Choice]] = field(default_factory=dict)
    _at: dict[float, RatioBlocks] = field(default_factory=dict)

    def split(self, split: int, load: float, for_goals: Choice, played: Floats) -> None:
        """Select on block ``split - 1`` for every ratio and play block ``split``. ``for_goals`` is what the backtest
        itself selected, ``played`` its counts on the test block."""
        if not self.ratios:
            return
        demand = self.blocks.demand(split, load)
        self._add(load, OURS, played)
        for ratio in self.ratios:
            blocks = self._at.setdefault(ratio, RatioBlocks(self.blocks, ratio))
            won = self._winners.setdefault((ratio, load), [])
            task = Task(blocks, split - 1, load, (*reversed(won[-2:]), for_goals))
            name = f"split-{split}/load-{load:g}/ratio-{ratio:g}"
            result = self.select(
                name, Validation(task, "cost"), (CostSeeds(task), Default(), Search(task, self.trials))
            )
            assert result.best is not None
            choice = choice_of(result.best.proposal.payload)
            won.append(choice)
            self.selections.append(
                {"split": split, "load": load, "cost_ratio": ratio} | {"policy": asdict(choice)} | selected(result)
            )
            self._add(load, point_name(ratio), play(demand, choice.policy(blocks, split, load)).counts)
            self.say(f"split {split}, load {load:g}, cost ratio {ratio:g}: {choice.key}")
        for name in dict.fromkeys((*self.baselines, ORACLE)):
            for lean, order in ORDER_NAMES.items():
                if name.startswith(("cutoff:", "timeout:")):  # equal predictions: every order is the same
                    order = ""
                policy = baseline_policy(name, self.blocks, split, load, lean)
                self._add(load, f"{name} {order}".strip(), play(demand, policy).counts)
                if not order:
                    break

    def _add(self, load: float, policy: str, counts: Floats) -> None:
        self.cells.setdefault((load, policy), []).append(counts)

    def forget(self, block: int) -> None:
        """Let go of what the ratios hold of a block, for memory."""
        for blocks in self._at.values():
            blocks.forget(block)

    def document(self) -> dict[str, Any] | None:
        """Points, costs and selections as plain JSON (None without ratios)."""
        if not self.ratios:
            return None
        setup = self.blocks.setup
        return tradeoff(self.cells, self.ratios, setup.loads, setup.seed) | {"selections": self.selections}
