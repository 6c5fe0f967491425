"""Where rules are kept: crashes, torn lines, concurrent writers, two places, documents to carry."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import knowledge.rules_store as module
from knowledge.rules import Advice, Evidence, OneOf, Rule, weighed
from knowledge.rules_book import RuleBook, document, read_document
from knowledge.rules_store import RuleStore
from sysmith_errors import InputError, SysmithError

ROOT = Path(__file__).resolve().parents[2]


def rule(n: int, domain: str = "toy") -> Rule:
    origin = Evidence("run", "p", n, "learned", {"objective": 1.5})
    return Rule(domain, (OneOf("a", (1,)),), Advice("try", {"n": n}, f"rule {n}"), evidence=(origin,))


def put(store: RuleStore, *rules: Rule) -> None:
    store.update(lambda known: rules)


def test_rules_come_back_and_no_folder_means_none(tmp_path: Path) -> None:
    store = RuleStore(tmp_path / "deep" / "rules")
    assert store.read() == {}
    put(store, rule(1), rule(2))
    assert list(RuleStore(store.folder).read().values()) == [rule(1), rule(2)]


def test_what_did_not_change_is_not_written(tmp_path: Path) -> None:
    store = RuleStore(tmp_path)
    put(store, rule(1))
    before = store.path.read_bytes()
    assert store.update(lambda known: known.values()) == ()
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path, cut: int) -> None:
    store = RuleStore(tmp_path)
    put(store, rule(1))
    put(store, rule(2))
    store.path.write_bytes(store.path.read_bytes()[:-cut])
    assert list(store.read()) == [rule(1).id]
    put(store, rule(3))
    assert list(store.read()) == [rule(1).id, rule(3).id]
    assert all(json.loads(line) for line in store.path.read_text().splitlines())


def test_a_file_cut_anywhere_keeps_its_whole_lines(tmp_path: Path) -> None:
    store = RuleStore(tmp_path)
    put(store, rule(1))
    first = len(store.path.read_bytes())
    put(store, rule(2))
    content = store.path.read_bytes()
    for cut in range(0, len(content), 7):
        store.path.write_bytes(content[:cut])
        assert len(store.read()) == (cut >= first) + (cut >= len(content))


def test_a_last_line_with_its_middle_lost_is_dropped(tmp_path: Path) -> None:
    store = RuleStore(tmp_path)
    put(store, rule(1))
    with store.path.open("ab") as stream:
        stream.write(b'{"v": 1, "ru\0\0\0\0\n')
    assert list(store.read()) == [rule(1).id]
    put(store, rule(2))
    assert len(store.read()) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense", "line 1 is damaged"),
        (b'{"v": 2, "rule": {}}', "version 2"),
        (b"[]", "version None"),
        (b'{"v": 1, "rule": 5}', "not a JSON object"),
        (b'{"v": 1}', "not a JSON object"),
    ],
)
def test_damage_in_the_middle_is_refused_by_line(tmp_path: Path, line: bytes, words: str) -> None:
    store = RuleStore(tmp_path)
    put(store, rule(1))
    good = store.path.read_bytes()
    store.path.write_bytes(line + b"\n" + good)
    for act in (store.read, lambda: put(store, rule(2))):
        with pytest.raises(InputError, match=words):
            act()
    assert store.path.read_bytes() == line + b"\n" + good


def test_many_updates_do_not_grow_the_file_without_end(tmp_path: Path) -> None:
    store = RuleStore(tmp_path)
    one = rule(1)
    for n in range(300):
        one = weighed(one, Evidence("run", "p", 1000 + n, "confirmed"))
        put(store, one)
    assert store.read()[one.id].confirmed == 300
    assert len(store.path.read_text().splitlines()) <= 68
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def _count_up(folder: str, start: int) -> None:
    store = RuleStore(Path(folder))
    for n in range(start, start + 25):
        store.update(lambda known, n=n: [weighed(known[rule(1).id], Evidence("run", "q", n, "confirmed"))])  # type: ignore[misc]  # n is bound


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    store = RuleStore(tmp_path)
    put(store, rule(1))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count_up, args=(str(tmp_path), 100 * n)) for n in range(3)]
    for worker in workers:
        worker.start()
    _count_up(str(tmp_path), 1000)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert store.read()[rule(1).id].confirmed == 100


WRITER = """
import sys
from pathlib import Path
from tests.knowledge.test_rules_store import RuleStore, rule, weighed, Evidence
store = RuleStore(Path(sys.argv[1]))
store.update(lambda known: [rule(1)])
print("ready", flush=True)
n = 0
while True:
    n += 1
    store.update(lambda known: [weighed(known[rule(1).id], Evidence("run", "p", 1000 + n, "confirmed"))])
    print(n, flush=True)
