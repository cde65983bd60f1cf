"""What tests of retrieval stand on: traces that retrieved documents, and verdicts on them."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import orjson

from evals.write.documents import DocumentScore, put_documents
from telltale.lib import clock
from traces.ingest.rules import rules_for
from traces.wire.native import read_native
from traces.write import store_spans
from traces.write.batch import Batch


def store_retrievals(project, n=1, *, documents=5, feature="help", question="When do you open?", minutes=30):
    """`n` traces that retrieved `documents` documents and answered, stored by the code of ingest; their ids."""
    ids = [uuid4() for _ in range(n)]
    start = (clock.now() - timedelta(minutes=minutes)).isoformat()
    traces = [
        {
            "trace_id": trace_id.hex, "name": "turn", "start": start, "duration_ms": 900, "feature": feature,
            "input": question, "output": "At nine.",
            "spans": [
                {
                    "name": "search", "kind": "retriever", "start": start, "duration_ms": 90, "input": question,
                    "documents": [
                        {"id": f"d{rank}", "content": f"Text {rank}, <b>", "score": 1 - rank / 10}
                        for rank in range(1, documents + 1)
                    ],
                },
                {
                    "name": "chat", "kind": "generation", "model": "gpt-4o-mini", "provider": "openai", "start": start,
                    "duration_ms": 800, "input": [{"role": "user", "content": question}], "output": "At nine.",
                    "usage": {"input_tokens": 900, "output_tokens": 20},
                },
            ],
        }
        for trace_id in ids
    ]  # fmt: skip
    intake = read_native(orjson.dumps({"traces": traces}), received_at_ns=time.time_ns())
    store_spans(Batch(project.pk, 0, "native", clock.now(), 1), intake.intake, rules_for(project.pk))
    return ids


def judge_documents(project, trace_ids, letters="RNRNN", *, source=3, version=0, pi=None, feature="help", **more):
    """Verdicts on the documents of each trace: R of use, N of none, a dot for none said."""
    scores = [
        DocumentScore(
            trace_id, 1, rank, source, float(letter == "R"), clock.now() - timedelta(minutes=30), version, f"d{rank}",
            1 - rank / 10, pi, feature, documents=len(letters), **more,
        )
        for trace_id in trace_ids
        for rank, letter in enumerate(letters, 1)
        if letter != "."
    ]  # fmt: skip
    return put_documents(project.pk, scores)
