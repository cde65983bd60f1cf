"""A provider on loopback that can change under the same name, and suites that ask it."""

from __future__ import annotations

import json
import random
import zlib

from evals import probing
from evals.keeping import By
from evals.models import ProbeRun, ProbeSuite
from telltale.jobs import work
from tests.evals.judging_kit import INPUT_PICO, OUTPUT_PICO, StandIn, make_connection

BY = By()
PERSON = {"type": "object", "required": ["name", "age"]}
JSON_PROBE = {
    "key": "format-json", "must": "be JSON with name and age", "user": "Make up a person as JSON.",
    "checks": [{"kind": "json_schema", "schema": PERSON}],
}  # fmt: skip
SUM_PROBE = {
    "key": "sum", "must": "say 391", "user": "What is 17 times 23?", "checks": [{"kind": "contains", "texts": ["391"]}],
}  # fmt: skip
NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Alan", "Katherine")


class Provider(StandIn):
    """`mode`: steady, noisy (fails and varies by chance, the same over time) or fenced (JSON in a code fence)."""

    def __init__(self, mode="steady", seed=1, **more):
        self.mode, self.random = mode, random.Random(seed)
        self.fingerprint, self.answered_model = "fp_1", ""
        super().__init__(**more)

    def text_for(self, user):
        chance = self.random
        if "person" in user:
            told = {"name": "Ada", "age": 36}
            if self.mode == "noisy":
                told = {"name": chance.choice(NAMES), "age": chance.randint(20, 80)}
                if chance.random() < 0.1:
                    del told["age"]
            text = json.dumps(told)
            return f"Here you are:\n```json\n{text}\n```" if self.mode == "fenced" else text
        if "17 times 23" in user:
            return "About 390." if self.mode == "noisy" and chance.random() < 0.15 else "17 times 23 is 391."
        return f"You said: {user}"

    def answer(self, handler, body, fault):
        if fault == "limited":
            return self.send(handler, 429, b"{}", {"Retry-After": "1"})
        if fault == "server":
            return self.send(handler, 500, b"{}")
        if fault == "auth":
            return self.send(handler, 401, b"{}")
        with self.lock:
            text = self.text_for(body["messages"][-1]["content"])
        tokens_in, tokens_out = sum(len(each["content"]) for each in body["messages"]) // 4, len(text) // 4
        with self.lock:
            self.bill_pico += tokens_in * INPUT_PICO + tokens_out * OUTPUT_PICO
        message = {"role": "assistant", "content": text}
        reply = {
            "id": "x", "model": self.answered_model or body["model"], "object": "chat.completion",
            "system_fingerprint": self.fingerprint,
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out},
        }  # fmt: skip
        return self.send(handler, 200, json.dumps(reply).encode())

    def serve(self, handler):
        if handler.path.endswith("/embeddings"):
            return self.embeddings(handler)
        return super().serve(handler)

    def embeddings(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            self.calls += 1
        data = [{"index": at, "embedding": self.vector(text)} for at, text in enumerate(body["input"])]
        reply = {"data": data, "model": f"{body['model']}-1", "usage": {"prompt_tokens": 5 * len(data)}}
        return self.send(handler, 200, json.dumps(reply).encode())

    @staticmethod
    def vector(text):
        chance = random.Random(zlib.crc32(text.encode()))
        return [chance.gauss(0, 1) for _ in range(8)]


def make_suite(project, provider, *probes, **more):
    """A suite of `probes` at one model of `provider`; its row."""
    connection = make_connection(project, provider.url, at_a_time=more.pop("at_a_time", 8))
    told = {
        "name": "Provider", "targets": [{"connection": connection.pk, "model": "gpt-4"}], "repeats": 5,
        "probes": list(probes or (JSON_PROBE, SUM_PROBE)),
    }  # fmt: skip
    slug = probing.make_suite(project, told | more, by=BY)
    return ProbeSuite.objects.get(project=project, slug=slug)


def run(project, suite):
    """Run a suite once, to its end; the run's row."""
    number = probing.run_now(project, suite.slug, by=BY)
    work.run_next()
    return ProbeRun.objects.get(suite=suite, number=number)
