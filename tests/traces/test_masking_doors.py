"""Masking at every door of a project: what came with a secret is stored, shown and accounted for without it."""

from __future__ import annotations

import json
import time

import orjson
import pytest
import zstandard
from django.db import connection

from telltale.audit.models import AuditEntry
from telltale.jobs import work
from traces import masks, remasking
from traces.accounting import fold_batches
from traces.ingest.rules import forget as forget_rules
from traces.models import MaskPolicy

CARD = "4111 1111 1111 1111"
KEY = "sk-proj-Zx8Kq2mN5vB7cW1eR4tY6u"
TRACE, SPAN = "a1" * 16, "b2" * 8
PAGE, REST = "/p/shop/settings/masking/", "/api/v1/masking"


@pytest.fixture(autouse=True)
def fresh(otlp):
    masks.forget()
    yield
    masks.forget()
    forget_rules()


@pytest.fixture
def rules(shop):
    def change(**told):
        answer = shop.erin.put(f"{REST}?project=shop", json.dumps(told), content_type="application/json")
        assert answer.status_code == 200, answer.content
        forget_rules()
        return answer.json()

    return change


def attribute(key, value):
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": key, "value": {kind: value}}


def span_of(text, trace=TRACE, span=SPAN, feature=None, parent=None):
    now = time.time_ns() - 60 * 10**9
    attributes = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 17,
        "gen_ai.usage.output_tokens": 5, "note": text, "card": 5500005555555559,
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}]),
        "http.request.header.authorization": "Token hush-hush", text: "as a key", "session.id": text,
    }  # fmt: skip
    if feature:
        attributes["telltale.feature"] = feature
    return {
        "traceId": trace, "spanId": span, "parentSpanId": parent or "", "name": f"ask {text}", "kind": 3,
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**9),
        "attributes": [attribute(key, value) for key, value in attributes.items()],
        "status": {"code": 2, "message": f"refused {text}"},
        "events": [{"name": f"saw {text}", "timeUnixNano": str(now), "attributes": [attribute("said", text)]}],
    }  # fmt: skip


def send(client, headers, *spans, resource="app"):
    body = {
        "resourceSpans": [
            {"resource": {"attributes": [attribute("service.name", "app"), attribute("url", resource)]},
             "scopeSpans": [{"scope": {"name": "app"}, "spans": list(spans)}]}
        ]
    }  # fmt: skip
    answer = client.post("/v1/traces", json.dumps(body), content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    assert answer.json() == {}
    return answer


def everything_stored():
    """All text of all tables but the rules themselves, packed bodies unpacked."""
    parts = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'traces_%%'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t.* FROM "{table}" AS t')
            for row in cursor.fetchall():
                for value in row:
                    if isinstance(value, memoryview | bytes):
                        data = bytes(value)
                        if data[:4] == b"\x28\xb5\x2f\xfd":
                            data = zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 26)
                        value = data.decode("utf-8", "replace")
                    parts.append(str(value))
    return "\n".join(parts)


def holds(text):
    return text in everything_stored()


def test_a_secret_in_every_part_of_a_span_is_stored_nowhere_and_the_counts_stay(shop, otlp):
    headers = shop.key("ingest signal read write")
    secret = f"{KEY} and {CARD}"

    send(shop.nobody, headers, span_of(secret), resource=f"https://app:{KEY}@host/")
    fold_batches()

    stored = everything_stored()
    for part in (KEY, CARD, "4111", "5500005555555559", "hush-hush"):
        assert part not in stored
    trace = shop.nobody.get(f"/api/v1/traces/{TRACE}", headers=headers).json()
    assert trace["name"] == "ask [masked: key] and [masked: card]"
    assert (trace["input_tokens"], trace["output_tokens"]) == (17, 5)
    assert trace["session_id"].startswith("[masked: key ")
    page = shop.bob.get(f"/p/shop/traces/{TRACE}/").content.decode()
    assert "[masked: card]" in page
    masked = {(row["source"], row["rule"]): row["n"] for row in
              shop.nobody.get("/api/v1/accounting", headers=headers).json()["masked"]}  # fmt: skip
    assert masked["traces", "card"] > 5
    assert masked["traces", "header"] == 1
    accounting = shop.bob.get("/p/shop/accounting/").content.decode()
    assert "Masked, by rule" in accounting
    assert "The sum holds" in accounting


def test_a_span_without_a_secret_is_stored_as_it_was_sent(shop, otlp):
    headers = shop.key("ingest read")
    span = span_of("plain words")
    span["attributes"] = [one for one in span["attributes"] if one["key"] == "note"]

    send(shop.nobody, headers, span)

    assert holds("plain words")
    assert shop.nobody.get("/api/v1/accounting", headers=headers).json()["masked"] == []


