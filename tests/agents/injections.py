"""The injections of ``injections.json``, and what must stay true of a prompt that shows one; it holds no tests.

``source`` says where such a text would come from. Other tests may use all of them, or those of some sources:
``pytest.mark.parametrize("injection", injections("op docstring", "kernel output"), ids=str)``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.llm import Message

FILE = Path(__file__).with_name("injections.json")
_BLOCK = re.compile(
    r"^BEGIN DATA ([0-9a-f]{12}): [^\n]*\n(`{3,})text\n(.*?)\n\2\nEND DATA \1$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Injection:
    id: str
    source: str
    text: str

    def __str__(self) -> str:
        return self.id


def injections(*sources: str) -> list[Injection]:
    """All injections, or those from the given sources."""
    rows = [
        Injection(row["id"], row["source"], row["text"] * row.get("repeat", 1))
        for row in json.loads(FILE.read_text())["injections"]
    ]
    return [row for row in rows if not sources or row.source in sources]


def skeleton(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """The roles and our own words: each message with what its data blocks hold taken out.

    It must be the same whatever the data was. Fails where a block can be closed from inside.
    """
    return [(message.role, _BLOCK.sub(_empty, message.content)) for message in messages]


def _empty(found: re.Match[str]) -> str:
    marker, fence, inside = found.groups()
    assert marker not in inside, "the marker is imitated inside the block"
    assert fence not in inside, "the code fence is closed inside the block"
    return "[data]"
