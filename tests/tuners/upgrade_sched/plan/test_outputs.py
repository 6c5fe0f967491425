"""What is written of a plan: documents that come back whole, calendars, pages, other tools' files."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sysmith_errors import InputError
from tuners.upgrade_sched.plan import document as doc
from tuners.upgrade_sched.plan import tasks
from tuners.upgrade_sched.plan.adapters import ansible, batches, kubernetes, slurm
from tuners.upgrade_sched.plan.bound import upper_bound
from tuners.upgrade_sched.plan.explain import explain, find
from tuners.upgrade_sched.plan.groups import compile_problem
from tuners.upgrade_sched.plan.heuristic import build
from tuners.upgrade_sched.plan.ical import calendar, escape, fold
from tuners.upgrade_sched.plan.load import load
from tuners.upgrade_sched.plan.model import FleetProblem
from tuners.upgrade_sched.plan.outputs import csv_text
from tuners.upgrade_sched.plan.page import accuracy, page
from tuners.upgrade_sched.plan.risk import Risk
from tuners.upgrade_sched.plan.verify import violations

from .files import UPGRADES, write
from .problems import problems


@pytest.fixture
def plan(tmp_path: Path) -> doc.Plan:
    """A plan written and read back; server b2's upgrade takes longer than any window."""
    sources = write(
        tmp_path, upgrades=UPGRADES.replace("b2,bios,1,,2026-03-01T22:30:00Z,,,20,2", "b2,bios,1,,,,,200,9")
    )
    problem = load(sources, Risk())
    c = compile_problem(problem)
    schedule = build(c)
    doc.write(tmp_path / "plan.json", doc.document(c, schedule, upper_bound(c), sources, {"tries": 1}))
    return doc.read(tmp_path / "plan.json")


def test_a_plan_comes_back_as_it_was(plan: doc.Plan) -> None:
    c = compile_problem(plan.problem)
    again = build(c)
    assert plan.schedule.window.tolist() == again.window.tolist()
    assert plan.schedule.start.tolist() == again.start.tolist()
    assert violations(plan.problem, plan.schedule) == []
    s = plan.document["summary"]
    assert (s["scheduled"], s["impossible"], s["not_scheduled"]) == (4, 1, 0)
    (left,) = plan.document["not_scheduled"]
    assert (left["upgrade"], left["kind"]) == ("b2", "impossible")
    assert left["reason"].startswith("longer than any window")


def test_the_rows_of_a_plan_keep_the_rules_by_themselves(plan: doc.Plan) -> None:
    lanes: Counter[tuple[str, int]] = Counter()
    for row in plan.document["schedule"]:
        lanes[row["window"], row["lane"]] += row["mean_s"]
        assert row["start"] < row["end"] <= row["reserved_until"]
    for window in plan.document["windows"]:
        assert window["work_s"] == sum(n for (name, _), n in lanes.items() if name == window["window"])
        total = window["work_s"] + window["buffer_s"] + window["waiting_s"] + window["slack_s"]
        assert total == pytest.approx(window["slots"] * 7200, abs=2)


@pytest.mark.parametrize("cut", [0.0, 0.1, 0.5, 0.95])
def test_half_a_plan_is_refused_in_words(plan: doc.Plan, cut: float) -> None:
    text = plan.path.read_text()
    plan.path.write_text(text[: int(len(text) * cut)])
    with pytest.raises(InputError, match="plan --out"):
        doc.read(plan.path)


@pytest.mark.parametrize("field", ["inputs", "risk", "schedule", "timezone", "kind", "schema_version"])
def test_a_plan_without_a_field_is_refused(plan: doc.Plan, field: str) -> None:
    value = json.loads(plan.path.read_text())
    del value[field]
    plan.path.write_text(json.dumps(value))
    with pytest.raises(InputError):
        doc.read(plan.path)


def test_changed_or_lost_inputs_are_noticed(plan: doc.Plan) -> None:
    fleet = plan.path.parent / "fleet.csv"
    fleet.write_text(fleet.read_text() + "c1,r9,x,web,\n")
    with pytest.raises(InputError, match=r"fleet.csv \(fleet\) has changed"):
        doc.read(plan.path)
    fleet.unlink()
    with pytest.raises(InputError, match="is gone"):
        doc.read(plan.path)


