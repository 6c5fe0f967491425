"""Says in words how an answer type is to be answered, for the end of every prompt; it parses nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

_LONG = 1000  # characters; a shorter text is no trouble in JSON
_DEPTH = 4  # deeper nesting is left to the schema's own names


def format_of(answer: type[BaseModel]) -> str:
    """The section "Format of the answer": each field with its type, bounds and description, and a skeleton."""
    schema = answer.model_json_schema()
    definitions = schema.get("$defs", {})
    fields = "\n".join(_fields(schema, definitions, 0))
    skeleton = json.dumps(_example(schema, definitions, 0), indent=2, ensure_ascii=False)
    text = (
        "## Format of the answer\n\n"
        "Answer with one JSON object and no other text. Its fields:\n\n"
        f"{fields}\n\n"
        f"The shape, with placeholders:\n\n```json\n{skeleton}\n```"
    )
    properties = [_resolve(field, definitions) for field in schema["properties"].values()]
    if any(field.get("type") == "string" and field.get("maxLength", _LONG) >= _LONG for field in properties):
        text += (
            "\n\nA long text, such as source code, may be written without JSON's escapes: put a heading with the "
            "field's name above each field (`### name`) and the text below it in a code block. Do it for all fields or "
            "for none."
        )
    return text


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and drop the null of an optional field."""
    while True:
        if "$ref" in schema:
            target = definitions.get(str(schema["$ref"]).rsplit("/", 1)[-1], {})
            schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
            continue
        options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
        if len(options) == 1:
            rest = {name: value for name, value in schema.items() if name != "anyOf"}
            schema = {**options[0], **rest}
            continue
        return schema


def _fields(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> list[str]:
    required = set(schema.get("required", ()))
    lines: list[str] = []
    for name, raw in schema.get("properties", {}).items():
        field = _resolve(raw, definitions)
        words = [_kind(field, definitions), "required" if name in required else "may be left out"]
        text = f": {field['description']}" if field.get("description") else ""
        lines.append(f"{'  ' * depth}- `{name}` ({', '.join(words)}){text}")
        inner = _resolve(field.get("items", {}), definitions) if field.get("type") == "array" else field
        if inner.get("properties") and depth < _DEPTH:
            lines += _fields(inner, definitions, depth + 1)
    return lines


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "const" in field:
        return f"always {json.dumps(field['const'])}"
    if "enum" in field:
        return f"one of {', '.join(json.dumps(value) for value in field['enum'])}"
    if "anyOf" in field:
        return " or ".join(_kind(_resolve(option, definitions), definitions) for option in field["anyOf"])
    kind = field.get("type")
    if kind == "array":
        inner = _kind(_resolve(field.get("items", {}), definitions), definitions)
        return f"list{_size(field, 'minItems', 'maxItems', 'items')}, each: {inner}"
    if kind == "string":
        return f"text{_size(field, 'minLength', 'maxLength', 'characters')}"
    if kind in ("integer", "number"):
        return f"{'whole number' if kind == 'integer' else 'number'}{_bounds(field)}"
    return {"boolean": "true or false", "object": "object", "null": "null"}.get(str(kind), "any value")


def _bounds(field: Mapping[str, Any]) -> str:
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    found = [f"{word} {field[name]:g}" for name, word in words.items() if name in field]
    return f" {' and '.join(found)}" if found else ""


def _size(field: Mapping[str, Any], least: str, most: str, unit: str) -> str:
    if field.get(least) and field.get(least) == field.get(most):
        return f" of {field[least]} {unit}"
    found = [f"{word} {field[name]}" for name, word in ((least, "at least"), (most, "at most")) if field.get(name)]
    return f" of {' and '.join(found)} {unit}" if found else ""


def _example(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Any:
    schema = _resolve(schema, definitions)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("anyOf"):
        return _example(schema["anyOf"][0], definitions, depth)
    kind = schema.get("type")
    if kind == "object":
        if depth > _DEPTH:
            return {}
        return {name: _example(field, definitions, depth + 1) for name, field in schema.get("properties", {}).items()}
    if kind == "array":
        return [_example(schema.get("items", {}), definitions, depth + 1)]
    least = max(0, schema.get("minimum", schema.get("exclusiveMinimum", 0)))
    return {"string": "...", "integer": least, "number": float(least), "boolean": True}.get(str(kind))
