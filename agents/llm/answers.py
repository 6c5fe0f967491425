"""From a model's text to a validated answer, and the words that tell a model (or a person) how to answer; no calls.

This is the only way a model's text gets into the program: it either becomes an instance of the answer type or is
refused. Two spellings are understood, because source code inside JSON is hard to write for people and models alike:
one JSON object (alone, in a code block or within prose), or a heading with the field's name above each field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from agents.llm.errors import MalformedAnswer
from agents.llm.quote import visible

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T", bound="BaseModel")

LONGEST = 1_000_000  # characters; no honest answer is longer, and reading one takes time
_MOST_BRACES = 200
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^`\n]*$", re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+[`*_]*(\w+)[`*_]*[ \t]*:?[ \t]*$")


def parse(text: str, answer: type[T]) -> T:
    """The answer in ``text``. Raises MalformedAnswer saying what is wrong, in words fit for a repair request."""
    from pydantic import ValidationError

    if len(text) > LONGEST:
        raise MalformedAnswer(f"the answer has {len(text)} characters, more than {LONGEST}")
    fields = _fields(answer)
    found: list[T] = []
    worst: ValidationError | None = None
    for candidate in _candidates(text, fields):
        try:
            value = answer.model_validate(candidate)
        except ValidationError as error:
            worst = worst if worst is not None and worst.error_count() <= error.error_count() else error
        else:
            if value not in found:
                found.append(value)
    if len(found) > 1:
        raise MalformedAnswer(f"it holds {len(found)} different objects that fit; give exactly one")
    if found:
        return found[0]
    if worst is None:
        raise MalformedAnswer(f"it holds no JSON object with the fields {', '.join(fields)}")
    raise MalformedAnswer("; ".join(_complaint(error) for error in worst.errors(include_url=False)[:5]))


def _complaint(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "the object"
    return f"{visible(where)[:80]}: {' '.join(visible(str(error['msg'])).split())[:200]}"


@lru_cache(maxsize=64)
def _fields(answer: type[BaseModel]) -> Mapping[str, bool]:
    """Each field, and whether it takes a text, so that what stands below its heading is not read as JSON."""
    schema = answer.model_json_schema()
    definitions = schema.get("$defs", {})
    return {name: _holds_text(field, definitions) for name, field in schema["properties"].items()}


def _holds_text(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        schema = definitions[str(schema["$ref"]).rsplit("/", 1)[-1]]
    return schema.get("type") == "string" or any(_holds_text(one, definitions) for one in schema.get("anyOf", ()))


def _candidates(text: str, fields: Mapping[str, bool]) -> Iterator[dict[str, Any]]:
    """Each mapping that ``text`` may mean; where the whole text is one, or has headings, there is no other.

    ``fields`` maps each name to whether it holds a text.
    """
    whole = _load(text)
    if whole is not None:
        yield whole
        return
    before, sections = _sections(text, fields)
    if sections:
        known = next(iter(_objects(before, fields)), {})
        yield known | sections
        return
    yield from _objects(text, fields)


def _objects(text: str, fields: Mapping[str, bool]) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in ``text`` that have at least one of the fields."""
    decoder = json.JSONDecoder(strict=False, parse_constant=_no_constant)
    position, tries = text.find("{"), 0
    while position >= 0 and tries < _MOST_BRACES:
        tries += 1
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            end = position + 1
        else:
            if isinstance(value, dict) and any(name in value for name in fields):
                yield value
        position = text.find("{", end)


def _load(text: str) -> dict[str, Any] | None:
    try:
        # strict=False: models put line feeds into strings as they are.
        value = json.loads(text, strict=False, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _sections(text: str, fields: Mapping[str, bool]) -> tuple[str, dict[str, Any]]:
    """What stands before the first heading that names a field, and the text below each such heading.

    A heading inside a code block is no heading. Raises MalformedAnswer for a field with two headings.
    """
    before: list[str] = []
    current = before
    bodies: dict[str, list[list[str]]] = {}
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark:
            if not fence:
                fence = mark[1]
            elif mark[1][0] == fence[0] and len(mark[1]) >= len(fence) and line.strip() == mark[1]:
                fence = ""
        heading = None if fence or mark else _HEADING.match(line)
        if heading and heading[1] in fields:
            current = []
            bodies.setdefault(heading[1], []).append(current)
        else:
            current.append(line)
    values: dict[str, Any] = {}
    for name, parts in bodies.items():
        if len(parts) > 1:
            raise MalformedAnswer(f"{name}: {len(parts)} headings name it; give exactly one")
        inside = _inside("\n".join(parts[0]))
        values[name] = inside if fields[name] else _value(inside)
    return "\n".join(before), values


def _inside(text: str) -> str:
    """The inside of a code block where ``text`` is one, else ``text`` without the space around it."""
    lines = text.strip().split("\n")
    opening = _FENCE.match(lines[0])
    if opening and len(lines) > 1 and lines[-1].strip() == opening[1]:
        return "\n".join(lines[1:-1])
    return text.strip()


def _value(text: str) -> Any:
    try:
        return json.loads(text, strict=False, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text  # the answer type will say what it wants instead
