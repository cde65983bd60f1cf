"""Whatever is put into addresses and forms of datasets and experiments is answered, never with a 500."""

from __future__ import annotations

import pytest

from tests.evals.test_experiment_pages import DATASETS, EXPERIMENTS, experiment, fill

pytestmark = pytest.mark.django_db
BAD = ("\x00", "-1", "9" * 30, "x" * 3000, "1e400", "'\U0001f600[]{}")


@pytest.fixture
def inside(project, alice, sign_in):
    return sign_in(alice)


@pytest.mark.parametrize("bad", BAD, ids=["nul", "minus", "huge", "long", "infinite", "odd"])
def test_no_text_breaks_an_address_or_a_form(inside, project, key, client, bad):
    fill(project)
    old, new = experiment(project, lambda i: 1.0), experiment(project, lambda i: 0.0)
    one, item = f"{EXPERIMENTS}{new}/", f"{DATASETS}returns/"
    headers = {"Authorization": f"Bearer {key.secret}"}
    pages = {
        one: ("after", "state", "against", "format"), EXPERIMENTS: ("dataset", "before"),
        item: ("v", "q", "after", "before"), item + "diff/": ("old", "new"), DATASETS + "add/": ("trace", "queue", "t"),
        EXPERIMENTS + "new/": ("dataset", "judge", "metric"),
    }  # fmt: skip
    answers = [inside.get(path, dict.fromkeys(names, bad)) for path, names in pages.items()]
    answers.append(inside.get(one, {"against": old, "on": bad, "sort": bad, "from": bad}))
    rest = {
        f"experiments/{new}/comparison": ("against", "margin"), "experiments": ("dataset", "name", "before"),
        "datasets/returns/items": ("version", "after", "q", "limit"), "datasets/returns/diff": ("old", "new"),
    }  # fmt: skip
    for path, names in rest.items():
        answers.append(client.get(f"/api/v1/{path}", dict.fromkeys(names, bad), headers=headers))
    for path in (f"{item}item/%00/", f"/api/v1/experiments/{bad.encode().hex()}", "/api/v1/datasets/%00"):
        answers.append(inside.get(path, headers=headers))
    forms = {
        EXPERIMENTS + "new/": ("name", "connection", "model", "temperature", "max_output_tokens", "budget_usd", "judge",
                               "metric"),
        item + "item/k001/": ("input", "expected", "metadata", "note"), item + "items/new/": ("input", "key", "note"),
        item + "item/%00/remove/": (), DATASETS + "add/": ("trace", "dataset", "name", "verdict"),
        DATASETS: ("name", "description"), one: ("judge", "metric"), item + "settings/": ("name", "description"),
    }  # fmt: skip
    kinds = [{"source": source, "dataset": "returns"} for source in ("endpoint", "posted")]
    answers += [inside.post(path, dict.fromkeys(names, bad) | kind) for path, names in forms.items() for kind in kinds]
    body = {"dataset": "returns", "name": bad, "judges": [{"judge": bad}], "metrics": [bad], "config": {bad: [bad]}}
    asked = {"dataset": "returns", "source": "endpoint", "connection": bad, "model": bad, "budget_usd": bad}
    answers += [client.post("/api/v1/experiments", each, "application/json", headers=headers) for each in (body, asked)]

    assert {answer.status_code for answer in answers} <= {200, 302, 400, 404, 409, 503}
