"""From traces to figures and back: drawn and judged by the product, told as numpy tells it, each figure its traces."""

import random
from datetime import timedelta
from html import unescape
from math import sqrt
from urllib.parse import urlsplit

import numpy as np
import pytest
from django.test import Client
from scipy import stats

from evals.judging import context, judge_rules
from evals.stats.ppi import Corrected, ppi_nested
from evals.stats.results import Estimate
from evals.stats.weighted import Sums, wilson_eff
from evals.write.age import remove_older
from evals.write.day_sums import build_days
from evals.write.ids import new_ids
from telltale.lib import clock
from telltale.projects import keys
from tests.evals.estimate_rows import add_review
from tests.evals.judging_kit import LENGTH_RULE, YES_NO, draw, make_plan, make_version, sql, store_traces

pytestmark = pytest.mark.django_db
PLAN = {"kind": "errors", "signals": ["error"], "share": 1, "rest": 0.3}
PAGE = "/p/shop/quality/?t=28d"


class Shop:
    """A project whose answers a rule judge saw a drawn part of, and people a drawn part of that."""

    def __init__(self, project, secret, bob):
        self.project, self.bob = project, bob
        self.client, self.headers = Client(), {"Authorization": f"Bearer {secret}"}
        self.rng = random.Random(7)
        self.version = make_version(project, "rule", slug="length", config=LENGTH_RULE, rubric=YES_NO)
        make_plan(self.version, PLAN)

    def traffic(self, hours_ago, feature, version, n, *, long=0.3, error=False):
        """`n` traces of one part of the traffic, some hours ago, of two models each; drawn and judged."""
        start = (clock.now() - timedelta(hours=hours_ago)).isoformat()
        ids = []
        for answer, count in (("word " * 80, round(n * long)), ("It opens at nine.", n - round(n * long))):
            ids += store_traces(
                self.project, count, feature=feature, prompt={"name": "help", "version": version}, start=start,
                answer=answer, error=error,
                children=[{"name": "embed", "kind": "embedding", "model": "embed-3", "start": start, "duration_ms": 5}],
            )  # fmt: skip
        draw(self.project, ids)
        judge_rules(10)
        return ids

    def review(self, share):
        """People read a drawn part of what was judged; they like short answers, mostly."""
        judged = sql(
            "SELECT g.target_id, g.started_at, s.number, g.pi FROM evals_judgement g JOIN evals_score s"
            " USING (project_id, judgement_id) WHERE g.project_id = %s ORDER BY g.judgement_id", self.project.pk,
        )  # fmt: skip
        for (trace_id, at, number, pi), score_id in zip(judged, new_ids(len(judged)), strict=True):
            if self.rng.random() < share:
                person = float(self.rng.random() < (0.8 if number else 0.3))
                add_review(
                    self.project, self.version, trace_id, at, person, score_id, pi=pi, pi_review=share, name="short"
                )

    def rest(self, address, query):
        answer = self.client.get(f"/api/v1/{address}?{query}", headers=self.headers)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def items(self, query=""):
        """What REST tells, by judge version, criterion and group."""
        start = (clock.now() - timedelta(days=28)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = self.rest("estimates", f"from={start}&{query}")["items"]
        return {(row["judge_version"], row["criterion"], row["key"]): row for row in found}

    def page(self, query=""):
        answer = self.bob.get(PAGE + query)
        assert answer.status_code == 200
        return answer

    def behind(self, href):
        """How many traces an address of the list holds."""
        return len(self.rest("traces", urlsplit(unescape(href)).query + "&limit=500")["items"])

    def raw(self, version=1, **where):
        """The single rows of one version: the judge's number, pi, people's number or None, and their pi."""
        parts = "".join(f" AND g.{name} = %s" for name in where)
        return sql(
            "SELECT f.number, g.pi, p.number, r.pi_review FROM evals_judgement g"
            " JOIN evals_judgeversion v ON v.id = g.judge_version_id"
            " JOIN evals_score f ON f.judgement_id = g.judgement_id AND f.name = 'short'"
            " LEFT JOIN (evals_score p JOIN evals_review r ON r.id = p.review_id)"
            " ON p.trace_id = g.target_id AND p.source = 2"
            f" WHERE g.project_id = %s AND v.number = %s AND g.pi IS NOT NULL{parts}",
            self.project.pk, version, *where.values(),
        )  # fmt: skip


@pytest.fixture
def shop(project, key, bob, sign_in):
    keys.cache.clear()
    context.forget()
    yield Shop(project, key.secret, sign_in(bob))
    keys.cache.clear()


def share_of(rows):
    """Weighted share with Wilson's interval on the n at which p(1-p)/n is its variance, from the single scores."""
    y, pi = (np.array(column, dtype=float) for column in list(zip(*rows, strict=True))[:2])
    w = 1 / pi
    p = (w * y).sum() / w.sum()
    n = p * (1 - p) / (((1 - pi) / pi**2 * (y - p) ** 2).sum() / w.sum() ** 2)
    z = stats.norm.ppf(0.975)
    middle, half = (
        (p + z * z / (2 * n)) / (1 + z * z / n),
        z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n)),
    )
    return p, middle - half, middle + half, w.sum(), w.sum() ** 2 / (w * w).sum()


