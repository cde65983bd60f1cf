"""What `init()` was told, completed from the environment. Nothing here raises: a bad value is told once and ignored."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from telltale_sdk._capture import Mask
from telltale_sdk._guard import warn_once

DEFAULT_ENDPOINT = "http://127.0.0.1:8000"
TRACES_PATH = "/v1/traces"
SIGNALS_PATH = "/api/v1/signals"
SCORES_PATH = "/api/v1/scores"
CHANGES_PATH = "/api/v1/changes"
BUDGETS_PATH = "/api/v1/budgets/check"
# Held until sent: about 20 kB a span with its texts, of which an application makes some hundred a second.
QUEUE_SPANS = 4096
QUEUE_BYTES = 32 * 1024 * 1024
BATCH_SPANS = 512
DELAY_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0
# As long as a default OpenTelemetry Collector holds on to a batch whose receiver is away.
RETRY_SECONDS = 300.0
EXIT_SECONDS = 5.0

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


@dataclass(frozen=True)
class Config:
    """The settings of one `init()`. Times in seconds, sizes in bytes."""

    endpoint: str = DEFAULT_ENDPOINT
    api_key: str = field(default="", repr=False)
    service: str | None = None
    environment: str | None = None
    release: str | None = None
    sample: float = 1.0
    mask: Mask | None = None
    capture_content: bool = True
    provider: Any = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    resource: Mapping[str, Any] = field(default_factory=dict)
    queue_spans: int = QUEUE_SPANS
    queue_bytes: int = QUEUE_BYTES
    batch_spans: int = BATCH_SPANS
    delay_s: float = DELAY_SECONDS
    timeout_s: float = TIMEOUT_SECONDS
    retry_s: float = RETRY_SECONDS
    exit_s: float = EXIT_SECONDS
    id_generator: Any = None

    @property
    def shown(self) -> str:
        """The endpoint as a log may show it, without a password that stands in it."""
        scheme, _, rest = self.endpoint.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def url(self, path: str) -> str:
        """The address of one of Telltale's paths, whether or not the endpoint was given with the traces' path."""
        return self.endpoint.rstrip("/").removesuffix(TRACES_PATH) + path


def from_environment(name: str, given: str | None) -> str | None:
    """What was given, else the variable; None where neither says anything."""
    value = given if given is not None else os.environ.get(name)
    return value.strip() or None if isinstance(value, str) else None


def read_truth(name: str, given: bool | None, default: bool) -> bool:
    """What was given, else the variable as 1, true, yes, on or 0, false, no, off."""
    if given is not None:
        return bool(given)
    text = os.environ.get(name)
    if text is None:
        return default
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    warn_once(f"config/{name}", "%s=%r is neither true nor false; %s is used", name, text, default)
    return default


def read_number(name: str, given: float | None, default: float, low: float, high: float) -> float:
    """What was given, else the variable, within `low` and `high`; else the default."""
    told: Any = given if given is not None else os.environ.get(name)
    if told is None or told == "":
        return default
    try:
        value = float(told)
    except (TypeError, ValueError):
        value = math.nan
    if not low <= value <= high:
        warn_once(f"config/{name}", "%s must be a number from %s to %s; %s is used", name, low, high, default)
        return default
    return value


def read_endpoint(given: str | None) -> str | None:
    """The endpoint, None where it is no http or https address."""
    told = from_environment("TELLTALE_ENDPOINT", given) or DEFAULT_ENDPOINT
    try:
        parts = urlsplit(told)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port)
    except ValueError:
        is_address = False
    if not is_address:
        warn_once("config/endpoint", "the endpoint is no address (http://host:port); nothing will be sent")
        return None
    return told


def read_callable(name: str, given: Callable[[str], str] | None) -> tuple[Mask | None, bool]:
    """The function, and whether it can be used: what was meant to mask and cannot be called must stop the sending."""
    if given is None or callable(given):
        return given, True
    warn_once(f"config/{name}", "%s is no function; nothing will be sent", name)
    return None, False
