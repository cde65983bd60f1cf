"""The examples of docs/datasets.md and docs/experiments.md work as they stand."""

from __future__ import annotations

import pytest

from evals.experimenting import making
from evals.keeping import By
from evals.metrics import METRICS
from evals.models import Dataset, Experiment, ReviewQueue
from tests.evals.documented import DOCS, commands, run
from tests.evals.judging_kit import LENGTH_RULE, YES_NO, make_connection, make_version, store_traces

pytestmark = pytest.mark.django_db


def test_the_examples_of_datasets_work(project, client, key):
    version = make_version(project, "rule")
    [trace] = store_traces(project, 1, feature="returns")
    ReviewQueue.objects.create(
        project=project, slug="flagged", name="Flagged", kind="rules", rubric_version=version.rubric_version
    )
    names = {"4bf92f3577b34da6a3ce929d0e0e4736": trace.hex}
    files = {"@questions.csv": "question,gold\nWhen?,Now\n"}

    answers = [run(client, words, key.secret, files=files, **names) for words in commands("datasets.md")]

    # Nothing was reviewed in the queue: that one alone is refused, and says so.
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 400, *[200] * 6], [
        answer.content for answer in answers
    ]
    assert "names nothing that tells what was asked" in answers[4].json()["detail"]
    assert answers[1].json() == {
        "version": 1, "items": 2, "added": 2, "changed": 0, "removed": 0, "same": 0, "erased": 0,
    }  # fmt: skip
    assert Dataset.objects.get().version == 5


def test_the_examples_of_experiments_work(project, client, key):
    make_version(project, "rule", slug="quality", config=LENGTH_RULE, rubric=YES_NO)
    for words in commands("datasets.md")[:2]:
        run(client, words, key.secret)
    endpoint = make_connection(project)
    wanted = making.Wanted("returns", "main", metrics=["exact_match"])
    old = making.make_experiment(project, wanted, by=By())
    found = commands("experiments.md")

    first = run(client, found[0], key.secret)
    names = {"41": first.json()["id"], "=40": f"={old.id}", '"7"': f'"{endpoint.pk}"'}
    answers = [first, *(run(client, words, key.secret, **names) for words in found[1:])]

    assert [answer.status_code for answer in answers] == [201, 200, 200, 201, 200, 200, 200], [
        answer.content for answer in answers
    ]
    assert answers[1].json() == {"accepted": 2, "refused": []}
    assert answers[-1].json()["verdict"] == "cannot_tell"
    assert Experiment.objects.get(source="endpoint").config["budget_pico"] == 5 * 10**11


def test_every_metric_is_documented():
    text = (DOCS / "experiments.md").read_text()

    assert all(f"`{name}`" in text for name in METRICS)