def corrected_of(rows):
    """The two-phase difference estimator with the power tuned, over the single scores."""
    f, pi = (np.array(column, dtype=float) for column in list(zip(*rows, strict=True))[:2])
    seen = np.array([row[2] is not None for row in rows])
    y = np.array([row[2] if row[2] is not None else 0.0 for row in rows], dtype=float)
    pi2 = np.array([row[3] or 1.0 for row in rows], dtype=float)
    w1 = 1 / pi
    w2 = np.where(seen, 1 / (pi * pi2), 0.0)
    mean_f, of_y, of_f = (w1 * f).sum() / w1.sum(), (w2 * y).sum() / w2.sum(), (w2 * f).sum() / w2.sum()
    a = w1 * (f - mean_f) / w1.sum() - w2 * (f - of_f) / w2.sum()
    b = w2 * (y - of_y) / w2.sum()
    lam = min(1.0, max(0.0, -(a * b).sum() / (a * a).sum()))
    n = seen.sum()
    error = sqrt(((lam * a + b) ** 2).sum() * n / (n - 1))
    n_eff = w2.sum() ** 2 / (w2 * w2).sum()
    q = stats.norm.ppf(0.975) if n_eff >= 50 else stats.t.ppf(0.975, n_eff - 1)
    value = of_y + lam * (mean_f - of_f)
    return value, value - q * error, value + q * error, lam


def check(row, rows):
    """One figure of REST against numpy over its single rows."""
    told = row["uncorrected"]["estimate"]
    assert row["scores"] == len(rows)
    if len(rows) < 20:  # how many are drawn is up to the ids of the traces
        assert told is None
        assert row["uncorrected"]["too_little"] == {"have": len(rows), "need": 20, "what": "scores"}
        return
    share, low, high, traffic, n_eff = share_of(rows)
    assert told["value"] == pytest.approx(share, rel=1e-12)
    assert (told["low"], told["high"]) == pytest.approx((low, high), abs=0.06)
    of_rows = wilson_eff(Sums.of([each[0] for each in rows], [each[1] for each in rows]), of="traffic")
    assert (told["low"], told["high"]) == pytest.approx((of_rows.low, of_rows.high), rel=1e-9)
    assert (row["traffic"], row["effective_scores"]) == pytest.approx((traffic, n_eff), rel=1e-12)
    assert row["design_effect"] == pytest.approx(len(rows) / n_eff)
    reviews = sum(each[2] is not None for each in rows)
    assert row["reviews"] == reviews
    if reviews >= 30:
        value, low, high, lam = corrected_of(rows)
        best = row["corrected"]["estimate"]
        assert best["value"] == pytest.approx(value, rel=1e-12)
        # What smoothing adds for errors that few reviews cannot show is held by test_stats_smoothed.
        assert (best["low"], best["high"]) == pytest.approx((max(0, low), min(1, high)), abs=0.06)
        reviewed = [each for each in rows if each[2] is not None]
        judge, pi, people, of = (np.array(column, dtype=float) for column in zip(*reviewed, strict=True))
        sums = Sums.of([each[0] for each in rows], [each[1] for each in rows])
        single = ppi_nested(people, judge, pi, of, sums, scale=(0, 1)).estimate
        assert (best["low"], best["high"]) == pytest.approx((single.low, single.high), rel=1e-9)
        assert row["corrected"]["judge_weight"] == pytest.approx(lam, rel=1e-9)
    else:
        assert row["corrected"]["too_little"] == {"have": reviews, "need": 30, "what": "reviews"}


def same_numbers(row, item):
    """A row of the page beside an item of REST."""
    numbers = [row.n, row.n_eff, row.coverage, row.reviews]
    others = [item["scores"], item["effective_scores"], item["traffic"], item["reviews"]]
    for one, other in ((row.raw, item["uncorrected"]), (row.corrected, item["corrected"])):
        best = one.estimate if isinstance(one, Corrected) else one
        assert isinstance(best, Estimate) == (other["estimate"] is not None)
        if isinstance(best, Estimate):
            numbers += [best.value, best.low, best.high]
            others += [other["estimate"][name] for name in ("value", "low", "high")]
    assert numbers == pytest.approx(others, rel=1e-12)


