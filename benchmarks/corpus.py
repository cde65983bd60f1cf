"""Realistic traces of an LLM application as OTLP protobuf bodies, the same every time, with exact totals.

The application is a travel desk: an agent that plans with one model, looks things up (embedding, retrieval,
re-ranking), calls tools, answers and is watched by two guards. About eight spans a trace and 1.8 kB a span. Two traces
in three speak OpenTelemetry's GenAI vocabulary, the third OpenInference; prompts repeat along a trace as they do in
real applications. Spans come in the order in which they ended, across traces.

    python -m benchmarks.corpus --spans 100000 --out /tmp/corpus      # writes bodies and totals to look at
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from benchmarks._text import Writer

DEFAULT_END_S = 1_795_219_200  # 2026-11-21T00:00:00Z: with a fixed end the corpus is the same on every day
MS = 1_000_000
# name, provider, share of answers, output tokens a second
MODELS = (
    ("gpt-4o-mini", "openai", 0.46, 110),
    ("gpt-4.1", "openai", 0.18, 75),
    ("claude-sonnet-4-5", "anthropic", 0.2, 70),
    ("gemini-2.5-flash", "gcp.gemini", 0.13, 160),
    ("house-llama-70b-q4", "vllm", 0.03, 40),
)
EMBEDDER = "text-embedding-3-small"
FEATURES = ("trip-planner", "rebooking", "refunds", "visa-help", "lounge-finder")
TOOLS = ("find_flights", "hold_seat", "quote_refund", "weather_at")
FAILURES = (
    ("RateLimitError", "429 Too Many Requests: the limit of 30000 tokens a minute is reached"),
    ("APITimeoutError", "the model did not answer within 30 s"),
    ("ValidationError", "1 validation error for Itinerary: legs.0.arrival is missing"),
)
SYSTEM = (
    "You are the travel desk of a mid-sized airline. Answer in the traveller's language, from the passages alone, and "
    "name the passages you used. If the passages do not answer the question, say so and offer a person."
)


@dataclass(frozen=True, slots=True)
class Batch:
    """One request body and what is in it."""

    body: bytes
    spans: int
    trace_ids: tuple[bytes, ...]

    def again(self, salt: int) -> Batch:
        """The same batch as new traces: every trace id (in response ids too) is another; times and texts stay."""
        body, fresh = self.body, []
        for trace_id in self.trace_ids:
            other = (int.from_bytes(trace_id) ^ (salt << 40)).to_bytes(16)
            body = body.replace(trace_id, other).replace(trace_id.hex().encode(), other.hex().encode())
            fresh.append(other)
        return Batch(body, self.spans, tuple(fresh))


@dataclass(slots=True)
class Totals:
    """What a corpus holds, counted while it is made."""

    counts: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {**self.counts, "generations_by_model": dict(self.models)}


def put(span: Any, **attributes: Any) -> None:
    """Set attributes; `__` in a name stands for a dot."""
    for name, value in attributes.items():
        put_as(span, name.replace("__", "."), value)


def put_as(span: Any, key: str, value: Any) -> None:
    """Set one attribute by its real name."""
    item = span.attributes.add()
    item.key = key
    if isinstance(value, bool):
        item.value.bool_value = value
    elif isinstance(value, int):
        item.value.int_value = value
    elif isinstance(value, float):
        item.value.double_value = value
    elif isinstance(value, list):
        for element in value:
            item.value.array_value.values.add().string_value = element
    else:
        item.value.string_value = value


class Corpus:
    """Traces one after another. `burst` traces start within five seconds of each other, so that their spans mix."""

    def __init__(
        self, seed: int = 1, spans: int = 10_000, *, end_s: float = DEFAULT_END_S, days: float = 7.0, burst: int = 1
    ) -> None:
        self.rng = random.Random(seed)
        self.writer = Writer(self.rng)
        self.totals = Totals()
        self.wanted = spans
        self.burst = burst
        self.gap_s = days * 86_400 / max(1, spans // 9) * burst
        self.clock_s = end_s - days * 86_400
        self.travellers = [f"traveller-{self.rng.getrandbits(36):09x}" for _ in range(3000)]
        self.weights = list(itertools.accumulate(share for _, _, share, _ in MODELS))

    def traces(self) -> Iterator[list[Span]]:
        """Traces in order of their start, until `spans` are there; each in order of its spans' ends."""
        while self.totals.counts["spans"] < self.wanted:
            starts = sorted(self.clock_s + self.rng.random() * 5 for _ in range(self.burst))
            self.clock_s += self.gap_s
            for start_s in starts:
                if self.totals.counts["spans"] >= self.wanted:
                    return
                yield TraceMaker(self, int(start_s * 1e9)).make()

    def spans(self) -> Iterator[Span]:
        """All spans in the order in which they ended."""
        waiting: list[tuple[int, int, Span]] = []
        number = itertools.count()
        for trace in self.traces():
            began = min(span.start_time_unix_nano for span in trace)
            while waiting and waiting[0][0] <= began:
                yield heapq.heappop(waiting)[2]
            for span in trace:
                heapq.heappush(waiting, (span.end_time_unix_nano, next(number), span))
        while waiting:
            yield heapq.heappop(waiting)[2]

    def batches(self, size: int = 512) -> Iterator[Batch]:
        """Bodies of `size` spans, as a batching exporter sends them; the last may be smaller."""
        stream = self.spans()
        while chunk := list(itertools.islice(stream, size)):
            yield pack(chunk)

    def small(self) -> Iterator[Batch]:
        """Bodies of one trace each."""
        for trace in self.traces():
            yield pack(trace)


