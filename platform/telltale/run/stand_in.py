"""A stand-in for a model: a small server that speaks chat completions and knows nothing.

It exists so that judging can be seen working without a model or a key. It scores by a few rules of thumb about the text
it is shown (figures that no source has, very short answers) and a dash of chance that depends on that text alone, so
that the same question always gets the same answer. Its scores say nothing about anybody's quality, and it says so in
every reason. Standard library alone: it must start in an instant.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

MODEL = "telltale-stand-in"
HOST = "127.0.0.1"
# Where it takes what a project tells people, and does nothing with it.
NOTICES = "/notices"
BODY_BYTES_MAX = 8 * 1024 * 1024
FAULTS = ("late", "busy", "prose", "half", "range", "refusal")
LATE_SECONDS = 120.0
_PIECE = re.compile(
    r"<<<BEGIN (?P<name>.+?) (?P<code>[0-9a-f]{32})>>>\n(?P<text>.*?)\n<<<END (?P=name) (?P=code)>>>", re.DOTALL
)
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
# A point between digits is not the end of one.
_SENTENCE = re.compile(r"(?:[^.!?。！？؟\n]|(?<=\d)\.(?=\d))+[.!?。！？؟]?")
_CENTS = re.compile(r",(\d\d?)\Z")
# Too short to have said much.
SHORT_CHARS = 60
# Names of criteria that a figure without a source is about, and those that length is about.
_TRUTH = r"correct|ground|halluc|fact|faith|figure|support|accura|safe"
_FULLNESS = r"complet|helpful|useful|relevan"
# Probes whose answers it knows by heart, by a piece of the question.
_BY_HEART = (
    ("Make up a person.", '{"name": "Ada Stand-in", "age": 36}'),
    ("the capital of Norway", "The capital of Norway is Oslo.\nEND-OF-ANSWER"),
    ("What is 17 times 23?", "391"),
    ("The parcel came late, but the seller was kind.", "mixed"),
)
_FINE = (1.0, "nothing in it is at odds with what was given", "")


def pieces_of(text: str) -> dict[str, str]:
    """The fenced pieces of a judge's prompt by their names."""
    return {found["name"]: found["text"] for found in _PIECE.finditer(text)}


def judge(user: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A reply to a judge's prompt in the form that its schema asks for."""
    pieces = pieces_of(user)
    answer = pieces.get("answer", "")
    findings = _findings(answer, " ".join(text for name, text in pieces.items() if name != "answer"))
    criteria = {}
    for key, shape in schema["properties"]["criteria"]["properties"].items():
        levels = [level for level in shape["properties"]["score"]["enum"] if level is not None]
        share, why, quote = next((found[1:] for found in findings if re.search(found[0], key)), _FINE)
        criteria[key] = {
            "reason": f"Stand-in, not a model: {why}.",
            "evidence": [quote] if quote else [],
            "unsure": False,
            "score": levels[_place(share, len(levels), f"{key}/{answer}")],
        }
    reply: dict[str, Any] = {"injection_attempt": False}
    if "documents" in schema["properties"]:
        reply["documents"] = [
            {"number": number, "relevance": _relevance(pieces.get(f"document {number}", ""), answer)}
            for number in schema["properties"]["documents"]["items"]["properties"]["number"]["enum"]
        ]
    return {**reply, "criteria": criteria}


def talk(user: str) -> str:
    """A reply to what is no judge's prompt."""
    known = next((reply for piece, reply in _BY_HEART if piece in user), None)
    return known or f"Stand-in, not a model. You said: {user[:400]}"


def _findings(answer: str, sources: str) -> list[tuple[str, float, str, str]]:
    """What is to be said of an answer: (criteria it is about, share of the scale, reason, quote)."""
    if not answer.strip():
        return [("", 0.0, "there is no answer", "")]
    found = []
    known = _figures(sources)
    loose = next((s.strip() for s in _SENTENCE.findall(answer) if _figures(s) - known), "")
    if loose:
        found.append((_TRUTH, 0.0, "it names a figure that is in none of the sources", loose[:160]))
    if len(answer) < SHORT_CHARS:
        found.append((_FULLNESS, 0.4, "it is very short", answer.strip()))
    return found


def _figures(text: str) -> set[str]:
    """The figures of a text, however they are written: 1,299.00 is 1299, and 4,90 is 4.90."""
    told = (_CENTS.sub(r".\1", figure) for figure in _FIGURE.findall(text))
    return {re.sub(r"\.0+\Z", "", figure.replace(",", "")) for figure in told}


def _place(share: float, levels: int, text: str) -> int:
    """A place on a scale near `share` of it; one in five is a step off, and `text` alone decides which."""
    draw = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=2).digest()
    step = (draw[0] % 5 == 0) * (1 if draw[1] % 2 else -1)
    return min(max(round(share * (levels - 1)) + step, 0), levels - 1)


