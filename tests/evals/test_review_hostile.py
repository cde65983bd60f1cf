"""Reviewing with texts, numbers and addresses that mean harm: shown as text, refused by name, never a 500."""

from __future__ import annotations

import base64
import re

import orjson
import pytest
from django.test import Client
from django.utils.html import escape

from evals.models import Review, ReviewItem
from evals.reviewing.filling import add_by_hand
from evals.reviewing.marking import QUOTES_MAX, Piece, mark
from telltale.projects import keys
from tests.evals.review_rows import judged, make_judge, make_queue, make_rubric, member
from tests.web.looks import forget_stored

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/review/"
QUEUES = "/api/v1/review/queues"
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 }}{% x %}\u202egnp.exe\u200b\x1b[31m'


@pytest.fixture
def api(key):
    return Client(headers={"Authorization": f"Bearer {key.secret}"})


def post(client, path, **told):
    return client.post(path, told, content_type="application/json")


def send_hostile(project):
    """A trace whose every text means harm; its id."""
    forget_stored()
    secret = keys.make_key(project, "sender", ("ingest",)).secret
    trace = {
        "trace_id": "0" * 31 + "a", "name": HOSTILE, "start": "2026-11-20T10:00:00Z", "duration_ms": 9,
        "feature": HOSTILE, "session": HOSTILE,
        "spans": [
            {"name": "search", "kind": "retriever", "start": "2026-11-20T10:00:00Z", "duration_ms": 1,
             "documents": [{"id": HOSTILE, "content": HOSTILE + " x " * 9_000, "score": 0.5}]},
            {"name": "chat", "kind": "generation", "model": HOSTILE, "start": "2026-11-20T10:00:00Z", "duration_ms": 8,
             "input": [{"role": HOSTILE, "content": HOSTILE}, {"role": "user", "content": "a " * 30_000}],
             "output": [{"role": "assistant", "content": HOSTILE}]},
        ],
    }  # fmt: skip
    sender = Client(headers={"Authorization": f"Bearer {secret}"})
    answer = sender.post("/api/v1/traces", [trace], "application/json")
    assert answer.status_code == 200, answer.content
    return "0" * 31 + "a"


def test_hostile_items_judges_and_reviewers_are_shown_as_text(project, sign_in, alice):
    version = make_judge(project, make_rubric(project))
    version.judge.name = HOSTILE[:100]
    version.judge.save()
    trace = send_hostile(project)
    judged(project, version, trace, {"correctness": 2}, reason=HOSTILE, evidence=[HOSTILE, "a a a b", "<script>"])
    queue = make_queue(project, judge="quality", is_blind=False)
    post(sign_in(alice), f"{QUEUES}/{queue.slug}/items?project=shop", trace_id=trace, note="<b>why</b>")
    item = ReviewItem.objects.get()

    client = sign_in(alice)
    held = client.post(f"{PAGE}{queue.slug}/hold/", {"tab": "t"}, follow=True).content.decode()
    told = {"item": item.pk, "tab": "t", "verdict": "failure", "note": HOSTILE, "category": HOSTILE[:90]}
    after = client.post(f"{PAGE}{queue.slug}/verdict/", told, follow=True).content.decode()
    pages = [held, after, *(
        client.get(path).content.decode()
        for path in (f"{PAGE}?queue={queue.slug}&item={item.pk}", f"{PAGE}{queue.slug}/", f"{PAGE}queues/")
    )]  # fmt: skip

    assert Review.objects.get().verdict == "failure"
    for html in pages:
        assert not re.search(r"<script>alert|<img src=x|<b>why", html)
        assert [html[at.start() - 400 : at.end()] for at in re.finditer("\u202e", html)] == []
        assert "\x1b" not in html
    assert escape("<script>") in held
    assert "cut here; the trace has all of it" in held
    assert held.count("a a a a") < 3_000


def test_quotes_are_marked_however_they_are_spaced():
    text = "Yes,  you can\nreturn It within 60 days. Within 60 DAYS."

    assert [piece.text for piece in mark(text, ["“can return it”", "within 60 days."]) if piece.is_marked] == [
        "can\nreturn It", "within 60 days", "Within 60 DAYS",
    ]  # fmt: skip
    assert "".join(piece.text for piece in mark(text, ["you can", "can return", "no", "", "   "])) == text
    assert mark("", ["x"]) == (Piece("", False),)
    assert mark("İstanbul ſs", ["İSTANBUL"])[0] == Piece("İstanbul", True)


def test_quotes_that_would_run_long_do_not():
    text = "a " * 10_000
    quotes = ["a " * 900 + "b"] * QUOTES_MAX

    assert mark(text, quotes) == (Piece(text, False),)
    assert sum(piece.is_marked for piece in mark(text, ["a a a"] * 500)) == QUOTES_MAX


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"due_at": "9999-12-31T23:59:59Z"}, "due_at"),
        ({"due_at": "0001-01-01T00:00:00Z"}, "due_at"),
        ({"double_share": "nan"}, "double_share"),
        ({"reviewers_per_item": 10**18}, "reviewers_per_item"),
        ({"rubric_version": 10**18}, "rubric_version"),
        ({"judge": "quality", "judge_version": 10**18}, "judge_version"),
        ({"name": "a\u202eb"}, "name"),
        ({"config": {"rules": "flagged"}}, "config.rules"),
        ({"config": {"wanted": True}}, "config.wanted"),
        ({"config": {"categories": [1]}}, "config.categories"),
        ({"config": {"criterion": ["correctness"]}}, "config.criterion"),
        ({"config": []}, "config"),
    ],
)
def test_a_hostile_queue_is_refused_by_name(api, project, told, field):
    make_judge(project, make_rubric(project))

    answer = post(api, QUEUES, **({"name": "Q", "rubric": "answer-quality"} | told))

    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"].startswith(field)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("verdict", {"verdict": "good", "scores": {"tone": {"deep": [1]}}}),
        ("verdict", {"verdict": "good", "scores": {"safe": [True]}}),
        ("verdict", {"verdict": "good", "scores": {"tone": 10**30}}),
        ("verdict", {"verdict": "good", "scores": {"x" * 5000: 1}}),
        ("verdict", {"verdict": "good", "scores": [1]}),
        ("verdict", {"verdict": ["good"]}),
        ("verdict", {"verdict": "good", "note": "x" * 4001}),
        ("verdict", {"verdict": "good", "note": "a\u0000b"}),
        ("verdict", {"verdict": "good", "seconds": "soon"}),
        ("verdict", {"verdict": "good", "tab": "../x"}),
        ("skip", {"reviewer": "x" * 201}),
        ("renew", {"tab": "x" * 41}),
    ],
)
def test_a_hostile_review_is_refused(api, project, act, told):
    make_rubric(project)
    queue = make_queue(project)
    add_by_hand(project, queue, _uuid(send_hostile(project)), 0, "Alice")

    path = f"/api/v1/review/items/{ReviewItem.objects.get().pk}/{act}"
    answer = post(api, path, **({"reviewer": "ann"} | told))

    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert Review.objects.count() == 0


