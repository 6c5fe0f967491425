"""The result of judging one operator, as plain data that events, caches and reports share; judges nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class DtypeScore:
    """Samples of one dtype: how many there are and how many agreed with PyTorch."""

    total: int = 0
    passed: int = 0


@dataclass(frozen=True)
class Verdict:
    """How an operator's kernels did on OpInfo's samples.

    ``scores`` is by dtype. ``reason`` is "" when all passed, else the first difference with its sample in full.
    ``catch`` names an anti-cheat finding (``aten_compute``, ``no_launch``, ``mutated_input``, ...), if there is one.
    ``used`` lists the overloads whose kernels ran, ``missing`` those that no kernel serves, ``culprits`` those that ran
    in the first failing sample. ``specialisations`` maps an overload to what was launched: {"launch": its JSON,
    "dtypes": those of the samples}; ``refused`` maps an overload to dtype -> why its launch cannot be compiled for.
    ``stats`` are the router's counts; ``replays`` counts second calls (passed, total), ``errors`` OpInfo's error inputs
    for which the same type of exception was raised (of how many); neither is in ``scores``.
    """

    name: str
    scores: Mapping[str, DtypeScore] = field(default_factory=dict)
    reason: str = ""
    catch: str = ""
    status: str = "ok"
    used: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    culprits: tuple[str, ...] = ()
    specialisations: Mapping[str, list[Any]] = field(default_factory=dict)
    refused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)
    replays: tuple[int, int] = (0, 0)
    errors: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    tier: str = ""

    @property
    def total(self) -> int:
        return sum(score.total for score in self.scores.values())

    @property
    def passed_tests(self) -> int:
        return sum(score.passed for score in self.scores.values())

    @property
    def passed(self) -> bool:
        """All samples agree, every replay too, and nothing was caught."""
        return (
            self.status == "ok"
            and self.total > 0
            and self.passed_tests == self.total
            and self.replays[0] == self.replays[1]
            and not self.catch
        )

    @property
    def passed_dtypes(self) -> frozenset[str]:
        """The dtypes all of whose samples agree; none where something was caught or the run did not end well."""
        if self.status != "ok" or self.catch:
            return frozenset()
        return frozenset(dtype for dtype, score in self.scores.items() if score.total and score.passed == score.total)

    def launched(self) -> dict[str, list[Any]]:
        """Return overload -> specialisations (JSON) that ran in samples of the dtypes that passed."""
        good = self.passed_dtypes
        found = {
            overload: [item["launch"] for item in items if good.intersection(item["dtypes"])]
            for overload, items in self.specialisations.items()
        }
        return {overload: items for overload, items in found.items() if items}

    def refusals(self) -> dict[str, str]:
        """Return overload -> why a launch of a dtype that passed cannot be compiled for."""
        found = {
            o: next((why[d] for d in sorted(why) if d in self.passed_dtypes), "") for o, why in self.refused.items()
        }
        return {overload: why for overload, why in found.items() if why}

    @property
    def metadata_only(self) -> bool:
        """No overload computed: PyTorch's views, allocations and metadata were all it took."""
        return not any(self.stats.get(kind) for kind in ("kernel", "derived", "composite", "decomposed", "missing"))

    def to_json(self) -> dict[str, Any]:
        """Return a flat JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what :meth:`to_json` wrote."""
        fields = dict(data)
        fields["scores"] = {dtype: DtypeScore(**score) for dtype, score in data["scores"].items()}
        for name in ("used", "missing", "culprits", "replays", "errors"):
            fields[name] = tuple(data[name])
        return cls(**fields)