def _relevance(document: str, answer: str) -> int:
    words = set(re.findall(r"\w{4,}", document.lower()))
    shared = len(words & set(re.findall(r"\w{4,}", answer.lower())))
    return min(shared // 2, 3)


class StandIn(ThreadingHTTPServer):
    """Serves at `url` until shut down. `faults`: the share of calls that go wrong, each kind as often as the others."""

    daemon_threads = True

    def __init__(self, port: int = 0, faults: float = 0.0, delay_seconds: float = 0.0, seed: int = 1) -> None:
        super().__init__((HOST, port), _Handler)
        self.url = f"http://{HOST}:{self.server_port}/v1"
        self.faults = faults
        self.delay_seconds = delay_seconds
        self._chance = Random(seed)  # noqa: S311 - which call goes wrong is no secret
        self._lock = threading.Lock()
        self.calls = 0
        self.billed_tokens = 0

    def next_fault(self) -> str:
        """What goes wrong with the next call; "" for nothing."""
        with self._lock:
            self.calls += 1
            return self._chance.choice(FAULTS) if self._chance.random() < self.faults else ""

    def bill(self, tokens: int) -> None:
        """Remember what a call would have cost."""
        with self._lock:
            self.billed_tokens += tokens


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "telltale-stand-in"
    server: StandIn

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self.send(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "telltale"}]})
        else:
            self.send(404, _error("not_found", "POST /v1/chat/completions"))

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            self.send(413, _error("too_large", f"at most {BODY_BYTES_MAX} bytes"))
            return
        body = self.rfile.read(length)
        if self.path == NOTICES:
            self.send(200, {"taken": True})
            return
        if self.path != "/v1/chat/completions":
            self.send(404, _error("not_found", "POST /v1/chat/completions"))
            return
        try:
            asked = json.loads(body)
            messages = [str(message["content"]) for message in asked["messages"]]
            schema = (asked.get("response_format") or {}).get("json_schema", {}).get("schema")
        except (ValueError, KeyError, TypeError, AttributeError):
            self.send(400, _error("bad_request", "a JSON object with messages"))
            return
        self.answer(messages, schema)

    def answer(self, messages: list[str], schema: dict[str, Any] | None) -> None:
        """Reply, or fail as a model's host may."""
        fault = self.server.next_fault()
        if self.server.delay_seconds:
            time.sleep(self.server.delay_seconds)
        if fault == "late":
            time.sleep(LATE_SECONDS)
        if fault == "busy":
            self.send(429, _error("rate_limited", "too many calls"), {"Retry-After": "1"})
            return
        user = messages[-1] if messages else ""
        told = json.dumps(judge(user, schema)) if schema else talk(user)
        reason = "stop"
        if fault == "prose":
            told = "I think this answer is quite good, perhaps a 4."
        elif fault == "half":
            told = told[: len(told) // 2]
        elif fault == "range":
            told = re.sub(r'"score": [^,}]+', '"score": 77', told)
        elif fault == "refusal":
            told, reason = "I cannot help with that.", "content_filter"
        tokens_in, tokens_out = sum(map(len, messages)) // 4, len(told) // 4
        self.server.bill(tokens_in + tokens_out)
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
        choice = {"index": 0, "message": {"role": "assistant", "content": told}, "finish_reason": reason}
        whole = {"id": "stand-in", "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}
        self.send(200, whole)

    def send(self, status: int, answer: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        """One JSON answer. Somebody who left meanwhile is no trouble."""
        body = json.dumps(answer).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        """Calls are counted, not told."""


def _error(kind: str, accepted: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": f"The stand-in takes {accepted}."}}