class TraceMaker:
    """One trace being told, step by step, on a clock of its own."""

    def __init__(self, corpus: Corpus, start_ns: int) -> None:
        self.corpus, self.rng, self.writer = corpus, corpus.rng, corpus.writer
        self.counts = corpus.totals.counts
        self.trace_id = self.rng.getrandbits(128).to_bytes(16)
        self.now = self.began = start_ns
        self.done: list[Span] = []
        self.calls = 0
        self.is_inference = self.rng.random() < 1 / 3
        self.user = self.rng.choice(corpus.travellers)
        self.session = f"{self.user[10:]}-{start_ns // 3_600_000_000_000}"

    def make(self) -> list[Span]:
        """The whole trace, ordered by end."""
        rng = self.rng
        question = self.writer.text(rng.randint(50, 300))
        failure = rng.choice(FAILURES) if rng.random() < 0.02 else None
        root = self.open("travel_desk.answer", "CHAIN", None)
        self.step("guard.incoming", "GUARDRAIL", root, 4, 20, guard__verdict="pass", guard__risk=round(rng.random(), 4))
        context = self.look_up(root, question) if rng.random() < 0.85 else ""
        prompt = f"Passages:\n{context}\n\nTraveller: {question}" if context else question
        answer = self.converse(root, prompt, failure)
        if failure is None:
            self.step("guard.outgoing", "GUARDRAIL", root, 4, 25, guard__verdict="pass", output__value=answer[:200])
            self.step("memory.save", "CHAIN", root, 1, 8, memory__facts=rng.randint(0, 4))
        put(root, user__id=self.user, session__id=self.session, input__value=question, output__value=answer)
        put(root, telltale__feature=rng.choice(FEATURES), gen_ai__conversation__id=self.session)
        put(root, metadata=json.dumps({"plan": rng.choice(["free", "plus"]), "locale": rng.choice(["en", "fr", "pl"])}))
        self.close(root, failure)
        self.counts["traces"] += 1
        self.counts["spans"] += len(self.done)
        return self.done

    def open(self, name: str, kind: str, parent: Span | None) -> Span:
        """A span that starts now."""
        span = Span(trace_id=self.trace_id, span_id=self.rng.getrandbits(64).to_bytes(8), name=name)
        span.start_time_unix_nano = self.now
        span.kind = Span.SPAN_KIND_CLIENT if kind in ("LLM", "EMBEDDING") else Span.SPAN_KIND_INTERNAL
        if parent is not None:
            span.parent_span_id = parent.span_id
            put(span, session__id=self.session, user__id=self.user)
        put(span, openinference__span__kind=kind)
        return span

    def close(self, span: Span, failure: tuple[str, str] | None = None) -> None:
        """End the span now, well or not."""
        self.now += MS // 5
        span.end_time_unix_nano = self.now
        if failure is None:
            span.status.code = Status.STATUS_CODE_OK
        else:
            self.counts["errors"] += 1
            span.status.code, span.status.message = Status.STATUS_CODE_ERROR, failure[1]
            put(span, error__type=failure[0])
            event = span.events.add(name="exception", time_unix_nano=self.now)
            frames = "".join(f'  File "/srv/desk/{n}.py", line {40 + len(n)}, in {n}\n' for n in ("api", "plan", "llm"))
            put(event, exception__type=failure[0], exception__message=failure[1])
            put(event, exception__stacktrace=f"Traceback (most recent call last):\n{frames}{failure[0]}: {failure[1]}")
        self.done.append(span)

    def step(self, name: str, kind: str, parent: Span, low_ms: float, high_ms: float, **attributes: Any) -> Span:
        """A whole span that took between `low_ms` and `high_ms`."""
        span = self.open(name, kind, parent)
        put(span, **attributes)
        self.now += int(self.rng.uniform(low_ms, high_ms) * MS)
        self.close(span)
        return span

    def look_up(self, root: Span, question: str) -> str:
        """Embedding, retrieval and sometimes re-ranking; the passages found."""
        rng = self.rng
        retriever = self.open("knowledge.search", "RETRIEVER", root)
        tokens = max(1, len(question) // 4)
        self.step(
            f"embeddings {EMBEDDER}", "EMBEDDING", retriever, 10, 70, gen_ai__operation__name="embeddings",
            gen_ai__provider__name="openai", gen_ai__request__model=EMBEDDER, gen_ai__usage__input_tokens=tokens,
        )  # fmt: skip
        self.counts["embeddings"] += 1
        self.counts["embedding_tokens"] += tokens
        self.now += int(rng.uniform(5, 60) * MS)
        passages = [self.writer.passage() for _ in range(rng.randint(4, 7))]
        put(retriever, input__value=question)
        for at, (number, passage) in enumerate(passages):
            put_as(retriever, f"retrieval.documents.{at}.document.id", f"passage-{number}")
            put_as(retriever, f"retrieval.documents.{at}.document.content", passage)
            put_as(
                retriever, f"retrieval.documents.{at}.document.score", round(0.93 - 0.08 * at - rng.random() / 20, 5)
            )
        self.close(retriever)
        if rng.random() < 0.4:
            self.step(
                "knowledge.rerank", "RERANKER", root, 15, 90, reranker__model_name="rerank-v3.5", reranker__top_k=3
            )
        return "\n\n".join(passage for _, passage in passages)[:4000]

    def converse(self, root: Span, prompt: str, failure: tuple[str, str] | None) -> str:
        """Up to two rounds of tool calls and the answer."""
        rng = self.rng
        model = MODELS[rng.choices(range(len(MODELS)), cum_weights=self.corpus.weights)[0]]
        messages = [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            tool = rng.choice(TOOLS)
            arguments = {"reference": f"PNR{rng.getrandbits(28):07x}", "day": f"2026-11-{rng.randint(1, 30):02d}"}
            call = {"type": "tool_call", "id": f"call_{rng.getrandbits(48):012x}", "name": tool, "arguments": arguments}
            self.generate(root, model, messages, [call], 30, None)
            result = json.dumps(
                {"status": rng.choice(["ok", "none"]), "options": rng.randint(0, 5), "note": self.writer.text(80)}
            )
            self.step(
                f"execute_tool {tool}", "TOOL", root, 20, 300, gen_ai__operation__name="execute_tool",
                gen_ai__tool__name=tool, gen_ai__tool__call__id=call["id"],
                gen_ai__tool__call__arguments=json.dumps(arguments), gen_ai__tool__call__result=result,
            )  # fmt: skip
            messages += [
                {"role": "assistant", "parts": [call]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": call["id"], "result": result}]},
            ]
        answer = "" if failure else self.writer.text(rng.randint(150, 1800))
        self.generate(root, model, messages, [{"type": "text", "content": answer}], len(answer) // 4, failure)
        return answer

    def generate(
        self, root: Span, model: tuple[str, str, float, int], messages: list[dict[str, Any]],
        parts: list[dict[str, Any]], tokens_out: int, failure: tuple[str, str] | None,
    ) -> None:  # fmt: skip
        """One call of a model."""
        name, provider, _, speed = model
        span = self.open(f"chat {name}", "LLM", root)
        sent = json.dumps(messages, ensure_ascii=False)
        tokens_in = (len(SYSTEM) + len(sent)) // 4
        cached = tokens_in // 2 if self.calls and provider == "openai" else 0
        first_ns = int((0.15 + self.rng.random() * 0.6) * 1e9)
        self.now += first_ns + int(tokens_out / speed * 1e9)
        self.calls += 1
        finish = "error" if failure else "tool_calls" if parts[0]["type"] == "tool_call" else "stop"
        got = json.dumps([{"role": "assistant", "parts": parts, "finish_reason": finish}], ensure_ascii=False)
        if self.is_inference:
            put(span, llm__model_name=name, llm__provider=provider, llm__system=provider)
            put(span, llm__token_count__prompt=tokens_in, llm__token_count__completion=tokens_out)
            put(span, llm__token_count__prompt_details__cache_read=cached)
            put(span, llm__invocation_parameters=json.dumps({"temperature": 0.2, "max_tokens": 800}))
            put(span, input__value=sent, input__mime_type="application/json", output__value=got)
            put_as(span, "llm.input_messages.0.message.role", "system")
            put_as(span, "llm.input_messages.0.message.content", SYSTEM)
        else:
            put(span, gen_ai__operation__name="chat", gen_ai__provider__name=provider, gen_ai__request__model=name)
            put(span, gen_ai__response__model=name, gen_ai__request__temperature=0.2, gen_ai__request__max_tokens=800)
            put(span, gen_ai__response__id=f"resp-{self.trace_id.hex()}-{self.calls}")
            put(span, gen_ai__response__finish_reasons=[finish], gen_ai__conversation__id=self.session)
            put(span, gen_ai__usage__input_tokens=tokens_in, gen_ai__usage__output_tokens=tokens_out)
            put(span, gen_ai__usage__cache_read__input_tokens=cached)
            put(span, gen_ai__response__time_to_first_chunk=first_ns / 1e9)
            put(span, gen_ai__system_instructions=json.dumps([{"type": "text", "content": SYSTEM}]))
            put(span, gen_ai__input__messages=sent, gen_ai__output__messages=got)
        self.close(span, failure)
        self.counts["generations"] += 1
        self.corpus.totals.models[name] += 1
        self.counts["tokens_in"] += tokens_in
        self.counts["tokens_cached"] += cached
        self.counts["tokens_out"] += tokens_out


RESOURCE = (
    ("service.name", "travel-desk"), ("service.version", "2026.11.2"), ("telemetry.sdk.language", "python"),
    ("telemetry.sdk.name", "opentelemetry"), ("telemetry.sdk.version", "1.38.0"),
    ("deployment.environment.name", "production"),
)  # fmt: skip


def pack(spans: list[Span]) -> Batch:
    """One OTLP request of these spans."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for key, value in RESOURCE:
        item = group.resource.attributes.add()
        item.key, item.value.string_value = key, value
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "travel_desk.tracing", "2.3.0"
    scope.spans.extend(spans)
    return Batch(request.SerializeToString(), len(spans), tuple(dict.fromkeys(span.trace_id for span in spans)))


def main() -> None:
    """Write a corpus to a folder: `batch.bin` and `small.bin` (length, span count, body) and `totals.json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--burst", type=int, default=1, help="traces that start within five seconds of each other")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    totals = {}
    for name, size in (("batch", 512), ("small", 0)):
        corpus = Corpus(args.seed, args.spans, burst=args.burst)
        with (args.out / f"{name}.bin").open("wb") as file:
            for batch in corpus.batches(size) if size else corpus.small():
                file.write(struct.pack(">II", len(batch.body), batch.spans) + batch.body)
                corpus.totals.counts["bytes"] += len(batch.body)
                corpus.totals.counts["requests"] += 1
        totals[name] = corpus.totals.as_dict()
    (args.out / "totals.json").write_text(json.dumps(totals, indent=1))
    print(json.dumps(totals, indent=1))


if __name__ == "__main__":
    main()
