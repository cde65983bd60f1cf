"""Calibration through REST: made, read back, compared, gated; what cannot be is named."""

from datetime import timedelta

import pytest
from django.test import Client

from evals.models import Calibration
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from tests.evals.calibration_rows import add_judge_score, add_pairs, make_version, trace_of

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/calibrations"
JSON = {"content_type": "application/json"}


@pytest.fixture
def api(key):
    return Client(headers={"Authorization": f"Bearer {key.secret}"})


@pytest.fixture
def version(project):
    return make_version(project)


def some_pairs(n=100):
    return [(1 + i % 5, 1 + (i + (i % 9 == 0)) % 5) for i in range(n)]


def recent():
    return {"at": clock.now() - timedelta(days=1)}


def test_a_calibration_is_made_and_read_back(api, project, version):
    add_pairs(project, version, some_pairs(), **recent())

    made = api.post(ROOT, {"judge": "quality"}, **JSON)

    assert made.status_code == 201, made.content
    (item,) = made.json()["items"]
    assert (item["judge"], item["version"], item["criterion"], item["pairs"]) == ("quality", 1, "correctness", 100)
    assert item["result"]["agreement"]["raw_agreement"]["value"] == pytest.approx(88 / 100)
    assert item["result"]["counts"][0][1] + item["result"]["counts"][4][0] > 0
    assert api.get(f"{ROOT}/{item['id']}").json() == item
    assert api.get(f"{ROOT}?judge=quality&version=1&criterion=correctness").json()["items"] == [item]
    assert item["state"] in ("failed", "not_proven", "proven")
    assert item["words"]


def test_the_newest_is_listed_and_history_has_all(api, project, version):
    for start in (0, 100, 200):
        add_pairs(project, version, some_pairs(50), start=start, **recent())
        api.post(ROOT, {"judge": "quality"}, **JSON)

    newest = api.get(ROOT).json()["items"]
    first = api.get(ROOT + "?history=true&limit=2").json()
    rest = api.get(first["next"]).json()

    assert [item["pairs"] for item in newest] == [150]
    assert [item["pairs"] for item in first["items"] + rest["items"]] == [150, 100, 50]
    assert rest["next"] is None
    assert set(first["items"][0]["result"]) == {"agreement", "gate"}


def test_pairs_are_paged_and_whole(api, project, version):
    add_pairs(project, version, some_pairs(7), by="ann", **recent())

    seen, address = [], f"{ROOT}/pairs?judge=quality&criterion=correctness&limit=3"
    while address:
        page = api.get(address).json()
        seen += page["items"]
        address = page["next"]

    assert [pair["trace_id"] for pair in seen] == [trace_of(n).hex for n in range(7)]
    assert [(pair["person"], pair["judge"]) for pair in seen] == [(str(a), str(b)) for a, b in some_pairs(7)]
    assert seen[0]["labels"][0]["reviewer"] == "ann"


def test_versions_are_compared(api, project, version):
    newer = make_version(project, version.rubric_version, number=2, is_live=False)
    add_pairs(project, version, some_pairs(60), **recent())
    for n, (person, _) in enumerate(some_pairs(40)):
        add_judge_score(project, newer, trace_of(n), person)

    found = api.get(f"{ROOT}/compare?judge=quality&version=1&against=2&criterion=correctness").json()

    assert found["n"] == 40
    assert found["measures"]["weighted_kappa"]["second"]["value"] == 1.0
    assert found["measures"]["weighted_kappa"]["difference"]["low"] > 0
    assert api.get(f"{ROOT}/compare?judge=quality&against=1&version=2&criterion=none").status_code == 400


def test_the_gate_is_read_and_changed(api, project, version):
    add_pairs(project, version, some_pairs(), **recent())
    api.post(ROOT, {"judge": "quality"}, **JSON)
    before = api.get(f"{ROOT}/gate?judge=quality").json()

    changed = api.put(f"{ROOT}/gate?judge=quality", {"deploy_at": 0.4, "stay_at": 0.3, "recall_at_least": None}, **JSON)

    assert before["gate"]["deploy_at"] == 0.85
    assert not before["is_own"]
    assert changed.json()["gate"]["recall_at_least"] is None
    assert changed.json()["is_own"]
    assert api.get(f"{ROOT}/gate").json()["gate"]["deploy_at"] == 0.85
    entry = AuditEntry.objects.get(action="gate.change")
    assert (entry.target, entry.after["gate"]["deploy_at"]) == ("quality", 0.4)
    assert api.get(ROOT).json()["items"][0]["result"]["gate"]["settings"]["stay_at"] == 0.3
    assert api.put(f"{ROOT}/gate?judge=quality", {"own": False}, **JSON).json()["gate"]["deploy_at"] == 0.85


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("post", "", {"judge": "none"}, "judge"),
        ("post", "", {"judge": "quality", "version": 9}, "version"),
        ("post", "", {"judge": "quality", "criterion": "tone"}, "criterion"),
        ("post", "", {"judge": "quality", "scope": {"feature": 7, "other": 1}, "more": 1}, "more"),
        ("post", "", {}, "judge"),
        ("put", "/gate", {"deploy_at": "much"}, "deploy_at"),
        ("put", "/gate", {"deploy_at": True}, "deploy_at"),
        ("put", "/gate", {"recall_at_least": [1]}, "recall_at_least"),
        ("put", "/gate", {"own": False}, "own"),
        ("put", "/gate", {"metric": "luck"}, "metric"),
        ("post", "/tasks", {"judge": "quality", "wanted": 0}, "wanted"),
        ("post", "/tasks", {"judge": "quality"}, "judge"),
        ("get", "?version=1", None, "judge"),
        ("get", "?state=fine", None, "state"),
        ("get", "?cursor=x", None, "cursor"),
        ("get", "/pairs?judge=quality&criterion=tone", None, "criterion"),
        ("get", "/compare?judge=quality&criterion=correctness", None, "against"),
    ],
)
def test_what_cannot_be_names_its_field(api, version, method, path, body, field):
    answer = getattr(api, method)(ROOT + path, body, **JSON) if body is not None else api.get(ROOT + path)

    assert answer.status_code == 400, answer.content
    assert field in [error["field"] for error in answer.json()["errors"]]


def test_an_id_of_nobody_is_a_404(api, version):
    for name in ("0", "x", "99999999999999999999999", "-1"):
        assert api.get(f"{ROOT}/{name}").status_code == 404
        assert api.get(f"/api/v1/routines/{name}").status_code == 404


def test_another_project_sees_nothing(project, charlie, version):
    from telltale.projects.keys import make_key
    from telltale.projects.models import Project

    add_pairs(project, version, some_pairs(30), **recent())
    Client(headers={"Authorization": f"Bearer {make_key(project, 'a', ('write', 'read')).secret}"}).post(
        ROOT, {"judge": "quality"}, **JSON
    )
    far = make_key(Project.objects.get(slug="far"), "b", ("read", "write"))
    theirs = Client(headers={"Authorization": f"Bearer {far.secret}"})

    assert theirs.get(ROOT).json()["items"] == []
    assert theirs.get(f"{ROOT}/{Calibration.objects.get().pk}").status_code == 404
    assert theirs.post(ROOT, {"judge": "quality"}, **JSON).status_code == 400
