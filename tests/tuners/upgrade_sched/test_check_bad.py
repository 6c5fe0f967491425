"""Every kind of bad history ends in an issue or a refusal that names file, line, field, value and mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from sysmith_errors import InputError
from tuners.upgrade_sched.check import check_history
from tuners.upgrade_sched.history.read import read_history

HEAD = "server,type,start,duration_s,censored,outcome,memory\n"
GOOD = "web1,bios,1700000000,600,0,completed,64\n"
SWF = " ".join(["1", "10", "5", "60", "4", "-1", "-1", "4", "100", "-1", "1", "3", "1", "-1", "1", "-1", "-1", "-1"])
SACCT = "JobID|User|Partition|Submit|Start|Elapsed|State\n"
APT = (
    "Start-Date: 2026-03-01  02:00:00\nCommandline: apt upgrade\n"
    "Upgrade: a:amd64 (1, 2)\nEnd-Date: 2026-03-01  02:05:00\n"
)
EVENT = (
    '{"involvedObject": {"kind": "Node", "name": "n1"}, "reason": "Cordon", "lastTimestamp": "2026-03-01T02:00:00Z"}'
)


def swf(place: int, value: str) -> str:
    cells = SWF.split()
    cells[place] = value
    return " ".join(cells) + "\n"


# name of the file, its text, the kind of the issue, the line, the field
ISSUES: list[tuple[str, str, str, int, str]] = [
    ("a.csv", HEAD + ",bios,1700000000,600,0,,64\n", "entity-missing", 2, "server"),
    ("a.csv", HEAD + "web1,bios,,600,0,,64\n", "time-missing", 2, "start"),
    ("a.csv", HEAD + "web1,bios,soon,600,0,,64\n", "time-unreadable", 2, "start"),
    ("a.csv", HEAD + "web1,bios,nan,600,0,,64\n", "time-unreadable", 2, "start"),
    ("a.csv", HEAD + "web1,bios,1700000000000,600,0,,64\n", "time-range", 2, "start"),
    ("a.csv", HEAD + "web1,bios,-5,600,0,,64\n", "time-range", 2, "start"),
    ("a.csv", HEAD + "web1,bios,2026-13-01,600,0,,64\n", "time-unreadable", 2, "start"),
    ("a.csv", HEAD + GOOD + "web1,bios,1700000000,,0,,64\n", "duration-missing", 3, "duration_s"),
    ("a.csv", HEAD + "web1,bios,1700000000,long,0,,64\n", "duration-unreadable", 2, "duration_s"),
    ("a.csv", HEAD + "web1,bios,1700000000,1:2:3:4,0,,64\n", "duration-unreadable", 2, "duration_s"),
    ("a.csv", HEAD + "web1,bios,1700000000,-1,0,,64\n", "duration-negative", 2, "duration_s"),
    ("a.csv", HEAD + "web1,bios,1700000000,inf,0,,64\n", "duration-infinite", 2, "duration_s"),
    ("a.csv", HEAD + "web1,bios,1700000000,99999999,0,,64\n", "duration-long", 2, "duration_s"),
    ("a.csv", HEAD + "web1,bios,1700000000,600,perhaps,,64\n", "truth-unreadable", 2, "censored"),
    ("a.csv", HEAD + "web1,bios,1700000000,600,0,exploded,64\n", "outcome-unknown", 2, "outcome"),
    ("a.csv", HEAD + GOOD + "web1,bios,1700000000,600,0,,much\n", "number-unreadable", 3, "memory"),
    ("a.csv", HEAD + GOOD + "web1,bios,1700000000,600,0,,inf\n", "number-infinite", 3, "memory"),
    ("a.csv", HEAD + "web1,bios\n" + GOOD, "columns", 2, ""),
    ("a.csv", HEAD + GOOD.strip() + ",extra\n", "columns", 2, ""),
    ("a.csv", HEAD + "web\xff1,bios,1700000000,600,0,,64\n", "encoding", 2, ""),
    ("b.csv", "host,start,end\nweb1,1700000000,1600000000\n", "end-before-start", 2, "end"),
    ("b.csv", "host,start,end,duration_s\nweb1,1700000000,1700000600,60\n", "end-disagrees", 2, "end"),
    ("b.csv", "host,start,duration,submit\nweb1,1700000000,60,1700000001\n", "submit-after-start", 2, "submit"),
    ("b.csv", "host,start,duration,submit\nweb1,1700000000,60,then\n", "time-unreadable", 2, "submit"),
    ("c.jsonl", '{"host": "a", "start": 1700000000, "duration": 5}\n{"host": \n', "json", 2, ""),
    ("c.jsonl", '{"host": "a", "start": 1700000000, "duration": 5}\n[1]\n', "json-object", 2, ""),
    ("c.jsonl", '{"host": "a", "start": true, "duration": {}}\n', "duration-unreadable", 1, "duration"),
    ("d.swf", SWF + "\n1 2 3\n", "columns", 2, ""),
    ("d.swf", swf(3, "x"), "number-unreadable", 1, "run"),
    ("d.swf", swf(3, "nan"), "number-infinite", 1, "run"),
    ("d.swf", swf(1, "-7"), "time-range", 1, "submit"),
    ("d.swf", swf(3, "99999999"), "duration-long", 1, "run"),
    ("d.swf", "; UnixStartTime: dawn\n" + SWF + "\n", "header", 1, "UnixStartTime"),
    ("e.sacct", SACCT + "1|ann|std|Unknown|2026-03-01T02:00:00|00:05:00|EXPLODED\n", "outcome-unknown", 2, "State"),
    ("e.sacct", SACCT + "1|ann|std|Unknown|2026-03-01T02:00:00|00:05:00\n", "columns", 2, ""),
    ("e.sacct", SACCT + "1|ann|std|Unknown|then|00:05:00|COMPLETED\n", "time-unreadable", 2, "Start"),
    ("e.sacct", SACCT + "1|ann|std|Unknown|2026-03-01T02:00:00|long|COMPLETED\n", "duration-unreadable", 2, "Elapsed"),
    ("e.sacct", SACCT + "1||std|Unknown|2026-03-01T02:00:00|00:05:00|COMPLETED\n", "entity-missing", 2, "User"),
    ("web1.history.log", "Hello: there\n" + APT, "field-unknown", 1, "Hello"),
    ("web1.history.log", "Commandline: apt upgrade\n", "time-missing", 1, "Start-Date"),
    ("web1.history.log", "Start-Date: x\nStart-Date: y\n", "field-twice", 2, "Start-Date"),
    ("web1.history.log", "Start-Date: yesterday\n", "time-unreadable", 1, "Start-Date"),
    ("web1.history.log", APT.replace("02:05", "01:05"), "end-before-start", 1, "End-Date"),
    ("f.json", EVENT.replace("2026-03-01T02:00:00Z", "later"), "time-unreadable", 1, "lastTimestamp"),
    ("f.json", EVENT.replace('"name": "n1"', '"name": 5'), "entity-missing", 1, "involvedObject.name"),
    ("f.json", '{"items": [7]}', "json-object", 1, ""),
    ("f.json", EVENT + "\n{nonsense}\n", "json", 2, ""),
]


@pytest.mark.parametrize(("name", "text", "kind", "line", "field"), ISSUES, ids=lambda value: str(value)[:20])
def test_each_problem_is_named(tmp_path: Path, name: str, text: str, kind: str, line: int, field: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    report = check_history(path)
    first = report.found.issues.found[0]
    assert (first.kind, first.line, first.field) == (kind, line, field)
    assert first.file == str(path)
    assert first.mend.endswith(".")
    with pytest.raises(InputError, match="line"):
        read_history(path)


MAPPED = "box,begin,took\nweb1,1700000000,5\n"
BASE = 'entity = "box"\nstart = "begin"\nduration = {column = "took", unit = "minutes"}\n'
# text of the mapping, what the message names
MAPPINGS: list[tuple[str, str]] = [
    ("entity = ", "not TOML"),
    ('start = "begin"\nduration = "took"\n', "key entity"),
    ('entity = "box"\nduration = "took"\n', "key start"),
    ('entity = "box"\nstart = "begin"\n', "key duration"),
    (BASE + 'colour = "red"\n', "key colour"),
    (BASE.replace("minutes", "fortnights"), "fortnights"),
    (BASE.replace("took", "gone"), "column 'gone'"),
    (BASE + 'delimiter = "ab"\n', "key delimiter"),
    (BASE + 'format = "xls"\n', "key format"),
    (BASE + 'timezone = "Mars/Olympus"\n', "key timezone"),
    (BASE + 'numbers = "memory"\n', "key numbers"),
    (BASE + 'end = {format = "%Y"}\n', "key end"),
    (BASE + 'censored = {values = ["1"]}\n', "key censored"),
    (BASE + 'censored = {column = "took", vals = ["1"]}\n', "censored.vals"),
    (BASE + 'outcome = {column = "took", fine = ["1"]}\n', "outcome.fine"),
    (BASE + "type = {first = []}\n", "type.first"),
    (BASE + "submit = 7\n", "key submit"),
]


@pytest.mark.parametrize(("text", "named"), MAPPINGS)
def test_each_fault_of_a_mapping_is_named(tmp_path: Path, text: str, named: str) -> None:
    table, mapping = tmp_path / "h.csv", tmp_path / "m.toml"
    table.write_text(MAPPED)
    mapping.write_text(text)
    with pytest.raises(InputError, match=named) as refused:
        read_history(table, mapping)
    assert refused.value.mend


# name of the file, its bytes, what the message names
REFUSED: list[tuple[str, bytes, str]] = [
    ("a.csv", b"", "no record"),
    ("a.csv", b"server,start,duration\n", "no record"),
    ("a.csv", b"server,server,start\n1,2,3\n", "two columns"),
    ("a.csv", b"when,what\n1,2\n", "called entity"),
    ("a.csv", b"server,when\n1,2\n", "called start"),
    ("a.csv", b"server,start\n1,2\n", "duration_s or end"),
    ("a.parquet", b"PAR1 and nothing more", "Parquet"),
    ("a.csv.gz", b"this is no gzip", "unpacked"),
    ("a.csv.xz", b"this is no xz either", "unpacked"),
    ("a.xyz", b"whatever", "format"),
    ("a.swf", b"; nothing\n", "no record"),
    ("a.sacct", b"", "empty"),
    ("a.sacct", b"JobID|State\n1|COMPLETED\n", "User"),
    ("dnf.log", b"hello\n", "dnf log"),
    ("dnf-history.txt", b"ID | Command line | Date\n", "how long they took"),
    ("a.json", b'{"items": []}', "no event"),
]


@pytest.mark.parametrize(("name", "content", "named"), REFUSED)
def test_what_leaves_nothing_to_read_is_refused(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=named) as refused:
        read_history(path)
    assert refused.value.mend
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_history(tmp_path / "gone.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read_history(tmp_path / "folder.csv")
    with pytest.raises(InputError, match="is no format"):
        read_history(tmp_path / "gone.csv", form="xls")


def test_bad_records_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + GOOD + "web2,bios,never,600,0,,64\n" + GOOD.replace("web1", "web3"))
    with pytest.raises(InputError, match="--skip-bad"):
        read_history(path)
    assert read_history(path, skip_bad=True).entity.tolist() == ["web1", "web3"]


def test_a_flood_of_problems_is_counted_and_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "web2,bios,never,600,0,,64\n" * 500)
    report = check_history(path)
    assert report.problems == 500
    assert len(report.found.issues.found) == 200
