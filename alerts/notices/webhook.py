"""The signed webhook: JSON with the headers of Standard Webhooks 1.0.0, so that libraries of many languages verify it.

webhook-id          the transition's id, the same at every attempt
webhook-timestamp   when this attempt was made, in seconds since 1970
webhook-signature   v1,<base64 of HMAC-SHA256(key, "id.timestamp.body")>, one for each key in force, by spaces
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from alerts.notices.messages import Message
from alerts.notices.requests import Outgoing
from telltale.lib.format import iso

PREFIX = "whsec_"
KEY_BYTES = 32


def make_key() -> str:
    """A new signing key as people enter it at the receiver."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def sign(key: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of one attempt by one key, "v1,…"."""
    raw = base64.b64decode(key.removeprefix(PREFIX))
    told = hmac.new(raw, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(told).decode()}"


def keys_in_force(secret: Mapping[str, Any], at: datetime) -> list[str]:
    """The keys that sign now, newest first: {"keys": [{"key", "until" (ISO) or None}]}."""
    found: Sequence[Mapping[str, Any]] = secret.get("keys", ())
    return [each["key"] for each in found if not each["until"] or datetime.fromisoformat(each["until"]) > at]


def request(message: Message, config: Mapping[str, Any], secret: Mapping[str, Any], at: datetime) -> Outgoing | None:
    """The request, signed as of `at`. The body is the same at every attempt."""
    # Sorted: a row gives its keys back in an order of its own.
    body = orjson.dumps(payload(message), option=orjson.OPT_SORT_KEYS)
    told, seconds = str(message.id), int(at.timestamp())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": told,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(sign(key, told, seconds, body) for key in keys_in_force(secret, at)),
    }
    return Outgoing(secret["url"], body, headers, told)


def payload(message: Message) -> dict[str, Any]:
    """What a program reads."""
    data = {name: value for name, value in message.data.items() if name != "type"}
    return {
        "type": message.data.get("type", message.kind.value),
        "timestamp": iso(message.at),
        "id": str(message.id),
        "data": {
            "project": {"slug": message.project, "name": message.project_name},
            "severity": message.severity,
            "headline": message.headline,
            "summary": message.summary,
            "lines": [{"label": line.label, "value": line.value} for line in message.lines],
            "url": message.url,
            **data,
        },
    }
