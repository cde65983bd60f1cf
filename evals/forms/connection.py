"""The form of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evals.calling.kinds import ANTHROPIC, OPENAI
from evals.forms.fields import Field, error_at, number_of, options, pico_of, usd_text, whole_of
from evals.read.setup import ConnectionView
from evals.setup.refusals import SetupRefused

KIND_WORDS = {OPENAI: "OpenAI-compatible", ANTHROPIC: "Anthropic"}
NAMES = (
    "name", "kind", "base_url", "key", "no_key", "timeout_seconds", "calls_a_minute", "at_a_time", "input_usd",
    "output_usd",
)  # fmt: skip
MILLION = 1_000_000
DEFAULTS = {"kind": OPENAI, "timeout_seconds": "60", "at_a_time": "4"}
# Fields of a connection that the form spells otherwise.
SHOWN_AS = {"input_pico": "input_usd", "output_pico": "output_usd"}


def typed_from(view: ConnectionView) -> dict[str, str]:
    """What the form of a connection begins with; its key is not among it."""
    return {
        "name": view.name,
        "kind": view.kind,
        "base_url": view.base_url,
        "timeout_seconds": f"{view.timeout_seconds:g}",
        "calls_a_minute": "" if view.calls_a_minute is None else str(view.calls_a_minute),
        "at_a_time": str(view.at_a_time),
        "input_usd": usd_text(view.input_pico, tokens=MILLION),
        "output_usd": usd_text(view.output_pico, tokens=MILLION),
    }


def values_of(typed: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a connection but its key; SetupRefused."""
    seconds = number_of("timeout_seconds", typed["timeout_seconds"])
    at_a_time = whole_of("at_a_time", typed["at_a_time"])
    if seconds is None or at_a_time is None:
        raise SetupRefused("timeout_seconds" if seconds is None else "at_a_time", "is empty")
    return {
        "name": typed["name"],
        "kind": typed["kind"],
        "base_url": typed["base_url"],
        "timeout_seconds": seconds,
        "calls_a_minute": whole_of("calls_a_minute", typed["calls_a_minute"]),
        "at_a_time": at_a_time,
        "input_pico": pico_of("input_pico", typed["input_usd"], tokens=MILLION),
        "output_pico": pico_of("output_pico", typed["output_usd"], tokens=MILLION),
    }


def fields_of(typed: Mapping[str, str], refused: SetupRefused | None, view: ConnectionView | None) -> dict[str, Field]:
    """The inputs by name. A key is never sent back, not even one just typed."""
    key_hint = "Kept encrypted, never shown again, and sent to this host alone."
    if view is not None and view.key_hint:
        key_hint += f" Left empty, {view.key_hint} stays as long as the host does."

    def make(name: str, label: str, hint: str = "", **more: Any) -> Field:
        asked = next((field for field, shown in SHOWN_AS.items() if shown == name), name)
        value = typed.get(name, "")
        return Field(name, label, value, hint, error_at(refused, asked), **more)

    return {
        field.name: field
        for field in (
            make("name", "Name", is_required=True, chars_max=80),
            make("kind", "Speaks", kind="select", choices=options(KIND_WORDS, typed.get("kind", ""))),
            make(
                "base_url",
                "Base address",
                "Up to and with the version, such as https://api.example.com/v1. Private networks and plain http need "
                "the operator’s TELLTALE_EGRESS_ALLOW.",
                is_required=True,
                placeholder="https://…/v1",
            ),
            Field("key", "Key", "", key_hint, error_at(refused, "key"), kind="secret"),
            make("timeout_seconds", "Time-out", "A call that takes longer is tried again.", suffix="s", kind="number"),
            make("calls_a_minute", "Calls a minute, at most", "Empty: as many as go.", kind="number"),
            make("at_a_time", "At a time, at most", "All workers together.", kind="number"),
            make(
                "input_usd",
                "Price of input",
                "Empty: the price book’s price for the model.",
                suffix="USD per million tokens",
                kind="number",
            ),
            make("output_usd", "Price of output", suffix="USD per million tokens", kind="number"),
        )
    }
