"""The real way to a model: litellm against a local HTTP server, with everything a provider can do wrong."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.budget import Budget, Limits
from agents.costs import cost_report
from agents.events import EventLog
from agents.llm import LLM, MalformedAnswer, Refused, Unreachable, settings_from_options
from agents.llm.types import Answer
from agents.protocols import Cost
from sysmith_errors import BudgetExhausted, InputError

from .llm_helpers import Calm, Point, asking
from .openai_server import OpenAIServer, Reply, Script

pytestmark = [
    pytest.mark.slow,  # importing litellm alone takes seconds
    # litellm's pooled connections are closed by the garbage collector, which warns of each
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _connections_collected() -> Iterator[None]:
    yield
    gc.collect()  # here, where their warnings are expected, not in another test


GOOD = Reply('{"x": 1.5}')
MODEL = "openai/toy-model"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield
    logging.getLogger("LiteLLM").handlers.clear()


def open_llm(
    server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    budget: Budget | None = None,
    log: EventLog | None = None,
    halt: Calm | None = None,
    said: list[str] | None = None,
    timeout_s: float = 20,
    max_tokens: int = 200,
    price: tuple[float, float] = (1.0, 2.0),
) -> LLM:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    settings = settings_from_options(
        MODEL, price_in=price[0], price_out=price[1], timeout_s=timeout_s, max_tokens=max_tokens
    )
    said = [] if said is None else said
    return LLM.open(
        settings.models, settings=settings, budget=budget or Budget(), log=log, halt=halt or Calm(), say=said.append
    )


def ask(script: Script, monkeypatch: pytest.MonkeyPatch, **named: object) -> tuple[Answer[Point], OpenAIServer]:
    with OpenAIServer(script) as server:
        llm = open_llm(server, monkeypatch, **named)  # type: ignore[arg-type]  # passed on as they are
        return llm.ask(asking(), Point, problem="p", phase="propose"), server


def test_a_request_in_the_protocol_and_the_counts_that_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget()
    answer, server = ask([Reply('{"x": 1.5}', prompt_tokens=1000, completion_tokens=10)], monkeypatch, budget=budget)
    assert answer.value.x == 1.5
    assert answer.source == f"llm:{MODEL}"
    assert os.environ["LITELLM_MODE"] == "PRODUCTION"  # no .env file is read
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"  # no price list is fetched
    asked = server.requests[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.body["model"] == "toy-model"
    assert asked.body["max_tokens"] == 200
    assert not asked.body.get("stream")
    assert [message["role"] for message in asked.messages] == ["system", "user"]
    assert (budget.spent.tokens, budget.spent.calls) == (1010, 1)
    assert budget.spent.dollars == pytest.approx(1000e-6 + 20e-6)


@pytest.mark.parametrize(
    "bad",
    [
        Reply("slow down", status=429),
        Reply("boom", status=500),
        Reply("bad gateway", status=502),
        Reply("overloaded", status=503),
        Reply("overloaded", status=529),
        Reply(raw=b"this is not JSON {"),
        Reply(raw=b"[]"),
        Reply(drop=True),
    ],
    ids=["429", "500", "502", "503", "529", "no-json", "no-object", "dropped"],
)
def test_what_may_pass_is_tried_again(bad: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, server = ask([bad, bad, GOOD], monkeypatch)
    assert answer.value.x == 1.5
    assert len(server.requests) == 3


def test_retry_after_is_honoured_in_seconds_and_as_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    halt = Calm()
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    script = [
        Reply("slow", status=429, headers={"Retry-After": "7"}),
        Reply("slow", status=503, headers={"Retry-After": past}),
        Reply("slow", status=429, headers={"Retry-After": "soon"}),
        GOOD,
    ]
    ask(script, monkeypatch, halt=halt)
    assert 7 <= halt.waits[0] <= 8
    assert halt.waits[1] <= 2
    assert halt.waits[2] <= 4


@pytest.mark.parametrize(
    ("status", "says", "lasting"),
    [
        (400, r"refused the request \(HTTP 400\): no such luck", False),
        (401, r"HTTP 401, the key is not accepted\): no such luck", True),
        (402, r"HTTP 402, payment is required\): no such luck", True),
        (403, r"HTTP 403, access is denied\): no such luck", True),
        (404, r"HTTP 404, not found\): no such luck", True),
        (422, r"HTTP 422\): no such luck", False),
    ],
)
def test_what_is_refused_is_shown_and_not_tried_again(
    status: int, says: str, lasting: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with OpenAIServer([Reply("no such luck", status=status)]) as server:
        llm = open_llm(server, monkeypatch, said=said)
        with pytest.raises(Refused, match=says) as caught:
            llm.ask(asking(), Point, problem="p", phase="a")
        assert len(server.requests) == 1
    assert caught.value.lasting == lasting
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert len(said) == 1
    assert capfd.readouterr() == ("", "")  # litellm prints nothing of its own


def test_a_slow_answer_is_given_up_and_booked_as_it_may_be_billed(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget()
    answer, server = ask([Reply('{"x": 0}', delay_s=3), GOOD], monkeypatch, budget=budget, timeout_s=0.5)
    assert answer.value.x == 1.5
    assert len(server.requests) == 2
    assert budget.spent.calls == 2
    assert budget.spent.dollars > 150e-6 + 400e-6  # all that was reserved, 200 answer tokens at $2 a million among it


def test_a_server_that_keeps_the_connection_busy_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    answer, _ = ask([Reply('{"x": 0}', drip_s=8), Reply('{"x": 1.5}', drip_s=0.2)], monkeypatch, timeout_s=0.6)
    assert answer.value.x == 1.5
    assert time.monotonic() - began < 6


def test_a_server_that_is_not_there_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget()
    with OpenAIServer([GOOD]) as server:
        pass
    llm = open_llm(server, monkeypatch, budget=budget)
    with pytest.raises(Unreachable, match=r"cannot be reached: .* Check the address and the network\."):
        llm.ask(asking(), Point, problem="p", phase="a")
    assert budget.spent == Cost()


def test_a_wrong_schema_is_repaired_and_a_truncated_answer_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, server = ask([Reply('{"x": "left", "run": "ls"}'), GOOD], monkeypatch)
    assert answer.value.x == 1.5
    assert "x: Input should be a valid number" in server.requests[1].prompt
    answer, server = ask([Reply('{"x": 1, "why": "beca', finish="length"), GOOD], monkeypatch)
    assert "cut off at the limit of 200 tokens" in server.requests[1].prompt


@pytest.mark.parametrize("raw", [b'{"choices": []}', b'{"choices": [{"message": {"role": "assistant"}}]}'])
def test_an_answer_without_text_is_malformed(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer([Reply(raw=raw)]) as server:
        llm = open_llm(server, monkeypatch)
        with pytest.raises(MalformedAnswer, match="does not fit, twice"):
            llm.ask(asking(), Point, problem="p", phase="a")
        assert len(server.requests) == 2


def test_a_server_without_counts_is_booked_at_what_was_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget()
    ask([Reply('{"x": 1}', reports_usage=False)], monkeypatch, budget=budget)
    assert budget.spent.tokens > 200 + len("Where is the lowest point?")


def test_the_budget_holds_to_the_cent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Eight samples at a time until the limit stops it: what the server counted is what was booked, and no more."""
    most = 0.05
    budget = Budget(Limits(dollars=most))
    with EventLog(tmp_path / "events.jsonl") as log, OpenAIServer(lambda asked: counted(asked.body["seed"])) as server:
        llm = open_llm(server, monkeypatch, budget=budget, log=log, price=(3.0, 15.0))
        own = budget.child("p")

        def spend() -> None:
            for number in range(100):
                llm.ask_many(asking(f"round {number}"), Point, samples=8, problem="p", phase="a", budget=own)

        with pytest.raises(BudgetExhausted, match=r"the limit of 0\.05 dollars for the run is reached"):
            spend()
        billed = sum(prompt * 3e-6 + completion * 15e-6 for prompt, completion in server.sent_tokens)
        assert budget.spent.dollars == pytest.approx(billed, abs=1e-12)
        assert own.spent.dollars == pytest.approx(billed, abs=1e-12)
        assert billed <= most
        assert most - billed < 0.01  # what one more call could have cost
        assert cost_report(log.all()).total.dollars == pytest.approx(billed, abs=1e-12)
        assert budget.reserved == Cost()


