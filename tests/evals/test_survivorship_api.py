"""REST says all that the survivorship page shows, and refuses what it does not understand."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.test import Client

from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.projects.keys import make_key
from tests.evals.behaviour_rows import SMALL, judge_sessions, make_sessions
from tests.evals.estimate_rows import make_judge
from traces.behaviour.types import Fact, Stratum

ADDRESS = "/api/v1/survivorship"


def start(hours=48):
    return clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)


@pytest.fixture
def ask(key):
    client = Client(headers={"Authorization": f"Bearer {key.secret}"})

    def asked(path="", status=200, method="get", body=None):
        more = {} if body is None else {"data": orjson.dumps(body), "content_type": "application/json"}
        answer = getattr(client, method)(ADDRESS + path, **more)
        assert answer.status_code == status, answer.content
        return orjson.loads(answer.content)

    return asked


def test_everything_of_the_page_is_told(project, ask):
    version = make_judge(project, kind="model")
    made = make_sessions(project, SMALL, start=start(), feature="search")
    judge_sessions(project, version, made, dict.fromkeys(SMALL, 0.7), pi=0.5, reviewed=0.3)
    make_sessions(project, {Stratum.OPEN: (1, 0, 4)}, start=start(), is_closed=False, seed=2)
    make_sessions(project, {Stratum.UNKNOWN: (2, 1, 7)}, start=start(), facts=Fact.LONE, seed=3)

    found = ask()

    whole = found["whole"]
    assert whole["counts"] == {"sessions": 1000, "up": 90, "down": 10, "silent": 900}
    assert (whole["left_out"]["open"], whole["left_out"]["without_session"]) == (5, 10)
    assert whole["coverage"]["value"] == pytest.approx(0.1)
    assert whole["votes"]["value"] == pytest.approx(0.9)
    assert whole["bounds"]["low"] == pytest.approx(0.09)
    assert whole["bounds"]["high"] == pytest.approx(0.99)
    assert whole["anchor"]["reviews"] > 30
    assert whole["verdict"]["colour"] == "red"
    assert whole["verdict"]["rule_words"].startswith("the anchor")
    assert whole["weighted"] is None  # of 100 votes
    assert whole["gap"] == pytest.approx(0.9 - whole["anchor"]["value"])
    groups = {row["group"]: row for row in found["groups"]}
    assert set(groups) == {"completed", "carried_on", "abandoned"}
    assert groups["abandoned"]["judge_score_silent"]["n"] > 20
    assert groups["completed"]["times_low"] < groups["completed"]["times_as_often"] < groups["completed"]["times_high"]
    assert [row["feature"] for row in found["features"]] == ["search", ""]
    assert [row["delta"] for row in found["sensitivity"]] == [step / 20 for step in range(11)]
    assert found["anchor_settings"]["criterion"] == "correctness"
    assert found["definitions"] == {"version": 0, "is_running": False, "done": 0, "total": None}
    assert ask("?units=all")["whole"]["counts"]["sessions"] == 1010
    one = ask("?feature=search&delta=0.33")
    assert one["features"] == []
    assert [row["delta"] for row in one["sensitivity"]] == [0.33]
    assert ask("?feature=")["whole"]["feature"] == ""


def test_nothing_at_all_is_null_and_never_zero(project, ask):
    found = ask()

    whole = found["whole"]
    assert (whole["verdict"]["colour"], whole["verdict"]["rule"]) == ("grey", "no_sessions")
    for name in ("coverage", "votes", "adjusted", "anchor", "bounds", "behaviour_bounds", "gap"):
        assert whole[name] is None
    assert found["sensitivity"] is None
    assert found["groups"] == found["features"] == []
    assert ask("/history")["items"] == []
    assert ask("/silent")["items"] == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("?delta=0.6", "delta"),
        ("?delta=nan", "delta"),
        ("?delta=much", "delta"),
        ("?units=some", "units"),
        ("?from=2026-02-01&to=2026-01-01", "from"),
        ("?from=2020-01-01&to=2026-01-01", "from"),
        ("?feature=a%00b", "feature"),
        ("?colour=red", "query"),
        ("/history?from=yesterday", "from"),
        ("/history?from=2026-02-02&to=2026-02-01", "from"),
        ("/silent?seed=-1", "seed"),
        ("/silent?limit=101", "limit"),
    ],
)
def test_what_cannot_be_names_its_field(project, ask, path, field):
    assert ask(path, status=400)["errors"][0]["field"] == field


def test_silent_sessions_are_drawn_by_their_seed(project, ask):
    make_sessions(project, SMALL, start=start(), feature="search")

    found = ask("/silent?seed=3&limit=5")

    assert len(found["items"]) == 5
    assert found == ask("/silent?seed=3&limit=5")
    assert found["items"] != ask("/silent?seed=4&limit=5")["items"]
    assert {row["feature"] for row in found["items"]} == {"search"}
    assert ask("/silent?feature=none")["items"] == []


def test_settings_are_read_changed_and_audited(project, ask):
    make_judge(project, kind="model")
    found = ask("/settings")
    assert found["settings"] == {
        "method": "judge", "judge": "quality", "criterion": "correctness", "at_least": 4.0, "tolerance": 0.05,
        "is_default": True, "words": "Correctness is 4 or more of 5, as Answer quality sees it and people correct it",
    }  # fmt: skip
    assert [(row["judge"], row["criterion"], row["suggested"]) for row in found["criteria"]] == [
        ("quality", "correctness", 4.0), ("quality", "polite", 1.0)
    ]  # fmt: skip

    changed = ask("/settings", method="patch", body={"criterion": "polite", "tolerance": 0.1})
    assert changed["settings"] | {"words": ""} == {
        "method": "judge", "judge": "quality", "criterion": "polite", "at_least": 1.0, "tolerance": 0.1,
        "is_default": False, "words": "",
    }  # fmt: skip
    assert ask("/settings") == changed
    assert ask("/settings", method="patch", body={}) == changed
    assert ask("/settings", method="patch", body={"method": "none"})["settings"]["criterion"] is None
    entries = AuditEntry.objects.filter(action="survivorship.settings").order_by("id")
    assert [entry.after["method"] for entry in entries] == ["judge", "none"]
    assert entries[0].before is None
    for body, field in (
        ({"method": "magic"}, "method"),
        ({"method": "judge", "judge": "nobody"}, "judge"),
        ({"method": "judge", "judge": "quality", "criterion": "none"}, "criterion"),
        ({"method": "judge", "judge": "quality", "criterion": "polite", "at_least": 2}, "at_least"),
        ({"tolerance": 0.6}, "tolerance"),
        ({"tolerance": "nan"}, "tolerance"),
        ({"colour": "red"}, "colour"),
    ):
        assert ask("/settings", method="patch", body=body, status=400)["errors"][0]["field"] == field, body


def test_a_key_that_may_only_read_changes_nothing(project):
    key = make_key(project, "Reader", ("read",))
    client = Client(headers={"Authorization": f"Bearer {key.secret}"})

    answer = client.patch(ADDRESS + "/settings", b"{}", "application/json")

    assert answer.status_code == 403
    assert client.get(ADDRESS).status_code == 200
