"""What is copied can be sent again, and is then the same trace."""

from __future__ import annotations

import json
import os
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest
from django.test import Client

from telltale.lib.format import visible
from telltale.projects import keys
from traces import resend
from traces.api import trace_json
from traces.read import TraceFilter, each_trace, get_spans, get_trace, list_spans
from traces.tree import build_tree
from traces.wire.ids import hex_span_id, trace_id_from

pytestmark = pytest.mark.django_db
RECORDED = Path(__file__).resolve().parent.parent / "fixtures" / "recorded"
CLIENTS = sorted(path.name for path in RECORDED.iterdir() if path.is_dir())
TRACE = "0" * 31 + "7"
PAGE = f"/p/shop/traces/{TRACE}/"
IDS = {
    "trace_id", "span_id", "parent_span_id", "root_span_id", "foreign_trace_id", "duplicate_of_trace",
    "duplicate_of_span", "updated_at", "also_reported_by", "logs", "body", "flags",
}  # fmt: skip


def replay(client, secret):
    for request in json.loads((RECORDED / client / "manifest.json").read_text())["requests"]:
        if request["path"].endswith(("/v1/traces", "/v1/logs")):
            body = (RECORDED / client / request["file"]).read_bytes()
            headers = {"Authorization": f"Bearer {secret}"}
            Client().generic("POST", request["path"], body, request["content_type"], headers=headers)


def look(project, row):
    """Everything that two sendings of one trace must agree in: sums, spans, tree and messages."""
    steps = list_spans(project.pk, row).steps
    tree = build_tree(steps)
    details = get_spans(project.pk, row, [step.span_id for step in steps])
    by_id = {detail.span.span_id: detail for detail in details}

    def below(places):
        found = []
        for place in places:
            detail = by_id[steps[place].span_id]
            told = {k: v for k, v in trace_json.span(detail.span).items() if k not in IDS}
            content = detail.content
            said = (content.system_instructions, content.input_messages, content.output_messages, content.input_text,
                    content.output_text, content.tool_arguments, content.tool_result, content.documents,
                    content.tool_definitions, content.parameters)  # fmt: skip
            found.append((told, said, below(tree.children.get(place, ()))))
        return sorted(found, key=lambda each: (str(each[0]["started_at"]), each[0]["name"], str(each)))

    sums = {key: value for key, value in trace_json.trace(row).items() if key not in IDS}
    return sums, below(tree.roots)


def send(body, headers):
    answer = Client().post("/v1/traces", body, "application/json", headers=headers)
    assert (answer.status_code, answer.content) == (200, b"{}")


def send_again(project, row, headers, **how):
    for body in resend.each_request(project.pk, row, resend.trace_ids(project.pk, row), **how):
        send(body, headers)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_real_clients_sent_is_the_same_in_another_project(shop, otlp, client):
    replay(client, shop.key("ingest")["Authorization"].removeprefix("Bearer "))
    rows = list(each_trace(shop.project.pk, TraceFilter()))
    headers = shop.key("ingest", of=shop.elsewhere)

    for row in rows:
        send_again(shop.project, row, headers)

    assert rows
    for row in rows:
        there = get_trace(shop.elsewhere.pk, row.trace_id)
        assert look(shop.elsewhere, there) == look(shop.project, row)


@pytest.mark.parametrize("client", CLIENTS)
def test_with_new_ids_it_is_another_trace_of_the_same_project(shop, otlp, client):
    headers = shop.key("ingest")
    replay(client, headers["Authorization"].removeprefix("Bearer "))
    rows = list(each_trace(shop.project.pk, TraceFilter()))
    before = {row.trace_id: look(shop.project, row) for row in rows}

    for row in rows:
        send_again(shop.project, row, headers, salt="5")

    fresh = [row for row in each_trace(shop.project.pk, TraceFilter()) if row.trace_id not in before]
    assert len(fresh) == len(rows)
    assert sorted(map(str, (look(shop.project, row) for row in fresh))) == sorted(map(str, before.values()))
    # And what was there is as it was.
    assert {row.trace_id: look(shop.project, get_trace(shop.project.pk, row.trace_id)) for row in rows} == before


