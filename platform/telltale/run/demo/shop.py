"""What the shop's own systems tell, as a back end would: orders and calls for a person, in lists, over plain HTTP."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from telltale.run.demo.account import Address, SendError
from telltale.run.demo.values import DemoSignal, DemoTrace

AT_A_TIME = 500
# What the shop measures its assistant by: name, and what `POST /api/v1/outcomes` reads.
BUYING = ["product-search", "sizing-advice", "checkout-help"]
OUTCOMES: dict[str, tuple[str, dict[str, Any]]] = {
    "orders": (
        "Sessions that end in an order",
        {"measure": "share", "of": [{"kind": "conversion"}], "features": BUYING, "better": "higher"},
    ),
    "order-value": (
        "Order value",
        {"measure": "value", "of": [{"kind": "conversion"}], "per": "with", "unit": "USD", "better": "higher"},
    ),
    "handed-over": (
        "Handed over to a person",
        {"measure": "share", "of": [{"fact": "escalated"}], "better": "lower"},
    ),
    "cost-of-a-settled-session": (
        "Cost of a settled session",
        {"measure": "cost", "of": [{"fact": "completed"}], "better": "lower"},
    ),
}


class Desk:
    """Collects what is to be told, and tells it in lists."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        self.items: list[dict[str, Any]] = []

    def note(self, trace: DemoTrace) -> None:
        """Take down what the shop's systems know of a trace's session."""
        self.items += [_item(trace, one) for one in trace.signals if one.from_shop and one.at < self.until]

    def send(self, address: Address) -> int:
        """Send all of it; how many were taken. SendError where the server does not take them."""
        taken = 0
        for at in range(0, len(self.items), AT_A_TIME):
            answer = ask(address, "POST", "/api/v1/signals", self.items[at : at + AT_A_TIME])
            refused = [item for item in answer.get("items", ()) if item.get("status") == "rejected"]
            if refused:
                raise SendError(f"A signal was refused: {str(refused[0])[:300]}")
            taken += len(self.items[at : at + AT_A_TIME])
        return taken


def define_outcomes(address: Address) -> None:
    """Define what the shop measures by, where it is not defined yet. SendError where the server does not take it."""
    told = ask(address, "GET", "/api/v1/outcomes?archived=true", None)
    known = {item["slug"] for item in told["items"]}
    for slug, (name, spec) in OUTCOMES.items():
        if slug not in known:
            ask(address, "POST", "/api/v1/outcomes", {"slug": slug, "name": name, "spec": spec})


def _item(trace: DemoTrace, signal: DemoSignal) -> dict[str, Any]:
    return {
        "name": signal.name,
        "value": signal.value,
        "session_id": trace.session_id,
        "user_id": trace.user_id,
        "happened_at": signal.at.isoformat(),
        "client_id": signal.client_id,
    }


def ask(address: Address, method: str, path: str, body: Any) -> dict[str, Any]:
    """What an address of the product answers to JSON. SendError where it refuses, or nothing answers."""
    connection = address.connect()
    try:
        headers = {**address.headers(), "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, address.path(path), content, headers)
        answer = connection.getresponse()
        told = answer.read()
    except OSError as error:
        raise SendError(f"{address.url} did not take what was sent to {path}: {error}.") from None
    finally:
        connection.close()
    if answer.status not in (200, 201, 202):
        raise SendError(f"{path} was answered with {answer.status}: {told[:200].decode(errors='replace')}")
    found: dict[str, Any] = json.loads(told)
    return found