def test_logs_metrics_signals_comments_and_changes_are_masked_at_their_doors(shop, otlp):
    headers = shop.key("ingest signal read write")
    send(shop.nobody, headers, span_of("hello"))
    now = str(time.time_ns() - 60 * 10**9)
    record = {
        "timeUnixNano": now, "eventName": "gen_ai.user.message", "traceId": TRACE, "spanId": SPAN,
        "body": {"kvlistValue": {"values": [attribute("content", f"my key {KEY}")]}},
        "attributes": [attribute("gen_ai.system", CARD)],
    }  # fmt: skip
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    point = {"asDouble": 1.5, "timeUnixNano": now, "attributes": [attribute("host.name", KEY)]}
    metric = {"name": "system.cpu.utilization", "unit": "1", "gauge": {"dataPoints": [point]}}
    metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    signal = {
        "trace_id": TRACE, "name": "thumb", "value": "down", "comment": f"I paid with {CARD}", "user_id": KEY,
        "metadata": {"password": "hunter2", "seen": [CARD]},
    }  # fmt: skip
    change = {"kind": "deploy", "version": "1.2", "note": f"new {KEY}", "details": {"token": KEY}, "client_id": KEY}
    for path, body in (
        ("/v1/logs", logs), ("/v1/metrics", metrics), ("/api/v1/signals", signal), ("/api/v1/changes", change),
        (f"/api/v1/traces/{TRACE}/comments", {"body": f"see {CARD}"}),
        (f"/api/v1/traces/{TRACE}/labels", {"label": KEY.lower()}),
        ("/api/v1/traces", {"name": "n", "input": f"x {KEY}", "output": {"card": 4111111111111111}}),
    ):  # fmt: skip
        answer = shop.nobody.post(path, json.dumps(body), content_type="application/json", headers=headers)
        assert answer.status_code in (200, 201), (path, answer.content)

    stored = everything_stored()
    for part in (KEY, KEY.lower(), CARD, "4111111111111111", "hunter2"):
        assert part not in stored
    assert "[masked: card]" in stored
    rules = {row["source"] for row in shop.nobody.get("/api/v1/accounting", headers=headers).json()["masked"]}
    assert rules == {"traces", "logs", "metrics", "native", "signals"}


def test_no_content_keeps_times_tokens_cost_and_signals_and_no_text(shop, otlp, rules):
    rules(mode="no content")
    headers = shop.key("ingest signal read write")

    send(shop.nobody, headers, span_of("a private matter"))
    signal = {"trace_id": TRACE, "name": "thumb", "value": "down", "comment": "a private matter"}
    shop.nobody.post("/api/v1/signals", json.dumps(signal), content_type="application/json", headers=headers)

    trace = shop.nobody.get(f"/api/v1/traces/{TRACE}", headers=headers).json()
    assert (trace["input_tokens"], trace["output_tokens"]) == (17, 5)
    assert trace["duration_ms"] == 1000
    stored = everything_stored()
    for text in ("refused a private", "said", '"content"', "as a key", "hush-hush", "paid"):
        assert text not in stored
    assert shop.bob.get(f"/p/shop/traces/{TRACE}/").status_code == 200
    listed = shop.nobody.get("/api/v1/signals", headers=headers).json()["items"]
    assert [(one["vote"], one["comment"]) for one in listed] == [("down", None)]


def test_a_feature_may_be_kept_without_content_or_as_it_was_sent(shop, otlp, rules):
    rules(features=[{"feature": "private", "mode": "no content"}, {"feature": "lab", "mode": "off"}])
    headers = shop.key("ingest read")
    root = span_of("root words", "a1" * 16, "b1" * 8, feature="private")
    child = span_of("child words", "a1" * 16, "b2" * 8, parent="b1" * 8)

    send(shop.nobody, headers, root, child)
    send(shop.nobody, headers, span_of("late words", "a1" * 16, "b3" * 8, parent="b1" * 8))
    send(shop.nobody, headers, span_of(f"lab {CARD}", "a3" * 16, "b4" * 8, feature="lab"))
    send(shop.nobody, headers, span_of(f"other {CARD}", "a4" * 16, "b5" * 8))

    stored = everything_stored()
    for words in ("root words", "child words", "late words"):
        assert f"refused {words}" not in stored
    assert f"refused lab {CARD}" in stored
    assert "refused other [masked: card]" in stored


def test_a_trace_whose_feature_comes_late_is_masked_again(shop, otlp, rules):
    rules(features=[{"feature": "private", "mode": "no content"}])
    headers = shop.key("ingest read")

    send(shop.nobody, headers, span_of("early words", "a1" * 16, "b2" * 8, parent="b1" * 8))
    assert holds("refused early words")
    send(shop.nobody, headers, span_of("root words", "a1" * 16, "b1" * 8, feature="private"))

    assert not holds("refused early words")


