"""One session told to the letter: a shopper asks twice, corrects the assistant and leaves. The design's own example."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from telltale.run.demo.models import EMBEDDER, MODELS, PROMPTS, ROUTER, Model, count_tokens
from telltale.run.demo.texts import passages
from telltale.run.demo.turns import assistant_says, conversation, user_says
from telltale.run.demo.values import MS, Call, DemoSignal, DemoSpan, DemoTrace, Failure, Search, Value

SESSION, USER, RELEASE = "s_9c41", "u_58f2", "5.11.0"
ROUTER_IN, ROUTER_OUT = 600, 5


@dataclass(frozen=True, slots=True)
class _Turn:
    """One question with its answer, and what it took. Times in ms; fresh, read, written and out are tokens."""

    at: time
    question: str
    answer: str
    model: str
    fresh: int
    read: int
    written: int
    out: int
    ttft_ms: int
    generate_ms: int
    search_ms: int
    looks_up_order: bool
    passages: tuple[tuple[str, float], ...]


# Costs with the router's $0.0005: $0.0041, $0.0158 and $0.0192; answers after 1.88, 3.42 and 2.96 s.
TURNS = (
    _Turn(
        time(10, 40, 18), "do you take back headphones",
        "Yes, most electronics can be returned within 30 days if unopened. Would you like the steps?",
        "claude-3-5-haiku", 1560, 0, 2112, 60, 388, 1444, 139, False, (("window", 0.81), ("opened", 0.79)),
    ),
    _Turn(
        time(10, 41, 7), "Can I return headphones I opened, they were a gift?",
        "Yes, you can return opened headphones within 60 days with a gift receipt. "
        "Your refund goes back to the buyer’s card.",
        "gpt-4-turbo", 1094, 1024, 0, 112, 402, 2780, 139, True, (("holiday", 0.58),),
    ),
    _Turn(
        time(10, 41, 35), "No, they’re opened. The page says unopened only.",
        "You’re right, sorry. Opened headphones can only be returned if faulty.",
        "gpt-4-turbo", 1624, 1024, 0, 48, 395, 2524, 139, False, (("holiday", 0.58), ("opened", 0.55)),
    ),
)  # fmt: skip


def known_session(day: date) -> list[DemoTrace]:
    """The three traces of the session, on a day."""
    history: list[tuple[str, str]] = []
    made = []
    for number, turn in enumerate(TURNS):
        made.append(_make(day, number, turn, tuple(history)))
        history.append((turn.question, turn.answer))
    wrong, at = made[1], datetime.combine(day, TURNS[2].at, UTC) + timedelta(seconds=1)
    said = TURNS[2].question
    wrong.signals.append(DemoSignal("correction", said, at, f"demo/{SESSION}/{day}", "trace", wrong.trace_id.hex()))
    return made


def _make(day: date, number: int, turn: _Turn, history: tuple[tuple[str, str], ...]) -> DemoTrace:
    trace_id = hashlib.blake2b(f"{SESSION}/{day}/{number}".encode(), digest_size=16).digest()
    metadata: dict[str, Value] = {"language": "en", "channel": "phone", "turn": number + 1}
    trace = DemoTrace(trace_id, RELEASE, "production", USER, SESSION, "returns", ["en"], metadata)
    start = int(datetime.combine(day, turn.at, UTC).timestamp()) * 10**9
    root = trace.add("chat.turn", "chain", start, start)
    root.input, root.output = turn.question, turn.answer
    root.attributes["http.response.status_code"] = 200
    clock = _Clock(trace, root, start)
    clock.step("guard.input", "guardrail", 38, turn.question, "passed")
    router = clock.step("router.classify", "generation", 212, [user_says(turn.question)], assistant_says("returns"))
    router.call = _call(MODELS[ROUTER], ROUTER_IN, ROUTER_OUT, {"max_tokens": 20, "temperature": 0.0})
    found = _search(clock, turn)
    if turn.looks_up_order:
        given = {"customer": USER}
        failed = clock.step("orders.lookup", "tool", 120, given, None)
        failed.error = Failure("ServiceUnavailable", "503 Service Unavailable")
        failed.attributes["http.response.status_code"] = 503
        order = {"order": "518204", "items": ["p-1001"], "state": "sent"}
        clock.step("orders.lookup (retry)", "tool", 84, given, order)
    prompt = PROMPTS["v18"]
    told = "\n".join(str(document["content"]) for document in found)
    messages = conversation(f"{prompt.text}\n\n{told}", history, turn.question)
    answer = clock.step("answer.generate", "generation", turn.generate_ms, messages, assistant_says(turn.answer))
    parameters: dict[str, Value] = {"temperature": 0.2, "max_tokens": 400, "stream": True}
    answer.call = _call(MODELS[turn.model], turn.fresh + turn.read + turn.written, turn.out, parameters)
    answer.call.cache_read, answer.call.ttft_ns = turn.read, turn.ttft_ms * MS
    answer.call.cache_written = turn.written or None
    answer.call.prompt = (prompt.name, prompt.version)
    clock.step("guard.output", "guardrail", 22, turn.answer, "passed")
    root.end_ns = clock.now + 1 * MS
    return trace


def _search(clock: _Clock, turn: _Turn) -> list[dict[str, object]]:
    span = clock.step("policies.search", "retriever", turn.search_ms, None, None)
    embed = clock.trace.add("embed", "embedding", span.start_ns + 2 * MS, span.start_ns + 93 * MS, span)
    embed.input = turn.question
    embed.call = _call(MODELS[EMBEDDER], count_tokens(turn.question), None, {})
    found: list[dict[str, object]] = []
    for name, score in turn.passages:
        passage = passages()[name]
        found.append({"id": name, "content": passage.text, "score": score, "metadata": {"source": passage.place}})
    span.search = Search(turn.question, found, "policies")
    return found


def _call(model: Model, tokens_in: int, tokens_out: int | None, parameters: dict[str, Value]) -> Call:
    call = Call(model.name, model.provider, tokens_in, tokens_out, parameters=parameters)
    if tokens_out is not None:
        call.finish_reason = "end_turn" if model.provider == "anthropic" else "stop"
        call.cache_read = 0
    return call


class _Clock:
    """Steps one after another, 4 ms apart."""

    def __init__(self, trace: DemoTrace, root: DemoSpan, start_ns: int) -> None:
        self.trace, self.root, self.now = trace, root, start_ns

    def step(self, name: str, kind: str, took_ms: int, given: object, told: object) -> DemoSpan:
        """A step that takes so long, from 4 ms after the one before."""
        start = self.now + 4 * MS
        self.now = start + took_ms * MS
        span = self.trace.add(name, kind, start, self.now, self.root)
        span.input, span.output = given, told
        return span