def test_a_plan_meets_new_inputs_in_replan(plan: doc.Plan) -> None:
    folder = plan.path.parent
    (folder / "fleet2.csv").write_text((folder / "fleet.csv").read_text() + "c1,r9,x,web,\n")
    (folder / "upgrades2.csv").write_text((folder / "upgrades.csv").read_text() + "c1,os,5,,,,,25,3\n")
    changed = {
        "fleet": folder / "fleet2.csv",
        "upgrades": folder / "upgrades2.csv",
        "windows": None,
        "constraints": None,
    }
    old, sources = tasks.read_for_change(plan.path, changed)
    answer, c, schedule = tasks.again(old, sources, None, now=0, attempts=2)
    assert [row["upgrade"] for row in answer["changes"]["added"]] == ["c1"]
    assert len(answer["changes"]["kept"]) == 4
    assert violations(c.problem, schedule) == []


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_folding_is_undone_by_unfolding(text: str) -> None:
    line = "DESCRIPTION:" + escape(text)
    folded = fold(line)
    assert folded.replace("\r\n ", "") == line
    assert all(len(part.encode("utf-8", "surrogatepass")) <= 75 for part in folded.split("\r\n"))
    assert not re.search(r"[\r\n]", escape(text))


@pytest.mark.parametrize("each", ["window", "upgrade"])
def test_a_calendar_keeps_to_rfc_5545(plan: doc.Plan, each: str) -> None:
    text = calendar(plan.document, stamp=1_772_000_000, each=each)
    assert text.endswith("END:VCALENDAR\r\n")
    assert "\n" not in text.replace("\r\n", "")
    lines = text.replace("\r\n ", "").split("\r\n")[:-1]
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    names = Counter(re.split("[:;]", line, maxsplit=1)[0] for line in lines)
    events = lines.count("BEGIN:VEVENT")
    assert events == lines.count("END:VEVENT") == (2 if each == "window" else 4)
    assert all(names[name] == events for name in ("UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY"))
    assert len({line for line in lines if line.startswith("UID:")}) == events
    assert all(re.fullmatch(r"DT(STAMP|START|END):\d{8}T\d{6}Z", line) for line in lines if line.startswith("DT"))
    again = calendar(plan.document, stamp=1_772_111_111, each=each)
    assert re.findall("UID:.*", again) == re.findall("UID:.*", text)


def test_csv_holds_every_upgrade(plan: doc.Plan) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(plan.document))))
    assert {row["upgrade"] for row in rows} == {"a1", "a2", "a3", "b1", "b2"}
    assert [row["upgrade"] for row in rows if row["reason"]] == ["b2"]


