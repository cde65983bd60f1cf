"""Comments and labels, through pages and REST."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.projects import keys
from telltale.projects.models import Project, ProjectMember
from traces import notes
from traces.read import get_trace
from traces.read.notes import list_comments, list_label_names, list_labels, read_marks
from traces.wire.ids import trace_id_from
from traces.write import notes as write
from traces.write import retention

pytestmark = pytest.mark.django_db
TRACE, OTHER, FAR = ("0" * 31 + n for n in "129")
SPAN = "a" * 16
PAGE = f"/p/shop/traces/{TRACE}/"
REST = f"/api/v1/traces/{TRACE}"


@pytest.fixture
def told(shop, otlp):
    """One trace of two spans; rita reviews, dora engineers."""
    from tests.traces.conftest import User, signed_in

    otlp.send(otlp.span(TRACE, SPAN, name="turn"), otlp.span(TRACE, "b" * 16, SPAN, "search", at_ms=5))
    for name, role in (("rita", "reviewer"), ("dora", "engineer")):
        person = User.objects.create(email=f"{name}@example.com", name=name.title())
        ProjectMember.objects.create(project=shop.project, user=person, role=role)
        setattr(shop, name, signed_in(person))
    return shop


def row(shop, trace=TRACE):
    return get_trace(shop.project.pk, trace_id_from(trace, "otlp")[0])


def comments(shop, trace=TRACE):
    return list_comments(shop.project.pk, row(shop, trace).trace_id)


def labels(shop, trace=TRACE):
    return [each.label for each in list_labels(shop.project.pk, row(shop, trace).trace_id)]


def read(client, query=""):
    answer = client.get(PAGE + query)
    assert answer.status_code == 200, answer.content[:400]
    return unescape(answer.content.decode())


def test_a_comment_is_on_the_page_with_its_author(told):
    answer = told.rita.post(PAGE + "comments/", {"body": "  Wrong since v18.\r\nSee the policy.  "})

    assert (answer.status_code, answer["Location"]) == (302, PAGE + "#notes")
    html = read(told.bob)
    assert "Wrong since v18.\nSee the policy.</p>" in html
    assert "<b>Rita</b>" in html
    assert "1 comment" in html


def test_a_comment_may_be_about_one_span(told):
    told.rita.post(PAGE + "comments/", {"body": "here", "span": "b" * 16})

    assert comments(told)[0].span_hex == "b" * 16
    assert f'href="?span={"b" * 16}"' in read(told.bob)
    assert told.rita.post(PAGE + "comments/", {"body": "here", "span": "e" * 16}).status_code == 400


def test_a_comment_is_text_and_nothing_else(told):
    told.rita.post(PAGE + "comments/", {"body": "<script>alert(1)</script> https://evil.example \u202e\x00 <b>"})

    html = told.bob.get(PAGE).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; https://evil.example [U+202E]\ufffd &lt;b&gt;" in html
    assert 'href="https://evil' not in html


def test_viewers_read_and_strangers_find_nothing(told):
    assert told.bob.post(PAGE + "comments/", {"body": "x"}).status_code == 403
    assert told.bob.post(PAGE + "labels/", {"label": "x"}).status_code == 403
    assert told.charlie.post(PAGE + "comments/", {"body": "x"}).status_code == 404
    assert told.nobody.post(PAGE + "comments/", {"body": "x"}).status_code == 302
    assert not comments(told)
    assert "Reviewers, engineers, admins and owners write them" in read(told.bob)
    assert "<textarea" not in read(told.bob)


@pytest.mark.parametrize("body", ["", "\u200b\u2060 \ufeff", "   \n", "x" * (notes.COMMENT_CHARS_MAX + 1)])
def test_what_cannot_be_kept_comes_back_to_be_mended(told, body):
    answer = told.rita.post(PAGE + "comments/", {"body": body})

    assert answer.status_code == 400
    html = unescape(answer.content.decode())
    assert ("is empty" if len(body) < 10 else "is too long: 4000 characters are accepted, it has 4001") in html
    assert body.strip() in html
    assert not comments(told)


def test_ones_own_comment_is_changed_and_removed(told):
    told.rita.post(PAGE + "comments/", {"body": "frist"})
    here = f"{PAGE}comments/{comments(told)[0].id}/"

    assert "frist</textarea>" in told.rita.get(here).content.decode()
    assert told.rita.post(here, {"body": "first"}).status_code == 302
    changed = comments(told)[0]
    assert (changed.body, changed.author) == ("first", "Rita")
    assert changed.edited_at is not None
    assert ", changed " in read(told.bob)
    assert told.rita.post(here + "delete/").status_code == 302
    assert not comments(told)
    assert not AuditEntry.objects.filter(action="comment.delete").exists()


def test_others_comments_are_left_alone_but_for_admins_who_are_audited(told):
    told.rita.post(PAGE + "comments/", {"body": "mine"})
    here = f"{PAGE}comments/{comments(told)[0].id}/"

    assert told.dora.get(here).status_code == 403
    assert told.dora.post(here, {"body": "yours"}).status_code == 403
    assert told.dora.post(here + "delete/").status_code == 403
    assert told.erin.post(here, {"body": "yours"}).status_code == 403
    assert "Remove" not in re.sub(r"<svg.*?</svg>", "", read(told.dora).split('id="notes"')[1])
    assert told.erin.post(here + "delete/").status_code == 302
    assert not comments(told)
    entry = AuditEntry.objects.get(action="comment.delete")
    assert (entry.actor, entry.before["author"]) == ("erin@example.com", "Rita")


def test_a_comment_of_another_trace_or_project_is_not_there(told, otlp):
    otlp.send(otlp.span(OTHER, SPAN))
    otlp.send(otlp.span(FAR, SPAN), project=told.elsewhere)
    told.rita.post(PAGE + "comments/", {"body": "mine"})
    comment_id = comments(told)[0].id

    assert told.rita.get(f"/p/shop/traces/{OTHER}/comments/{comment_id}/").status_code == 404
    assert told.rita.post(f"/p/shop/traces/{FAR}/comments/", {"body": "x"}).status_code == 404
    assert told.rita.get(f"{PAGE}comments/{2**70}/").status_code == 404


def test_of_many_comments_the_newest_are_shown(told):
    for n in range(55):
        told.rita.post(PAGE + "comments/", {"body": f"note {n:02d}."})

    html, every = read(told.bob), read(told.bob, "?comments=all")

    assert "note 54." in html
    assert "note 04." not in html
    assert "The newest 50 of 55 comments" in html
    assert "note 04." in every


def test_a_trace_takes_so_many_comments_and_no_more(told, monkeypatch):
    monkeypatch.setattr(notes, "COMMENTS_MAX", 2)

    answers = [told.rita.post(PAGE + "comments/", {"body": "x"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [302, 302, 400]
    assert "2 comments on a trace" in answers[2].content.decode()


def test_labels_are_put_on_found_and_taken_off(told):
    told.rita.post(PAGE + "labels/", {"label": "  Policy   WRONG "})
    told.dora.post(PAGE + "labels/", {"label": "policy wrong"})
    told.dora.post(PAGE + "labels/", {"label": "退货"})

    assert labels(told) == ["policy wrong", "退货"]
    html = read(told.bob)
    assert 'title="Put here by Rita">policy wrong</a>' in html
    assert "/p/shop/traces/?label=policy+wrong&t=all" in html
    assert told.dora.post(PAGE + "labels/remove/", {"label": "policy wrong"}).status_code == 302
    assert labels(told) == ["退货"]
    assert told.dora.post(PAGE + "labels/remove/", {"label": "policy wrong"}).status_code == 302


def test_labels_there_are_are_suggested(told, otlp):
    otlp.send(otlp.span(OTHER, SPAN))
    told.rita.post(f"/p/shop/traces/{OTHER}/labels/", {"label": "refund"})
    told.rita.post(PAGE + "labels/", {"label": "late"})

    assert list_label_names(told.project.pk) == ["late", "refund"]
    assert '<option value="refund">' in read(told.rita)
    assert '<option value="late">' not in read(told.rita)


@pytest.mark.parametrize("label", ["", "  ", "x" * 65, "a\u202eb", "a\x07b"])
def test_a_label_that_is_none_is_said(told, label):
    answer = told.rita.post(PAGE + "labels/", {"label": label}, follow=True)

    assert "The label " in answer.content.decode()
    assert not labels(told)


def test_labels_are_capped_on_a_trace_and_in_a_project(told, otlp, monkeypatch):
    otlp.send(otlp.span(OTHER, SPAN))
    monkeypatch.setattr(notes, "LABELS_MAX", 3)
    monkeypatch.setattr(notes, "NAMES_MAX", 4)
    author = notes.Author("Rita", 1, None, False)

    for name in "abc":
        notes.add_label(told.project, row(told), name, author)
    with pytest.raises(notes.NoteRefused, match="one too many") as on_a_trace:
        notes.add_label(told.project, row(told), "d", author)
    notes.add_label(told.project, row(told, OTHER), "d", author)
    with pytest.raises(notes.NoteRefused, match="one too many") as in_a_project:
        notes.add_label(told.project, row(told, OTHER), "e", author)
    notes.add_label(told.project, row(told, OTHER), "a", author)

    assert (on_a_trace.value.limit, in_a_project.value.limit) == ("3 on a trace", "4 different ones in a project")
    assert (labels(told), labels(told, OTHER)) == (["a", "b", "c"], ["a", "d"])


def test_notes_go_when_their_trace_goes(told, otlp):
    otlp.send(otlp.span(OTHER, SPAN))
    for trace in (TRACE, OTHER):
        told.rita.post(f"/p/shop/traces/{trace}/comments/", {"body": "x"})
        told.rita.post(f"/p/shop/traces/{trace}/labels/", {"label": "x"})
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE traces_trace SET started_at = %s, last_started_at = %s WHERE trace_id = %s",
            [clock.now() - timedelta(days=100)] * 2 + [row(told).trace_id],
        )

    retention.sweep()

    with connection.cursor() as cursor:
        cursor.execute("SELECT trace_id FROM traces_comment UNION ALL SELECT trace_id FROM traces_label")
        assert [found.hex for (found,) in cursor.fetchall()] == [OTHER, OTHER]


def test_a_trace_that_went_meanwhile_takes_no_note(told):
    held = row(told)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_trace WHERE trace_id = %s", [held.trace_id])
    author = notes.Author("Rita", 1, None, False)

    with pytest.raises(notes.NoteGone):
        notes.add_comment(told.project, held, None, "x", author)
    with pytest.raises(notes.NoteGone):
        notes.add_label(told.project, held, "x", author)


def test_a_list_reads_its_marks_in_one_query(told, otlp):
    otlp.send(otlp.span(OTHER, SPAN))
    told.rita.post(PAGE + "comments/", {"body": "x"})
    told.rita.post(PAGE + "labels/", {"label": "b"})
    told.rita.post(PAGE + "labels/", {"label": "a"})
    ids = [row(told).trace_id, row(told, OTHER).trace_id]

    with CaptureQueriesContext(connection) as queries:
        marks = read_marks(told.project.pk, ids)

    assert len([query for query in queries if "traces_comment" in query["sql"]]) == 1
    assert {key: (mark.comments, mark.labels) for key, mark in marks.items()} == {ids[0]: (1, ("a", "b"))}


def test_the_number_of_queries_does_not_grow_with_the_notes(told):
    read(told.rita)
    with CaptureQueriesContext(connection) as before:
        read(told.rita)
    for n in range(8):
        told.rita.post(PAGE + "comments/", {"body": "x"})
        told.rita.post(PAGE + "labels/", {"label": f"l{n}"})
    with CaptureQueriesContext(connection) as after:
        read(told.rita)

    assert len(after) == len(before)


def test_rest_does_what_the_page_does(told):
    writer = told.key("read write")
    ask = told.nobody

    made = ask.post(f"{REST}/comments", {"body": " hi ", "span_id": SPAN}, "application/json", headers=writer)
    assert made.status_code == 201
    comment = made.json()
    assert comment["author"].startswith("API key test")
    assert (comment["body"], comment["span_id"], comment["is_own"]) == ("hi", SPAN, True)
    here = f"{REST}/comments/{comment['id']}"
    changed = ask.patch(here, {"body": "ho"}, "application/json", headers=writer)
    assert (changed.status_code, changed.json()["body"]) == (200, "ho")
    assert ask.get(here, headers=writer).json()["body"] == "ho"
    assert [each["body"] for each in ask.get(f"{REST}/comments", headers=writer).json()["items"]] == ["ho"]
    other = told.key("read write")
    assert ask.patch(here, {"body": "no"}, "application/json", headers=other).status_code == 403
    assert ask.delete(here, headers=other).status_code == 403
    assert ask.delete(here, headers=told.key("read")).status_code == 403
    assert ask.delete(here, headers=told.key("write admin")).status_code == 204
    assert ask.get(here, headers=writer).status_code == 404


def test_rest_labels(told):
    writer, ask = told.key("read write"), told.nobody

    made = ask.post(f"{REST}/labels", {"label": "Late"}, "application/json", headers=writer)

    assert [each["label"] for each in made.json()["items"]] == ["late"]
    assert ask.get("/api/v1/labels", headers=writer).json() == {"items": ["late"]}
    assert ask.get(f"{REST}/labels", headers=writer).json()["items"][0]["label"] == "late"
    assert ask.delete(f"{REST}/labels?label=late", headers=writer).status_code == 204
    assert ask.delete(f"{REST}/labels?label=late", headers=writer).status_code == 404
    assert ask.delete(f"{REST}/labels", headers=writer).json()["errors"][0]["field"] == "label"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("comments", {}, "body"),
        ("comments", {"body": "x" * 4001}, "body"),
        ("comments", {"body": "x", "span_id": "zz"}, "span_id"),
        ("comments", {"body": "x", "span_id": "9" * 16}, "span_id"),
        ("comments", {"body": "x", "author": "me"}, "author"),
        ("labels", {"label": "x" * 65}, "label"),
        ("labels", {}, "label"),
    ],
)
def test_rest_names_the_field_that_is_wrong(told, path, body, field):
    answer = told.nobody.post(f"{REST}/{path}", body, "application/json", headers=told.key("write"))

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == field


def test_rest_pages_comments(told):
    writer = told.key("read write")
    for n in range(5):
        told.nobody.post(f"{REST}/comments", {"body": f"n{n}"}, "application/json", headers=writer)

    first = told.nobody.get(f"{REST}/comments?limit=2", headers=writer).json()
    second = told.nobody.get(first["next"], headers=writer).json()
    back = told.nobody.get(second["previous"], headers=writer).json()

    assert [each["body"] for each in second["items"]] == ["n2", "n3"]
    assert [each["body"] for each in back["items"]] == ["n0", "n1"]


def test_two_people_at_the_last_place_do_not_both_get_it(told):
    """The count is taken under the lock that the insert holds."""
    held = row(told)
    write.add_comment(told.project.pk, held.trace_id, None, "x", author="a", author_id=1, key_id=None, most=1)

    with pytest.raises(write.TooMany):
        write.add_comment(told.project.pk, held.trace_id, None, "x", author="a", author_id=1, key_id=None, most=1)


def test_every_key_is_an_author_of_its_own(told):
    project = Project.objects.get(pk=told.project.pk)
    holder = keys.make_key(project, "nightly", ("write",)).key

    author = notes.author_of(project, None, keys.KeyHolder(holder.pk, project.pk, "shop", frozenset({"write"})))

    assert (author.name, author.is_admin) == ("API key nightly", False)


def test_the_list_is_filtered_by_label(told, otlp):
    otlp.send(otlp.span(OTHER, SPAN, name="unlabelled"))
    told.rita.post(PAGE + "labels/", {"label": "Late"})

    found = told.nobody.get("/api/v1/traces?label=LATE&label=none", headers=told.key("read")).json()["items"]
    rest = told.nobody.get("/api/v1/traces?label.not=late", headers=told.key("read")).json()["items"]
    html = told.bob.get("/p/shop/traces/?label=late").content.decode()

    assert [each["trace_id"] for each in found] == [TRACE]
    assert [each["trace_id"] for each in rest] == [OTHER]
    assert TRACE in html
    assert OTHER not in html


def test_the_list_shows_notes_in_a_column_of_their_own(told, otlp):
    otlp.send(otlp.span(OTHER, SPAN, name="quiet"))
    told.rita.post(PAGE + "labels/", {"label": "<i>late"})
    told.rita.post(PAGE + "comments/", {"body": "x"})

    def listed(columns):
        with CaptureQueriesContext(connection) as queries:
            html = told.bob.get(f"/p/shop/traces/?columns=time,said,{columns}").content.decode()
        return html, len([query for query in queries if "traces_comment" in query["sql"]])

    html, asked = listed("notes")
    assert "&lt;i&gt;late</span>" in html
    assert "1 comment</span>" in html
    assert asked == 1
    assert listed("model")[1] == 0


def test_two_traces_are_ticked_in_the_list_and_compared(told, otlp):
    otlp.send(otlp.span(OTHER, SPAN, name="quiet"))

    html = told.bob.get("/p/shop/traces/?columns=time,said,pick").content.decode()

    assert f'name="pick" value="{TRACE}" form="compare"' in html
    assert 'id="compare" method="get" action="/p/shop/traces/compare/"' in html
    assert "ticked" not in told.bob.get("/p/shop/traces/").content.decode()