def test_figures_are_those_of_the_single_rows_and_open_them(shop, project):
    shop.traffic(30, "help", "v1", 60)
    shop.traffic(30, "help", "v2", 40, error=True)
    shop.traffic(54, "returns", "v1", 90, long=0.6)
    shop.traffic(54, "", "v2", 100)
    late = shop.traffic(78, "help", "v2", 30)
    by_hand = store_traces(project, 3, feature="help")
    sql_queue_by_hand(shop, by_hand)
    shop.review(0.6)

    check(shop.items()[1, "short", None], shop.raw())
    for column, values in (("feature", ("help", "returns", "")), ("prompt_version", ("v1", "v2"))):
        told = shop.items(f"by={column}")
        for value in values:
            check(told[1, "short", value], shop.raw(**{column: value}))
    narrow = shop.items("feature=help&prompt_version=v2")
    check(narrow[1, "short", None], shop.raw(feature="help", prompt_version="v2"))

    # The page says the same as REST, and each of its figures opens as many traces as it counts.
    page = shop.page()
    items = shop.items()
    assert {(row.of.version, row.of.name) for row in page.context["found"].rows} == {key[:2] for key in items}
    for row in page.context["found"].rows:
        same_numbers(row, items[row.of.version, row.of.name, None])
    seen = 0
    for judge in page.context["judges"]:
        for card in judge.cards:
            assert shop.behind(card.href) == int(card.n)
            seen += 1
    for by in ("feature", "model", "prompt_version"):
        for line in shop.page(f"&by={by}").context["lines"]:
            assert shop.behind(line.href) == int(line.n), (by, line.name)
            seen += 1
    figures = page.context["figures"]
    for figure in figures:
        for row in figure.rows:
            assert shop.behind(row.href) == int(row.cells[-1]), row
            seen += 1
    assert seen >= 14
    assert figures

    # A late error is a second draw: for some a first score, for all of its kind another weight.
    before = len(shop.raw())
    for trace_id in late:
        store_traces(project, 1, trace_id=trace_id.hex, name="late", error=True, feature="help")
    draw(project, late)
    judge_rules(10)
    assert len(shop.raw()) > before
    assert {row[1] for row in shop.raw(feature="help", prompt_version="v2")} == {1.0}
    check(shop.items()[1, "short", None], shop.raw())

    # Whole days, and days that begin at half past: the same figures, and still the same traces.
    whole = shop.items()[1, "short", None]
    assert build_days(project.pk, project.time_zone, 100) >= 1
    assert shop.items()[1, "short", None]["traffic"] == pytest.approx(whole["traffic"], rel=1e-12)
    check(shop.items()[1, "short", None], shop.raw())
    project.time_zone = "Asia/Kolkata"
    project.save()
    for figure in shop.page().context["figures"]:
        for row in figure.rows:
            assert shop.behind(row.href) == int(row.cells[-1]), row

    # A new version starts anew and leaves the old one's figures alone.
    second = make_version(project, "rule", slug="length", config=LENGTH_RULE, rubric=YES_NO, number=2)
    shop.version = second
    shop.traffic(6, "help", "v3", 70)
    told = shop.items()
    check(told[2, "short", None], shop.raw(version=2))
    check(told[1, "short", None], shop.raw())
    assert (told[2, "short", None]["is_live"], told[1, "short", None]["is_live"]) == (True, False)

    # Past its days a trace goes with its scores; what they added up to stays.
    remove_older(project.pk, clock.now() - timedelta(hours=40), 100)
    assert len(shop.raw()) < whole["scores"]
    assert shop.items()[1, "short", None]["uncorrected"] == told[1, "short", None]["uncorrected"]


def sql_queue_by_hand(shop, trace_ids):
    """Judge traces that nobody drew: shown on their pages, in no estimate."""
    from evals.write.judgements import Purpose, Target, queue

    at = clock.now() - timedelta(hours=30)
    targets = [Target(target_id=trace_id, started_at=at, feature="help", pi=None) for trace_id in trace_ids]
    assert queue(shop.project.pk, shop.version, targets, Purpose.BACKFILL) == 3
    judge_rules(10)


def test_weights_that_differ_much_are_said_in_words(shop):
    make_plan(shop.version, {**PLAN, "rest": 0.05}, number=2)
    shop.traffic(30, "help", "v1", 100, error=True)
    shop.traffic(30, "help", "v1", 200)

    row = next(row for row in shop.page().context["found"].rows if row.of.name == "short")
    text = shop.page().content.decode()

    assert row.design_effect > 3
    assert f"Weights are very unequal: {row.n} scores tell as much as {row.n_eff:.0f} equally drawn ones would" in text
    assert shop.items()[1, "short", None]["design_effect"] == pytest.approx(row.design_effect)
    assert "very unequal weights" in text
