"""Looking up with a model behind a real local HTTP server: busy at first, broken, dear, and talked to side by side."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.llm import settings_from_options
from agents.looking_up import Asked, AssistedSearch
from knowledge.store import KnowledgeStore
from sysmith_errors import BudgetExhausted

from .openai_server import Asked as Received
from .openai_server import OpenAIServer, Reply, Script

pytestmark = [
    pytest.mark.slow,  # importing litellm alone takes seconds
    # litellm's pooled connections are closed by the garbage collector, which warns of each
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KEY = "planted-key-0123456789"
WORDS = Reply('{"phrases": ["peer.timeout"], "passage": "A peer is dead after so many seconds."}')
ORDER = Reply('```json\n{"best": [2, 1]}\n```')


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI_API_BASE", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    yield
    logging.getLogger("LiteLLM").handlers.clear()
    gc.collect()  # here, where the connections' warnings are expected, not in another test


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeStore:
    place = tmp_path_factory.mktemp("looking-up")
    (place / "peers.md").write_text(
        f"# Peers\n\n- `peer.timeout` - Seconds until a peer is dead.\n\n- `peer.age` - Seconds of it. {KEY}\n"
    )
    store = KnowledgeStore.open(place / "state")
    store.add([place / "peers.md"], embedding_name="lsa")
    return store


def open_assisted(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, record: Path | None = None, **limits: float
) -> AssistedSearch:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setattr("agents.llm.calling.FIRST_WAIT_S", 0.01)
    return AssistedSearch.open(
        settings_from_options("openai/toy", price_in=10.0, price_out=20.0, record=record, **limits)  # type: ignore[arg-type]  # by name
    )


def usual(received: Received) -> Reply:
    return WORDS if "`phrases`" in received.prompt else ORDER


QUESTIONS = [Asked(str(n), f"when is one given up after seconds, case {n}") for n in range(6)]


def test_answers_come_through_a_rate_limit_and_broken_lines(
    store: KnowledgeStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script: Script = [Reply("slow down", status=429), Reply(drop=True), WORDS, Reply("half {"), ORDER]
    with OpenAIServer(script) as server:
        assisted = open_assisted(server, monkeypatch, tmp_path / "kept")
        (found,) = assisted.look_up(store, QUESTIONS[:1])
    assert found.failures == {}
    assert found.before == (2, 1)
    # Two answers, the one that had to be repaired, and the one that was lost and may have been billed.
    assert assisted.cost.calls == 4
    assert KEY not in "".join(request.prompt for request in server.requests)
    assert all(KEY not in path.read_text() for path in (tmp_path / "kept").iterdir())


def test_questions_are_asked_side_by_side_and_cost_what_the_server_says(
    store: KnowledgeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(received: Received) -> Reply:
        reply = usual(received)
        return Reply(reply.text, delay_s=0.5)

    with OpenAIServer(slowly) as server:
        assisted = open_assisted(server, monkeypatch)
        found = assisted.look_up(store, QUESTIONS)
    arrived = [request.time for request in server.requests]
    assert len(arrived) == 12
    assert arrived[5] - arrived[0] < 0.5  # before the first answer was sent
    assert all(one.before == (2, 1) for one in found)
    assert (assisted.cost.calls, assisted.cost.tokens) == (12, 12 * 150)
    assert assisted.cost.dollars == pytest.approx(12 * (100 * 10 + 50 * 20) / 1e6)


def test_the_dollars_hold_and_what_was_paid_is_not_paid_again(
    store: KnowledgeStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    with OpenAIServer(usual) as server:
        assisted = open_assisted(server, monkeypatch, kept, max_dollars=0.15)
        first = [Asked(str(n), f"seconds {n}") for n in range(6)]
        assisted.look_up(store, first)
        # A call reserves about nine cents and costs a fifth of one, so that it ends long before the limit is spent.
        with pytest.raises(BudgetExhausted, match="dollars for the questions is reached") as stopped:
            assisted.look_up(store, [Asked(str(n), f"minutes {n}") for n in range(90)])
    assert assisted.cost.dollars <= 0.15
    assert "replay:DIR,MODEL" in str(stopped.value)
    with OpenAIServer([Reply("no", status=500)]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        again = AssistedSearch.open(settings_from_options(f"replay:{kept}"))
        found = again.look_up(store, first)
    assert all(one.failures == {} for one in found)
    assert server.requests == []


def test_a_bad_key_is_said_once_and_the_search_stands(store: KnowledgeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer([Reply(f"wrong key {KEY}", status=401)]) as server:
        assisted = open_assisted(server, monkeypatch)
        found = assisted.look_up(store, QUESTIONS)
    assert [list(one.passages) for one in found] == [store.search(one.text) for one in QUESTIONS]
    assert all(set(one.failures) == {"rewrite", "rerank"} for one in found)
    assert all(KEY not in why for one in found for why in one.failures.values())
    assert len(server.requests) <= 8  # those that were in flight when it was known
    assert assisted.cost.calls == 0