def odd(otlp):
    """A trace with everything that is easily lost on the way."""
    return otlp.send(
        otlp.span(
            TRACE, "a" * 16, "f" * 16, "turn “été” \u202e", attributes={"telltale.feature": "returns", "n": 2**62}
        ),
        otlp.generation(
            TRACE, "b" * 16, "a" * 16, said="it's $HOME `x` \\ \u2028 'EOF'\nTELLTALE\n", answered="\x1b[31m ok",
            attributes={"gen_ai.usage.cache_read.input_tokens": 400},
            events=[{"name": "retry", "timeUnixNano": str(otlp.start_ns + 5),
                     "attributes": [{"key": "raw", "value": {"bytesValue": "AAEC"}}]}],
            links=[{"traceId": TRACE, "spanId": "a" * 16}, {"traceId": "9" * 32, "spanId": "9" * 16}],
            traceState="a=b", status={"code": 2, "message": "late"},
        ),
        scope="my.scope", resource={"service.name": "shop", "ratio": 1.0},
    )  # fmt: skip


def test_everything_that_otlp_says_of_a_span_is_sent_again(shop, otlp):
    odd(otlp)
    row = get_trace(shop.project.pk, trace_id_from(TRACE, "otlp")[0])

    (body,) = resend.each_request(shop.project.pk, row, resend.trace_ids(shop.project.pk, row))

    (group,) = json.loads(body)["resourceSpans"]
    assert {"key": "ratio", "value": {"doubleValue": 1.0}} in group["resource"]["attributes"]
    assert group["scopeSpans"][0]["scope"] == {"name": "my.scope"}
    turn, call = group["scopeSpans"][0]["spans"]
    assert (turn["parentSpanId"], turn["name"]) == ("f" * 16, "turn “été” \u202e")
    assert {"key": "n", "value": {"intValue": str(2**62)}} in turn["attributes"]
    assert turn["startTimeUnixNano"] == str(otlp.start_ns)
    assert call["traceState"] == "a=b"
    assert call["status"] == {"code": 2, "message": "late"}
    assert call["events"] == [
        {"name": "retry", "timeUnixNano": str(otlp.start_ns + 5),
         "attributes": [{"key": "raw", "value": {"bytesValue": "AAEC"}}]}
    ]  # fmt: skip
    assert [link["spanId"] for link in call["links"]] == ["a" * 16, "9" * 16]


def test_new_ids_keep_the_tree_and_the_links_within_it(shop, otlp):
    odd(otlp)
    row = get_trace(shop.project.pk, trace_id_from(TRACE, "otlp")[0])
    ids = resend.trace_ids(shop.project.pk, row)

    (body,) = resend.each_request(shop.project.pk, row, ids, salt="a")
    (again,) = resend.each_request(shop.project.pk, row, ids, salt="a")
    (other,) = resend.each_request(shop.project.pk, row, ids, salt="b")

    turn, call = json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert body == again != other
    assert turn["traceId"] == call["traceId"] != TRACE
    assert call["parentSpanId"] == turn["spanId"] != "a" * 16
    assert turn["parentSpanId"] == "f" * 16  # never arrived, and so stays missing
    assert call["links"][0] == {"traceId": turn["traceId"], "spanId": turn["spanId"], "attributes": []}
    assert call["links"][1]["traceId"] == "9" * 32


def test_one_span_alone_becomes_the_root_of_its_new_trace(shop, otlp):
    odd(otlp)
    row = get_trace(shop.project.pk, trace_id_from(TRACE, "otlp")[0])
    ids = resend.trace_ids(shop.project.pk, row)
    call = next(each for each in ids if hex_span_id(each) == "b" * 16)

    (same,) = resend.each_request(shop.project.pk, row, ids, only=call)
    (new,) = resend.each_request(shop.project.pk, row, ids, only=call, salt="a")

    assert json.loads(same)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["parentSpanId"] == "a" * 16
    assert "parentSpanId" not in json.loads(new)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]


def copied(client, query=""):
    answer = client.get(PAGE + "copy/" + query)
    assert answer.status_code == 200, answer.content[:300]
    return unescape(re.search(r'id="copied"[^>]*>(.*?)</pre>', answer.content.decode(), re.S)[1])


