"""The shipped mappings and importers read the public records whole; skipped where those are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuners.upgrade_sched.history.read import read_with_issues

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data" / "upgrades"
MAPPINGS = ROOT / "examples" / "upgrades" / "mappings"
FILES = [
    ("lanl_downtime.csv.xz", "lanl_downtime.toml", 16_458, 0),
    ("gentoo_merges.csv", "gentoo_merges.toml", 1_727, 246),
    ("KTH-SP2-1996-2.1-cln.swf.gz", None, 27_992, 0),
    ("LLNL-Thunder-2007-1.1-cln.swf.gz", None, 118_710, 7_849),
]


@pytest.mark.parametrize(("name", "mapping", "records", "censored"), FILES)
def test_public_records_are_read_whole(name: str, mapping: str | None, records: int, censored: int) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not at hand")
    history, found = read_with_issues(DATA / name, MAPPINGS / mapping if mapping else None)
    assert found.issues.count == 0
    assert (len(history), int(history.censored.sum())) == (records, censored)