def _uuid(text):
    from uuid import UUID

    return UUID(text)


def test_odd_addresses_are_answered(api, project, sign_in, alice):
    make_rubric(project)
    queue = make_queue(project)
    cursors = [base64.urlsafe_b64encode(orjson.dumps(each)).decode().rstrip("=") for each in
               ([1, 2], [0.5, 10**18], ["nan", 1], [1e308, -1], [None, None], [[], {}], 5, "x" * 3000)]  # fmt: skip
    for cursor in (*cursors, "%00", "a" * 5000, "1,2", "nan,5"):
        assert api.get(f"{QUEUES}/{queue.slug}/items?cursor={cursor}").status_code in (200, 400), cursor
        assert api.get(f"/api/v1/reviews?cursor={cursor}").status_code in (200, 400), cursor
        assert sign_in(alice).get(f"{PAGE}{queue.slug}/?after={cursor}&state={cursor}").status_code == 200, cursor
    for item in ("0", "-1", "1e3", str(2**63), "9" * 40, "%00", "a"):
        assert api.get(f"/api/v1/review/items/{item}").status_code in (400, 404), item
        assert api.get(f"/api/v1/reviews/{item}").status_code in (400, 404), item
    for slug in ("%00", "x" * 400, "..", "new", "%ED%A0%80"):
        assert api.get(f"{QUEUES}/{slug}").status_code in (400, 404), slug
    client = sign_in(member(project, "vera", "engineer"))
    for form in ({"person": "0" * 40}, {"person": "9" * 14}, {"person": "a@b"}, {"person": "\x00@"}, {"drop": "x"}):
        answer = client.post(f"{PAGE}{queue.slug}/items/{2**63}/", form)
        assert answer.status_code == 404, form
