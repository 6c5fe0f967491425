"""What kernelgen learns from its runs: which variant of a kernel passed where another failed; it judges nothing.

A lesson holds for the operator by name, and for any other whose first failing sample ran the same kernels (the
evaluator's ``culprits``). Kernels that a model wrote are kept by ``kernelgen.llm.kept``, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.protocols import Analysis, Analyzer, Problem, Proposer, Trial
from agents.rules_habits import Habits, Naming, all_facts
from agents.rules_proposer import Unguided
from agents.rules_session import Phrase, RuleSession
from agents.run_dir import RunDir
from knowledge.rules_book import RuleBook
from knowledge.rules_match import matching

HABITS = Habits("kernelgen", ignore=("library", "kernels"), symptoms=("culprits",), by_name=True)
_MOST_SENTENCES = 5


class KernelRules:
    """The rules of one run: pass ``analyzer``, ``proposers`` and ``reflect`` to the loop.

    ``library_hash`` is the synthesis proposer's: a lesson names variants, and is tried with the kernels of today.
    Raises InputError for a damaged rule store.
    """

    def __init__(
        self, state: Path, run_dir: RunDir, library_hash: str, analyzer: Analyzer, *, phrase: Phrase | None = None
    ) -> None:
        self._hash = library_hash
        self._session = RuleSession(
            RuleBook(state), HABITS, run_dir.log, run_dir.info.id, complete=self._complete, phrase=phrase
        )
        self.analyzer: Analyzer = Naming(analyzer)
        self.reflect = self._session.reflect

    def proposers(self, synthesis: Proposer) -> list[Proposer]:
        """The rules, then synthesis, which still begins with the first variant of each kernel if the rules fail."""
        return [self._session.proposer(), Unguided(synthesis)]

    def advice(self, problem: Problem) -> list[str]:
        """What earlier runs taught about a problem, in sentences for a model's prompt (to be shown as data)."""
        facts = all_facts(self.analyzer.analyze(problem), (), HABITS)
        found = matching(self._session.rules, facts, domain=HABITS.domain)
        return [match.rule.advice.words for match in found[:_MOST_SENTENCES] if match.rule.advice.words]

    def _complete(
        self, payload: Mapping[str, Any], analysis: Analysis, history: Sequence[Trial]
    ) -> dict[str, Any] | None:
        """The proposal that the synthesis proposer would make of these variants."""
        variants = payload.get("variants")
        if not isinstance(variants, dict) or not variants:
            return None
        before = dict(history[-1].proposal.payload.get("variants", {})) if history else {}
        return {"library": self._hash, "variants": before | variants}
