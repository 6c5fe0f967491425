"""Input files: what they mean, and that each way of being wrong is named with file, line and field."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sysmith_errors import InputError
from tuners.upgrade_sched.plan.load import Sources, load, validate
from tuners.upgrade_sched.plan.model import NEVER
from tuners.upgrade_sched.plan.risk import Risk

from .bad_input import BAD
from .files import FLEET, RULES, UPGRADES, WINDOWS, write


def test_good_files_are_read(tmp_path: Path) -> None:
    problem = load(write(tmp_path), Risk())
    upgrades = problem.upgrades
    assert problem.fleet.names == ("a1", "a2", "a3", "b1", "b2", "b3")
    assert set(problem.fleet.domains) == {"rack", "zone", "service"}
    assert problem.fleet.down.tolist() == [False] * 5 + [True]
    assert upgrades.ids == ("a1", "a2", "a3", "b1", "b2")
    assert upgrades.mean_s.tolist() == [1800, 1800, 2400, 1200, 1200]
    assert upgrades.after == {2: (0,)}
    assert upgrades.wave.tolist() == [0, -1, -1, -1, -1]
    assert upgrades.deadline.tolist() == [NEVER, NEVER, NEVER, 1772496000, NEVER]
    assert upgrades.not_before.tolist() == [0, 0, 0, 0, 1772404200]
    assert [window.where for window in problem.windows] == [{}, {"zone": ("x", "y")}]
    assert problem.constraints.waves[0].soak_s == 3600
    assert validate(write(tmp_path)) == []


@pytest.mark.parametrize(("kind", "file", "line", "field", "said", "changed"), BAD)
def test_bad_input_is_named(
    tmp_path: Path, kind: str, file: str, line: int, field: str, said: str, changed: dict[str, str]
) -> None:
    sources = write(tmp_path, **changed)
    issues = validate(sources)
    found = [one for one in issues if one.kind == kind and one.file.endswith(file) and field in one.field]
    assert found, [str(one) for one in issues]
    first = found[0]
    assert (first.line, said in first.message) == (line, True), str(first)
    assert first.mend[0].isupper()
    assert first.mend.endswith(".")
    assert "\x1b" not in str(first)
    with pytest.raises(InputError) as refused:
        load(sources, Risk())
    sentence = str(refused.value)
    assert str(tmp_path) in sentence
    assert "\n" not in sentence


def test_there_are_forty_kinds_of_bad_input() -> None:
    kinds = {row[0] for row in BAD}
    assert len(kinds) >= 40, sorted(kinds)
    assert {row[1] for row in BAD} == {"fleet.csv", "upgrades.csv", "windows.csv", "rules.toml", "types.csv"}
    without_a_line = {row[0] for row in BAD if not row[2]}
    assert without_a_line == {"empty"}


def test_every_problem_is_counted_not_only_the_first(tmp_path: Path) -> None:
    sources = write(tmp_path, fleet=FLEET.replace("true", "maybe"), windows=WINDOWS.replace(",2,", ",0,"))
    with pytest.raises(InputError, match="2 more"):
        load(sources, Risk())


def test_json_lines_json_and_toml_say_the_same_as_csv(tmp_path: Path) -> None:
    sources = write(tmp_path)
    expected = load(sources, Risk())
    rows = [
        dict(zip(FLEET.splitlines()[0].split(","), line.split(","), strict=True)) for line in FLEET.splitlines()[1:]
    ]
    (tmp_path / "fleet.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "fleet.json").write_text(json.dumps({"servers": rows}))
    toml = "".join("[[server]]\n" + "".join(f'{k} = "{v}"\n' for k, v in row.items() if v) for row in rows)
    (tmp_path / "fleet.toml").write_text(toml)
    for name in ("fleet.jsonl", "fleet.json", "fleet.toml"):
        problem = load(dataclasses.replace(sources, fleet=tmp_path / name), Risk())
        assert problem.fleet.names == expected.fleet.names
        assert problem.fleet.down.tolist() == expected.fleet.down.tolist()
        for domain, labels in expected.fleet.domains.items():
            assert problem.fleet.domains[domain].values == labels.values


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("fleet.jsonl", '{"server": "a"}\n{"server": \n', "json"),
        ("fleet.jsonl", '"a"\n', "object"),
        ("fleet.json", "[1, 2", "json"),
        ("fleet.json", '{"hosts": []}', "rows"),
        ("fleet.toml", 'title = "x"', "rows"),
        ("fleet.xlsx", "x", "format"),
        ("fleet.jsonl", '{"server": ["a"]}\n', "text"),
    ],
)
def test_other_formats_have_their_faults_named(tmp_path: Path, name: str, text: str, kind: str) -> None:
    sources = write(tmp_path)
    (tmp_path / name).write_text(text)
    assert kind in {one.kind for one in validate(dataclasses.replace(sources, fleet=tmp_path / name))}


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    sources = write(tmp_path)
    assert [one.kind for one in validate(dataclasses.replace(sources, fleet=tmp_path / "no.csv"))] == ["unreadable"]
    (tmp_path / "fleet.csv").write_bytes(FLEET.encode() + "café\n".encode("latin-1"))
    (issue,) = validate(sources)
    assert (issue.kind, issue.line) == ("encoding", 8)


def test_half_a_file_keeps_the_whole_lines(tmp_path: Path) -> None:
    sources = write(tmp_path, fleet=FLEET[: FLEET.index("b2,r3") + 4])
    issues = validate(sources)
    assert [(one.kind, one.line) for one in issues if one.file.endswith("fleet.csv")] == [("columns", 6)]


def test_without_upgrades_each_server_that_is_up_has_one(tmp_path: Path) -> None:
    fleet = "server,mean_min,spread_min,rack,down\na,10,1,r,\nb,20,2,r,true\nc,30,3,r,\n"
    sources = write(tmp_path, fleet=fleet, windows=WINDOWS.replace(",zone", ",rack").replace("x;y", "r"))
    problem = load(Sources(sources.fleet, sources.windows), Risk())
    assert problem.upgrades.ids == ("a", "c")
    assert problem.upgrades.server.tolist() == [0, 2]
    assert problem.upgrades.mean_s.tolist() == [600, 1800]


def test_durations_come_from_the_row_then_the_type_then_the_model(tmp_path: Path) -> None:
    upgrades = "server,type,mean_min\na1,os,10\na2,os,\nb1,bios,\nb2,fw,\n"
    sources = write(tmp_path, upgrades=upgrades, rules="")
    (tmp_path / "types.csv").write_text("type,mean_min,spread_min\nos,50,5\n")
    sources = dataclasses.replace(sources, durations=tmp_path / "types.csv")
    problem = load(sources, Risk(), lambda rows: ([7.2] * len(rows), [0.5] * len(rows)))
    assert problem.upgrades.mean_s.tolist() == [600, 3000, 8, 8]
    assert problem.upgrades.spread_s.tolist() == [0, 300, 1, 1]


def test_a_repeated_window_keeps_its_time_on_the_wall(tmp_path: Path) -> None:
    windows = "start,length_hours,slots,repeat,every_days\n2026-03-28T22:00:00,2,1,3,1\n"
    sources = dataclasses.replace(write(tmp_path, windows=windows), timezone="Europe/Berlin")
    starts = [window.start for window in load(sources, Risk()).windows]
    assert np.diff(starts).tolist() == [23 * 3600, 24 * 3600]  # the clocks change in the night to 29 March


def test_scopes_set_deadlines_and_priorities(tmp_path: Path) -> None:
    rules = """
