"""A project with hostile text in every field that a sender, a person or a model can fill."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connection
from django.test import Client

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects import keys
from telltale.projects.models import Project
from tests.telltale.test_access_walk import KEY_SCOPES, Ids, _furnish
from tests.web.looks import forget_stored

TRACE = b"\x31" * 16
JSON = {"content_type": "application/json"}


def marker(field: str) -> str:
    """Text that runs or fetches where it is taken for markup: closes quotes and tags, and turns the direction round."""
    return f"<img src=//e.invalid/{field} onerror=owned()>\"'\u202e\x07{{{{7*7}}}}"


def shown(field: str) -> str:
    """The beginning of `marker` as a page that shows it as text holds it."""
    return f"<img src=//e.invalid/{field} onerror"


# Columns that people, senders and models fill, table by table; what the test finds on no page is told with its reason.
COLUMNS = {
    "accounts_user": ("name",), "accounts_organisation": ("name",), "projects_project": ("name",),
    "projects_apikey": ("name",), "usersessions_usersession": ("user_agent",), "audit_auditentry": ("target",),
    "traces_price": ("source",), "traces_savedview": ("name",), "traces_forwardtarget": ("name", "last_error"),
    "traces_outcome": ("name",), "traces_change": ("name", "version", "previous", "author", "note"),
    "evals_connection": ("name", "paused_reason"), "evals_rubric": ("name",), "evals_judge": ("name",),
    "evals_reviewqueue": ("name",), "evals_reviewitem": ("reason",), "evals_calibration": ("stale_reason",),
    "evals_dataset": ("name", "description"), "evals_experiment": ("name",),
    "evals_probesuite": ("name",), "evals_proberun": ("reason",), "evals_probealarm": ("note",),
    "evals_promotion": ("version", "author", "note"), "alerts_costbudget": ("name",),
    "alerts_incident": ("title", "scope_note", "cause_note"), "alerts_responsemade": ("note",),
    "alerts_channel": ("name", "error"), "alerts_silence": ("reason",), "alerts_delivery": ("error",),
    "alerts_question": ("text",), "alerts_monitor": ("name", "error", "standing_words"),
    "alerts_driftsettings": ("trouble",), "alerts_driftreference": ("reason",),
}  # fmt: skip
# Rows of the walk's world that no page shows as they stand there.
UNSEEN = {
    "audit_auditentry.target": "set again by every act of the test",
    "evals_connection.paused_reason": "shown while a connection is paused",
    "evals_reviewitem.reason": "shown to a reviewer who has it, which test_review_hostile does",
    "evals_calibration.stale_reason": "shown where a calibration is stale",
    "evals_proberun.reason": "shown of a run that ended with one",
    "evals_probealarm.note": "shown of an alarm that somebody closed",
    "alerts_driftsettings.trouble": "shown of an encoder that is away",
    "alerts_driftreference.reason": "shown of a reference that was refused",
    "alerts_monitor.standing_words": "shown of a monitor that stands",
    "alerts_channel.error": "shown of a channel that failed last",
    "alerts_delivery.error": "shown of an attempt that failed",
    "alerts_incident.cause_note": "shown once a step is done",
    "alerts_incident.scope_note": "shown once a step is done",
    "usersessions_usersession.user_agent": "written when somebody signs in",
}


def furnish(owner: User) -> Ids:
    """Fill the project `shop` of `owner`: one of everything, every text of it hostile, and a hostile session."""
    forget_stored()
    project = Project.objects.get(slug="shop")
    secret = keys.make_key(project, marker("projects_apikey.name"), KEY_SCOPES).secret
    holder = Client(headers={"Authorization": f"Bearer {secret}"})
    ids = _furnish(project, User.objects.create(email="member@example.com"), holder, TRACE)
    _send(holder, ids)
    _poison()
    return ids


def _send(holder: Client, ids: Ids) -> None:
    """A turn of a hostile session with every field that wire formats have, and what people say of it."""
    now = clock.now()
    step = {
        **{name: marker(f"span.{name}") for name in SPAN_FIELDS},
        "kind": "generation", "start": now.isoformat(), "duration_ms": 900, "finish_reason": marker("finish"),
        "input": [{"role": marker("role"), "content": marker("input")}, {"role": "user", "content": marker("asked")}],
        "output": [{"role": "assistant", "content": marker("output")}], "system": marker("system"),
        "tags": [marker("tag")], "metadata": {marker("metadata.key"): marker("metadata")},
        "prompt": {"name": marker("prompt"), "version": marker("prompt.version")},
        "tools": [{"name": marker("tool.offered"), "description": marker("tool.about")}],
        "events": [{"name": marker("event"), "at": now.isoformat(), "attributes": {"of": marker("event.value")}}],
        "attributes": {marker("attribute.key"): marker("attribute"), "url.full": "javascript:owned()"},
        "error": {"type": marker("error.type"), "message": marker("error"), "stack": marker("stack")},
        "usage": {"input_tokens": 30, "output_tokens": 8},
    }  # fmt: skip
    called = {
        "name": marker("call.name"), "kind": "tool", "start": now.isoformat(), "duration_ms": 10,
        "tool": {"name": marker("tool"), "arguments": {"a": marker("arguments")}, "result": marker("result")},
    }  # fmt: skip
    found = {
        "name": "find", "kind": "retriever", "start": now.isoformat(), "duration_ms": 10, "query": marker("query"),
        "documents": [{"id": marker("document.id"), "content": marker("document"), "score": 0.5}],
    }  # fmt: skip
    turn = {"trace_id": ids.trace, "name": marker("root"), "start": now.isoformat(), "duration_ms": 950}
    turn |= {"session": marker("session"), "user": marker("user"), "children": [step, called, found]}
    _post(holder, "/api/v1/traces", {"traces": [turn | {"trace_id": "42" * 16}]})
    held = {"trace_id": "42" * 16}
    _post(holder, f"/api/v1/traces/{'42' * 16}/comments", {"body": marker("comment")})
    said = {"name": "thumbs_down", "comment": marker("signal.comment"), "user_id": marker("user")}
    _post(holder, "/api/v1/signals", said | held)
    score = {"name": "tone", "value": 2, "comment": marker("score.comment"), "author": marker("score.author")}
    _post(holder, "/api/v1/scores", score | held)
    item = {"key": "k2", "input": marker("item.input"), "expected": marker("item.expected")}
    _post(holder, f"/api/v1/datasets/{ids.dataset}/items", {"items": [item]})
    _post(holder, f"/api/v1/incidents/{ids.number}/comments", {"text": marker("incident.comment")})


SPAN_FIELDS = ("name", "model", "model_answered", "provider", "feature", "release", "environment", "service")
SPAN_FIELDS += ("agent", "workflow")


def _post(holder: Client, path: str, value: object) -> dict[str, Any]:
    answer = holder.post(path, value, **JSON)
    assert answer.status_code < 300, (path, answer.content[:500])
    told: dict[str, Any] = answer.json()
    assert not told.get("errors"), (path, told)
    return told


def _poison() -> None:
    """Every column of `COLUMNS` says its own marker, as far as it is long; control characters cannot come by forms."""
    lengths = {
        (model._meta.db_table, field.column): field.max_length or 10_000
        for model in apps.get_models()
        for field in model._meta.local_fields
    }
    with connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            for column in columns:
                if table == "audit_auditentry":
                    continue  # nobody changes it
                text = marker(f"{table}.{column}")[: lengths[table, column]]
                cursor.execute(f'UPDATE "{table}" SET "{column}" = %s', [text])