def test_the_page_shows_the_very_json_of_rest(shop, otlp):
    odd(otlp)
    headers = shop.key("read")

    trace, span = copied(shop.bob), copied(shop.bob, "?span=" + "b" * 16)

    assert json.loads(trace) == shop.nobody.get(f"/api/v1/traces/{TRACE}", headers=headers).json()
    assert json.loads(span) == shop.nobody.get(f"/api/v1/traces/{TRACE}/spans/{'b' * 16}", headers=headers).json()
    assert visible(span) == span  # nothing that a page has to mark, so that what is copied is what it is


def test_strangers_copy_nothing(shop, otlp):
    odd(otlp)

    assert shop.charlie.get(PAGE + "copy/?as=curl").status_code == 404
    assert shop.bob.get(PAGE + "copy/?span=" + "e" * 16).status_code == 404
    assert shop.bob.get(PAGE + "copy/?as=curl&span=" + "e" * 16).status_code == 404
    assert shop.bob.get(PAGE + "copy/?span=%00").status_code == 404


def test_a_large_trace_is_a_file_in_several_commands(shop, otlp):
    otlp.send(*[otlp.span(TRACE, f"{n:016x}", name="x" * 500, at_ms=n) for n in range(1, 1200)])

    page = shop.bob.get(PAGE + "copy/?as=curl").content.decode()
    file = shop.bob.get(PAGE + "copy/?as=curl&format=file")

    assert "Too large to show" in page
    assert "attachment" in file["Content-Disposition"]
    text = b"".join(file.streaming_content).decode()
    assert text.count("curl ") == 3
    sent = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert sum(len(g["spans"]) for body in sent for r in body["resourceSpans"] for g in r["scopeSpans"]) == 1199


def test_rest_gives_the_request_in_pages(shop, otlp):
    otlp.send(*[otlp.span(TRACE, f"{n:016x}", at_ms=n) for n in range(1, 121)])
    headers = shop.key("read")
    found, path = [], f"/api/v1/traces/{TRACE}/otlp?ids=new&salt=x"

    while path:
        answer = shop.nobody.get(path, headers=headers)
        assert answer.status_code == 200
        found += answer.json()["resourceSpans"][0]["scopeSpans"][0]["spans"]
        link = re.match(r'<http://testserver([^>]*)>; rel="next"', answer.get("Link", ""))
        path = link[1] if link else ""

    assert len({span["spanId"] for span in found}) == 120
    assert len({span["traceId"] for span in found}) == 1
    send({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "test"}, "spans": found}]}]}, shop.key("ingest"))
    assert get_trace(shop.project.pk, trace_id_from(found[0]["traceId"], "otlp")[0]).span_count == 120


def test_rest_names_what_it_does_not_take(shop, otlp):
    odd(otlp)
    headers, path = shop.key("read"), f"/api/v1/traces/{TRACE}/otlp"

    assert shop.nobody.get(path + "?ids=other", headers=headers).json()["errors"][0]["field"] == "ids"
    assert shop.nobody.get(path + "?span=" + "e" * 16, headers=headers).status_code == 404
    assert shop.nobody.get(path + "?cursor=WzEuNV0", headers=headers).status_code == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ids", ["same", "new"])
def test_the_command_really_sends_it_again(live, shop, otlp, ids, settings, monkeypatch):
    from traces.pages import copying

    odd(otlp)
    monkeypatch.setattr(copying.settings, "TELLTALE_PUBLIC_URL", live)
    command = copied(shop.bob, f"?as=curl&ids={ids}")
    target = shop.project if ids == "new" else shop.elsewhere
    secret = keys.make_key(target, "again", ("ingest",)).secret

    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False,
        env={**os.environ, "TELLTALE_KEY": secret},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "{}")
    first = get_trace(shop.project.pk, trace_id_from(TRACE, "otlp")[0])
    there = [row for row in each_trace(target.pk, TraceFilter()) if ids == "same" or row.trace_id != first.trace_id]
    assert [look(target, row) for row in there] == [look(shop.project, first)]


def test_without_a_key_the_command_says_what_is_missing(shop, otlp):
    odd(otlp)
    command = copied(shop.bob, "?as=curl")
    env = {name: value for name, value in os.environ.items() if name != "TELLTALE_KEY"}

    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, env=env)

    assert done.returncode != 0
    assert "set it to a key with the scope ingest" in done.stderr
