"""The closing text of a kernelgen run: tables for people, made from the JSON report alone."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_TOP = 10
_WORDS = {
    "synthesis": "kernels of their own",
    "composition": "PyTorch's composition over kernels",
    "pytorch": "metadata only, by PyTorch",
    "none": "nothing",
}


def table(report: Mapping[str, Any], *, rich: bool | None = None) -> str:
    """Return the report as text: by family, the scores, what compiled, what failed most.

    ``rich`` draws lines and colour (NO_COLOR is honoured); None means where stdout is a terminal.
    """
    summary = report["summary"]
    columns = ("names_total", "names_passed", "tests_total", "tests_passed")
    rows = [[row["family"], *(str(row[column]) for column in columns)] for row in summary["families"]]
    head = ["family", "names", "passed", "tests", "passed"]
    parts = [_grid(head, rows, sys.stdout.isatty() if rich is None else rich)] if rows else []
    parts += ["", *score_lines(report)]
    for counts, which in (
        (summary["reference"]["compiled"], "of the reference names that pass and launch kernels"),
        (summary["compiled"], "of all operators with kernels and a dtype that passes"),
    ):
        if counts:
            told = [f"{t} {c['compiled']} of {c['compiled'] + c['failed']}" for t, c in sorted(counts.items())]
            parts.append(f"compiled, {which}: {'; '.join(told)}")
    served = [f"{_WORDS.get(name, name)} {count}" for name, count in sorted(summary["sources"].items())]
    parts.append(f"served by: {'; '.join(served) or 'nothing'}")
    missing, others = failures(report)
    for title, counts in (("overloads that no kernel serves", missing), ("other failures", others)):
        if counts:
            parts += ["", f"{title} (operators held back):", *(f"  {count:4}  {what}" for what, count in counts[:_TOP])]
            rest = len(counts) - _TOP
            parts += [f"        and {rest} more"] if rest > 0 else []
    parts += ["", *_closing(report)]
    return "\n".join(parts).lstrip("\n")


def score_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the two scores as sentences, each with its denominators and its share of metadata-only operators."""
    lines = []
    limit, dtypes = report["options"]["samples"], report["options"]["dtypes"]
    for name, label in (("reference", "reference set"), ("full", "full set")):
        score = report["summary"][name]
        judged = "" if score["names_total"] == score["set_names"] else f" judged (the set has {score['set_names']})"
        names, tests = _share(score, "names"), _share(score, "tests")
        lines.append(
            f"{label}: {score['names_passed']} of {score['names_total']} names{judged} pass ({names}), "
            f"{score['tests_passed']} of {score['tests_total']} tests ({tests}); "
            f"{score['metadata_only']} of the names that pass are metadata only"
        )
    if limit is not None:
        lines.append(f"only the first {limit} samples of each dtype were judged, so neither score is the set's")
    if missing := _unjudged_dtypes(dtypes):
        lines.append(f"only {', '.join(dtypes)} were judged; {missing}")
    return lines


def _unjudged_dtypes(dtypes: Sequence[str]) -> str:
    from kernelgen.selection import DTYPES, REFERENCE_DTYPES

    if set(DTYPES) <= set(dtypes):
        return ""
    whole = set(REFERENCE_DTYPES) <= set(dtypes)
    return "the full set has more" if whole else "both sets have more"


def _share(score: Mapping[str, int], what: str) -> str:
    total = score[f"{what}_total"]
    return f"{100 * score[f'{what}_passed'] / total:.1f} %" if total else "none"


def failures(report: Mapping[str, Any]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return (overload, operators it holds back) and (kind of failure, operators), most frequent first."""
    missing: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for operator in report["operators"]:
        if operator["passed"]:
            continue
        if operator["missing"]:
            missing.update(operator["missing"])
        else:
            others[_kind(operator)] += 1
    return _ranked(missing), _ranked(others)


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


# What a reason says, and what it is counted as; the first that fits.
_KINDS = (
    ("lint rejects", "rejected by lint"),
    ("wrong_value:", "wrong values"),
    ("dtype_mismatch:", "wrong dtype"),
    ("has shape ", "wrong shape"),
    ("has strides ", "wrong strides"),
    ("share memory", "aliasing differs from PyTorch's"),
    ("PyTorch raises ", "an error PyTorch raises is not raised"),
    ("raised ", "the kernel raised an error"),
    ("the evaluator broke", "the judging itself broke"),
    ("OpInfo has no sample", "no sample for these dtypes"),
)


def _kind(operator: Mapping[str, Any]) -> str:
    if operator["catch"]:
        return str(operator["catch"])
    return next((kind for mark, kind in _KINDS if mark in operator["reason"]), "other differences")


def _closing(report: Mapping[str, Any]) -> list[str]:
    seconds = report["seconds"]
    lines = [
        f"run {report['run']}: {len(report['operators'])} operators in {seconds // 60:.0f} min {seconds % 60:.0f} s "
        f"({report['summary']['cached']} from the cache), sandbox {report['sandbox']['tier']}"
    ]
    if report["not_judged"]:
        lines.append(f"not judged: {len(report['not_judged'])} of {len(report['options']['names'])} selected operators")
    if report["lost"]:
        lines.append(f"lost against the baseline: {', '.join(report['lost'])}")
    elif report["lost"] is not None:
        lines.append("lost against the baseline: nothing")
    lines.append(f"why an operator failed: sysmith runs show {report['run']} --problem NAME")
    return lines


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]], rich: bool) -> str:
    if rich:
        return _rich_grid(head, rows)
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    )


def _rich_grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from rich.console import Console
    from rich.table import Table

    grid = Table()
    for number, title in enumerate(head):
        grid.add_column(title, justify="left" if number == 0 else "right")
    for row in rows:
        grid.add_row(*row, style="green" if row[1] == row[2] else None)
    console = Console(force_terminal=True)
    with console.capture() as capture:
        console.print(grid)
    return capture.get().rstrip("\n")
