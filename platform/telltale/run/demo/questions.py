"""What the team of the shop asks: the questions of its overview, bound to the monitors that answer them."""

from __future__ import annotations

from typing import Any

from telltale.run.demo.account import Address
from telltale.run.demo.shop import ask

# By the names of monitors; those that are not there (no judge, no stand-in) are left out.
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"text": "Is quality degrading?", "pillar": "quality",
     "decision": "Open the incident, compare the prompt versions, roll back.",
     "monitors": ("Correctness of answers about returns", "Wrong answers about returns",
                  "Answers about returns got worse", "Length of answers about returns")},
    {"text": "Is cost under control?", "pillar": "cost", "decision": "Look at the heaviest users, then at the router.",
     "monitors": ("Spend by the hour, all but returns",)},
    {"text": "Is it slow or failing?", "pillar": "latency", "decision": "Call the provider, or route around it.",
     "monitors": ("Duration, all but returns", "Errors, all but returns", "Errors over 1 %")},
    {"text": "Is it safe?", "pillar": "safety", "decision": "Stop the feature; add the cases to the eval dataset.",
     "monitors": ("Unsupported figures about returns", "Unsupported figures, all but returns")},
    {"text": "Are users getting what they came for?", "pillar": "users",
     "decision": "Read the conversations that were left.",
     "monitors": ("Corrections about returns", "Corrections, all but returns",
                  "Abandoned sessions, all but returns")},
)  # fmt: skip


def write_questions(address: Address) -> int:
    """Write the questions that are not there yet; how many are there then. SendError."""
    rows = ask(address, "GET", "/api/v1/monitors?limit=500", None)["items"]
    ids = {row["name"]: row["id"] for row in rows}
    held = ask(address, "GET", "/api/v1/questions", None)
    known = {row["text"] for row in held["items"]} if held["is_written"] else set()
    for question in QUESTIONS:
        if question["text"] not in known:
            monitors = [ids[name] for name in question["monitors"] if name in ids]
            ask(address, "POST", "/api/v1/questions", {**question, "monitors": monitors})
    return len(known | {question["text"] for question in QUESTIONS})
