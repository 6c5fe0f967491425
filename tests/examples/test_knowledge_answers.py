"""The recorded answers beside the question sets can be replayed: each is a rewrite or a ranking, for one request."""

from __future__ import annotations

from pathlib import Path

from agents.llm.answers import parse
from agents.llm.recordings import Replay
from agents.looking_up.prompts import Ranking, Rewrite
from knowledge.questions import read_questions

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "knowledge"


def test_there_is_a_rewrite_and_a_ranking_by_embedding_for_every_question() -> None:
    questions = [*read_questions(FOLDER / "questions.jsonl"), *read_questions(FOLDER / "questions_blind.jsonl")]
    recordings = Replay(FOLDER / "answers.jsonl")
    texts = [fields["text"] for _, fields, _ in recordings._known.values()]
    rewrites = [parse(text, Rewrite) for text in texts if '"phrases"' in text]
    rankings = [parse(text, Ranking) for text in texts if '"phrases"' not in text]
    assert (len(rewrites), len(rankings)) == (len(questions), 2 * len(questions))
    assert all(one.phrases for one in rewrites)
    assert all(1 <= number <= 20 for one in rankings for number in one.best)
