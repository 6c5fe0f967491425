"""Each importer reads what its program writes; cut-off files keep what is whole."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmith_errors import InputError
from tuners.upgrade_sched.history.build import from_records
from tuners.upgrade_sched.history.lines import Found, read_lines
from tuners.upgrade_sched.history.mapping import load_mapping
from tuners.upgrade_sched.history.read import read_history, read_with_issues
from tuners.upgrade_sched.types import History, HistoryRecord

ROWS = "server,type,start,duration_s,censored,memory,model\n" + "".join(
    f"web{n},bios,{1700000000 + 100 * n},{60 * n},{'yes' if n == 3 else 'no'},{n},m{n % 2}\n" for n in range(1, 9)
)


def test_csv_without_a_mapping_takes_other_columns_as_features(tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    path.write_text(ROWS)
    history = read_history(path)
    assert len(history) == 8
    assert history.entity.tolist()[:2] == ["web1", "web2"]
    assert history.duration_s.tolist()[:2] == [60.0, 120.0]
    assert history.censored.tolist() == [False, False, True, *[False] * 5]
    assert history.numbers["memory"].tolist()[:2] == [1.0, 2.0]
    assert history.texts["model"].tolist()[:2] == ["m1", "m0"]


def test_the_same_records_in_every_format_of_table(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    plain = tmp_path / "h.csv"
    plain.write_text(ROWS)
    (tmp_path / "h.tsv").write_text(ROWS.replace(",", "\t"))
    (tmp_path / "h.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    (tmp_path / "h.csv.xz").write_bytes(lzma.compress(ROWS.encode()))
    (tmp_path / "h.csv.bz2").write_bytes(bz2.compress(ROWS.encode()))
    head, *rows = [line.split(",") for line in ROWS.splitlines()]
    (tmp_path / "h.jsonl").write_text("".join(json.dumps(dict(zip(head, row, strict=True))) + "\n" for row in rows))
    table = pyarrow.table({name: [row[i] for row in rows] for i, name in enumerate(head)})
    pyarrow.parquet.write_table(table, tmp_path / "h.parquet")
    expected = read_history(plain)
    for name in ("h.tsv", "h.csv.gz", "h.csv.xz", "h.csv.bz2", "h.jsonl", "h.parquet"):
        same(read_history(tmp_path / name), expected)


def same(a: History, b: History) -> None:
    for name in ("entity", "type", "start", "duration_s", "censored", "outcome", "submit"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
    assert {k: v.tolist() for k, v in a.numbers.items()} == {k: v.tolist() for k, v in b.numbers.items()}
    assert {k: v.tolist() for k, v in a.texts.items()} == {k: v.tolist() for k, v in b.texts.items()}


def test_a_mapping_joins_columns_units_formats_and_words(tmp_path: Path) -> None:
    table, mapping = tmp_path / "h.csv", tmp_path / "m.toml"
    table.write_text(
        "rack;host;os;bios;begin;took;state\nr1;a;;2.1;01.03.2026 03:00;5;OK\nr1;b;12;;01.07.2026 03:00;;KILLED\n"
    )
    mapping.write_text(
        'entity = ["rack", "host"]\ntype = {first_of = ["os", "bios"]}\ntimezone = "Europe/Berlin"\ndelimiter = ";"\n'
        'start = {column = "begin", format = "%d.%m.%Y %H:%M"}\nduration = {column = "took", unit = "minutes"}\n'
        'censored = {column = "state", values = ["KILLED"]}\n'
        'outcome = {column = "state", completed = ["OK"], cancelled = ["KILLED"]}\n'
    )
    history = read_history(table, mapping)
    assert history.entity.tolist() == ["r1/a", "r1/b"]
    assert history.type.tolist() == ["2.1", "12"]
    assert history.start.tolist() == [1772330400.0, 1782867600.0]  # 02:00 and, in summer, 01:00 UTC
    assert history.duration_s.tolist() == [300.0, 0.0]
    assert history.outcome.tolist() == ["completed", "cancelled"]


@pytest.mark.parametrize("name", ["lanl_downtime", "gentoo_merges"])
def test_the_shipped_mappings_are_in_order(name: str) -> None:
    root = Path(__file__).resolve().parents[3]
    assert load_mapping(root / "examples" / "upgrades" / "mappings" / f"{name}.toml").columns()


def test_a_workload_log(tmp_path: Path) -> None:
    def job(number: int, submit: int, wait: int, run: int, status: int) -> str:
        return f"{number} {submit} {wait} {run} 4 -1 -1 8 100 -1 {status} 3 1 -1 2 -1 -1 -1\n"

    path = tmp_path / "log.swf"
    path.write_text(
        "; UnixStartTime: 1000000000\n"
        + job(1, 50, 5, 60, 1)
        + job(2, 20, -1, 30, 0)
        + job(3, 60, 0, 0, 5)
        + job(4, 70, 0, 10, 5)
        + job(5, 80, 0, 10, 2)
        + job(6, -1, 0, 10, 1)
    )
    history, found = read_with_issues(path)
    assert history.submit.tolist() == [1000000020.0, 1000000050.0, 1000000070.0]
    assert history.start.tolist() == [1000000020.0, 1000000055.0, 1000000070.0]
    assert history.outcome.tolist() == ["failed", "completed", "cancelled"]
    assert history.censored.tolist() == [False, False, True]
    assert (history.entity[0], history.type[0]) == ("3", "2")
    assert np.isnan(history.numbers["requested_memory"]).all()
    assert len(found.notes) == 2
    assert not found.issues.found


def test_slurm_accounting(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sacct"
    path.write_text(
        "JobID|User|Partition|Submit|Start|Elapsed|State|Timelimit|NNodes\n"
        "1|ann|std|2026-03-01T01:00:00|2026-03-01T02:00:00|1-00:05:00|COMPLETED|2-00:00:00|4\n"
        "1.batch||std||2026-03-01T02:00:00|00:05:00|COMPLETED||4\n"
        "2|bob|std|2026-03-01T01:00:00|2026-03-01T03:00:00|00:10:00|TIMEOUT|00:10:00|1\n"
        "3|bob|std|2026-03-01T01:00:00|2026-03-01T03:00:00|00:02:00|CANCELLED by 7|UNLIMITED|1\n"
        "4|bob|std|2026-03-01T01:00:00|Unknown|00:00:00|PENDING|UNLIMITED|1\n"
    )
    history = read_history(path)
    assert history.entity.tolist() == ["ann", "bob", "bob"]
    assert history.duration_s.tolist() == [86700.0, 600.0, 120.0]
    assert history.censored.tolist() == [False, True, True]
    assert history.numbers["Timelimit"].tolist()[:2] == [172800.0, 600.0]


def test_an_apt_log(tmp_path: Path) -> None:
    path = tmp_path / "web1.history.log.1.gz"
    text = (
        "\nStart-Date: 2026-03-01  02:00:00\nCommandline: /usr/bin/apt-get -y upgrade\n"
        "Upgrade: a:amd64 (1, 2), b:amd64 (1, 2)\nInstall: c:amd64 (1, automatic)\nEnd-Date: 2026-03-01  02:05:00\n"
        "\nStart-Date: 2026-03-02  02:00:00\nCommandline: apt install d\nInstall: d:amd64 (1)\n"
    )
    path.write_bytes(gzip.compress(text.encode()))
    history = read_history(path)
    assert history.entity.tolist() == ["web1", "web1"]
    assert history.type.tolist() == ["Upgrade", "Install"]
    assert history.duration_s.tolist() == [300.0, 0.0]
    assert history.censored.tolist() == [False, True]
    assert history.numbers["packages"].tolist() == [3.0, 1.0]
    assert history.texts["command"].tolist() == ["apt-get upgrade", "apt install"]


def test_a_dnf_log(tmp_path: Path) -> None:
    path = tmp_path / "db1.dnf.log"
    path.write_text(
        "2026-03-01T02:00:00+0000 INFO --- logging initialized ---\n"
        "2026-03-01T02:00:00+0000 DDEBUG Command: dnf -y upgrade\n"
        "2026-03-01T02:00:05+0000 INFO Upgrade  12 Packages\n"
        "2026-03-01T02:07:00+0000 INFO Complete!\n"
        "2026-03-01T03:00:00+0000 DDEBUG Command: dnf list\n"
        "2026-03-01T04:00:00+0000 DDEBUG Command: dnf install vim\n"
        "2026-03-01T04:00:02+0000 INFO Install  1 Package\n"
        "2026-03-01T04:00:09+0000 ERROR Error: Transaction test error\n"
        "2026-03-02T04:00:00+0000 DDEBUG Command: dnf upgrade\n"
        "2026-03-02T04:00:09+0000 INFO Upgrade  3 Packages\n"
    )
    history = read_history(path)
    assert history.entity.tolist() == ["db1"] * 3
    assert history.type.tolist() == ["upgrade", "install", "upgrade"]
    assert history.duration_s.tolist() == [420.0, 9.0, 9.0]
    assert history.outcome.tolist() == ["completed", "failed", "cancelled"]
    assert history.censored.tolist() == [False, False, True]


def events() -> list[dict[str, object]]:
    def event(node: str, reason: str, clock: str) -> dict[str, object]:
        about = {"kind": "Node", "name": node}
        return {"involvedObject": about, "reason": reason, "lastTimestamp": f"2026-03-01T{clock}Z"}

    return [
        event("n1", "Cordon", "02:00:00"),
        event("n2", "NodeNotSchedulable", "02:10:00"),
        event("n1", "Drain", "02:01:00"),
        {"involvedObject": {"kind": "Pod", "name": "p"}, "reason": "Killing"},
        event("n1", "Uncordon", "02:30:00"),
        event("n3", "Upgrading", "02:31:00"),
        event("n2", "UpgradeFailed", "02:40:00"),
    ]


def test_kubernetes_events_as_a_list_and_as_lines(tmp_path: Path) -> None:
    whole, lines, half = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"
    whole.write_text(json.dumps({"kind": "List", "items": events()}, indent=1))
    lines.write_text("".join(json.dumps(event) + "\n" for event in events()))
    history = read_history(whole)
    assert history.entity.tolist() == ["n1", "n2", "n3"]
    assert history.duration_s.tolist() == [1800.0, 1800.0, 540.0]
    assert history.outcome.tolist() == ["completed", "failed", "cancelled"]
    same(read_history(lines), history)
    text = whole.read_text()
    half.write_text(text[: text.rindex('"UpgradeFailed"')])
    cut, found = read_with_issues(half)
    assert cut.duration_s.tolist() == [1800.0, 1260.0, 0.0]
    assert "cut off" in found.notes[0]


@pytest.mark.parametrize("form", ["csv", "jsonl", "swf", "sacct"])
def test_a_last_line_cut_off_anywhere_costs_that_line_alone(tmp_path: Path, form: str) -> None:
    job = "{n} {n}0 0 60 4 -1 -1 8 100 -1 1 3 1 -1 2 -1 -1 12345\n"
    slurm = "{n}|ann|std|2026-03-01T02:00:00|00:05:00|COMPLETED\n"
    texts = {
        "csv": ROWS,
        "jsonl": "".join(f'{{"host": "a", "start": {1700000000 + n}, "duration": 5}}\n' for n in range(8)),
        "swf": "".join(job.format(n=n) for n in range(1, 9)),
        "sacct": "JobID|User|Partition|Start|Elapsed|State\n" + "".join(slurm.format(n=n) for n in range(8)),
    }
    path = tmp_path / f"h.{form}"
    text = texts[form]
    last = text.rindex("\n", 0, len(text) - 1) + 1
    for stop in range(last + 1, len(text) - 8, 3):
        path.write_text(text[:stop])
        history, found = read_with_issues(path)
        assert len(history) >= 7
        assert not found.issues.found, stop


@pytest.mark.parametrize("suffix", ["gz", "xz", "bz2"])
def test_a_packed_file_cut_off_keeps_the_lines_before(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    text = "".join(f"{n} {rng.integers(1 << 60)}\n" for n in range(40_000))
    plain = text.encode()
    packed = {"gz": gzip.compress(plain), "xz": lzma.compress(plain), "bz2": bz2.compress(plain, 1)}[suffix]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(packed[: len(packed) * 3 // 4])
    found = Found()
    lines = [line for _, line, whole in read_lines(path, found) if whole]
    assert len(lines) > 1000
    assert text.startswith("\n".join(lines))
    assert "ends too early" in found.notes[0]


def test_gzip_files_joined_together_are_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert [line for _, line, _ in read_lines(path, Found())] == ["one", "two"]


@given(st.binary(max_size=400))
def test_no_bytes_end_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name in ("x.csv", "x.jsonl", "x.swf", "x.sacct", "x.history.log", "x.dnf.log", "x.json", "x.csv.gz"):
        path = folder / name
        path.write_bytes(content)
        with contextlib.suppress(InputError):
            read_with_issues(path)


@given(
    st.lists(
        st.builds(
            HistoryRecord,
            entity=st.text(min_size=1, max_size=5).filter(lambda text: "\0" not in text),
            type=st.sampled_from(["a", "b"]),
            start=st.floats(0, 4e9),
            duration_s=st.floats(0, 1e6),
            censored=st.booleans(),
            features=st.dictionaries(st.sampled_from(["x", "y"]), st.floats(0, 9) | st.sampled_from(["u", "v"])),
        ),
        max_size=20,
    )
)
def test_records_made_in_a_program_come_back_in_order_of_due_time(records: list[HistoryRecord]) -> None:
    history = from_records(records)
    assert len(history) == len(records)
    assert np.all(np.diff(history.submit) >= 0)
    assert sorted(history.duration_s.tolist()) == sorted(record.duration_s for record in records)
    for column in (*history.numbers.values(), *history.texts.values()):
        assert len(column) == len(history)
