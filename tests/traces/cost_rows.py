"""Traffic with a price of its own, sent through the public door and folded: what tests of cost stand on."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

from django.test import Client

from traces.folding import fold_roll_ups
from traces.ingest.rules import forget as forget_rules
from traces.write import partitions, rollup_memory, spans

_ids = count(1)
MODEL, PROVIDER = "gpt-4o-mini", "openai"  # 0.15 in, 0.075 cached, 0.60 out (USD a million)
HAIKU = "claude-3-5-haiku-20241022"


class Traffic:
    """Sends requests with one model call each; `fold` makes the roll-ups that pages read."""

    def __init__(self, shop):
        self.key = shop.key("ingest")
        partitions.forget()
        spans.forget()
        forget_rules()
        rollup_memory.forget()

    def call(self, at, *, model=MODEL, provider=PROVIDER, fresh=1000, cached=0, out=100, n=1, usage=True, **more):
        """`n` requests that begin at `at`: the spans, not yet sent."""
        made = []
        for _ in range(n):
            trace = f"{next(_ids):032x}"
            root = {"trace_id": trace, "span_id": f"{next(_ids):016x}", "name": "answer", "start": at.isoformat(),
                    "end": (at + timedelta(seconds=2)).isoformat(), **more}  # fmt: skip
            made.append(root)
            told = {"input_tokens": fresh + cached, "cached_tokens": cached, "output_tokens": out}
            chat = {"span_id": f"{next(_ids):016x}", "parent_id": root["span_id"], "kind": "generation", "name": "chat",
                    "model": model, "provider": provider}  # fmt: skip
            made.append(root | chat | ({"usage": told} if usage else {}))
        return made

    def send(self, *calls):
        """Send what `call` made, and fold it."""
        body = [span for made in calls for span in made]
        answer = Client().post("/api/v1/traces", body, "application/json", headers=self.key)
        assert answer.status_code == 200, answer.content
        assert answer.json()["stored"] == len(body)
        self.fold()

    def fold(self):
        while fold_roll_ups().traces:
            pass


def price(fresh=1000, cached=0, out=100, n=1):
    """What `n` calls of `MODEL` cost, in pico-dollars."""
    return n * (fresh * 150_000 + cached * 75_000 + out * 600_000)
