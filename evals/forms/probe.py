"""Forms of suites and probes: typed text in, what `evals.probing` takes out, and back."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from django.http import QueryDict

from evals.probes.schedule import DAYS, Schedule, schedule_words
from evals.read.probing import ProbeView, SuiteView
from evals.setup.refusals import SetupRefused

PICO = 10**12
ROWS_MORE = 2
NAMES = (
    "name", "every", "at", "repeats", "temperature", "max_output_tokens", "runs_between_alarms", "budget_usd_run",
    "encoder_connection", "encoder_model",
)  # fmt: skip
EVERY = (
    ("60", "Every hour"), ("360", "Every 6 hours"), ("1440", "Every day"), ("days", "On these days, at this time"),
    ("none", "Only when somebody asks"),
)  # fmt: skip


def every_choices(chosen: str) -> tuple[tuple[str, str], ...]:
    """How often a suite may run; what somebody set by REST besides."""
    if chosen in dict(EVERY) or not (chosen.isascii() and chosen.isdigit() and len(chosen) < 7):
        return EVERY
    return (*EVERY[:3], (chosen, schedule_words(Schedule(int(chosen))).capitalize()), *EVERY[3:])


DEFAULTS: dict[str, Any] = {
    "name": "", "every": "1440", "at": "06:00", "repeats": "10", "temperature": "0", "max_output_tokens": "512",
    "runs_between_alarms": "1000", "budget_usd_run": "", "encoder_connection": "", "encoder_model": "",
    "days": ["mon"], "with_changes": False, "is_paused": False, "targets": [("", "")] * 3, "presets": [],
}  # fmt: skip
PROBE_NAMES = ("key", "must", "system", "user", "tools", "checks", "answer")
# One of each kind, for people who write checks.
CHECK_EXAMPLES: tuple[tuple[str, str], ...] = (
    ("JSON that keeps to a schema", '{"kind": "json_schema", "schema": {"type": "object", "required": ["name"]}}'),
    ("Texts that are in it (any, all or none)", '{"kind": "contains", "texts": ["391"], "match": "any"}'),
    ("A regular expression (any, none or whole)", '{"kind": "regex", "pattern": "^[0-9]+$", "match": "any"}'),
    ("A refusal, or none", '{"kind": "refusal", "expected": true}'),
    ("A language", '{"kind": "language", "languages": ["fr"]}'),
    ("Length in words, characters or lines", '{"kind": "length", "unit": "words", "at_most": 120}'),
    ("A call of a tool, with its arguments", '{"kind": "tool_call", "name": "get_weather", "arguments": {}}'),
    ("Time until the end", '{"kind": "latency", "at_most_ms": 5000}'),
    ("Tokens of the answer", '{"kind": "tokens", "at_most": 300}'),
    ("What it may cost", '{"kind": "cost", "at_most_usd": "0.01"}'),
    ("Why the model ended", '{"kind": "finish", "reasons": ["stop"]}'),
    ("Like its first answers (cosine distance)", '{"kind": "similar", "at_most": 0.4}'),
    ("What a judge says of it", '{"kind": "judge", "judge": "answer-quality", "criterion": "helpful", "at_least": 4}'),
)


def typed_suite(post: QueryDict) -> dict[str, Any]:
    """What somebody typed into the form of a suite."""
    typed: dict[str, Any] = {name: post.get(name, "")[:2000].replace("\x00", "").strip() for name in NAMES}
    pairs = zip(post.getlist("connection"), post.getlist("model"), strict=False)
    typed["targets"] = [(c[:20].strip(), m[:400].replace("\x00", "").strip()) for c, m in list(pairs)[:20]]
    typed["days"] = [day[:10] for day in post.getlist("day")][:7]
    typed["presets"] = [key[:80] for key in post.getlist("preset")][:50]
    typed |= {"with_changes": "with_changes" in post, "is_paused": "is_paused" in post}
    return typed


def typed_of_suite(row: SuiteView) -> dict[str, Any]:
    """A suite as its form shows it."""
    minutes = row.schedule.every_minutes
    every = "days" if row.schedule.days else "none" if minutes is None else str(minutes)
    return DEFAULTS | {
        "name": row.name, "every": every, "at": f"{row.schedule.at:%H:%M}", "repeats": str(row.repeats),
        "temperature": "" if row.temperature is None else f"{row.temperature:g}",
        "max_output_tokens": str(row.max_output_tokens), "runs_between_alarms": str(row.runs_between_alarms),
        "budget_usd_run": "" if row.budget_pico_run is None else f"{Decimal(row.budget_pico_run) / PICO:f}",
        "encoder_connection": str(row.encoder_id or ""), "encoder_model": row.encoder_model,
        "days": [DAYS[day] for day in row.schedule.days], "with_changes": row.with_changes,
        "is_paused": row.paused_at is not None,
        "targets": [(str(each.connection_id), each.model) for each in row.asked] + [("", "")] * ROWS_MORE,
    }  # fmt: skip


def suite_values(typed: Mapping[str, Any]) -> dict[str, Any]:
    """What `make_suite` and `change_suite` take. SetupRefused where a number is none."""
    usd = _decimal("budget_usd_run", typed["budget_usd_run"])
    temperature = _decimal("temperature", typed["temperature"])
    encoder = None
    if typed["encoder_connection"]:
        encoder = {"connection": typed["encoder_connection"], "model": typed["encoder_model"]}
    return {
        "name": typed["name"],
        "schedule": _schedule(typed),
        "repeats": _whole("repeats", typed["repeats"]),
        "temperature": None if temperature is None else float(temperature),
        "max_output_tokens": _whole("max_output_tokens", typed["max_output_tokens"]),
        "runs_between_alarms": _whole("runs_between_alarms", typed["runs_between_alarms"]),
        "budget_pico_run": None if usd is None else int(usd * PICO),
        "encoder": encoder,
        "with_changes": typed["with_changes"],
        "targets": [{"connection": c, "model": m} for c, m in typed["targets"] if c or m],
    }


def typed_probe(post: QueryDict) -> dict[str, str]:
    """What somebody typed into the form of a probe."""
    return {name: post.get(name, "")[:100_000].replace("\r\n", "\n") for name in PROBE_NAMES}


def typed_of_spec(spec: Mapping[str, Any], key: str = "") -> dict[str, str]:
    """A probe as its form shows it; several messages as JSON."""
    messages = spec.get("messages") or [{"role": "user", "content": spec.get("user", "")}]
    user = str(messages[0]["content"]) if len(messages) == 1 else _pretty(messages)
    tools = _pretty(spec["tools"]) if spec.get("tools") else ""
    return {
        "key": key, "must": str(spec.get("must", "")), "system": str(spec.get("system") or ""), "user": user,
        "tools": tools, "checks": _pretty(spec.get("checks") or []), "answer": "",
    }  # fmt: skip


def typed_of_probe(row: ProbeView) -> dict[str, str]:
    """A probe of a suite as its form shows it."""
    return typed_of_spec(row.spec, row.key)


def probe_values(typed: Mapping[str, str]) -> dict[str, Any]:
    """What `put_probe` takes. SetupRefused where a part is no JSON."""
    told: dict[str, Any] = {"must": typed["must"], "system": typed["system"].strip()}
    user = typed["user"].strip()
    messages = _json("user", user) if user.startswith("[{") else None
    told |= {"user": user} if messages is None else {"messages": messages}
    if typed["tools"].strip():
        told["tools"] = _json("tools", typed["tools"])
    checks = _json("checks", typed["checks"] or "[]")
    told["checks"] = checks if isinstance(checks, list) else [checks]
    return told


def _schedule(typed: Mapping[str, Any]) -> dict[str, Any]:
    every = typed["every"]
    if every == "none":
        return {}
    if every == "days":
        return {"days": list(typed["days"]), "at": typed["at"]}
    return {"every_minutes": _whole("every", every)}


def _json(field: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SetupRefused(field, f"is no JSON: {error}", "JSON", text[:60]) from None


def _pretty(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _whole(field: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise SetupRefused(field, "is no whole number", "a whole number", text[:40])
    return int(text)


def _decimal(field: str, text: str) -> Decimal | None:
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise SetupRefused(field, "is no number", "a number", text[:40]) from None
    if not value.is_finite() or abs(value) > 10**9:
        raise SetupRefused(field, "is out of range", "a number", text[:40])
    return value
