"""The scheduler's words as frozen types: fleet, upgrades, windows, constraints, schedule; it reads and solves nothing.

Times are whole Unix seconds (UTC), durations whole seconds. Columns are numpy arrays along servers or upgrades, because
a fleet may have a million of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuners.upgrade_sched.plan.risk import Risk

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NEVER = 2**62  # a time after everything: no deadline
NOWHERE = -1  # the window of an upgrade that is not scheduled


@dataclass(frozen=True)
class Labels:
    """One column of domains: ``codes[i]`` is the index in ``values`` of server i, or -1 where it has none."""

    codes: Ints
    values: tuple[str, ...]

    @staticmethod
    def of(column: list[str]) -> Labels:
        """Encode a column of texts; an empty text is no value."""
        values = tuple(dict.fromkeys(text for text in column if text))
        index = {text: number for number, text in enumerate(values)} | {"": -1}
        return Labels(np.fromiter((index[text] for text in column), np.int64, len(column)), values)

    def mask(self, wanted: frozenset[str] | tuple[str, ...]) -> Bools:
        """Which servers have one of the values ``wanted``."""
        chosen = [number for number, text in enumerate(self.values) if text in wanted]
        return np.isin(self.codes, chosen)


@dataclass(frozen=True)
class Fleet:
    """The servers. ``down`` marks those that do not serve now: they count against every limit and floor already."""

    names: tuple[str, ...]
    domains: Mapping[str, Labels]
    down: Bools

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def index(self) -> dict[str, int]:
        """Server name -> position."""
        return {name: number for number, name in enumerate(self.names)}


@dataclass(frozen=True)
class Upgrades:
    """The pending upgrades, as columns.

    ``server`` is a position in the fleet; ``weight`` is what one scheduled upgrade is worth (its priority); ``mean_s``
    and ``spread_s`` (standard deviation) are the predicted duration; the upgrade may not begin before ``not_before``
    and must be over by ``deadline``. ``after`` maps an upgrade to those that must be over before it begins. ``wave`` is
    a position in ``Constraints.waves``, or -1 for none.
    """

    ids: tuple[str, ...]
    server: Ints
    type: tuple[str, ...]
    weight: Floats
    mean_s: Ints
    spread_s: Ints
    not_before: Ints
    deadline: Ints
    wave: Ints
    after: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def index(self) -> dict[str, int]:
        """Upgrade id -> position."""
        return {name: number for number, name in enumerate(self.ids)}


@dataclass(frozen=True)
class Window:
    """A maintenance window with ``slots`` lanes: at most that many upgrades run in it at once.

    ``where`` limits it to servers with one of the given values in each named domain.
    """

    name: str
    start: int
    end: int
    slots: int
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Limit:
    """At most ``max_down`` servers (or ``share`` of them, rounded down, at least one) down at once in each value of
    ``domain``, or only in ``values`` where given."""

    domain: str
    max_down: int | None = None
    share: float | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Floor:
    """At least ``min_up`` servers (or ``share`` of them, rounded up) up at any time in each value of ``domain``, or
    only in ``values`` where given."""

    domain: str
    min_up: int | None = None
    share: float | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wave:
    """A step of a fixed order: its upgrades begin when all upgrades of the waves before are over and ``soak_s``
    seconds of the wave just before have passed. An upgrade in no wave comes after the last one."""

    name: str
    soak_s: int = 0


@dataclass(frozen=True)
class Blackout:
    """No upgrade of a server in ``where`` (all servers where it is empty) runs in [start, end)."""

    name: str
    start: int
    end: int
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Constraints:
    """Everything a schedule must keep. ``max_running`` is what the upgrade system itself can drive at once."""

    max_running: int | None = None
    limits: tuple[Limit, ...] = ()
    floors: tuple[Floor, ...] = ()
    waves: tuple[Wave, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    # Upgrades in no wave wait for the last wave, unless this is set.
    rest_is_free: bool = False


@dataclass(frozen=True)
class FleetProblem:
    """One planning problem: what to upgrade, when it may happen, and the risk taken on a window's total."""

    fleet: Fleet
    upgrades: Upgrades
    windows: tuple[Window, ...]
    constraints: Constraints
    risk: Risk

    @cached_property
    def step(self) -> Ints:
        """The position of each upgrade in the fixed order: its wave, or, for those in no wave, one past the last; -1
        for those that the order does not concern."""
        rest = -1 if self.constraints.rest_is_free else len(self.constraints.waves)
        return np.where(self.upgrades.wave < 0, rest, self.upgrades.wave)


@dataclass(frozen=True)
class Schedule:
    """Where each upgrade is: ``window`` (position, ``NOWHERE`` if not scheduled), ``lane`` within it, ``start``.

    ``facts`` is how it was made: seconds, policy, counts.
    """

    window: Ints
    lane: Ints
    start: Ints
    facts: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def empty(count: int) -> Schedule:
        """A schedule of ``count`` upgrades, none of them placed."""
        return Schedule(np.full(count, NOWHERE), np.full(count, NOWHERE), np.zeros(count, np.int64))

    @property
    def placed(self) -> Bools:
        return self.window >= 0

    def copy(self) -> Schedule:
        """A schedule with arrays of its own."""
        return Schedule(self.window.copy(), self.lane.copy(), self.start.copy(), dict(self.facts))


def servers_where(fleet: Fleet, where: Mapping[str, tuple[str, ...]]) -> Bools:
    """Which servers have one of the given values in each named domain; all of them where ``where`` is empty."""
    chosen = np.ones(len(fleet), dtype=bool)
    for domain, values in where.items():
        chosen &= fleet.domains[domain].mask(values)
    return chosen
