"""Numbers and times as the design's tables write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.template import Context, Template, TemplateSyntaxError
from hypothesis import given
from hypothesis import strategies as st

from telltale.lib import clock
from telltale.lib import format as fmt

D = Decimal
NOW = datetime(2026, 11, 19, 11, 2, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("value", "long", "short"),
    [(None, "unknown", "unknown"), (0, "0", "0"), (1264, "1,264", "1,264"), (999_999, "999,999", "999,999"),
     (1_000_000, "1.0 million", "1.0 M"), (2_940_000, "2.9 million", "2.9 M"), (9_960_000, "10 million", "10 M"),
     (12_400_000, "12 million", "12 M"), (160_000_000, "160 million", "160 M"), (999_000_000, "1.0 billion", "1.0 B"),
     (1_500_000_000, "1.5 billion", "1.5 B"), (3 * 10**12, "3.0 trillion", "3.0 T"), (-1264, "−1,264", "−1,264"),
     (-2_900_000, "−2.9 million", "−2.9 M")],
)  # fmt: skip
def test_counts(value, long, short):
    assert fmt.count(value) == long
    assert fmt.count(value, short=True) == short


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "unknown"), (0, "0%"), (0.069, "6.9%"), (0.84, "84%"), (1, "100%"), (0.0994, "9.9%"), (0.0996, "10%"),
     (0.1, "10%"), (0.0004, "under 0.1%"), (0.0005, "0.1%"), (0.996, "over 99%"), (0.994, "99%"), (0.005, "0.5%"),
     (1.5, "150%"), (-0.032, "−3.2%")],
)  # fmt: skip
def test_shares(value, text):
    assert fmt.share(value) == text


@pytest.mark.parametrize(
    ("value", "long", "short"),
    [(None, "unknown", "unknown"), (0, "0 ms", "0 ms"), (0.04, "0.1 ms", "0.1 ms"), (0.3, "0.3 ms", "0.3 ms"),
     (402, "402 ms", "402 ms"), (999.4, "999 ms", "999 ms"), (999.6, "1.00 s", "1.0 s"), (3420, "3.42 s", "3.4 s"),
     (59_994, "59.99 s", "1 min"), (59_996, "1 min", "1 min"), (273_000, "4 min 33 s", "4 min 33 s"),
     (3_600_000, "1 h", "1 h"), (7_500_000, "2 h 5 min", "2 h 5 min"), (90_000_000, "1 d 1 h", "1 d 1 h"),
     (-402, "−402 ms", "−402 ms")],
)  # fmt: skip
def test_latencies(value, long, short):
    assert fmt.latency(value) == long
    assert fmt.latency(value, short=True) == short


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "unpriced"), (D(0), "$0"), (D("0.0158"), "$0.0158"), (D("0.00004"), "under $0.0001"),
     (D("0.00005"), "$0.0001"), (D("0.09994"), "$0.0999"), (D("0.09996"), "$0.10"), (D("4.714"), "$4.71"),
     (D("99.994"), "$99.99"), (D("99.996"), "$100"), (D("7260.4"), "$7,260"), (D("-0.0158"), "−$0.0158")],
)  # fmt: skip
def test_costs(value, text):
    assert fmt.cost(value) == text


def test_costs_from_pico_dollars():
    assert fmt.cost_pico(15_800_000_000) == "$0.0158"
    assert fmt.cost_pico(None) == "unpriced"
    assert fmt.cost_exact(15_813_000_000) == "$0.015813"
    assert fmt.cost_exact(1) == "$0.000000000001"
    assert fmt.cost_exact(2_500_000_000_000) == "$2.500000"
    assert fmt.cost_exact(0) == "$0.00"
    assert fmt.cost_exact(None) == "unpriced"


@pytest.mark.parametrize(
    ("value", "text"), [(D("11796.2"), "about $11,800"), (D("4.714"), "about $4.71"), (None, "unknown")]
)
def test_forecasts_have_three_digits_and_say_about(value, text):
    assert fmt.about_cost(value) == text


def test_scores_changes_and_intervals():
    assert fmt.score(4.3149) == "4.31"
    assert fmt.score(None) == "not judged"
    assert fmt.answer_score(2) == "2 / 5"
    assert fmt.answer_score(None) == "not judged"
    assert fmt.change("4.31", "3.76") == "4.31 → 3.76"
    assert fmt.change_share(0.05, 0.248) == "+19.8 pts"
    assert fmt.change_share(0.248, 0.05) == "−19.8 pts"
    assert fmt.change_share(None, 0.1) == "unknown"
    assert fmt.interval(0.56, 0.38, 0.74, 101) == "0.56 (95% CI 0.38–0.74), n = 101"
    assert fmt.ratio(29.7, 24.1, 36.5) == "29.7 (24.1–36.5)"
    assert fmt.times_as_likely(29.7) == "30 times as likely"
    assert fmt.times_as_likely(2.34) == "2.3 times as likely"


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(100, 96.8, "−3.2%"), (100, 300, "+200%"), (0, 5, "new"), (0, 0, "no change"), (5, 5, "no change"),
     (D("1"), D("1.05"), "+5.0%"), (None, 1, "unknown")],
)  # fmt: skip
def test_relative_changes(before, after, text):
    assert fmt.change_pct(before, after) == text


@pytest.mark.parametrize(
    ("at", "with_seconds", "without"),
    [(None, "never", "never"), (datetime(2026, 11, 19, 10, 41, 7, tzinfo=UTC), "10:41:07", "Today 10:41"),
     (datetime(2026, 11, 18, 10, 41, tzinfo=UTC), "18 Nov 10:41", "18 Nov 10:41"),
     (datetime(2025, 11, 19, 10, 41, tzinfo=UTC), "19 Nov 2025", "19 Nov 2025")],
)  # fmt: skip
def test_moments(at, with_seconds, without):
    assert fmt.moment(at, UTC_ZONE, NOW) == with_seconds
    assert fmt.moment(at, UTC_ZONE, NOW, seconds=False) == without


def test_the_zone_decides_what_today_is():
    at = datetime(2026, 11, 18, 23, 30, tzinfo=UTC)

    assert fmt.moment(at, ZoneInfo("Europe/Stockholm"), NOW) == "00:30:00"
    assert fmt.full_moment(at, ZoneInfo("Europe/Stockholm")) == "19 Nov 2026, 00:30:00 CET"
    assert fmt.day(NOW, UTC_ZONE) == "Thu 19 Nov 2026"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "x" * 500])
def test_a_zone_that_is_none_is_utc(name):
    assert clock.zone_of(name) == UTC_ZONE
    assert not clock.knows_zone(name)


@pytest.mark.parametrize(
    ("before", "text"),
    [(timedelta(0), "just now"), (timedelta(seconds=38), "38 s ago"), (timedelta(minutes=57), "57 min ago"),
     (timedelta(hours=23, minutes=59), "23 h ago"), (timedelta(days=1), "1 day ago"),
     (timedelta(days=91), "91 days ago"),
     (timedelta(minutes=-5), "in 5 min")],
)  # fmt: skip
def test_how_long_ago(before, text):
    assert fmt.ago(NOW - before, NOW) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("tab\tand\nline", "tab\tand\nline"), ("a\x00b\x1bc", "a␀b␛c"), ("\x7f", "␡"),
     ("admin\u202etxt.exe", "admin[U+202E]txt.exe"), ("zero\u200bwidth", "zero[U+200B]width"),
     ("\u2066iso\u2069", "[U+2066]iso[U+2069]"), ("family 👨\u200d👩", "family 👨\u200d👩"),
     ("naïve 数据", "naïve 数据"),
     ("\ufeffbom", "[U+FEFF]bom"), ("\U000e0041", "[U+E0041]"), ("\x85", "[U+0085]")],
)  # fmt: skip
def test_hidden_characters_are_shown_as_marks(text, shown):
    assert fmt.visible(text) == shown


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Mara Okafor", "MO"), ("mara@example.com", "MA"), ("Lena", "LE"), ("", "?"), ("@", "?"), ("  -- ", "?")],
)
def test_initials(name, letters):
    assert fmt.initials(name) == letters


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_any_count_and_money_has_a_text_without_hyphen_or_exponent(value):
    for text in (fmt.count(value), fmt.count(value, short=True), fmt.cost_pico(value), fmt.cost_exact(value)):
        assert "-" not in text
        assert "E" not in text
        assert (text[0] == "−") == (value < 0)


@given(st.floats(min_value=0, max_value=1))
def test_a_share_is_0_or_100_percent_only_when_it_is(value):
    assert (fmt.share(value) == "0%") == (value == 0)
    assert fmt.share(value) != "100%" or value == 1


@given(st.floats(min_value=0, max_value=10**12))
def test_any_latency_has_a_text(value):
    assert fmt.latency(value)[0].isdigit()


def render(source, **context):
    return Template("{% load telltale_format %}" + source).render(Context(context))


def test_times_in_templates_carry_the_whole_of_themselves():
    at = datetime(2026, 11, 19, 10, 41, 7, tzinfo=UTC)
    with time_machine.travel(NOW, tick=False):
        shown = render("{% when at %}|{% ago at %}|{% when None %}|{% as_of %}", at=at, zone="Europe/Stockholm")

    assert shown == (
        '<time datetime="2026-11-19T10:41:07Z" title="19 Nov 2026, 11:41:07 CET">11:41:07</time>|'
        '<time datetime="2026-11-19T10:41:07Z" title="19 Nov 2026, 11:41:07 CET">20 min ago</time>|'
        "never|Thu 19 Nov 2026, 12:02 CET"
    )


def test_filters_speak_as_the_functions():
    source = (
        "{{ n|count }} {{ n|count_short }} {{ s|share }} {{ ms|latency }} {{ ms|latency_short }} {{ c|cost }} "
        "{{ p|cost_pico }} {{ x|score }} {{ x|or_word:'none' }} {{ z|or_word:'none' }}"
    )

    shown = render(source, n=2_900_000, s=0.069, ms=3420, c=D("4.71"), p=None, x=None, z=0)

    assert shown == "2.9 million 2.9 M 6.9% 3.42 s 3.4 s $4.71 unpriced not judged none 0"


def test_text_of_senders_is_escaped_and_marked():
    assert render("{{ t|visible }}", t="<b>\u202e") == "&lt;b&gt;[U+202E]"


def test_marks_of_the_design():
    assert 'class="st bad ' in render('{% ribbon "bad" "Out" %}')
    assert 'class="st none ' in render('{% ribbon "nonsense" "?" %}')
    assert render('{% sev "P1" %}') == '<span class="sev p1" title="Severity P1">P1</span>'
    assert '#i-trace"' in render('{% icon "trace" %}')
    assert "icons.svg?v=" in render('{% icon "mark" %}')


def test_a_missing_static_file_is_an_error():
    with pytest.raises(TemplateSyntaxError, match="no static file"):
        render('{% asset "css/none.css" %}')
