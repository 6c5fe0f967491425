"""The client with a scripted transport: asking, repairing, retrying, resuming, many at once; no provider."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from agents.budget import Budget, Limits
from agents.costs import LLM_COMPLETED, LLM_FAILED, LLM_MALFORMED, LLM_REQUESTED, LLM_RETRIED, cost_report
from agents.events import EventLog
from agents.llm import Completion, MalformedAnswer, Refused, Request, Unreachable
from agents.protocols import Cost
from sysmith_errors import BudgetExhausted, InputError, Interrupted

from .llm_helpers import Calm, Point, Scripted, asking, client


def test_a_valid_answer_comes_back_as_its_type_with_its_cost() -> None:
    model = Scripted(['{"x": 1.5, "why": "a guess"}'])
    budget = Budget()
    answer = client(model, budget=budget).ask(asking(), Point, problem="p", phase="propose")
    assert answer.value == Point(x=1.5, why="a guess")
    assert answer.source == "llm:scripted"
    assert answer.cost == budget.spent
    assert (answer.cost.tokens, answer.cost.calls, answer.cost.dollars) == (150, 1, pytest.approx(0.0002))
    assert answer.key == model.requests[0].key
    assert not answer.replayed


def test_the_format_of_the_answer_ends_the_last_message_and_the_schema_is_sent_along() -> None:
    model = Scripted(['{"x": 1}'])
    client(model).ask(asking("Look."), Point, problem="p", phase="propose")
    request = model.requests[0]
    assert request.messages[-1].content.startswith("Look.\n\n## Format of the answer")
    assert "`x` (number at least -5 and at most 5, required): where to look" in request.messages[-1].content
    assert request.schema is not None
    assert request.schema["additionalProperties"] is False
    assert request.max_tokens == 1000


def test_a_malformed_answer_gets_one_repair_round_that_says_what_is_wrong() -> None:
    model = Scripted(['{"x": 9}', '{"x": 2}'])
    answer = client(model).ask(asking(), Point, problem="p", phase="propose")
    assert answer.value.x == 2
    assert answer.cost.calls == 2
    again = model.requests[1].messages
    assert [message.role for message in again] == ["system", "user", "assistant", "user"]
    assert again[2].content == '{"x": 9}'
    assert "x: Input should be less than or equal to 5" in again[3].content
    assert answer.key == model.requests[1].key


def test_two_malformed_answers_are_an_error_that_the_user_sees_and_the_log_keeps(tmp_path: Path) -> None:
    said: list[str] = []
    with EventLog(tmp_path / "events.jsonl") as log:
        model = Scripted(["I would rather talk."])
        with pytest.raises(
            MalformedAnswer, match="does not fit, twice: it holds no JSON object with the fields x, why"
        ):
            client(model, log=log, said=said).ask(asking(), Point, problem="p", phase="propose")
        assert len(model.requests) == 2
        assert [event.kind for event in log.of("p")] == [LLM_REQUESTED, LLM_COMPLETED, LLM_MALFORMED] * 2
    assert len(said) == 1


def test_a_truncated_answer_is_told_to_be_shorter() -> None:
    cut = Completion('{"x": 1, "why": "bec', "scripted", 10, 1000, truncated=True)
    model = Scripted([cut, '{"x": 1}'])
    client(model).ask(asking(), Point, problem="p", phase="propose")
    assert "cut off at the limit of 1000 tokens" in model.requests[1].messages[-1].content


@pytest.mark.parametrize("messages", [[], [*asking(), asking()[0]]])
def test_a_conversation_must_end_with_the_user(messages: list[object]) -> None:
    with pytest.raises(ValueError, match="ends with a message of the user"):
        client(Scripted(["{}"])).ask(messages, Point, problem="p", phase="propose")  # type: ignore[arg-type]  # wrong


def test_tiers_are_models_cheapest_first_and_the_last_stands_for_all_beyond() -> None:
    cheap, strong = Scripted(['{"x": 1}'], model="cheap"), Scripted(['{"x": 2}'], model="strong")
    llm = client(cheap, strong)
    assert llm.models == ("cheap", "strong")
    sources = [llm.ask(asking(), Point, problem="p", phase="a", tier=tier).source for tier in (0, 1, 7)]
    assert sources == ["llm:cheap", "llm:strong", "llm:strong"]


def test_errors_that_may_pass_are_tried_again_with_growing_jittered_waits() -> None:
    model = Scripted([Unreachable("busy")] * 4 + ['{"x": 1}'])
    halt = Calm()
    client(model, halt=halt).ask(asking(), Point, problem="p", phase="a")
    assert len(model.requests) == 5
    assert len(halt.waits) == 4
    assert all(wait <= most for wait, most in zip(halt.waits, (1, 2, 4, 8), strict=True))
    assert len(set(halt.waits)) == 4


def test_a_provider_that_asks_for_a_wait_gets_it() -> None:
    model = Scripted([Unreachable("busy", retry_after_s=30), '{"x": 1}'])
    halt = Calm()
    client(model, halt=halt).ask(asking(), Point, problem="p", phase="a")
    assert 30 <= halt.waits[0] <= 31


def test_after_the_last_attempt_the_error_is_raised_shown_once_and_kept(tmp_path: Path) -> None:
    said: list[str] = []
    with EventLog(tmp_path / "events.jsonl") as log:
        llm = client(Scripted([Unreachable("the server is down")]), log=log, said=said, attempts=3)
        for _ in range(2):
            with pytest.raises(Unreachable, match="the server is down"):
                llm.ask(asking(), Point, problem="p", phase="a")
        kinds = [event.kind for event in log.of("p")]
    assert kinds == [LLM_REQUESTED, LLM_RETRIED, LLM_REQUESTED, LLM_RETRIED, LLM_REQUESTED, LLM_FAILED] * 2
    assert said == ["the server is down"]


def test_what_is_refused_is_not_tried_again_and_a_lasting_refusal_ends_the_model_for_the_run() -> None:
    odd, bad_key = Scripted([Refused("odd request"), '{"x": 1}']), Scripted([Refused("bad key", lasting=True)])
    llm = client(odd)
    with pytest.raises(Refused, match="odd request"):
        llm.ask(asking(), Point, problem="p", phase="a")
    assert llm.ask(asking(), Point, problem="p", phase="a").value.x == 1
    llm = client(bad_key)
    for text in ("one", "two", "three"):
        with pytest.raises(Refused, match="bad key"):
            llm.ask(asking(text), Point, problem="p", phase="a")
    assert len(bad_key.requests) == 1


def test_an_equal_request_is_paid_once_for_each_problem(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        model = Scripted(['{"x": 1}', '{"x": 2}'])
        llm = client(model, log=log)
        first = llm.ask(asking(), Point, problem="p", phase="a")
        again = llm.ask(asking(), Point, problem="p", phase="a")
        other = llm.ask(asking(), Point, problem="q", phase="a")
    assert (first.value.x, again.value.x, other.value.x) == (1, 1, 2)
    assert again.replayed
    assert again.cost == Cost()
    assert len(model.requests) == 2


def test_a_resumed_run_answers_from_the_log_and_knows_what_was_spent(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        llm = client(Scripted(['{"x": 9}', '{"x": 1, "why": "' + "long " * 2000 + '"}']), log=log)
        before = llm.ask(asking(), Point, problem="p", phase="a")
    budget, model = Budget(), Scripted(["never"])
    with EventLog(tmp_path / "events.jsonl") as log:
        after = client(model, log=log, budget=budget).ask(asking(), Point, problem="p", phase="a")
    assert after.value == before.value
    assert after.replayed
    assert model.requests == []
    assert budget.spent == before.cost


def test_a_call_that_a_killed_program_left_open_is_booked_as_reserved_and_made_again(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def die(request: Request) -> str:
        raise Killed

    with EventLog(tmp_path / "events.jsonl") as log, pytest.raises(Killed):
        client(Scripted([die]), log=log).ask(asking(), Point, problem="p", phase="a")
    budget, model = Budget(), Scripted(['{"x": 1}'])
    for _ in range(2):  # a second resume books nothing more
        budget = Budget()
        with EventLog(tmp_path / "events.jsonl") as log:
            client(model, log=log, budget=budget).ask(asking(), Point, problem="p", phase="a")
    lost = model.most(model.requests[0])
    assert len(model.requests) == 1
    assert (budget.spent.tokens, budget.spent.calls) == (lost.tokens + 150, 2)
    assert budget.spent.dollars == pytest.approx(lost.dollars + 0.0002)


def test_a_damaged_event_is_named(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append(LLM_COMPLETED, {"key": "k", "booked_to": "run", "cost": {"oranges": 3}}, problem="p")
    with EventLog(tmp_path / "events.jsonl") as log, pytest.raises(InputError, match="a model call is damaged"):
        client(Scripted(["{}"]), log=log)


def test_many_samples_are_asked_at_once_with_seeds_of_their_own() -> None:
    barrier = threading.Barrier(4, timeout=10)

    def together(request: Request) -> str:
        barrier.wait()
        return f'{{"x": {request.seed}}}'

    model = Scripted([together])
    answers = client(model).ask_many(asking(), Point, samples=4, problem="p", phase="a")
    assert [answer.value.x for answer in answers] == [0, 1, 2, 3]
    assert len({request.key for request in model.requests}) == 4


def test_the_samples_that_came_are_kept_when_others_failed() -> None:
    def some(request: Request) -> str:
        if request.seed == 1:
            raise Refused("not this one")
        return '{"x": 1}'

    assert len(client(Scripted([some])).ask_many(asking(), Point, samples=3, problem="p", phase="a")) == 2
    with pytest.raises(Refused, match="none at all"):
        client(Scripted([Refused("none at all")])).ask_many(asking(), Point, samples=3, problem="p", phase="a")


def test_two_threads_with_one_request_pay_once() -> None:
    started = threading.Event()

    def slow(request: Request) -> str:
        started.wait(0.2)
        return '{"x": 1}'

    model = Scripted([slow])
    llm = client(model)
    costs: list[Cost] = []
    threads = [
        threading.Thread(target=lambda: costs.append(llm.ask(asking(), Point, problem="p", phase="a").cost))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(model.requests) == 1
    assert sum(cost.calls for cost in costs) == 1


def test_a_halt_ends_the_waiting_and_no_call_is_begun() -> None:
    halt = threading.Event()
    halt.set()
    model = Scripted(['{"x": 1}'])
    with pytest.raises(Interrupted):
        client(model, halt=halt).ask(asking(), Point, problem="p", phase="a")
    assert model.requests == []


def test_a_wait_longer_than_the_clock_allows_ends_at_once() -> None:
    halt = Calm()
    llm = client(Scripted([Unreachable("busy", retry_after_s=100)]), limits=Limits(wall_s=50), halt=halt)
    with pytest.raises(BudgetExhausted, match=r"can only be asked again in 10\d s"):
        llm.ask(asking(), Point, problem="p", phase="a")
    assert halt.waits == []


def test_a_call_may_take_no_longer_than_the_clock_allows() -> None:
    model = Scripted(['{"x": 1}'])
    client(model, limits=Limits(wall_s=5), timeout_s=300.0).ask(asking(), Point, problem="p", phase="a")
    assert model.timeouts[0] is not None
    assert model.timeouts[0] <= 5


def test_costs_are_told_by_problem_phase_and_model(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        lost = Unreachable("timeout", perhaps_billed=True)
        cheap, strong = Scripted(['{"x": 1}'], model="cheap"), Scripted([lost, '{"x": 2}'], model="strong")
        llm = client(cheap, strong, log=log)
        llm.ask(asking(), Point, problem="p", phase="propose")
        llm.ask(asking(), Point, problem="p", phase="reflect", tier=1)
        llm.ask(asking(), Point, problem="q", phase="propose")
        log.append(LLM_REQUESTED, {"key": "k", "phase": "propose", "model": "cheap", "booked_to": "run"}, problem="q")
        log.append("something_else", {}, problem="q")
        report = cost_report(log.all())
    rows = {(row.problem, row.phase, row.model): row for row in report.rows}
    assert list(rows) == [("p", "propose", "cheap"), ("p", "reflect", "strong"), ("q", "propose", "cheap")]
    dear = rows["p", "reflect", "strong"]
    most = strong.most(strong.requests[0])
    assert (dear.completions, dear.retries, dear.calls) == (1, 1, 2)
    assert dear.dollars == pytest.approx(most.dollars + 0.0002)
    assert rows["q", "propose", "cheap"].in_flight == 1
    assert [row.problem for row in report.by_problem()] == ["p", "q"]
    assert [row.phase for row in report.by_phase()] == ["propose", "reflect"]
    assert report.total.dollars == pytest.approx(sum(row.dollars for row in report.rows))
    assert report.to_json()["total"]["calls"] == 4
