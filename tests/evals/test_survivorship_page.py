"""The survivorship page: the verdict in a sentence, no figure without what it rests on, every number opens its rows."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals.models import SurvivorshipSettings
from telltale.audit.models import AuditEntry
from telltale.jobs.models import Job, JobState
from telltale.lib import clock
from tests.evals.behaviour_rows import BIASED, SMALL, judge_sessions, make_sessions
from tests.evals.estimate_rows import make_judge
from traces.behaviour.types import Fact, Stratum
from traces.read import TooSlow
from traces.read.behaviour import REFOLD

PAGE = "/p/shop/signals/"
TENTH = {stratum: tuple(n // 10 for n in cell) for stratum, cell in BIASED.items()}
FINE = {Stratum.COMPLETED: 0.97, Stratum.CARRIED_ON: 0.9, Stratum.RETRIED: 0.5, Stratum.CORRECTED: 0.3,
        Stratum.ABANDONED: 0.5}  # fmt: skip


def start(hours=48):
    return clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)


def read(client, query="", status=200, page=PAGE):
    answer = client.get(page + query)
    assert answer.status_code == status, answer.content
    return unescape(re.sub(r"\s+", " ", answer.content.decode()))


@pytest.fixture
def bobs(bob, sign_in):
    return sign_in(bob)


def test_a_new_project_is_told_how_to_begin_and_may_see_the_example(project, bobs):
    page = read(bobs)

    assert "No sessions yet" in page
    assert "POST /api/v1/signals" in page
    assert 'href="?example=1"' in page
    assert "No session of this feature" in read(bobs, "?feature=search")
    make_sessions(project, SMALL, start=start())
    assert "No session began in this window" in read(bobs, "?t=1h")


def test_the_example_is_labelled_and_bounds_are_told_in_words(project, bobs):
    page = read(bobs, "?example=1")

    assert "An example, not your data" in page
    assert "Made-up counts" in page
    assert "Grey: cannot tell" in page
    assert "Votes alone leave the true rate anywhere between 0.9% and 99.9%." in page
    assert "9 of 10 votes are up, given by 1% of sessions" in page
    assert "if 84 of 93 such sessions are found satisfied" in page
    assert "if 56 of 93 such sessions are found satisfied" in page


def test_a_thousand_sessions_with_ten_votes_are_grey_with_the_same_words(project, bobs):
    make_sessions(project, {Stratum.ABANDONED: (0, 0, 400), Stratum.CARRIED_ON: (9, 1, 590)}, start=start())

    page = read(bobs)

    assert "<h1>Cannot tell: 10 votes, and no other evidence</h1>" in page
    assert "Votes alone leave the true rate anywhere between 0.9% and 99.9%." in page
    assert "1% gave a vote (95% CI 0.5% to 1.8%): 10 of 1,000 closed sessions with an answer." in page
    assert "Green" not in page


def test_no_votes_are_unknown(project, bobs):
    make_sessions(project, {Stratum.ABANDONED: (0, 0, 400), Stratum.CARRIED_ON: (0, 0, 600)}, start=start())

    page = read(bobs)

    assert "Cannot tell: none of 1,000 sessions gave a vote" in page
    assert "unknown: nobody voted" in page
    assert ">unknown</dd>" in page
    assert "No risk" not in page


def test_few_sessions_say_how_many_are_needed(project, bobs):
    make_sessions(project, {Stratum.CARRIED_ON: (5, 1, 14)}, start=start())

    page = read(bobs)

    assert "Cannot tell: 20 sessions have ended, 50 are needed" in page
    assert "30 more closed sessions." in page


def test_an_anchor_below_the_votes_turns_the_page_red(project, bobs):
    version = make_judge(project, kind="model")
    made = make_sessions(project, TENTH, start=start(), feature="search")
    judge_sessions(project, version, made, FINE, pi=0.4, reviewed=0.25)

    page = read(bobs)

    assert re.search(r"<h1>Do not trust the 9\d%: about \d\d% of sessions are satisfied</h1>", page)
    assert "Red: the votes overstate how many are satisfied" in page
    assert "Rule: the anchor’s upper limit lies below the votes’ lower limit by more than the tolerance." in page
    assert re.search(r"Disagrees</span>", page)
    assert re.search(r"\d+ reviews and [\d,]+ more sessions that the judge scored", page)
    assert "Correctness is 4 or more of 5, as Answer quality sees it and people correct it" in page
    assert "nobody chose this; it was found by name" in page
    assert re.search(r"The judge scores silent sessions [\d.]+ (lower|higher) than voters \(uncorrected;", page)


def test_every_group_opens_its_sessions_and_what_is_left_out_is_said(project, bobs):
    make_sessions(project, SMALL, start=start())
    make_sessions(project, {Stratum.OPEN: (3, 0, 17)}, start=start(), is_closed=False, seed=2)
    make_sessions(project, {Stratum.ABANDONED: (0, 2, 38)}, start=start(), facts=Fact.UNANSWERED, seed=3)
    make_sessions(project, {Stratum.UNKNOWN: (5, 1, 94)}, start=start(), facts=Fact.LONE, seed=4)

    page = read(bobs)

    for words in (
        "20 sessions not over yet, 3 with a vote",
        "40 closed sessions in which nothing was ever answered, 2 with a vote",
        "100 traces that name no session, 6 with a vote",
        "Late votes",
        "Version 0, as shipped",
    ):
        assert words in page
    links = set(re.findall(r'href="(/p/shop/(?:sessions|traces|signals/silent)/\?[^"]+)"', page))
    assert {re.search(r"behaviour=(\w+)", link)[1] for link in links if "behaviour" in link} == {
        "completed", "carried_on", "abandoned"
    }  # fmt: skip
    for link in sorted(links):
        answer = bobs.get(link)
        assert answer.status_code == 200, link
        assert b"The list below leaves it out" not in answer.content, link
    both = read(bobs, "?units=all")
    assert "1,100 closed sessions and traces without one" in both
    assert "Leave them out" in both


def test_features_have_verdicts_of_their_own(project, bobs):
    make_sessions(project, SMALL, start=start(), feature="search <b>")
    make_sessions(project, {Stratum.CARRIED_ON: (0, 0, 60)}, start=start(), seed=2)

    page = read(bobs)

    assert re.search(r"By feature.*search <b>.*May mislead.*no feature told.*Cannot tell", page)
    assert "<b></a>" not in bobs.get(PAGE).content.decode()
    one = read(bobs, "?feature=search+%3Cb%3E")
    assert "1,000 closed sessions" in one
    assert "By feature" not in one
    assert "60 closed sessions" in read(bobs, "?feature.missing=yes")


@pytest.mark.parametrize("delta", ["0", "0.1", "0.5"])
def test_the_sensitivity_line_moves_without_a_script(project, bobs, delta):
    make_sessions(project, SMALL, start=start())

    page = read(bobs, f"?delta={delta}")

    shown = re.search(r"<b data-rate>([\d.]+)%</b>", page)[1]
    step = re.search(rf'data-step="{delta}" data-words="([^"]+)" data-value="([\d.]+)%"', page)
    assert shown == step[2]
    assert f'<output for="delta" data-points>{step[1]}</output>' in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?t=99y", "The window was not understood"),
        ("?delta=nan", "is no step"),
        ("?delta=7", "is no step"),
        ("?units=some", "units: 'some' is none"),
        ("?history=year", "history: 'year' is none"),
        ("?feature=" + "x" * 1025, "at most 1,024 characters"),
        ("?feature=a%00b", "holds characters that no stored text has"),
    ],
)
def test_what_is_not_understood_is_said(project, bobs, query, words):
    make_sessions(project, SMALL, start=start())

    assert words in read(bobs, query)


def test_the_number_of_queries_stays_the_same(project, bobs):
    version = make_judge(project)
    made = make_sessions(project, SMALL, start=start(), feature="one")
    judge_sessions(project, version, made, dict.fromkeys(SMALL, 0.8), pi=0.1, reviewed=0.1)
    read(bobs)
    with CaptureQueriesContext(connection) as few:
        read(bobs)

    for at in range(6):
        more = make_sessions(project, SMALL, start=start(), feature=f"f{at}", seed=at + 2)
        judge_sessions(project, version, more, dict.fromkeys(SMALL, 0.8), pi=0.3, reviewed=0.5, seed=at)
    with CaptureQueriesContext(connection) as many:
        read(bobs)

    assert len(many) == len(few) < 32


def test_counting_anew_is_shown_with_its_progress(project, bobs):
    make_sessions(project, SMALL, start=start())
    Job.objects.create(kind=REFOLD, project_id=project.pk, state=JobState.RUNNING, progress=300, total=1200)

    page = read(bobs)

    assert "Sessions are counted anew" in page
    assert "300 of 1,200 are done (25%)" in page


def test_a_question_that_takes_too_long_says_what_to_do(project, bobs, monkeypatch):
    def slow(*args, **kwargs):
        raise TooSlow

    monkeypatch.setattr("evals.pages.survivorship.look_at", slow)
    monkeypatch.setattr("evals.pages.survivorship.read_silent", slow)

    assert "This took too long" in read(bobs, status=503)
    assert "This took too long" in read(bobs, status=503, page=PAGE + "silent/")


def test_silent_sessions_to_read_are_the_same_for_the_same_seed(project, bobs):
    made = make_sessions(project, SMALL, start=start())
    silent = {one.session_id for one in made if one.stratum is Stratum.ABANDONED and not one.vote}
    assert 'href="/p/shop/signals/silent/?from=' in read(bobs)

    page = read(bobs, "?seed=7", page=PAGE + "silent/")
    shown = re.findall(r'class="rowlink" href="/p/shop/sessions/([^"/]+)/"', page)

    assert "20 silent sessions that left" in page
    assert len(set(shown)) == 20
    assert set(shown) <= silent
    assert (
        re.findall(r'class="rowlink" href="/p/shop/sessions/([^"/]+)/"', read(bobs, "?seed=7", page=PAGE + "silent/"))
        == shown
    )
    assert set(re.findall(r'href="/p/shop/sessions/([^"/]+)/"', read(bobs, "?seed=8", page=PAGE + "silent/"))) != set(
        shown
    )
    assert "seed: 'x' is none" in read(bobs, "?seed=x", page=PAGE + "silent/")
    assert "No silent session left" in read(bobs, "?feature=none", page=PAGE + "silent/")
    assert "Draw others" in page


def test_engineers_choose_what_counts_as_satisfied(project, alice, bobs, sign_in):
    version = make_judge(project)
    alices, address = sign_in(alice), PAGE + "anchor/"
    assert "Nobody chose yet" in read(bobs, page=address)
    assert "Engineers, admins and owners change this" in read(bobs, page=address)
    assert bobs.post(address, {"method": "none"}).status_code == 403

    told = {"method": "judge", "criterion": "quality/correctness", "at_least": "3", "tolerance": "2.5"}
    assert alices.post(address, told).status_code == 302

    row = SurvivorshipSettings.objects.get(project=project)
    assert (row.method, row.judge_id, row.criterion, row.at_least, row.tolerance) == (
        "judge", version.judge_id, "correctness", 3.0, 0.025
    )  # fmt: skip
    entry = AuditEntry.objects.get(action="survivorship.settings")
    assert entry.after == {"method": "judge", "judge": "quality", "criterion": "correctness", "at_least": 3.0,
                           "tolerance": 0.025}  # fmt: skip
    for change, words in (
        ({"criterion": "nobody/none"}, "judge is no live judge"),
        ({"criterion": "quality/none"}, "criterion is none of"),
        ({"at_least": "9"}, "at_least is out of range"),
        ({"at_least": "many"}, "at_least is no number"),
        ({"tolerance": "60"}, "tolerance is out of range"),
        ({"tolerance": "nan"}, "tolerance is out of range"),
        ({"method": "magic"}, "method is none"),
    ):
        assert words in unescape(alices.post(address, told | change).content.decode()), change
    assert alices.post(address, {"method": "none", "tolerance": "5"}).status_code == 302
    assert AuditEntry.objects.filter(action="survivorship.settings").count() == 2


def test_strangers_find_nothing(project, charlie, sign_in):
    for address in (PAGE, PAGE + "silent/", PAGE + "anchor/"):
        assert sign_in(charlie).get(address).status_code == 404
