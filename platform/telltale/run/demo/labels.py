"""The demo's labels: three made-up people say of a drawn part of the judged answers how good they are.

They know what the story made worse, and err now and then, so that the judge can be set against them. Sent as labels
from elsewhere are: `POST /api/v1/labels/import`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from random import Random
from typing import Any

from evals.read import setup as read
from evals.read.judgements import JudgementRow, counts
from evals.read.runs import each_judgement
from telltale.run.demo.account import Address, SendError
from telltale.run.demo.judging import QUALITY

PEOPLE = ("Ada (made up)", "Ben (made up)", "Chi (made up)")
# So many of the answers since the new prompt of returns, and of all others.
WANTED_NEW, WANTED_OTHERS = 120, 160
# Of four answers one is read by two people, so that they can be set against each other.
DOUBLE_SHARE = 0.25
WAIT_SECONDS = 240.0
STEP_SECONDS = 2.0
SEED = "telltale demo labels"


def wait_for_judge(project_id: int, tell: Callable[[int], None]) -> list[JudgementRow]:
    """What the stand-in scored, once nothing more waits for it; what there is, where that takes too long."""
    judge = read.get_judge(project_id, QUALITY)
    if judge is None:
        return []
    deadline, before = time.monotonic() + WAIT_SECONDS, -1
    while time.monotonic() < deadline:
        found = counts(project_id, judge_id=judge.id)
        scored, waiting = found.of("scored"), found.of("pending") + found.of("running")
        tell(scored)
        # Twice the same: traces that are still looked at bring more.
        if scored and not waiting and scored == before:
            break
        before = scored
        time.sleep(STEP_SECONDS)
    return sorted(each_judgement(project_id, judge.id, state="scored"), key=lambda row: row.target_id.hex)


def make_labels(
    judged: list[JudgementRow], worse: Mapping[str, bool], changed_at: datetime
) -> Iterator[dict[str, Any]]:
    """Labels of a random part of `judged`: more of the returns since `changed_at`, where wrong answers may be.

    `worse` says of a trace whether its answer is one of the wrong ones.
    """
    rng = Random(SEED)  # noqa: S311 - made-up labels
    new = [row for row in judged if row.feature == "returns" and row.started_at >= changed_at]
    kept = {row.target_id for row in new}
    for rows, wanted in ((new, WANTED_NEW), ([row for row in judged if row.target_id not in kept], WANTED_OTHERS)):
        yield from _labels_of(rows, wanted, worse, rng)


def _labels_of(
    rows: list[JudgementRow], wanted: int, worse: Mapping[str, bool], rng: Random
) -> Iterator[dict[str, Any]]:
    drawn = rng.sample(rows, min(wanted, len(rows)))
    share = len(drawn) / len(rows) if rows else 0.0
    for row in drawn:
        trace_id = row.target_id.hex
        for person in rng.sample(PEOPLE, 2 if rng.random() < DOUBLE_SHARE else 1):
            best = 5 if rng.random() < 0.8 else 4
            correctness = (1 if rng.random() < 0.8 else 2) if worse.get(trace_id, False) else best
            if rng.random() < 0.06:
                correctness = 3
            yield {
                "id": f"demo/{trace_id}/{person}",
                "trace_id": trace_id,
                "reviewer": person,
                "rubric": QUALITY,
                "scores": {
                    "correctness": correctness,
                    "completeness": min(5, max(1, correctness + rng.choice((-1, 0, 0, 0)))),
                    "tone": rng.choice((4, 5, 5)),
                },
                "verdict": "failure" if correctness <= 2 else "good",
                "pi_judge": row.pi,
                "pi_review": share,
            }


def send_labels(address: Address, labels: list[dict[str, Any]]) -> int:
    """Send labels; how many were taken. SendError where the server does not take them."""
    if not labels:
        return 0
    connection = address.connect()
    try:
        body = json.dumps({"items": labels}).encode()
        headers = {**address.headers(), "Content-Type": "application/json"}
        connection.request("POST", address.path("/api/v1/labels/import"), body, headers)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise SendError(f"The labels were answered with {answer.status}.")
        return int(json.loads(told)["accepted"])
    except OSError as error:
        raise SendError(f"{address.url} did not take the labels: {error}.") from None
    finally:
        connection.close()
