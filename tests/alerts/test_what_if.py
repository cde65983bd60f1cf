"""What if: the worked example to the cent, routing and caching on real requests, and what nobody knows said so."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import orjson
import pytest
import time_machine
from django.db import connection

from alerts import what_if
from alerts.allowances.by_hand import EXAMPLE, reckon
from alerts.allowances.repeats import Said, find_repeats, normal
from alerts.allowances.routing import Asked, change_of, route
from telltale.lib.faults import Fault, ItemRefused
from tests.evals.estimate_rows import make_judge
from tests.traces.conftest import shop  # noqa: F401
from tests.traces.cost_rows import Traffic, price
from traces.read import TooSlow

NOW = datetime(2026, 11, 19, 11, 2, tzinfo=UTC)
GPT = "gpt-4o"


def test_the_guides_example_is_648_dollars_a_day_and_22_percent_less_once_cached():
    found = reckon(EXAMPLE)

    assert (found.now_usd, found.routed_each_usd, found.routed_usd) == (Decimal(500), Decimal("0.00648"), Decimal(648))
    assert found.routed_change == Decimal("0.296")
    assert found.cached_usd == Decimal("388.80")
    assert found.cached_change == Decimal("-0.2224")


RATES = (Fraction(1), None, None, None, None, Fraction(4), None, None)


def asked(key, difficulty, pico, fresh=10, out=0, cached=0, cluster=None):
    tokens = (fresh, cached, 0, 0, 0, out, 0, 0)
    return Asked(key, difficulty, pico, tokens, 5, cluster or key)


class TestRouting:
    def test_the_easiest_move_at_the_targets_rates_and_the_rest_stays(self):
        found = route([asked("a", 3, 100), asked("b", 1, 60, out=2), asked("c", 2, 80)], RATES, 2 / 3, is_complete=True)

        assert (found.easy, found.moved, found.cut) == (2, 2, 2)
        assert (found.before_pico, found.after_pico) == (255, 105 + (10 + 8 + 5) + (10 + 5))
        assert found.change.value == pytest.approx((143 - 255) / 255)
        assert found.change.low is None

    def test_what_the_target_has_no_rate_for_stays_and_is_counted(self):
        found = route([asked("a", 1, 100, cached=3), asked("b", 2, 100)], RATES, 1.0, is_complete=True)

        assert (found.unpriceable, found.moved, found.after_pico) == (1, 1, 105 + 15)

    def test_what_has_no_difficulty_is_looked_at_by_nobody(self):
        found = route([asked("a", None, 100), asked("b", 2, 100)], RATES, 1.0, is_complete=False)

        assert (found.n, found.unknown, found.before_pico) == (1, 1, 105)

    def test_requests_of_one_session_make_the_interval_wider(self):
        rows = [(100, -50 if n % 2 else -10, n // 10 % 2, 1.0) for n in range(100)]
        alone = change_of([(*row[:2], at, 1.0) for at, row in enumerate(rows)], False)
        together = change_of([(100, -50 if at < 50 else -10, at // 10, 1.0) for at in range(100)], False)

        assert alone.value == together.value == pytest.approx(-0.3)
        assert together.high - together.low > 2 * (alone.high - alone.low)

    def test_the_interval_holds_the_truth(self):
        """400 samples of 200 of the same skewed traffic: 95 % intervals hold the ratio in 91 to 98 of 100.

        Binomial limits of 400 at 0.95 are 0.92 to 0.98 at 10⁻³; a ratio of skewed sums loses one point.
        """
        import numpy as np

        drawn = np.random.default_rng(7)
        held = 0
        for _ in range(400):
            spent = drawn.lognormal(0, 0.8, 200) * 1000
            moved = -spent * drawn.beta(2, 3, 200)
            found = change_of([(int(s), int(m), at, 1.0) for at, (s, m) in enumerate(zip(spent, moved))], False)  # noqa: B905
            held += found.low <= -0.4 <= found.high
        assert 0.91 <= held / 400 <= 0.98

    def test_nothing_spent_changes_by_nobody_knows_how_much(self):
        assert change_of([(0, 0, 1, 1.0)], False) is None


def said(*texts, minutes=1, scope=""):
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return [Said(at + timedelta(minutes=n * minutes), text, scope) for n, text in enumerate(texts)]


class TestRepeats:
    DAY = timedelta(days=1)

    def test_the_same_words_are_the_same_question(self):
        found = find_repeats(said("Can I return this?", "can i RETURN  this", "Other"), self.DAY, near=False)

        assert found == [None, 0, None]
        assert normal("Ｄon’t — “stop”!") == "dont stop"

    def test_an_answer_is_kept_from_when_it_was_made(self):
        texts = said("a b", "a b", "a b", "a b", minutes=40)

        assert find_repeats(texts, timedelta(hours=1), near=False) == [None, 0, None, 2]

    def test_no_text_and_other_features_are_never_the_same(self):
        assert find_repeats(said("", ""), self.DAY, near=True) == [None, None]
        one, two = said("may I?", "may I?")
        assert find_repeats([one, Said(two.at, two.text, "other")], self.DAY, near=True) == [None, None]

    @pytest.mark.parametrize(
        ("first", "second", "is_near"),
        [
            ("how do I reset my account password please", "how do I reset my password please", True),
            ("how do I reset my account password", "how do I cancel my account now", False),
            ("where is my order 4711 that I placed", "where is my order 4712 that I placed", False),
            ("can I return a washed shirt to you", "can I not return a washed shirt to you", False),
            ("return it please", "return it please now", False),
        ],
    )
    def test_nearly_the_same_words_but_never_another_number_or_a_no(self, first, second, is_near):
        assert find_repeats(said(first, second), self.DAY, near=True)[1] == (0 if is_near else None)

    def test_near_questions_are_found_as_if_all_were_compared(self):
        """Against comparing each with each, on made-up questions of a small vocabulary."""
        import random

        from alerts.allowances.repeats import NEAR, WORDS_MIN

        drawn = random.Random(3)
        words = [chr(97 + n) * 3 for n in range(14)]
        texts = [" ".join(drawn.sample(words, drawn.randint(3, 8))) for _ in range(300)]
        found = find_repeats(said(*texts), self.DAY, near=True)

        kept = []
        for at, text in enumerate(texts):
            mine = set(text.split())
            near = [
                other for other in kept
                if len(mine & set(texts[other].split())) >= NEAR * len(mine | set(texts[other].split()))
                and (min(len(mine), len(texts[other].split())) >= WORDS_MIN or text == texts[other])
            ]  # fmt: skip
            assert (found[at] is not None) == bool(near), (text, [texts[n] for n in near])
            if not near:
                kept.append(at)


@pytest.fixture
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def traffic(shop, frozen, db):  # noqa: F811
    return Traffic(shop)


@pytest.fixture
def ask(shop):  # noqa: F811
    key = shop.key("read")

    def get(query="", status=200):
        answer = shop.nobody.get(f"/api/v1/cost/what-if{query}", headers=key)
        assert answer.status_code == status, answer.content
        return orjson.loads(answer.content)

    return get


def day(number, hour=9, minute=0):
    return datetime(2026, 11, number, hour, minute, tzinfo=UTC)


def test_the_easy_half_with_the_model_that_is_there_already(ask, traffic):
    for n in range(10):
        traffic.send(traffic.call(day(15), model=GPT, fresh=1000 * (n + 1), out=100, session=f"s{n}"))
    traffic.send(traffic.call(day(16), fresh=500, out=50))

    found = ask("?model=gpt-4o-mini&share=50&cache=none")

    assert (found["requests"], found["is_complete"], found["rates_from"]) == (11, True, "as paid in these days")
    # gpt-4o: $2.50 in, $10 out a million; the easiest five and the small model's own.
    before = sum(1000 * (n + 1) * 2_500_000 + 100 * 10_000_000 for n in range(10)) + price(500, 0, 50)
    assert found["spent_usd"] == str(Decimal(before) / 10**12)
    routed = found["routed"]
    assert (routed["easy"], routed["moved"], routed["cut"]) == (6, 5, 5000)
    saved = sum(1000 * (n + 1) * 2_350_000 + 100 * 9_400_000 for n in range(5))
    assert Decimal(routed["before_usd"]) - Decimal(routed["after_usd"]) == Decimal(saved) / 10**12
    assert routed["change"] == {"value": pytest.approx(-saved / before), "low": None, "high": None}
    assert [each["share"] for each in found["other_shares"]] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert float(found["then_day_usd"]) == pytest.approx((before - saved) / 1e12 / 7, abs=1e-6)


def test_a_model_that_answered_nothing_is_reckoned_by_the_price_book(ask, traffic):
    traffic.send(traffic.call(day(15), fresh=10**6, out=0))

    found = ask(f"?model={GPT}&share=100&cache=none")

    assert found["rates_from"] == "by the price book"
    assert found["routed"]["after_usd"] == "2.5"
    problem = ask("?model=nobody-sells-it", 400)
    assert [each["field"] for each in problem["errors"]] == ["model"]


def test_turns_and_searches_tell_easy_from_hard(ask, traffic):
    for n in range(4):
        traffic.send(traffic.call(day(15, 9, n), model=GPT, session="s1"))

    found = ask("?model=gpt-4o-mini&share=50&difficulty=turn&cache=none")

    assert (found["routed"]["cut"], found["routed"]["moved"]) == (2, 2)
    assert ask("?model=gpt-4o-mini&share=50&difficulty=searches&cache=none")["routed"]["cut"] == 0


def test_what_has_no_price_is_left_out_and_told(ask, traffic):
    traffic.send(traffic.call(day(15), model=GPT), traffic.call(day(15), model="unheard-of"))

    found = ask("?model=gpt-4o-mini&share=100")

    assert (found["unpriced_calls"], found["left_out"], found["routed"]["n"]) == (1, 1, 1)


def test_repeated_questions_come_from_the_cache_but_not_later_turns(ask, traffic):
    traffic.send(
        traffic.call(day(15, 9), input="Can I return this?", feature="returns"),
        traffic.call(day(15, 10), input="can i return this", feature="returns", fresh=3000),
        traffic.call(day(15, 11), input="Can I return this?", feature="other"),
        traffic.call(day(15, 11), input="Hello", session="s1"),
        traffic.call(day(15, 12), input="hello", session="s1"),
        traffic.call(day(17, 12), input="Can I return this?", feature="returns"),
    )

    found = ask("?cache=exact&kept_hours=24")
    cached = found["cached"]

    assert (cached["n"], cached["hits"], cached["later_turns"], cached["is_complete"]) == (6, 1, 1, True)
    assert cached["change"]["value"] == pytest.approx(-price(3000) / (5 * price() + price(3000)))
    assert found["change"] == pytest.approx(cached["change"]["value"])
    assert ask("?cache=exact&kept_hours=168")["cached"]["hits"] == 2
    assert ask("?cache=exact&feature=other")["cached"]["hits"] == 0


def test_of_many_requests_a_sample_says_so_and_agrees(ask, traffic, monkeypatch):
    for n in range(24):
        traffic.send(traffic.call(day(14 + n % 5, n), model=GPT, n=6, fresh=1000 * (1 + n % 3)))
    whole = ask("?model=gpt-4o-mini&share=50&cache=none")
    monkeypatch.setattr("alerts.read.what_if.SAMPLE", 60)

    found = ask("?model=gpt-4o-mini&share=50&cache=none")

    assert (whole["is_complete"], found["is_complete"]) == (True, False)
    assert 40 <= found["routed"]["n"] <= 80
    change = found["routed"]["change"]
    assert change["low"] < change["value"] < change["high"] < 0
    assert change["value"] == pytest.approx(whole["routed"]["change"]["value"], abs=0.15)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?days=3", "days"), ("?share=101", "share"), ("?share=many", "share"), ("?difficulty=mood", "difficulty"),
        ("?model=gpt-4o-mini&difficulty=no/judge", "difficulty"), ("?model=gpt-4o-mini&quality=tone", "quality"),
        ("?cache=fuzzy", "cache"), ("?kept_hours=2", "kept_hours"), ("?model=" + "x" * 301, "model"),
        ("?hard=none", "hard"), ("/by-hand?requests=-1", "requests"), ("/by-hand?hit_share=101", "hit_share"),
        ("/by-hand?now_usd=free", "now_usd"),
    ],
)  # fmt: skip
def test_a_fault_is_named(ask, traffic, query, field):
    assert [each["field"] for each in ask(query, 400)["errors"]] == [field]


def test_by_hand_over_rest_is_the_example_unless_told_otherwise(ask, traffic):
    assert ask("/by-hand") == {
        "now_usd": "500", "routed_each_usd": "0.00648", "routed_usd": "648", "cached_usd": "388.8",
        "routed_change": "0.296", "cached_change": "-0.2224",
    }  # fmt: skip
    nothing = ask("/by-hand?now_usd=0&hit_share=0")
    assert (nothing["routed_change"], nothing["cached_usd"]) == (None, "648")


def page_text(answer):
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def test_the_page_leads_with_the_worked_example_where_nothing_happened(shop, traffic):  # noqa: F811
    page = page_text(shop.bob.get("/p/shop/cost/what-if/"))

    assert "No request in these days" in page
    assert "100,000 × $0.005 $500.00 a day" in page
    assert "60% × $0.0008 + 40% × $0.015 = $0.00648 each $648.00 a day, 30% more" in page
    assert "$648.00 × 60% $388.80 a day, 22% less" in page


def test_the_page_says_what_it_would_have_cost(shop, traffic):  # noqa: F811
    traffic.send(traffic.call(day(15), model=GPT, fresh=10**6, out=0, n=7), traffic.call(day(15), fresh=10))

    page = page_text(shop.bob.get("/p/shop/cost/what-if/?model=gpt-4o-mini&share=100&cache=none&requests=1000"))

    assert "$0.15 a day instead of $2.50: 94% less" in page
    assert "1,000 × $0.005 $5.00 a day" in page
    assert "Nobody asked" in page


def test_the_page_names_what_it_did_not_understand_and_what_took_too_long(shop, traffic, monkeypatch):  # noqa: F811
    wrong = shop.bob.get("/p/shop/cost/what-if/?share=lots&requests=x")
    assert wrong.status_code == 400
    assert "share is out of range: per cent, 0 to 100." in page_text(wrong)

    def slow(*_):
        raise TooSlow

    def slow_once_refused(project, assumed):
        if assumed.model:
            raise ItemRefused(Fault("model", "has no price", "another model", assumed.model))
        raise TooSlow

    monkeypatch.setattr(what_if, "ask", slow)
    assert shop.bob.get("/p/shop/cost/what-if/").status_code == 503
    monkeypatch.setattr(what_if, "ask", slow_once_refused)
    assert shop.bob.get("/p/shop/cost/what-if/?model=none").status_code == 503


def judge(project, least=0):
    """Judge every trace: 4 of 5 where the small model answered, 4 and 5 in turn elsewhere; hard to answer from 3 on."""
    version = make_judge(project)
    rows = (
        "INSERT INTO evals_score (project_id, judge_id, judge_version_id, rubric_version_id, score_id, source,"
        " target_kind, trace_id, started_at, name, data_type, number, pi, made_at, updated_at)"
        " SELECT project_id, %s, %s, %s, row_number() OVER (ORDER BY started_at, trace_id) + 1000, 1, 1, trace_id,"
        " started_at, 'correctness', 1, CASE WHEN 'gpt-4o' = ANY (models)"
        " THEN 4 ELSE 3 END + row_number() OVER (ORDER BY trace_id) %% 2,"
        " 0.5, now(), now() FROM traces_trace WHERE project_id = %s LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(rows, [version.judge_id, version.pk, version.rubric_version_id, project.pk, least or 1000])


def test_judges_say_what_the_easy_requests_lose(ask, traffic, shop):  # noqa: F811
    traffic.send(traffic.call(day(15), model=GPT, n=30), traffic.call(day(15, 10), n=30))
    judge(shop.project)

    found = ask("?model=gpt-4o-mini&share=100&cache=none&quality=quality/correctness")["quality"]

    assert (found["of_model"]["n"], found["of_others"]["n"]) == (30, 30)
    assert found["of_model"]["mean"] == pytest.approx(3.5)
    assert found["of_others"]["mean"] == pytest.approx(4.5)
    assert found["difference"]["mean"] == pytest.approx(-1.0)
    assert found["difference"]["low"] < -1 < found["difference"]["high"] < 0
    words = page_text(shop.bob.get("/p/shop/cost/what-if/?model=gpt-4o-mini&share=100&quality=quality/correctness"))
    assert "The cheaper model’s answers are scored lower: −1.00 (95% CI" in words


def test_with_few_scores_nobody_knows(ask, traffic, shop):  # noqa: F811
    traffic.send(traffic.call(day(15), model=GPT, n=25), traffic.call(day(15, 10), n=3))
    judge(shop.project)

    found = ask("?model=gpt-4o-mini&share=100&cache=none&quality=quality/correctness")["quality"]

    assert (found["of_model"], found["difference"]) == (
        {"n": 3, "needed": 20, "mean": None, "low": None, "high": None}, None,
    )  # fmt: skip


def test_judged_difficulty_looks_at_what_was_judged(ask, traffic, shop):  # noqa: F811
    traffic.send(traffic.call(day(15), model=GPT, n=20), traffic.call(day(15, 10), model=GPT, n=10))
    judge(shop.project, least=20)

    hard = ask("?model=gpt-4o-mini&share=50&cache=none&difficulty=quality/correctness")
    easy = ask("?model=gpt-4o-mini&share=50&cache=none&difficulty=quality/correctness&hard=low")

    assert (hard["routed"]["n"], hard["routed"]["moved"], hard["routed"]["cut"]) == (20, 10, 4)
    assert (hard["is_complete"], easy["routed"]["cut"]) == (False, -5)
