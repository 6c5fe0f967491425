"""The way to every provider that litellm knows, local OpenAI-compatible servers included; it retries nothing itself.

litellm takes seconds to import, so it is imported when a model is opened, with its own price list from disk, no
telemetry and no debugging output on stdout. Keys are read by litellm from the environment (``OPENAI_API_KEY``);
``OPENAI_BASE_URL`` points ``openai/NAME`` at a local server.
"""

from __future__ import annotations

import email.utils
import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from agents.llm.deadline import TimeLimit, within
from agents.llm.errors import LLMError, Refused, Unreachable
from agents.llm.pricing import Price, estimated_usage
from agents.llm.quote import visible
from agents.llm.secrets import Redactor
from agents.llm.types import Completion, Request
from agents.protocols import Cost
from sysmith_errors import InputError, MissingPart

_LASTING = {401: "the key is not accepted", 402: "payment is required", 403: "access is denied", 404: "not found"}
_BUSY = {408, 409, 425, 429}  # beside 500 and above: worth another try
_PREFIX = re.compile(r"^(?:litellm\.)?(?:\w+(?:Error|Exception|Timeout)(?::| -)\s*)+")
_loading = threading.Lock()


def load() -> Any:
    """Import litellm, quietly. Raises MissingPart where it is not installed."""
    with _loading:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else importing it fetches the price list
        os.environ["LITELLM_MODE"] = "PRODUCTION"  # else it reads .env files, whose keys no redactor would know
        os.environ.setdefault("LITELLM_TELEMETRY", "False")
        os.environ.setdefault("LITELLM_LOG", "CRITICAL")
        try:
            import litellm
        except ImportError as error:
            raise MissingPart(
                f"litellm cannot be imported: {error}", mend="Install it: pip install litellm."
            ) from error
        litellm.suppress_debug_info = True  # it prints advertisements to stdout
        litellm.telemetry = False
        litellm.callbacks, litellm.success_callback, litellm.failure_callback = [], [], []
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are ours to show, redacted
        return litellm


