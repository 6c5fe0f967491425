"""Progress on stderr: a live line on a terminal, a line for each operator elsewhere; no results."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import typer


class Progress:
    """Shows what a run is doing. Off a terminal each finished operator is one plain line."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._total = self._count = self._passed = 0
        self._began = time.monotonic()

    @contextlib.contextmanager
    def recording(self, what: str) -> Iterator[Callable[[str], None]]:
        """Announce preparation the first time it calls back, and count its steps."""
        steps = 0

        def note(name: str) -> None:
            nonlocal steps
            if not steps:
                typer.echo(f"{what} ...", err=True)
            steps += 1

        yield note
        if steps:
            typer.echo(f"recorded {steps} operators", err=True)

    def start(self, total: int, title: str) -> None:
        """Begin with ``total`` operators."""
        self._total, self._began = total, time.monotonic()
        typer.echo(f"{title}: {total} operators; their kernel files are linted first", err=True)
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description:40.40}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("starting the judges", total=total)

    def began(self, name: str) -> None:
        """Note that work on an operator began."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"{self._passed} passed, at {name}")

    def done(self, outcome: Any) -> None:
        """Show one finished operator."""
        self._count += 1
        self._passed += outcome.passed
        total, passed = outcome.tests()
        mark = "ok  " if outcome.passed else "FAIL"
        why = "" if outcome.passed else f"  {' '.join(outcome.reason.split())[:160]}"
        width = len(str(self._total))
        line = f"[{self._count:{width}}/{self._total}] {mark} {outcome.name} {passed}/{total}{why}"
        if self._bar is not None:
            if not outcome.passed:
                self._bar.console.print(line, markup=False, highlight=False)
            self._bar.advance(self._task)
        else:
            typer.echo(line, err=True)

    def stop(self) -> None:
        """Remove the live line."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