def test_rules_are_versioned_audited_and_changed_by_admins_alone(shop, otlp, rules):
    first = rules(kinds={"email": True}, patterns=[{"name": "customer", "pattern": "KD-[0-9]+"}], tokens=["email"])
    again = rules(kinds={"email": True}, patterns=[{"name": "customer", "pattern": "KD-[0-9]+"}], tokens=["email"])

    assert (first["version"], again["version"]) == (1, 1)
    assert first["made_by"] == "Erin"
    assert MaskPolicy.objects.filter(project=shop.project).count() == 1
    entry = AuditEntry.objects.get(action="masking.change")
    assert entry.before["kinds"]["email"] is False
    assert entry.after["kinds"]["email"] is True
    told = json.dumps({"mode": "off"})
    assert shop.bob.put(f"{REST}?project=shop", told, content_type="application/json").status_code == 403
    assert shop.charlie.put(f"{REST}?project=shop", told, content_type="application/json").status_code == 404
    bad = shop.erin.put(f"{REST}?project=shop", json.dumps({"mode": "loud"}), content_type="application/json")
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (400, "mode")


def test_a_text_is_tried_and_kept_nowhere(shop, otlp):
    told = {"text": f"mail bob@example.com, {CARD}", "rules": {"kinds": {"email": True}}}

    answer = shop.erin.post(f"{REST}/try?project=shop", json.dumps(told), content_type="application/json")

    assert answer.json() == {"text": "mail [masked: email], [masked: card]", "found": {"card": 1, "email": 1}}
    entry = AuditEntry.objects.get(action="masking.try")
    assert "bob@" not in json.dumps([entry.before, entry.after, entry.target])
    assert entry.after["found"] == 2
    for body in ({}, {"text": 5}, {"text": "x" * 20_001}, {"text": "x", "more": 1}, {"text": "x", "rules": []}):
        bad = shop.erin.post(f"{REST}/try?project=shop", json.dumps(body), content_type="application/json")
        assert bad.status_code == 400, body


def test_the_page_saves_rules_tries_a_text_and_says_what_is_wrong(shop, otlp):
    form = {
        "mode": "mask", "kind": ["key", "card", "email"], "token": ["email"], "patterns": "customer = KD-[0-9]{4}",
        "features": "a = b = no content",
    }  # fmt: skip

    tried = shop.erin.post(f"{PAGE}try/", form | {"text": "KD-4711 <b> bob@example.com"}).content.decode()
    assert "[masked: customer] &lt;b&gt; [masked: email " in tried
    assert shop.erin.post(PAGE, form).status_code == 302
    policy = masks.policy_of(shop.project.pk)
    assert policy.kinds == {"key", "card", "email"}
    assert policy.features == (("a = b", "no content"),)
    assert "customer = KD-[0-9]{4}" in shop.bob.get(PAGE).content.decode()
    wrong = shop.erin.post(PAGE, form | {"patterns": "customer = (?=x)", "features": "nothing"})
    assert wrong.status_code == 400
    assert "must have an equals sign" in wrong.content.decode()
    assert shop.bob.post(PAGE, form).status_code == 403
    assert shop.bob.post(f"{PAGE}try/", form).status_code == 403
    assert shop.charlie.get(PAGE).status_code == 404


def test_rules_are_applied_to_what_is_stored_with_progress_and_counts(shop, otlp, rules, monkeypatch):
    monkeypatch.setattr(remasking, "pause", lambda seconds: None)
    headers = shop.key("ingest signal read write")
    rules(mode="off")
    send(shop.nobody, headers, span_of(CARD))
    signal = {"trace_id": TRACE, "name": "thumb", "value": "down", "comment": f"I paid with {CARD}"}
    shop.nobody.post("/api/v1/signals", json.dumps(signal), content_type="application/json", headers=headers)
    assert shop.erin.post(f"{REST}/reapply?project=shop").status_code == 409
    rules(mode="mask")
    assert holds(f"refused {CARD}")

    asked = shop.erin.post(f"{REST}/reapply?project=shop")
    assert (asked.status_code, asked.json()["state"]) == (202, "pending")
    assert shop.erin.post(f"{REST}/reapply?project=shop").status_code == 409
    job = work.run_next()

    assert job.state == "done"
    stored = everything_stored()
    for text in (f"refused {CARD}", f"said {CARD}", f"paid with {CARD}", "hush-hush", "5500005555555559"):
        assert text not in stored
    told = shop.bob.get(f"{REST}?project=shop").json()["reapply"]
    assert (told["state"], told["done"], told["total"]) == ("done", 1, 1)
    assert told["found"]["card"] > 3
    assert "looked at" in shop.bob.get(PAGE).content.decode()
    assert AuditEntry.objects.filter(action="masking.reapply").count() == 2
    assert orjson.dumps(told)