class LitellmTransport:
    """One model by its litellm name. Raises InputError for a name that litellm does not know and for a key that is not
    set. ``price`` stands above litellm's own price list."""

    patient = False

    def __init__(self, model: str, price: Price, redactor: Redactor) -> None:
        self.model = model
        self._litellm = load()
        self._redactor = redactor
        self._own_price = price.known
        self._extra = self._check()
        self.price = price if price.known else self._listed()
        self._schema = bool(self._litellm.supports_response_schema(model=model))

    def _check(self) -> dict[str, Any]:
        """Arguments that this model needs beside the request's."""
        try:
            _, provider, _, _ = self._litellm.get_llm_provider(model=self.model)
        except Exception as error:
            raise InputError(
                f"--models: litellm knows no provider for {self.model!r}",
                mend="Write PROVIDER/NAME, for example openai/gpt-4o-mini, anthropic/claude-sonnet-4-5 or, with "
                "OPENAI_BASE_URL set, openai/NAME for a local server; or replay:DIR, or mailbox:DIR.",
            ) from error
        base = os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
        if provider == "openai" and base and not os.environ.get("OPENAI_API_KEY"):
            return {"api_key": "none"}  # local servers want none, but the client insists on something
        missing = self._litellm.validate_environment(model=self.model).get("missing_keys", [])
        if missing and all(str(name).endswith("_API_KEY") for name in missing):
            raise InputError(f"--models: {self.model} needs {' and '.join(missing)}, not set", mend="Set the variable.")
        return {}

    def _listed(self) -> Price:
        """The dearest tier of litellm's price list, so that a reservation is never too small."""
        try:
            info: Mapping[str, Any] = self._litellm.get_model_info(model=self.model)
        except Exception:  # it raises whatever it likes for a model that is not in its list
            return Price(known=False)
        tiers = {kind: _dearest(info, kind) for kind in ("input", "output")}
        if tiers["input"] is None or tiers["output"] is None:
            return Price(known=False)
        return Price(tiers["input"], tiers["output"])

    def most(self, request: Request) -> Cost:
        return self.price.most(request)

    def complete(self, request: Request, timeout_s: float | None) -> Completion:
        """Raises Refused and Unreachable in one redacted sentence each."""
        begun = time.monotonic()
        try:
            arguments = self._arguments(request, timeout_s)
            response = within(timeout_s, lambda: self._litellm.completion(**arguments))
        except Exception as error:  # litellm raises many types; each becomes one of two
            failure = self._failure(error, timeout_s)
        else:
            return self._read(request, response, time.monotonic() - begun)
        raise failure  # outside the handler: the original text may hold a key, and must not trail along as context

    def _arguments(self, request: Request, timeout_s: float | None) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": request.model,
            "messages": request.to_json()["messages"],
            "max_tokens": request.max_tokens,
            "timeout": timeout_s,
            "num_retries": 0,
            "max_retries": 0,
            "stream": False,
            "drop_params": True,  # what a provider does not know is left out, not refused
        }
        if request.temperature is not None:
            arguments["temperature"] = request.temperature
        if request.seed is not None:
            arguments["seed"] = request.seed
        if request.schema is not None and self._schema:
            schema = {"name": "answer", "schema": dict(request.schema), "strict": False}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        return arguments | self._extra

    def _read(self, request: Request, response: Any, seconds: float) -> Completion:
        choice = response.choices[0] if response.choices else None
        text = (choice.message.content or "") if choice is not None else ""
        usage = getattr(response, "usage", None)
        prompt = int(getattr(usage, "prompt_tokens", 0) or 0)
        completion = int(getattr(usage, "completion_tokens", 0) or 0)
        reported = prompt + completion > 0
        if not reported:
            prompt, completion = estimated_usage(request, text)
        return Completion(
            text=text,
            model=self.model,
            prompt_tokens=prompt,
            completion_tokens=completion,
            dollars=self._dollars(response, prompt, completion),
            seconds=seconds,
            reported=reported,
            truncated=choice is not None and choice.finish_reason == "length",
        )

    def _dollars(self, response: Any, prompt: int, completion: int) -> float:
        if not self._own_price and self.price.known:
            try:
                return float(self._litellm.completion_cost(completion_response=response, model=self.model))
            except (
                Exception
            ):  # a model's odd price entry must not lose a paid answer; the list's dearest tier stands in
                return self.price.of(prompt, completion)
        return self.price.of(prompt, completion)

    def _failure(self, error: Exception, timeout_s: float | None) -> LLMError:
        headers = getattr(error, "litellm_response_headers", None)
        status = getattr(error, "status_code", None)
        text = " ".join(visible(self._redactor.text(_PREFIX.sub("", str(error)))).split())[:300]
        if isinstance(error, self._litellm.Timeout | TimeLimit):
            waited = f" within {timeout_s:g} s" if timeout_s is not None else ""
            return Unreachable(f"{self.model} did not answer{waited}", perhaps_billed=True)
        if headers is None and (status is None or status >= 500):
            # No response was understood: the connection failed, or the body was not what the protocol promises.
            if _never_sent(error):
                return Unreachable(f"{self.model} cannot be reached: {text}", mend="Check the address and the network.")
            return Unreachable(f"{self.model} gave no usable answer: {text}", perhaps_billed=True)
        if status in _BUSY or (status is not None and status >= 500):
            wait = _retry_after(headers)
            return Unreachable(f"{self.model} is busy or failing (HTTP {status}): {text}", retry_after_s=wait)
        why = _LASTING.get(status or 0)
        reason = f", {why}" if why else ""
        return Refused(f"{self.model} refused the request (HTTP {status}{reason}): {text}", lasting=bool(why))


def _dearest(info: Mapping[str, Any], kind: str) -> float | None:
    names = [
        name
        for name, value in info.items()
        if isinstance(value, int | float)
        and name.startswith(f"{kind}_cost_per_token")
        and not name.endswith(("_batches", "_priority", "_flex"))
    ]
    if f"{kind}_cost_per_token" not in names:
        return None
    if kind == "output" and isinstance(info.get("output_cost_per_reasoning_token"), int | float):
        names.append("output_cost_per_reasoning_token")
    return max(float(info[name]) for name in names)


def _retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Seconds from the header Retry-After, which is a number or a date (RFC 9110, section 10.2.3)."""
    value = headers.get("retry-after") if headers else None
    if not value:
        return None
    try:
        wait = float(value)
    except ValueError:
        try:
            wait = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return max(0.0, wait) if wait < float("inf") else None


def _never_sent(error: BaseException | None) -> bool:
    """Whether the connection was never made, so that nothing can have been billed."""
    import httpx

    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
