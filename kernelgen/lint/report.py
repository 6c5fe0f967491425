"""What the linter found, as plain frozen data and as text; it knows no rules."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule is broken: ``line`` counts from 1 and ``column`` from 0, as in Python's ``ast``."""

    rule: str
    line: int
    column: int
    message: str
    why: str
    mend: str
    severity: str
    snippet: str


@dataclass(frozen=True, slots=True)
class LintReport:
    """All findings of one file, in the order of the file."""

    filename: str
    targets: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True when no finding is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that reject the file."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data."""
        return {
            "filename": self.filename,
            "targets": list(self.targets),
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings],
        }


def render(report: LintReport) -> str:
    """The report as plain text: errors first, each with its line, its reason and its mend."""
    lines = []
    for finding in sorted(report.findings, key=lambda f: (_ORDER[f.severity], f.line, f.column)):
        place = f"{report.filename}:{finding.line}:{finding.column + 1}"
        lines.append(f"{place}: {finding.severity} [{finding.rule}] {finding.message}")
        if finding.snippet:
            lines.append(f"    {finding.snippet}")
        lines.append(f"    why:  {finding.why}")
        lines.append(f"    mend: {finding.mend}")
    counts = [f"{sum(f.severity == name for f in report.findings)} {name}" for name in _ORDER]
    lines.append(f"{report.filename}: {'ok' if report.ok else 'rejected'} ({', '.join(counts)})")
    return "\n".join(lines)
