"""What tests of drawing and judging stand on: judges, plans, traces with contents, and a model endpoint that counts."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import orjson
from django.db import connection as database

from evals import drawing
from evals.judging import context
from evals.models import Connection, Judge, JudgeVersion, Rubric, RubricVersion, SamplingPlan, Settings
from evals.write.decisions import add_candidates
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.ingest.rules import rules_for
from traces.wire.native import read_native
from traces.write import store_spans
from traces.write.batch import Batch

POINTS = {"kind": "points", "low": 1, "high": 5}
RUBRIC = {
    "criteria": [
        {
            "key": "correctness", "title": "Correct", "scale": POINTS, "flag_at_most": 2,
            "definition": "Every claim in the answer is supported by the question or a document.",
        },
        {
            "key": "tone", "title": "Tone", "scale": POINTS,
            "definition": "The answer addresses the reader politely and without jargon.",
        },
    ]
}  # fmt: skip
YES_NO = {"criteria": [{"key": "short", "title": "Short", "scale": {"kind": "boolean"}, "definition": "At most 200 characters long."}]}  # noqa: E501  # fmt: skip
LENGTH_RULE = {"rules": [{"criterion": "short", "kind": "length", "at_most": 200}]}
INPUT_PICO, OUTPUT_PICO = 150_000, 600_000


def make_version(project, kind="model", *, slug="quality", config=None, rubric=RUBRIC, endpoint=None, number=1):
    """A judge with one live version, its rubric and connection."""
    held, _ = Rubric.objects.get_or_create(project=project, slug=f"r-{slug}", defaults={"name": slug})
    rubric_version, _ = RubricVersion.objects.get_or_create(
        rubric=held, number=1, defaults={"spec": rubric, "spec_hash": "x"}
    )
    judge, _ = Judge.objects.get_or_create(project=project, slug=slug, defaults={"name": slug.title(), "kind": kind})
    version = JudgeVersion.objects.create(
        judge=judge, number=number, rubric_version=rubric_version, connection=endpoint, config=config or {},
        model="stand-in" if kind == "model" else "", config_hash="x",
    )  # fmt: skip
    judge.live_version, judge.live_since = version, clock.now()
    judge.save()
    context.forget()
    return version


def make_connection(project, url="http://127.0.0.1:9/v1", **more):
    values = {
        "name": "Stand-in", "kind": "openai", "base_url": url, "timeout_seconds": 2.0, "input_pico": INPUT_PICO,
        "output_pico": OUTPUT_PICO, "at_a_time": 4,
    }  # fmt: skip
    return Connection.objects.create(project=project, **{**values, **more})


def make_plan(version, spec, *, salt="salt", number=1):
    SamplingPlan.objects.filter(judge=version.judge, valid_to=None).update(valid_to=clock.now())
    return SamplingPlan.objects.create(
        project=version.judge.project, judge=version.judge, number=number, spec=spec, salt=salt,
        valid_from=clock.now(),
    )  # fmt: skip


def set_noon(project):
    """Give the project a time zone in which it is about noon, so that its day does not end during a test."""
    offset = 12 - clock.now().hour
    project.time_zone = "Etc/UTC" if offset == 0 else f"Etc/GMT{-offset:+d}"  # the sign is the other way round there
    project.save()
    context.forget()


def set_budget(project, **values):
    Settings.objects.update_or_create(project=project, defaults=values)
    context.forget()


def store_traces(project, n=1, *, error=False, answer="It opens at nine.", question="When do you open?", **more):
    """`n` traces with one model call each, stored by the code of ingest; their ids."""
    ids = [uuid4() for _ in range(n)]
    now = clock.now().isoformat()
    traces = [
        {
            "trace_id": trace_id.hex, "name": "chat", "kind": "generation", "model": "gpt-4o-mini", "start": now,
            "duration_ms": 900, "feature": "help", "service": "shop", "input": [{"role": "user", "content": question}],
            "output": answer, "usage": {"input_tokens": 30, "output_tokens": 8}, **more,
            **({"error": {"type": "Boom", "message": "boom"}} if error else {}),
        }
        for trace_id in ids
    ]  # fmt: skip
    for at in range(0, n, 500):
        intake = read_native(orjson.dumps({"traces": traces[at : at + 500]}), received_at_ns=time.time_ns())
        store_spans(Batch(project.pk, 0, "native", clock.now(), 1), intake.intake, rules_for(project.pk))
    return ids


def draw(project, trace_ids, now=None):
    """Decide traces at once, as if they had been quiet long enough; how many judgements that made."""
    with raw_cursor() as cursor:
        add_candidates(cursor, project.pk, trace_ids, now or clock.now())
    queued = 0
    while True:
        seen, new = drawing.draw_due(project.pk, now)
        queued += new
        if not seen:
            return queued


def sql(query, *params):
    with database.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def states(project):
    """How many judgements are in which state, counted from the rows."""
    return dict(sql("SELECT state, count(*) FROM evals_judgement WHERE project_id = %s GROUP BY 1", project.pk))


def tallies(project):
    """The same from the hourly tallies."""
    rows = sql(
        "SELECT state, sum(n)::bigint FROM evals_judgement_hour WHERE project_id = %s GROUP BY 1 HAVING sum(n) <> 0",
        project.pk,
    )
    return dict(rows)


def reason_tallies(project):
    return {
        (state, reason): n
        for state, reason, n in sql(
            "SELECT state, reason, sum(n)::bigint FROM evals_judgement_hour WHERE project_id = %s GROUP BY 1, 2",
            project.pk,
        )
        if n
    }


def reasons(project):
    return {
        (state, reason): n
        for state, reason, n in sql(
            "SELECT state, reason, count(*) FROM evals_judgement WHERE project_id = %s GROUP BY 1, 2", project.pk
        )
    }


class StandIn:
    """A model endpoint on loopback that counts what it is asked and what that costs.

    `fault(n, user)` names a fault for the n-th call: late, limited, prose, range, half, refusal, server, or "".
    """

    def __init__(self, fault=lambda n, user: "", late_seconds=5.0, delay=0.0):
        self.fault, self.late_seconds, self.delay = fault, late_seconds, delay
        self.calls = self.flying = self.most = 0
        self.bill_pico = self.answered = self.input_tokens = self.output_tokens = 0
        self.faults: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.bodies: list[dict] = []
        self.seen: Counter[str] = Counter()
        self.good: Counter[str] = Counter()  # verdicts that were given, by what was asked
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                outer.serve(self)

            def log_message(self, *args):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def serve(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        user = body["messages"][-1]["content"]
        # The same for each call about one answer: nonces aside.
        digest = hashlib.sha256(re.sub(r"[0-9a-f]{32}", "", user).encode()).hexdigest()
        with self.lock:
            self.calls += 1
            n = self.calls
            self.flying += 1
            self.most = max(self.most, self.flying)
            self.bodies.append(body)
            self.seen[digest] += 1
            fault = self.fault(n, user)
            self.faults[fault] += 1
        try:
            self.answer(handler, body, fault)
            if not fault:
                with self.lock:
                    self.good[digest] += 1
        except OSError:
            return  # who asked is gone
        finally:
            with self.lock:
                self.flying -= 1

    def answer(self, handler, body, fault):
        if self.delay:
            time.sleep(self.delay)
        if fault == "late":
            time.sleep(self.late_seconds)
            return self.send(handler, 504, b"{}")
        if fault == "limited":
            return self.send(handler, 429, b"{}", {"Retry-After": "1"})
        if fault == "server":
            return self.send(handler, 500, b"{}")
        text = json.dumps(self.verdict(body))
        if fault == "prose":
            text = "The answer is quite good, I would say four out of five."
        elif fault == "range":
            text = text.replace('"score": 4', '"score": 7')
        elif fault == "half":
            text = text[: len(text) // 2]
        elif fault == "refusal":
            text = "I'm sorry, but I can't help with that."
        tokens_in = sum(len(each["content"]) for each in body["messages"]) // 4
        tokens_out = len(text) // 4
        with self.lock:
            self.answered += 1
            self.input_tokens += tokens_in
            self.output_tokens += tokens_out
            self.bill_pico += tokens_in * INPUT_PICO + tokens_out * OUTPUT_PICO
        reply = {
            "id": "x", "model": body["model"], "object": "chat.completion",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out},
        }  # fmt: skip
        return self.send(handler, 200, json.dumps(reply).encode())

    def verdict(self, body):
        schema = body["response_format"]["json_schema"]["schema"]
        criteria = {
            key: {"reason": "It says so.", "evidence": [], "unsure": False, "score": 4}
            for key in schema["properties"]["criteria"]["properties"]
        }
        return {"injection_attempt": False, "criteria": criteria}

    def send(self, handler, status, body, headers=None):
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


