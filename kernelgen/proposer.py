"""The offline proposer and the analyzer of kernelgen: synthesised kernels and their variants; evaluates nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agents.protocols import Analysis, Finding, Problem, Proposal, Trial
from harness.cache import canonical_hash
from kernelgen.synthesis.entry import KernelSource


class CatalogAnalyzer:
    """Says what the catalog knows of an operator: its family, OpInfo entries and dtypes."""

    def analyze(self, problem: Problem) -> Analysis:
        """Return a finding for the family, the number of OpInfo entries and each claimed dtype."""
        facts = problem.payload
        return Analysis(
            (
                Finding("family", str(facts.get("family", "other")), "catalog"),
                Finding("entries", int(facts.get("entries", 1)), "OpInfo"),
                *(Finding("dtype", dtype, "OpInfo") for dtype in facts.get("dtypes", ())),
            )
        )


class SynthesisProposer:
    """Proposes the first variant of every synthesised kernel, then others of those that ran in a failing sample.

    ``library`` maps an overload to its variants, best guess first. A proposal's payload names variants only; the
    ``library`` hash in it makes a proposal of changed kernels a new one.
    """

    def __init__(self, library: Mapping[str, Sequence[KernelSource]]) -> None:
        self.library = library
        self.library_hash = canonical_hash({key: [source.text for source in found] for key, found in library.items()})

    def propose(self, analysis: Analysis, history: Sequence[Trial]) -> Iterator[Proposal]:
        """Yield the default proposal first; after a failure, one change of variant at a time."""
        own = [trial for trial in history if "kernels" not in trial.proposal.payload]  # the others are a model's
        if not own:
            yield self._proposal({}, "the first variant of each kernel")
            return
        tried = {tuple(sorted(t.proposal.payload.get("variants", {}).items())) for t in own}
        last = own[-1]
        base = dict(last.proposal.payload.get("variants", {}))
        for overload in last.evaluation.metrics.get("culprits", ()):
            for source in self.library.get(overload, ())[1:]:
                changed = base | {overload: source.variant}
                if tuple(sorted(changed.items())) not in tried:
                    yield self._proposal(changed, f"{overload} failed; its variant {source.variant} instead")

    def _proposal(self, variants: dict[str, str], why: str) -> Proposal:
        key = ",".join(f"{k}={v}" for k, v in sorted(variants.items())) or "default"
        payload = {"library": self.library_hash, "variants": variants}
        return Proposal(key=key, source="synthesis", rationale=why, payload=payload)


def choose(
    library: Mapping[str, Sequence[KernelSource]], variants: Mapping[str, str], kernels: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return overload -> source text, with ``variants`` where named and the first variant elsewhere; ``kernels``
    (overload -> text, such as a model wrote) stand in front of the library's."""
    texts = {}
    for overload, found in library.items():
        wanted = variants.get(overload)
        source = next((s for s in found if s.variant == wanted), found[0])
        texts[overload] = source.text
    return texts | dict(kernels or {})
