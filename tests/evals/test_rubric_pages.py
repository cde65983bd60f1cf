"""Rubrics by page: rows that grow and shrink by submitting, versions that stay, remarks before saving."""

from __future__ import annotations

from html import unescape

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from evals import setup
from evals.models import RubricVersion
from evals.read import setup as read
from evals.rubrics import PRESETS
from evals.write import setup as write

pytestmark = pytest.mark.django_db
RUBRICS = "/p/shop/rubrics/"


@pytest.fixture
def owner(alice, project, sign_in):
    return sign_in(alice)


def criterion(at, **more):
    typed = {
        "title": "Correctness", "key": "correctness", "scale": "1-5", "definition": "Every claim is in a document.",
        "anchors": "5: all claims supported\n1: a price is wrong", "flag": "2", "examples": "0",
    }  # fmt: skip
    return {f"c-{at}-{name}": value for name, value in (typed | more).items()}


def form(*criteria, **more):
    rows = criteria or (criterion(0),)
    typed = {"name": "Answers", "instructions": "Quote it.", "criteria": str(len(rows)), "do": "save"}
    for row in rows:
        typed |= row
    return typed | more


def said(answer):
    return unescape(answer.content.decode())


def saved(project):
    return read.get_rubric(project.pk, "answers")


def test_a_rubric_is_written_and_read_back_as_it_was_typed(owner, project):
    labels = criterion(1, title="Tone", key="", scale="labels", labels="rude\nplain\nwarm", anchors="", flag="rude")
    answer = owner.post(RUBRICS + "new/", form(criterion(0), labels))

    assert answer.status_code == 302, said(answer)[-2000:]
    first, second = saved(project).newest.rubric.criteria
    assert (first.scale.anchors["1"], first.flag_at_most) == ("a price is wrong", 2)
    assert (second.key, second.scale.labels, second.flag_at_most) == ("tone", ("rude", "plain", "warm"), 1)
    html = said(owner.get(RUBRICS + "answers/"))
    assert "5: all claims supported" in html
    assert "rude\nplain\nwarm" in html
    again = owner.post(RUBRICS + "answers/", form(criterion(0), labels))
    assert again.status_code == 302
    assert RubricVersion.objects.count() == 1


def test_rows_grow_shrink_and_move_without_saving(owner):
    two = (criterion(0, title="First"), criterion(1, title="Second"))

    grown = said(owner.post(RUBRICS + "new/", form(*two, do="add-criterion")))
    shrunk = said(owner.post(RUBRICS + "new/", form(*two, do="remove-0")))
    moved = said(owner.post(RUBRICS + "new/", form(*two, do="down-0")))
    example = said(owner.post(RUBRICS + "new/", form(*two, do="add-example-1")))

    assert 'name="criteria" value="3"' in grown
    assert "Not saved yet." in grown
    assert 'name="criteria" value="1"' in shrunk
    assert "First" not in shrunk.split("<form")[1]
    assert moved.index("1. Second") < moved.index("2. First")
    assert 'name="c-1-e-0-answer"' in example
    assert not RubricVersion.objects.exists()


def test_examples_are_kept_and_removed(owner, project):
    with_example = criterion(0, examples="1") | {
        "c-0-e-0-question": "Refund?", "c-0-e-0-answer": "Never.", "c-0-e-0-level": "1", "c-0-e-0-reason": "wrong",
    }  # fmt: skip
    owner.post(RUBRICS + "new/", form(with_example))
    assert saved(project).newest.rubric.criteria[0].examples[0].reason == "wrong"

    removed = said(owner.post(RUBRICS + "answers/", form(with_example, do="remove-example-0-0")))
    assert "c-0-e-0-question" not in removed


@pytest.mark.parametrize(
    ("typed", "anchor"),
    [
        (form(name=""), "#f-name"),
        (form(criteria="0"), "#criteria"),
        (form(criterion(0, key="Bad key!")), "#f-c-0-key"),
        (form(criterion(0, definition="")), "#f-c-0-definition"),
        (form(criterion(0, scale="points", low="5", high="1")), "#f-c-0-high"),
        (form(criterion(0, scale="points", low="a", high="1")), "#f-c-0-low"),
        (form(criterion(0, scale="labels", labels="one", anchors="", flag="")), "#f-c-0-labels"),
        (form(criterion(0, scale="nonsense")), "#f-c-0-scale"),
        (form(criterion(0, anchors="no colon")), "#f-c-0-anchors"),
        (form(criterion(0, anchors="9: beyond")), "#f-c-0-anchors"),
        (form(criterion(0, flag="9")), "#f-c-0-flag"),
        (form(criterion(0), criterion(1)), "#f-c-1-key"),
        (form(criterion(0, examples="1")), "#f-c-0-e-0-level"),
    ],
)
def test_what_cannot_be_leads_to_its_input_and_keeps_what_was_typed(owner, typed, anchor):
    answer = owner.post(RUBRICS + "new/", typed)

    assert answer.status_code == 400
    assert f'href="{anchor}"' in said(answer)
    assert "Quote it." in said(answer)
    assert f'id="{anchor[1:]}"' in said(answer)


