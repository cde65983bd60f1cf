"""The quality page: the answer first, no figure without its interval, every number opens its traces."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals.models import Calibration
from telltale.lib import clock
from tests.evals.estimate_rows import SPEC, make_judge, make_traffic

PAGE = "/p/shop/quality/"


def start(hours=48):
    return clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)


def read(client, query=""):
    answer = client.get(PAGE + query)
    assert answer.status_code == 200, answer.content
    return unescape(re.sub(r"\s+", " ", answer.content.decode()))


@pytest.fixture
def bobs(bob, sign_in):
    return sign_in(bob)


def test_a_new_project_is_told_what_to_do(project, alice, bobs, sign_in):
    assert "Make a judge" in read(sign_in(alice))
    page = read(bobs)
    assert "No judge yet" in page
    assert "judges/new/" not in page


def test_a_judge_without_scores_is_said_to_have_none(project, bobs):
    make_judge(project)

    assert "Nothing was judged in this window" in read(bobs)
    assert "Nothing of this was judged" in read(bobs, "?feature=search")


def test_an_uncorrected_mean_is_called_so_everywhere(project, bobs):
    make_traffic(project, make_judge(project), start=start())

    page = read(bobs)

    assert re.search(r"<h1>Uncorrected, Correctness is [\d.]+ of 5: too few reviews", page)
    assert re.search(r"<b>[\d.]+ of 5</b> <span class=\"sub\">uncorrected, 95% CI [\d.]+ to [\d.]+", page)
    assert "Not corrected: 0 of 30 drawn reviews" in page
    assert re.search(r"Drew [\d,]+ of 960 traces", page)
    assert "not proven" in page
    assert re.search(r"Polite</h3>", page)
    assert re.search(r"<b><a href=\"[^\"]*flagged=quality[^\"]*\">[\d.]+%</a></b>", page)


def test_corrected_quality_comes_first_with_its_interval(project, bobs):
    make_traffic(project, make_judge(project), start=start(), an_hour=60, reviewed=0.3)

    page = read(bobs)

    found = re.search(
        r"<h1>As people see it, answers score ([\d.]+) of 5 for Correctness, ([\d.]+) to ([\d.]+)</h1>", page
    )
    assert found
    assert float(found[2]) < float(found[1]) < float(found[3])
    assert "Judge's own mean, uncorrected:" in page
    assert re.search(
        r"Corrected by \d+ reviews, worth \d+ with the judge's help; the judge gives 0\.\d+ too much", page
    )


def test_too_little_data_names_what_there_is_and_what_is_needed(project, bobs):
    make_traffic(project, make_judge(project), start=start(1), hours=1, an_hour=12)

    page = read(bobs)

    assert "<h1>Too little data to say how good the answers are</h1>" in page
    assert re.search(r"Too little data: \d+ of 20 scores", page)


def test_nonresponse_above_the_limit_is_flagged(project, bobs):
    make_traffic(project, make_judge(project), start=start(), failed=0.2)

    page = read(bobs)

    assert "Too many traces have no score" in page
    assert re.search(r"\d+ of \d+ judgements ended without a score \(\d+(\.\d+)?%\): \d+ unparsable", page)


def test_every_figure_opens_its_traces(project, bobs):
    make_traffic(project, make_judge(project), start=start())

    page = read(bobs, "?feature=search&of=quality%401%2Fpolite")

    links = set(re.findall(r'href="(/p/shop/traces/[^"]+)"', page))
    assert len(links) > 5
    for href in sorted(links):
        answer = bobs.get(href)
        assert answer.status_code == 200, href
        assert b"The list below leaves it out" not in answer.content, href
        assert "feature=search" in href or "flagged" in href
    assert "Polite by feature" in page


def test_the_page_is_of_a_part_of_the_traffic(project, bobs):
    make_traffic(project, make_judge(project), start=start())

    def scores(query):
        return [int(n.replace(",", "")) for n in re.findall(r">([\d,]+) scores</a>", read(bobs, query))]

    whole, part, unknown = scores(""), scores("?feature=search"), scores("?feature.missing=yes")
    assert 0 < part[0] < whole[0]
    assert 0 < unknown[0] < whole[0]
    assert "Remove feature search" in read(bobs, "?feature=search")
    for by, label in (("model", "Model"), ("prompt_version", "Prompt version")):
        assert f"by {label.lower()}</h2>" in read(bobs, f"?by={by}")


def test_a_badge_is_that_of_the_calibration(project, bobs):
    version = make_judge(project)
    make_traffic(project, version, start=start())
    Calibration.objects.create(
        project=project, judge_version=version, criterion="correctness", result={}, verdict="proven", pairs=240,
        reviewers=3, expires_at=clock.now() + timedelta(days=30),
    )  # fmt: skip

    page = read(bobs)

    assert re.search(r'class="badge ok push"[^>]*title="Proven against people on 240 labels">proven', page)


def test_labels_without_an_order_show_shares(project, bobs):
    criterion = {**SPEC["criteria"][0], "scale": {"kind": "labels", "labels": ["3", "4"], "ordered": False}}
    criterion.pop("flag_at_most")
    make_traffic(project, make_judge(project, spec={"criteria": [criterion]}), start=start())

    assert re.search(r"<dt>4</dt><dd>\d+(\.\d+)?%</dd>", read(bobs))


def test_charts_have_a_table_that_says_the_same(project, bobs):
    make_traffic(project, make_judge(project), start=start(96), hours=96)

    page = read(bobs)

    assert page.count("Show as a table") >= 2
    assert "no difference shown" in page
    assert "a point a day" in page
    few = read(bobs, "?t=24h")
    assert "Too little data for a curve: a point an hour needs 20 scores" in few
    make_traffic(project, make_judge(project, number=2), start=start(5), hours=5, an_hour=150, plan_id=2)
    assert "Answer quality v2, a point an hour" in read(bobs, "?t=24h")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?t=99y", "The window was not understood"),
        ("?by=colour", "is no breakdown"),
        ("?feature=" + "x" * 1025, "at most 1,024 characters"),
        ("?feature=a%00b", "holds characters that no stored text has"),
        ("?of=nobody%401/none", "Correctness by feature"),
    ],
)
def test_what_is_not_understood_is_said(project, bobs, query, words):
    make_traffic(project, make_judge(project), start=start())

    assert words in read(bobs, query)


def test_hostile_names_are_text(project, bobs):
    version = make_judge(project, name='<img src=x onerror="a()">')
    make_traffic(project, version, start=start())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE evals_score_hour SET feature = '</td><script>b()</script>{}%%' WHERE feature = 'chat'")

    answer = bobs.get(PAGE)

    assert b"<script>b()" not in answer.content
    assert b"<img src=x" not in answer.content


def test_a_stranger_sees_nothing(project, charlie, sign_in):
    assert sign_in(charlie).get(PAGE).status_code == 404


def test_questions_are_as_many_however_many_judges_and_scores(project, bobs):
    counts = []
    for number in (1, 2, 3):
        make_traffic(project, make_judge(project, slug=f"j{number}", name=f"J {number}"), start=start(), seed=number,
                     plan_id=number, reviewed=0.1)  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            read(bobs)
        counts.append(len(queries))

    assert counts[0] == counts[1] == counts[2]


def test_a_question_that_takes_too_long_says_so(project, bobs, monkeypatch):
    from evals.pages import quality
    from traces.read import TooSlow

    def slow(*args, **more):
        raise TooSlow

    monkeypatch.setattr(quality, "read_over_time", slow)

    answer = bobs.get(PAGE)

    assert answer.status_code == 503
    assert b"This took too long" in answer.content


def test_a_part_of_the_traffic_is_covered_as_such(project, bobs):
    make_traffic(project, make_judge(project), start=start(), failed=0.1)

    def drawn(query):
        page = read(bobs, query)
        return [int(n.replace(",", "")) for n in re.search(r"Drew ([\d,]+) of ([\d,]+) traces", page).groups()], page

    parts = [drawn(query)[0] for query in ("?feature=search", "?feature=chat", "?feature.missing=yes")]
    whole, page = drawn("")
    assert [sum(part[at] for part in parts) for at in (0, 1)] == whole
    assert "judgements ended without" in page
    assert "judgements of all its traffic ended without" in drawn("?feature=chat")[1]


def test_what_is_lacking_says_how_many_more(project, bobs):
    version = make_judge(project)
    make_traffic(project, version, start=start(1), hours=1, an_hour=12)
    page = read(bobs)

    have = int(re.search(r"Too little data: (\d+) of 20 scores, (\d+) more", page)[1])
    assert f"{20 - have} more {'is' if have == 19 else 'are'} needed" in page
    assert "Not calibrated: no labels of people yet" in page

    make_traffic(project, version, start=start(), an_hour=30, reviewed=0.04, plan_id=78, seed=9)
    assert re.search(r"Not corrected: \d+ of 30 drawn reviews, \d+ more (is|are) needed", read(bobs))


@pytest.mark.parametrize(("days", "words"), [(1, "an hour"), (10, "a day"), (90, "a week")])
def test_points_stand_for_hours_days_or_weeks(project, bobs, days, words):
    make_traffic(
        project, make_judge(project), start=start(24 * days - 1), hours=24 * days - 1, an_hour=3 if days > 9 else 60
    )

    now = clock.now()
    page = read(bobs, f"?from={now - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}&to={now:%Y-%m-%dT%H:%M:%SZ}")

    assert f"a point {words}; band: 95% interval" in page
