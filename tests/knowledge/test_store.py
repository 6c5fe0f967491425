"""The store: idempotent, all or nothing, whole again after a kill, and honest about damage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from knowledge import store as stores
from knowledge.passages import Passage
from knowledge.store import KnowledgeStore
from sysmith_errors import InputError, InternalFault

ROOT = Path(__file__).resolve().parents[2]
CACHE = "# Cache guide\n\n## Sizes\n\n- `cache.size` - How many bytes are kept in memory.\n- `cache.age` - Seconds.\n"
NET = "# Net guide\n\n## Timeouts\n\n`net.timeout`\n\nSeconds before a request is given up.\n"


@pytest.fixture
def manuals(tmp_path: Path) -> Path:
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "cache.md").write_text(CACHE)
    (folder / "net.md").write_text(NET)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def names(state: Path) -> list[str]:
    return [source.name for source in KnowledgeStore.open(state).sources()]


def test_add_search_and_cite(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    assert [a.outcome for a in store.add([manuals])] == ["added", "added"]
    for method in ("hybrid", "bm25", "vectors"):
        best = store.search("cache.size", 1, method=method)[0]  # type: ignore[arg-type]  # a method
        assert best.source == "manuals/cache.md"
        assert (best.section, best.line) == ("Cache guide > Sizes > cache.size", 5)
        assert best.citation == "manuals/cache.md:5 (Cache guide > Sizes > cache.size)"
        assert best.text.startswith("cache.size")


def test_adding_again_changes_nothing(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    before = (state / "knowledge" / "index" / "current").read_text()
    assert [a.outcome for a in KnowledgeStore.open(state).add([manuals, manuals / "net.md"])] == ["unchanged"] * 3
    assert (state / "knowledge" / "index" / "current").read_text() == before
    assert len(names(state)) == 2


def test_changed_content_replaces_what_was_there(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    (manuals / "net.md").write_text(NET.replace("net.timeout", "net.patience"))
    assert [a.outcome for a in store.add([manuals])] == ["unchanged", "replaced"]
    assert len(names(state)) == 2
    assert "net.patience" in store.search("net.patience", 1)[0].text
    assert all("net.timeout" not in p.text for p in store.search("net.timeout", 9))
    assert len(list((state / "knowledge" / "originals").iterdir())) == 2


def test_files_of_one_name_are_told_apart(tmp_path: Path, state: Path) -> None:
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "guide.md").write_text(f"# G\n\nwords of {part}\n")
    KnowledgeStore.open(state).add([tmp_path / "one" / "guide.md", tmp_path / "two" / "guide.md"])
    assert names(state) == ["guide.md", "two/guide.md"]


def test_all_or_nothing(manuals: Path, state: Path) -> None:
    bad = manuals / "bad.xml"
    bad.write_text("<book><para></book>")
    store = KnowledgeStore.open(state)
    with pytest.raises(InputError, match=r"bad\.xml cannot be read as docbook"):
        store.add([manuals / "net.md", bad])
    assert names(state) == []
    done = store.add([manuals])
    assert [(d.name, d.outcome) for d in done] == [
        ("manuals/cache.md", "added"),
        ("manuals/net.md", "added"),
        ("manuals/bad.xml", "skipped"),
    ]
    assert "cannot be read as docbook: line 1" in done[2].reason
    for file in ("cache.md", "net.md"):
        (manuals / file).unlink()
    with pytest.raises(InputError, match="no file could be read; the first: "):
        store.add([manuals])


def test_a_manual_that_becomes_another_one_is_counted_once(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    (manuals / "net.md").write_text(CACHE)
    store.add([manuals])
    assert names(state) == ["manuals/cache.md"]


def test_the_embedding_is_chosen_with_the_first_manual(
    manuals: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowledge.embedding.make", lambda name: Pretrained())
    monkeypatch.setattr("knowledge.embedding.preferred", lambda: "minilm")
    KnowledgeStore.open(state).add([manuals / "net.md"])
    assert KnowledgeStore.open(state).embedding == "minilm"
    with pytest.raises(InputError, match="--embedding lsa: the manuals here are embedded by minilm"):
        KnowledgeStore.open(state).add([manuals / "cache.md"], embedding_name="lsa")
    assert names(state) == ["net.md"]
    # What is installed later changes no store that holds manuals.
    monkeypatch.setattr("knowledge.embedding.preferred", lambda: "lsa")
    KnowledgeStore.open(state).add([manuals / "cache.md"])
    assert KnowledgeStore.open(state).embedding == "minilm"


def test_an_unknown_embedding_is_refused_before_anything_is_stored(manuals: Path, state: Path) -> None:
    with pytest.raises(InputError, match="'magic' is not known"):
        KnowledgeStore.open(state).add([manuals], embedding_name="magic")
    assert not (state / "knowledge").exists()


def test_an_answer_holds_distinct_places(tmp_path: Path, state: Path) -> None:
    long = "\n\n".join(f"The cache keeps pages, part {n}. " + "Words that say little. " * 40 for n in range(6))
    (tmp_path / "a.md").write_text(f"# Guide\n\n## Pages\n\n{long}\n\n## Ages\n\nHow long the cache keeps pages.\n")
    store = KnowledgeStore.open(state)
    store.add([tmp_path / "a.md"])
    assert len(store.rows()) == 7
    found = store.search("how does the cache keep pages", 5, method="bm25")
    sections = [p.section for p in found]
    assert sections.count("Guide > Ages") == 1
    assert sections.count("Guide > Pages") == 2  # what is further away is another place
    folded = [place for p in found for place in p.also]
    assert folded
    assert not {p.citation.split(" ")[0] for p in found} & set(folded)
    lines = (tmp_path / "a.md").read_text().splitlines()
    assert all(lines[int(place.split(":")[1]) - 1].startswith("The cache keeps") for place in folded)


def test_remove_by_name_pattern_and_id(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    with pytest.raises(InputError, match="no manual is called 'nothing'"):
        store.remove(["net.md", "nothing"])
    assert len(names(state)) == 2
    cache = store.sources()[0]
    assert [s.name for s in store.remove([cache.id[:8]])] == ["manuals/cache.md"]
    assert store.search("cache.size", 9, method="bm25") == []
    store.remove(["manuals/*"])
    assert names(state) == []
    with pytest.raises(InputError, match="there is no manual"):
        store.search("cache")


def test_search_can_keep_to_one_manual(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    for method in ("hybrid", "bm25", "vectors"):
        found = store.search("seconds of the cache", 9, "net.md", method)  # type: ignore[arg-type]  # a method
        assert {p.source for p in found} == {"manuals/net.md"}
    with pytest.raises(InputError, match="no manual is called 'x'"):
        store.search("cache", source="x")


@pytest.mark.parametrize(
    ("query", "arguments", "says"),
    [(" ", {}, "is empty"), ("x", {"top": 0}, "--top 0"), ("x", {"method": "magic"}, "--method 'magic'")],
)
def test_bad_questions(manuals: Path, state: Path, query: str, arguments: dict[str, Any], says: str) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    with pytest.raises(InputError, match=says):
        store.search(query, **arguments)


def answers(state: Path) -> list[Passage]:
    return KnowledgeStore.open(state).search("seconds before a request is given up", 3)


def test_a_lost_or_damaged_index_is_built_again(manuals: Path, state: Path) -> None:
    KnowledgeStore.open(state).add([manuals])
    expected = answers(state)
    (state / "knowledge" / "index" / "current").write_text("gone")
    assert answers(state) == expected
    shutil.rmtree(state / "knowledge" / "index")
    assert answers(state) == expected
    current = (state / "knowledge" / "index" / "current").read_text()
    (state / "knowledge" / "index" / current / "meta.json").write_text("{")
    assert answers(state) == expected


def test_damage_is_named(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    current = (state / "knowledge" / "index" / "current").read_text()
    (state / "knowledge" / "index" / current / "chunks.jsonl").write_text('{"source": 1}\n')
    with pytest.raises(InternalFault, match=r"is damaged.*Run sysmith knowledge rebuild"):
        KnowledgeStore.open(state).search("cache")
    store.rebuild()
    current = (state / "knowledge" / "index" / "current").read_text()
    shutil.rmtree(state / "knowledge" / "index" / current / "chroma")
    with pytest.raises(InternalFault, match=r"vectors .* are damaged.*Run sysmith knowledge rebuild"):
        KnowledgeStore.open(state).search("cache")
    kept = next((state / "knowledge" / "originals").iterdir())
    kept.write_text("other")
    with pytest.raises(InputError, match=r"is damaged\. Run sysmith knowledge remove"):
        store.rebuild()
    (state / "knowledge" / "sources.json").write_text("[]")
    with pytest.raises(InputError, match=r"sources\.json is damaged"):
        KnowledgeStore.open(state)


def test_rebuild_refuses_an_unknown_embedding_and_changes_nothing(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    with pytest.raises(InputError, match="'magic' is not known"):
        store.rebuild(embedding_name="magic")
    assert store.embedding == "lsa"
    assert store.rebuild(embedding_name="lsa") == len(store.rows())


def test_only_the_current_and_the_last_index_stay(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals])
    for _ in range(3):
        store.rebuild()
    assert len([p for p in (state / "knowledge" / "index").iterdir() if p.is_dir()]) == 2


def test_a_writer_that_does_not_end_is_named(manuals: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import partial

    from knowledge.files import locked

    monkeypatch.setattr(stores, "locked", partial(locked, wait_s=0.2))
    said: list[str] = []
    with locked(state / "knowledge"), pytest.raises(InputError, match="another process is changing"):
        KnowledgeStore.open(state, say=said.append).add([manuals])
    assert any("waiting for another process" in line for line in said)


SLOW_ADD = """
import sys, time
from pathlib import Path
from knowledge import store, index
real = index.build
def build(*arguments):
    print("building", flush=True)
    time.sleep(30)
