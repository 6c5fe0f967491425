"""What a kernelgen run reports: the JSON document, and the JUnit and HTML forms made from it; it judges nothing."""

from __future__ import annotations

import contextlib
import itertools
import re
import xml.etree.ElementTree as xml
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.kernelgen_table import table

__all__ = ["SCHEMA_VERSION", "document", "html_page", "junit_xml", "table"]

SCHEMA_VERSION = 1
# XML 1.0 can hold no other control characters, not even escaped; lone surrogates cannot be encoded at all.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(
    outcomes: Sequence[Any],
    *,
    facts: Mapping[str, Any],
    reference: Sequence[str],
    run_id: str,
    options: Mapping[str, Any],
    seconds: float,
    interrupted: bool,
    lost: Sequence[str] | None,
) -> dict[str, Any]:
    """Return the report of a run as one JSON object.

    ``outcomes`` are the ``OperatorOutcome`` that are known, ``facts`` the whole catalog by name, ``options`` what
    ``RunOptions.recorded`` gives, ``seconds`` the wall time of this invocation, ``lost`` the names that a baseline
    passed and this run does not (None: no baseline). ``summary.reference`` and ``summary.full`` count names and tests;
    their ``set_names`` is the size of the whole set, ``names_total`` what was judged of it.
    """
    from harness.cache import library_versions
    from harness.sandbox import detect_tier
    from kernelgen.outcome import compile_counts, full_score, reference_score

    known = [_with_denominator(outcome, options) for outcome in outcomes]
    order = {name: number for number, name in enumerate(facts)}
    known.sort(key=lambda outcome: order[outcome.name])
    judged = {outcome.name for outcome in known}
    tier = detect_tier()
    tiers = sorted({outcome.sandbox for outcome in known if outcome.sandbox})
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "kernelgen",
        "run": run_id,
        "seconds": round(seconds, 3),
        "interrupted": interrupted,
        "options": dict(options),
        "versions": library_versions(),
        "sandbox": {"tier": ", ".join(tiers) or tier.name, "reason": tier.reason},
        "summary": {
            "reference": reference_score(known, reference).to_json(),
            "full": full_score(known, len(facts)).to_json(),
            "families": _families(known),
            "compiled": compile_counts(known),
            "sources": dict(Counter(outcome.source for outcome in known)),
            "cached": sum(outcome.cached for outcome in known),
        },
        "not_judged": [name for name in options["names"] if name not in judged],
        "lost": None if lost is None else list(lost),
        "operators": [outcome.to_json() for outcome in known],
    }


def _with_denominator(outcome: Any, options: Mapping[str, Any]) -> Any:
    """Give an operator whose judging broke down its tests, all failed, so that no total shrinks by a crash."""
    if outcome.scores:
        return outcome
    from kernelgen.evaluate import opinfo

    claimed = opinfo.dtype_names(outcome.name)
    counts: dict[str, int] = {}
    for dtype in options["dtypes"]:
        if dtype in claimed:
            with contextlib.suppress(Exception):  # what cannot even be made into samples has none
                counts[dtype] = sum(
                    1 for _ in itertools.islice(opinfo.samples(outcome.name, dtype), options["samples"])
                )
    return replace(outcome, scores={dtype: (count, 0) for dtype, count in counts.items() if count})


def _families(outcomes: Sequence[Any]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        empty = {"family": outcome.family, "names_total": 0, "names_passed": 0, "tests_total": 0, "tests_passed": 0}
        row = rows.setdefault(outcome.family, empty)
        total, passed = outcome.tests()
        row["names_total"] += 1
        row["names_passed"] += int(outcome.passed)
        row["tests_total"] += total
        row["tests_passed"] += passed
    return sorted(rows.values(), key=lambda row: str(row["family"]))


def junit_xml(report: Mapping[str, Any]) -> str:
    """Return the report as JUnit XML: a suite for each family, a case for each operator."""
    root = xml.Element("testsuites", name="sysmith kernelgen", time=str(report["seconds"]))
    suites: dict[str, list[Mapping[str, Any]]] = {}
    for operator in report["operators"]:
        suites.setdefault(operator["family"], []).append(operator)
    for family, operators in sorted(suites.items()):
        failed = sum(not operator["passed"] for operator in operators)
        suite = xml.SubElement(
            root, "testsuite", name=family, tests=str(len(operators)), failures=str(failed), errors="0", skipped="0"
        )
        for operator in operators:
            case = xml.SubElement(
                suite, "testcase", classname=f"kernelgen.{family}", name=operator["name"], time=str(operator["seconds"])
            )
            if not operator["passed"]:
                reason = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", operator["reason"])
                short = f"{operator['tests_passed']} of {operator['tests_total']} tests passed"
                xml.SubElement(case, "failure", message=short, type=operator["catch"] or "mismatch").text = reason
    left = report["not_judged"]
    if left:
        count = str(len(left))
        suite = xml.SubElement(
            root, "testsuite", name="not judged", tests=count, failures="0", errors="0", skipped=count
        )
        for name in left:
            case = xml.SubElement(suite, "testcase", classname="kernelgen.not_judged", name=name)
            xml.SubElement(case, "skipped", message="the run ended before this operator was judged")
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def html_page(report: Mapping[str, Any]) -> str:
    """Return the report as one HTML page without outside assets; its table sorts and filters in the browser."""
    import jinja2

    from cli.kernelgen_table import failures, score_lines

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("kernelgen_report.html.j2")
    return template.render(report=report, scores=score_lines(report), failures=failures(report)) + "\n"
