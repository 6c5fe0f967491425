"""The redactor alone; that every border uses it is tested in test_llm_secrets."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.secrets import Redactor, child_environment, is_secret_name

KEY = "s3cr3t/+of the=toy"


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "DB_PASSWORD", "GITHUB_PAT", "token"],
)
def test_names_that_hold_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["PATH", "MAX_TOKENS", "SYSMITH_KERNELGEN_MAX_TOKENS", "KEYBOARD", "TOKENIZERS_PARALLELISM"]
)
def test_names_that_do_not(name: str) -> None:
    assert not is_secret_name(name)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60),
    st.binary(max_size=5),
    st.binary(max_size=5),
)
def test_a_secret_is_found_plain_and_encoded(secret: str, before: bytes, after: bytes) -> None:
    redactor = Redactor({"KEY": secret})
    left, right = before.decode("latin-1"), after.decode("latin-1")
    forms = {
        "plain": f"{left} {secret} {right}",
        "json": json.dumps({"a": secret}),
        "url": f"https://example.org/?k={quote(secret, safe='')}",
        "hex": secret.encode().hex(),
    }
    for name, text in forms.items():
        clean = redactor.text(text)
        assert secret not in clean, name
        assert "[redacted KEY]" in clean, name
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    assert redactor.text(encoded) != encoded


def test_the_name_of_the_variable_is_told_and_the_rest_stays() -> None:
    assert Redactor({"TOY_KEY": KEY}).text(f"bad key {KEY}!") == "bad key [redacted TOY_KEY]!"


def test_short_values_are_left_alone() -> None:
    assert Redactor({"A_TOKEN": "1", "B_TOKEN": "       "}).text("1 of 11") == "1 of 11"


def test_a_secret_inside_another_is_no_obstacle() -> None:
    redactor = Redactor({"A": "abcdefgh", "B": "abcdefghijkl"})
    assert redactor.text("abcdefghijkl abcdefgh") == "[redacted B] [redacted A]"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abc.def-ghijklmnop", "Authorization: Bearer [redacted]"),
        ("key sk-proj-0123456789abcdefghij ends", "key [redacted] ends"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("postgres://user:hunter2@db/x", "postgres://user:[redacted]@db/x"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("a task-oriented mask-based approach", "a task-oriented mask-based approach"),
    ],
)
def test_well_known_shapes_are_blanked(text: str, clean: str) -> None:
    assert Redactor({}).text(text) == clean


def test_values_are_cleaned_in_all_depths() -> None:
    value = {"a": [KEY, {"b": (KEY, 1, None)}], KEY: True}
    assert KEY not in json.dumps(Redactor({"K": KEY}).value(value))


def test_a_child_gets_neither_the_variable_nor_its_copy() -> None:
    environment = {"PATH": "/bin", "TOY_API_KEY": KEY, "COPY": f"x{KEY}", "URL": "https://u:secret@h/"}
    assert child_environment(environment) == {"PATH": "/bin"}