store.build = build
store.KnowledgeStore.open(Path(sys.argv[1])).add([Path(sys.argv[2])], embedding_name="lsa")
"""


def test_a_kill_while_the_index_is_built_loses_nothing(manuals: Path, state: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_ADD, str(state), str(manuals)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "building\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    said: list[str] = []
    store = KnowledgeStore.open(state, say=said.append)
    assert len(store.sources()) == 2
    assert store.search("cache.size", 1)[0].line == 5
    assert "the index is missing or behind; building it" in said


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_before_or_after(manuals: Path, state: Path) -> None:
    store = KnowledgeStore.open(state)
    store.add([manuals / "cache.md"])
    command = [sys.executable, "-m", "cli.main"]
    code = "from pathlib import Path; from knowledge.store import KnowledgeStore as K; import sys; " + (
        "print('go', flush=True); K.open(Path(sys.argv[1])).add([Path(sys.argv[2])])"
    )
    command = [sys.executable, "-c", code, str(state), str(manuals)]
    for delay in (0.05, 0.4, 0.8, 1.2, 1.8):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
            process.wait()
        after = KnowledgeStore.open(state)
        assert [s.name for s in after.sources()] in (["cache.md"], ["cache.md", "manuals/net.md"])
        assert after.search("cache.size", 1)[0].source == "cache.md"
        assert sum(after.counts().values()) == len(after.rows())
        if len(after.sources()) == 2:
            after.remove(["net.md"])


def test_the_list_is_plain_json(manuals: Path, state: Path) -> None:
    KnowledgeStore.open(state).add([manuals])
    document = json.loads((state / "knowledge" / "sources.json").read_text())
    assert document["schema_version"] == 1
    assert {entry["format"] for entry in document["sources"]} == {"markdown"}


def test_no_network_and_no_telemetry(manuals: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    store = KnowledgeStore.open(state)
    store.add([manuals])
    assert store.search("cache.size")


class Pretrained:
    """An embedding that counts what it is asked for."""

    name, share, pretrained = "minilm", 1.0, True
    asked: ClassVar[list[str]] = []

    def fit(self, texts: Sequence[str]) -> None: ...

    def embed(self, texts: Sequence[str]) -> Any:
        import numpy as np

        self.asked.extend(texts)
        rows = np.array([[len(text), text.count("e"), 1.0] for text in texts], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


def test_a_pretrained_embedding_is_asked_for_new_texts_only(
    manuals: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowledge.embedding.make", lambda name: Pretrained())
    Pretrained.asked.clear()
    store = KnowledgeStore.open(state)
    store.add([manuals / "cache.md"])
    store.rebuild(embedding_name="minilm")
    before = store.search("cache.size", 9, method="vectors")
    Pretrained.asked.clear()
    store.add([manuals / "net.md"])
    assert Pretrained.asked
    assert not any("cache" in text for text in Pretrained.asked)
    found = {p.citation: p.score for p in store.search("cache.size", 9, method="vectors")}
    assert all(found[p.citation] == pytest.approx(p.score) for p in before)
