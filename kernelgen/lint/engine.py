"""Runs every checker over one source text; holds no rule itself and never executes the text."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence

from kernelgen.lint.kernel_flow import check_kernel_flow
from kernelgen.lint.kernel_names import check_kernel_names
from kernelgen.lint.launches import check_launches
from kernelgen.lint.names import check_names
from kernelgen.lint.packs import Packs, load_packs
from kernelgen.lint.report import LintReport
from kernelgen.lint.scopes import Scopes
from kernelgen.lint.source import Reporter, Source, read_source
from kernelgen.lint.structure import check_structure
from kernelgen.lint.wrapper import check_wrappers

_MAX_CHARACTERS = 256_000
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def lint_source(
    source: str,
    *,
    targets: Sequence[str] = ("interpret",),
    packs: Packs | None = None,
    filename: str = "<candidate>",
) -> LintReport:
    """Judge one kernel file by its text.

    ``packs`` defaults to ``load_packs(targets)``. Any text gives a report: a file that cannot be parsed has one finding
    that says so.

    Raises:
        InputError: a rule pack is damaged.
    """
    packs = packs or load_packs(targets)
    reporter = Reporter(packs, source)
    tree = _parse(source, reporter)
    if tree is not None:
        try:
            _check(read_source(tree), packs, reporter)
        except RecursionError:
            reporter.at("too-large", 1, 0, "the file is nested too deeply to be read through")
    return LintReport(filename, tuple(targets), reporter.findings())


def _parse(source: str, reporter: Reporter) -> ast.Module | None:
    if len(source) > _MAX_CHARACTERS:
        reporter.at("too-large", 1, 0, f"the file has {len(source)} characters, more than {_MAX_CHARACTERS}")
        return None
    for number, line in enumerate(re.split(r"\r\n|\r|\n", source)[:2], 1):
        cookie = _COOKIE.match(line)
        if cookie and cookie[1].lower().replace("_", "-") not in ("utf-8", "utf8"):
            reporter.at("encoding", number, 0, f"the file declares the encoding {cookie[1]}")
    try:
        with warnings.catch_warnings():
            # An odd escape in a string only warns, and is no fault of a kernel.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        reporter.at("syntax", error.lineno or 1, max((error.offset or 1) - 1, 0), error.msg)
    except ValueError as error:
        reporter.at("syntax", 1, 0, str(error))
    except (RecursionError, MemoryError):
        reporter.at("too-large", 1, 0, "the file is nested too deeply to be parsed")
    return None


def _check(source: Source, packs: Packs, reporter: Reporter) -> None:
    scopes = Scopes(source)
    check_structure(source, packs, reporter)
    check_names(source, scopes, packs, reporter)
    check_kernel_names(source, scopes, packs, reporter)
    flow = check_wrappers(source, packs, reporter)
    check_launches(source, flow.launched, flow.calls, reporter)
    check_kernel_flow(source, packs, flow.low_precision, reporter)