"""


def test_kill_9_loses_nothing_that_was_written(tmp_path: Path) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        # The killed one reported n after it was on disk.
        assert RuleStore(tmp_path).read()[rule(1).id].confirmed >= (int(said[-1]) if said else 0)
        (tmp_path / module.FILE).unlink()


def test_a_lock_that_stays_taken_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_WAIT_S", 0.05)
    store = RuleStore(tmp_path)

    def inside(known: object) -> list[Rule]:
        with pytest.raises(SysmithError, match="locked by another process"):
            put(RuleStore(tmp_path), rule(2))
        return [rule(1)]

    store.update(inside)
    assert list(store.read()) == [rule(1).id]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        put(RuleStore(tmp_path / "rules"), rule(1))
    tmp_path.chmod(0o700)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("")
    assert RuleStore(tmp_path / "rules").read() == {}
    with pytest.raises(InputError, match="cannot be written"):
        put(RuleStore(tmp_path / "rules"), rule(1))


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RuleBook:
    monkeypatch.setenv("SYSMITH_RULES_DIR", str(tmp_path / "user"))
    return RuleBook(tmp_path / "state")


def test_a_rule_changes_where_it_is_kept(book: RuleBook) -> None:
    book.merge([rule(1)], "user")
    book.merge([rule(2)])
    for one in (rule(1), rule(2)):
        book.amend(one.id, lambda r: weighed(r, Evidence("r", "p", 7, "confirmed")))
    known = book.read()
    assert {r.id: place for place, r in known.values()} == {rule(1).id: "user", rule(2).id: "state"}
    assert all(r.confirmed == 1 for _, r in known.values())
    assert book.amend("nothing", lambda r: r) is None


def test_the_same_advice_is_learned_once(book: RuleBook) -> None:
    book.merge([rule(1)], "user")

    def join(known: Rule, new: Rule) -> Rule:
        return weighed(known, Evidence("other", "p", 0, "confirmed"))

    again = Rule("toy", (OneOf("a", (2,)),), Advice("try", {"n": 1}, "found again"))
    assert book.learn(again, join).id == rule(1).id
    assert book.learn(again, lambda known, new: None).id == again.id
    assert {r.id: r.confirmed for r in book.rules()} == {rule(1).id: 1, again.id: 0}


def test_a_rule_is_found_by_the_beginning_of_its_id(book: RuleBook) -> None:
    book.merge([rule(n) for n in range(40)])
    assert book.find(rule(7).id)[1] == rule(7)
    assert book.find(rule(7).id[:8])[1] == rule(7)
    for wanted, words in (("", "no rule"), ("zzz", "no rule"), (rule(7).id[:1], "begin with")):
        if wanted and sum(r.id.startswith(wanted) for r in book.rules()) == 1:
            continue
        with pytest.raises(InputError, match=words):
            book.find(wanted)


def test_a_document_carries_rules_and_merging_it_twice_changes_nothing(book: RuleBook, tmp_path: Path) -> None:
    book.merge([rule(1), rule(2)])
    book.retire(rule(2).id, "it was luck")
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(document(book.rules())))
    other = RuleBook(tmp_path / "other", user=False)
    assert other.merge(read_document(file)).added == (rule(1).id, rule(2).id)
    assert other.rules() == book.rules()
    assert other.find(rule(2).id)[1].retired == "by hand: it was luck"
    again = other.merge(read_document(file))
    assert (again.added, again.merged, again.unchanged) == ((), (), (rule(1).id, rule(2).id))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("[]", "kind is not"),
        ('{"kind": "sysmith-rules"}', "schema_version is None"),
        ('{"kind": "sysmith-rules", "schema_version": 1}', "rules is not a list"),
        ('{"kind": "sysmith-rules", "schema_version": 1, "rules": [7]}', r"rules\[0\] is 7"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_document_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "rules.json"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        read_document(file)


def test_a_document_with_one_id_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(document([rule(1), rule(1)])))
    with pytest.raises(InputError, match="more than once"):
        read_document(file)