def test_a_used_version_stays_and_saving_makes_the_next(owner, project):
    owner.post(RUBRICS + "new/", form())
    write.freeze_rubric(saved(project).newest.id)
    assert "v1 is in use and stays as it is: saving makes v2." in said(owner.get(RUBRICS + "answers/"))

    answer = owner.post(RUBRICS + "answers/", form(criterion(0, definition="Every price is right.")), follow=True)

    assert "is saved as v2; v1 was used and stays as it is" in said(answer)
    old = said(owner.get(RUBRICS + "answers/?v=1"))
    assert "Only the newest version can be changed." in old
    assert "Save rubric" not in old
    assert owner.get(RUBRICS + "answers/?v=3").status_code == 404


def test_a_vague_criterion_is_remarked_before_it_is_saved(owner):
    vague = criterion(0, definition="The answer is good.", anchors="")

    html = said(owner.post(RUBRICS + "new/", form(vague, do="check")))

    assert "What could be clearer" in html
    assert "a rubric may be used as it is" in html
    assert not RubricVersion.objects.exists()


@pytest.mark.parametrize("preset", [preset.slug for preset in PRESETS])
def test_every_ready_rubric_fills_the_form_and_can_be_saved(owner, project, preset):
    html = said(owner.get(f"{RUBRICS}new/?preset={preset}"))

    assert "Filled in from" in html
    found = next(each for each in PRESETS if each.slug == preset)
    assert setup.save_rubric(project, found.spec, name=found.name).number == 1


def test_a_rubric_is_put_away_and_taken_back(owner, project):
    owner.post(RUBRICS + "new/", form())

    owner.post(RUBRICS + "answers/archive/")
    assert "Put away" in said(owner.get(RUBRICS))
    assert "Save rubric" not in said(owner.get(RUBRICS + "answers/"))
    owner.post(RUBRICS + "answers/archive/")
    assert saved(project).archived_at is None


def test_roles_and_strangers(owner, bob, charlie, sign_in, project):
    owner.post(RUBRICS + "new/", form())
    looker, stranger = sign_in(bob), sign_in(charlie)

    assert "Every claim is in a document." in said(looker.get(RUBRICS + "answers/"))
    assert looker.get(RUBRICS + "new/").status_code == 403
    assert looker.post(RUBRICS + "answers/", form()).status_code == 403
    for path in ("", "answers/", "new/"):
        assert stranger.get(RUBRICS + path).status_code == 404
    assert stranger.get("/p/far/rubrics/answers/").status_code == 404


@pytest.mark.parametrize("odd", ["-1", "99999999", "²", "1e3", "\x00"])
def test_odd_row_counts_are_no_harm(owner, odd):
    answer = owner.post(RUBRICS + "new/", {"name": "x", "criteria": odd, "do": "add-example-77", "c-0-title": "a\x00b"})

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["", "answers/"])
def test_pages_ask_the_same_number_of_questions_however_much_there_is(owner, project, path):
    def count():
        with CaptureQueriesContext(database) as asked:
            assert owner.get(RUBRICS + path).status_code == 200
        return len(asked)

    yes = {"key": "a", "definition": "It has a greeting in it.", "scale": {"kind": "boolean"}}
    setup.save_rubric(project, {"criteria": [yes]}, slug="answers", name="Answers")
    count()
    few = count()
    for n in range(4):
        version = setup.save_rubric(project, {"criteria": [yes], "instructions": f"Be brief, {n}."}, slug="answers")
        setup.save_rubric(project, {"criteria": [yes]}, name=f"Other {n}")
        setup.save_judge(project, name=f"Judge {n}", kind="person", rubric_version_id=version.id)
        setup.make_live(project, f"judge-{n}")

    assert count() <= few + 1
