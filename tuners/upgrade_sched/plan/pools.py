"""Upgrades that may start now, in buckets by class and length, for finding one that fits in constant time.

A class holds upgrades of similar variance-to-mean ratio: lanes of one class reserve less than mixed ones (``risk``). A
bucket holds means within 2 % of each other; a class keeps its non-empty buckets as the bits of an integer, so that the
longest that fits is one bit operation away.
"""

from __future__ import annotations

import math

import numpy as np

from tuners.upgrade_sched.plan.model import Floats, Ints

PER_E = 50.0  # buckets for a factor of e: 2 % each


class Grid:
    """The class and bucket of each upgrade; ``ratio[k]`` is the least variance-to-mean ratio in class k."""

    def __init__(self, mean: Ints, variance: Floats, classes: int) -> None:
        ratio = variance / mean
        edges = np.unique(np.quantile(ratio, np.linspace(0, 1, classes + 1)[:-1])) if len(ratio) else np.zeros(1)
        group = np.searchsorted(edges, ratio, side="right") - 1
        self.ratio: list[float] = edges.tolist()
        self.classes = len(edges)
        self.of: list[int] = group.tolist()
        self.of_array = group
        # One decimal less than the bucket's width keeps the longest of a bucket inside it.
        self.bucket: list[int] = np.floor(np.log(np.maximum(mean, 1)) * PER_E).astype(int).tolist()
        self.buckets = max(self.bucket, default=0) + 1

    def lane_classes(self, jobs: Ints, size: Floats, count: int) -> list[int]:
        """A class for each of ``count`` lanes, in proportion to the time that ``jobs`` take."""
        load = np.bincount(self.of_array[jobs], size[jobs], self.classes)
        if load.sum() <= 0:
            return [0] * count
        shares = np.cumsum(load) / load.sum()
        found: list[int] = np.searchsorted(shares, (np.arange(count) + 0.5) / count).tolist()
        return found

    def longest(self, room: float, variance: float, group: int, z: float) -> int:
        """The bucket of the longest mean m of a class with m + z sqrt(variance + ratio m) <= room; -1 if none.

        The root of (room - m)^2 = z^2 (variance + ratio m) below ``room``; the class's least ratio makes it an upper
        estimate, and what it finds is checked exactly.
        """
        half = z * z * self.ratio[group] / 2.0
        m = room + half - math.sqrt(half * half + 2.0 * half * room + z * z * variance)
        return int(math.log(m) * PER_E) if m >= 1.0 else -1


class Pool:
    """The startable upgrades of one signature."""

    def __init__(self, grid: Grid) -> None:
        self.masks = [0] * grid.classes
        self.stacks: list[list[list[int] | None]] = [[None] * grid.buckets for _ in range(grid.classes)]
        self._grid = grid

    def add(self, job: int) -> None:
        """Put an upgrade in; the last one put into a bucket is the first to come out."""
        group, bucket = self._grid.of[job], self._grid.bucket[job]
        stack = self.stacks[group][bucket]
        if stack is None:
            self.stacks[group][bucket] = [job]
        else:
            stack.append(job)
        self.masks[group] |= 1 << bucket

    def take(self, group: int, bucket: int) -> int:
        """Take the top of a bucket that is not empty."""
        stack = self.stacks[group][bucket]
        assert stack
        job = stack.pop()
        if not stack:
            self.masks[group] &= ~(1 << bucket)
        return job