def counted(seed: int) -> Reply:
    """Counts that differ from call to call, within what is reserved."""
    return Reply('{"x": 1}', prompt_tokens=200 + 10 * seed, completion_tokens=50 + 15 * seed, delay_s=0.01)


def test_opening_checks_name_key_price_and_limit_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(models: str, limits: Limits | None = None, **options: object) -> LLM:
        settings = settings_from_options(models, **options)  # type: ignore[arg-type]  # passed on as they are
        return LLM.open(settings.models, settings=settings, budget=Budget(limits or settings.limits), log=None)

    with pytest.raises(InputError, match="litellm knows no provider for 'nosuch/model'"):
        opened("nosuch/model")
    with pytest.raises(InputError, match="openai/gpt-4o-mini needs OPENAI_API_KEY, not set"):
        opened("openai/gpt-4o-mini")
    with pytest.raises(InputError, match="names no model"):
        opened("")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    assert opened("openai/gpt-4o-mini").models == ("openai/gpt-4o-mini",)
    with pytest.raises(InputError, match="the price of openai/unheard-of is not known, and no limit on tokens is set"):
        opened("openai/unheard-of")
    with pytest.raises(InputError, match="--max-dollars cannot hold for openai/unheard-of"):
        opened("openai/unheard-of", max_dollars=1.0, max_tokens_total=1000)
    assert opened("openai/unheard-of", max_tokens_total=1000)
    assert opened("openai/unheard-of", limits=Limits(tokens=1000))
    assert opened("openai/unheard-of", price_in=0, price_out=0)


def test_a_listed_model_is_priced_by_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    budget = Budget(Limits(dollars=1.0))
    with OpenAIServer([Reply('{"x": 1}', prompt_tokens=1_000, completion_tokens=100)]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        settings = settings_from_options("openai/gpt-4o-mini", max_tokens=200)
        llm = LLM.open(settings.models, settings=settings, budget=budget, log=None)
        llm.ask(asking(), Point, problem="p", phase="a")
        assert server.requests[0].body["response_format"]["type"] == "json_schema"
    # OpenAI's list: $0.15 and $0.60 per million tokens.
    assert budget.spent.dollars == pytest.approx(1_000 * 0.15e-6 + 100 * 0.60e-6)