[[priority]]
weight = 9
types = ["bios"]
[[deadline]]
by = 2026-03-02T12:00:00Z
where = { zone = "y" }
[[dependency]]
upgrade = "b2"
after = ["b1"]
"""
    problem = load(write(tmp_path, rules=rules), Risk())
    assert problem.upgrades.weight.tolist() == [2, 2, 1, 9, 9]
    assert problem.upgrades.deadline.tolist()[3:] == [1772452800, 1772452800]
    assert problem.upgrades.after[4] == (3,)


def test_a_dependency_between_types_holds_on_each_server(tmp_path: Path) -> None:
    upgrades = "server,type,mean_min\na1,fw,10\na1,os,10\na2,fw,10\na2,os,10\nb1,os,10\n"
    rules = '[[dependency]]\ntype = "os"\nafter_type = "fw"\n'
    problem = load(write(tmp_path, upgrades=upgrades, rules=rules), Risk())
    assert problem.upgrades.ids == ("a1:fw", "a1:os", "a2:fw", "a2:os", "b1")
    assert problem.upgrades.after == {1: (0,), 3: (2,)}


@given(st.binary(max_size=300), st.sampled_from(["fleet", "upgrades", "windows", "rules"]))
@settings(max_examples=80, deadline=None)
def test_no_bytes_whatever_end_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, which: str
) -> None:
    folder = tmp_path_factory.mktemp("noise")
    sources = write(folder)
    path = folder / {"rules": "rules.toml"}.get(which, f"{which}.csv")
    path.write_bytes(noise)
    validate(sources)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_a_damaged_file_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    texts = {"fleet": FLEET, "upgrades": UPGRADES, "windows": WINDOWS, "rules": RULES}
    which = data.draw(st.sampled_from(sorted(texts)))
    text = texts[which]
    place = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 10))
    changed = text[:place] + data.draw(st.text(max_size=6).filter(lambda t: t.isascii())) + text[place + length :]
    sources = write(tmp_path_factory.mktemp("damaged"), **{which: changed})
    with contextlib.suppress(InputError):
        load(sources, Risk())
