"""The examples of the page about calibration, run as they stand and one after the other."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from evals.models import Judge, ReviewQueue, Routine
from telltale.lib import clock
from tests.evals.calibration_rows import add_judge_score, add_judgement, add_pairs, make_version, trace_of
from tests.evals.documented import DOCS, commands, run

pytestmark = pytest.mark.django_db
PAGE = (DOCS / "calibration.md").read_text()


def part_of(example, found, path=""):
    """What an example names and the answer does not have."""
    if isinstance(example, dict):
        return [
            lacking
            for key, each in example.items()
            for lacking in (part_of(each, found[key], f"{path}/{key}") if key in found else [f"{path}/{key}"])
        ]
    if isinstance(example, list) and example and isinstance(example[0], dict):
        return part_of(example[0], found[0], f"{path}/0")
    return []


def test_every_example_works(client, project, key):
    version = make_version(project, slug="answer-quality", kind="model")
    newer = make_version(project, version.rubric_version, slug="answer-quality", number=2, is_live=False)
    at = clock.now() - timedelta(days=1)
    pairs = [(1 + n % 5, min(5, 1 + n % 5 + (n % 7 == 0))) for n in range(60)]
    add_pairs(project, version, pairs, at=at, by="ann")
    for n, (person, _) in enumerate(pairs):
        add_judge_score(project, newer, trace_of(n), person)
        row = add_judgement(project, version, trace_of(100 + n), pi=1.0)
        add_judge_score(project, version, trace_of(100 + n), 1 + n % 4, judgement=row, pi=1.0)
    found = commands("calibration.md")

    answers = []
    for words in found:
        last = Routine.objects.order_by("-id").values_list("pk", flat=True).first()
        answers.append(run(client, words, key.secret, **{"routines/12": f"routines/{last}"}))

    told = [(answer.status_code, " ".join(words[1:4])) for words, answer in zip(found, answers, strict=True)]
    assert [status for status, _ in told] == [
        200, 201, 200, 200, 200, 200, 200, 200, 200, 200, 201, 201, 201, 200, 204,
    ], told  # fmt: skip
    imported, made, newest, labelled, history, compared, gate, changed, own, project_again = (
        each.json() for each in answers[:10]
    )
    assert (
        imported["rejected"],
        made["items"][0]["pairs"],
        sum(pair["judge"] is not None for pair in labelled["items"]),
    ) == (0, 2, 2)
    assert newest["items"] == made["items"]
    assert len(history["items"]) == 1
    assert compared["measures"]["weighted_kappa"]["difference"]["value"] > 0
    assert (gate["gate"]["deploy_at"], changed["gate"]["deploy_at"], changed["gate"]["bias_at_most"]) == (
        0.85,
        0.75,
        None,
    )
    assert (own["gate"]["metric"], own["is_own"], project_again["is_own"]) == ("gwet_ac2", True, False)
    assert answers[10].json()["items"] == 50
    assert ReviewQueue.objects.filter(judge__slug="answer-quality").count() == 2
    assert {row.kind: row.state for row in Routine.objects.all()} == {"injection": "running", "monthly": "skipped"}
    assert Judge.objects.get(slug="house-judge").kind == "external"


def test_the_answer_that_is_shown_has_the_fields_of_a_real_one(client, project, key):
    version = make_version(project, slug="house-judge", kind="model")
    pairs = [(1 + n % 5, min(5, 1 + n % 5 + (n % 7 == 0))) for n in range(60)]
    at = clock.now() - timedelta(days=1)
    add_pairs(project, version, pairs, at=at, by="ann")
    add_pairs(project, version, [(person, None) for person, _ in pairs[:25]], at=at, by="ben")
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S)

    made = run(client, commands("calibration.md")[1], key.secret).json()["items"][0]

    assert part_of(json.loads(example), made) == []
    assert made["result"]["bias"]["bootstrap"] is not None
    assert made["result"]["flag"]["recall"]["bootstrap"] is not None


def test_defaults_on_the_page_are_those_of_the_code(client, key):
    told = client.get("/api/v1/calibrations/gate", headers={"Authorization": f"Bearer {key.secret}"}).json()["gate"]
    rows = dict(re.findall(r"^\| (`\w+`[^|]*) \| ([^|]+) \|$", PAGE, re.M))

    for name, value in told.items():
        row = next(text for names, text in rows.items() if f"`{name}`" in names)
        if name in ("deploy_at", "stay_at"):
            row = row.split(", ")[("deploy_at", "stay_at").index(name)]
        assert row.strip("` ") in (
            "off" if value is None else str(value),
            f"{value:.2f}" if isinstance(value, float) else value,
        )
