"""Judges a candidate kernel file by its source alone; it never runs the file and never decides about values."""

from kernelgen.lint.engine import lint_source
from kernelgen.lint.packs import Packs, Rule, load_packs
from kernelgen.lint.report import Finding, LintReport, render

__all__ = ["Finding", "LintReport", "Packs", "Rule", "lint_source", "load_packs", "render"]
