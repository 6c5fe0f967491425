"""Writes what every method and store finds for each question, shuffled and unsigned, for someone to judge blindly.

Run ``python examples/knowledge/pool.py QUESTIONS.jsonl --state .sysmith --state other/.sysmith --out pool.jsonl``.
Each line of the pool is a question with its passages; ``--key FILE`` says where each of them stands.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from knowledge.pool import DEPTH, pool
from knowledge.questions import KINDS, read_questions
from knowledge.store import KnowledgeStore
from sysmith_errors import InputError, SysmithError
from sysmith_files import why_unreadable, write_atomic


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or that of the error shown on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path, help="questions, a JSON object a line")
    parser.add_argument("--state", type=Path, action="append", help="a folder with manuals (.sysmith); may be repeated")
    parser.add_argument("--out", type=Path, required=True, help="where the pools go, a JSON object a line")
    parser.add_argument("--key", type=Path, help="where the places of the pool ids go; keep it from the judge")
    parser.add_argument("--kind", choices=KINDS, help="only questions of this kind")
    parser.add_argument("--top", type=int, default=DEPTH, help="how many passages of each method")
    parser.add_argument("--within", action="store_true", help="ask only the manual that each question names")
    given = parser.parse_args(arguments)
    try:
        asked = [q for q in read_questions(given.questions) if given.kind in (None, q.kind)]
        if not asked:
            raise InputError(f"{given.questions} holds no {given.kind} question", mend="Leave --kind out.")
        stores = [KnowledgeStore.open(state, say=_say) for state in given.state or [Path(".sysmith")]]
        pools = []
        for number, question in enumerate(asked, 1):
            pools.append(pool(question, stores, top=given.top, within=given.within))
            _say(f"asked {number} of {len(asked)}")
        _write(given.out, [one.document() for one in pools])
        if given.key:
            _write(given.key, [row for one in pools for row in one.key()])
    except SysmithError as error:
        _say(f"error: {error}")
        return error.exit_code
    print(f"{len(pools)} questions, {sum(len(one.passages) for one in pools)} passages to judge")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        write_atomic(path, lines.encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {why_unreadable(error)}", mend="Choose another file.") from None


if __name__ == "__main__":
    sys.exit(main())