class Tags(HTMLParser):
    """Collects tags and what they refer to; void tags need no end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_needs_nothing_from_outside(plan: doc.Plan) -> None:
    c = compile_problem(plan.problem)
    html = page(plan.document, c, plan.schedule, {"a1": 2000.0, "b1": 1100.0, "zz": 5.0})
    tags = Tags()
    tags.feed(html)
    assert (tags.open, tags.links) == ([], [])
    assert "http" not in html
    window = plan.document["windows"][0]
    assert f"{window['window']}: {window['start']} to {window['end']}, {window['upgrades']} upgrades in" in tags.text
    assert f"{window['slack_s'] / 3600:.1f} h slack" in tags.text
    for words in ("longer than any window", "Predicted against actual", "Domains closest", "2 upgrades; mean error"):
        assert words in tags.text
    assert html.count("<rect") >= 4


def test_the_page_escapes_names(tmp_path: Path) -> None:
    sources = write(tmp_path, upgrades="server,upgrade,mean_min\na1,<script>alert(1)</script>,20\n", rules="")
    c = compile_problem(load(sources, Risk()))
    schedule = build(c)
    value = doc.document(c, schedule, upper_bound(c), sources, {})
    assert "<script>" not in page(value, c, schedule)


def test_calibration_counts_what_stayed_below_each_level(plan: doc.Plan) -> None:
    c = compile_problem(plan.problem)
    found = accuracy(c, {"a1": 1.0, "a2": 1e6})
    assert found["count"] == 2
    assert [row["share"] for row in found["levels"]] == [0.5] * len(found["levels"])


@given(problems(most=25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_batch_may_run_at_once_and_batches_one_after_another(problem: FleetProblem) -> None:
    c = compile_problem(problem)
    schedule = build(c)
    for number, window in enumerate(problem.windows):
        groups = batches(c, schedule, number)
        flat = [job for batch in groups for job in batch]
        assert sorted(flat) == np.nonzero(schedule.window == number)[0].tolist()
        place = {job: n for n, batch in enumerate(groups) for job in batch}
        for batch in groups:
            assert len(batch) <= window.slots
            counts = Counter(group for job in batch for group in c.all_members[job])
            assert all(count <= c.groups[group].cap for group, count in counts.items())
            assert len({int(problem.upgrades.server[job]) for job in batch}) == len(batch)
        for job, names in problem.upgrades.after.items():
            assert all(place[name] < place[job] for name in names if job in place and name in place)


def test_other_tools_files(plan: doc.Plan) -> None:
    c = compile_problem(plan.problem)
    inventory = ansible(c, plan.schedule)
    assert set(inventory) == {"one.yml", "two.yml"}
    hosts = re.findall(r'^        "([^"]+)":$', "".join(inventory.values()), re.MULTILINE)
    assert sorted(hosts) == ["a1", "a2", "a3", "b1"]
    nodes = [line for text in kubernetes(c, plan.schedule).values() for line in text.splitlines()]
    assert sorted(nodes) == ["a1", "a2", "a3", "b1"]
    (script,) = slurm(c, plan.schedule).values()
    commands = [shlex.split(line) for line in script.splitlines() if line.startswith("scontrol")]
    assert len(commands) == 4
    for command in commands:
        values = dict(part.split("=", 1) for part in command[3:])
        assert values["Nodes"] in hosts
        assert int(values["Duration"]) > 0


def test_names_that_a_tool_cannot_have_are_refused(tmp_path: Path) -> None:
    fleet = "server,mean_min\nNode_1,10\n"
    sources = write(
        tmp_path, fleet=fleet, upgrades=fleet, windows="start,length_min,slots\n2026-03-01,60,1\n", rules=""
    )
    c = compile_problem(load(sources, Risk()))
    with pytest.raises(InputError, match="Kubernetes"):
        kubernetes(c, build(c))
    assert "Nodes=Node_1" in slurm(c, build(c))["reservations.sh"]


def test_explanations_name_the_constraint_that_binds(plan: doc.Plan) -> None:
    c = compile_problem(plan.problem)
    (job,) = find(c, "b2")
    assert "longer than any window" in explain(c, plan.schedule, job)["verdict"]
    (job,) = find(c, "a2")
    answer = explain(c, plan.schedule, job)
    assert answer["window"] in ("one", "two")
    assert "rack r1 may have at most 1 down at once" in answer["groups"]
    with pytest.raises(InputError, match="Did you mean"):
        find(c, "a22")
    with pytest.raises(InputError, match="no pending upgrade"):
        find(c, "b3")


def test_lifting_a_limit_is_offered_where_it_would_help(tmp_path: Path) -> None:
    windows = "window,start,length_min,slots\none,2026-03-01T22:00:00Z,40,4\ntwo,2026-03-02T22:00:00Z,40,4\n"
    rules = '[[limit]]\ndomain = "rack"\nmax_down = 1\n'
    upgrades = "server,mean_min\na1,30\na2,30\n"
    sources = write(tmp_path, windows=windows, rules=rules, upgrades=upgrades)
    c = compile_problem(load(sources, Risk()))
    schedule = build(c)
    late = c.problem.upgrades.ids[int(np.argmax(schedule.window))]
    answer = explain(c, schedule, c.problem.upgrades.index[late])
    assert "rack r1 may have at most 1 down at once" in answer["verdict"]
    assert answer["lifting"] == [{"constraint": "rack r1 may have at most 1 down at once", "window": "one"}]


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        doc.write_file(tmp_path / "no" / "x.csv", "")
