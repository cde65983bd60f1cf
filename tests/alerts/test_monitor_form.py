"""The form of a monitor: what it offers, what it says beside itself, what it saves; with and without a script."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import Monitor
from alerts.monitoring import parse
from alerts.monitors.definition import to_json
from alerts.pages.monitor_flat import flat_of, told_of
from alerts.pages.monitor_form import Offers, form_of
from alerts.pages.previewing import rate_words, stretch_words, times
from alerts.series.catalogue import METRICS
from tests.alerts import history_kit
from tests.traces.conftest import shop  # noqa: F401

NEW = "/p/shop/monitors/new/"
TOLD = {"metric": "errors", "name": "Errors", "method": "chart", "window_minutes": "60", "act": "save"}


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(history_kit.NOW, tick=False):
        yield


@pytest.fixture
def history(shop):  # noqa: F811
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    history_kit.fill(shop.project, end, days=9, worse_at=end - timedelta(hours=30))
    return shop


def text_of(answer, status=200):
    assert answer.status_code == status, answer.content[:600]
    return answer.content.decode()


def test_one_begins_with_a_chart_a_quoted_threshold_or_any_metric(shop):  # noqa: F811
    told = text_of(shop.alice.get(NEW))

    assert "error rate: failed requests &gt; 1 %" in told
    assert "by chance alone" in told
    assert all(f'href="?metric={key}"' in told for key in METRICS)
    assert shop.alice.get(NEW + "?metric=love").status_code == 404
    assert shop.bob.get(NEW).status_code == 403
    assert shop.charlie.get(NEW).status_code == 404


def test_every_metric_and_preset_has_a_form_that_says_its_own_definition(shop):  # noqa: F811
    # One of each sort: what a form looks like depends on these alone.
    sorts = {(each.kind, each.needs, each.may, each.scopes): each for each in METRICS.values()}
    for key, metric in ((each.key, each) for each in sorts.values()):
        told = text_of(shop.alice.get(f"{NEW}?metric={key}"))
        assert f"<b>{metric.title}.</b>" in told, key
    preset = text_of(shop.alice.get(NEW + "?preset=hallucination-2"))
    assert 'value="2"' in preset  # in percent
    assert "While the truth is 1 %" in preset


@pytest.mark.parametrize(
    "told",
    [
        {"metric": "errors", "method": "fixed", "threshold": {"limit": 0.012, "release": 0.01, "after": 3}},
        {"metric": "errors", "method": "objective", "objective": {"allowed": 0.001}, "no_data_minutes": 30},
        {"metric": "request_duration", "params": {"quantile": 0.99}, "floor": 10, "ceiling": 9000.5, "severity": 0},
        {"metric": "errors", "scope": {"feature": ["a, b", 'say "c"', None], "filter": "cost.min=0.01", "view": 7}},
        {"metric": "finish_reason", "params": {"finish_reason": ["stop", "length"]}, "weight": 2},
        {"metric": "calls", "baseline": {"start": "2026-03-29T00:30:00Z", "end": "2026-04-12T00:00:00Z"}, "note": "n"},
        {"metric": "score", "params": {"judge": "tone", "criterion": "kind"}, "direction": "both", "tier": "notice"},
        {
            "metric": "composite",
            "method": "composite",
            "composite": {"members": [3, {"monitor": 5, "weight": 2.5}], "score_over": 1.5},
        },
    ],
)
def test_the_form_says_the_definition_it_was_given(told):
    made = parse({"name": "a", **told})
    metric, zone = METRICS.get(made.metric), ZoneInfo("Europe/Stockholm")

    again = parse(told_of(flat_of(to_json(made), metric, zone), metric, zone))

    assert again == made


def test_a_preview_replays_the_history_and_saves_nothing(history):
    told = text_of(history.alice.post(NEW, {**TOLD, "act": "preview"}))

    assert "Would have alarmed once" in told
    assert "Expect about 1 a week by chance" in told
    assert "One point" in told  # compared with
    assert not Monitor.objects.exists()
    swapped = text_of(history.alice.post(NEW, {**TOLD, "act": "preview"}, headers={"HX-Request": "true"}))
    assert swapped.lstrip().startswith('<div id="preview"')
    cost = text_of(history.alice.post(NEW, {**TOLD, "act": "preview", "name": ""}))
    assert "the only one of its tier" in cost


def test_a_monitor_is_saved_changed_and_guarded_against_what_others_changed(history):
    assert history.alice.post(NEW, TOLD).status_code == 302
    made = Monitor.objects.get()
    edit = f"/p/shop/monitors/{made.pk}/edit/"
    told = text_of(history.alice.get(edit))
    assert 'value="Errors"' in told

    answer = history.alice.post(edit, {**TOLD, "name": "Errors 2", "severity": "0", "revision": "1"}, follow=True)
    assert "Its chart goes on." in text_of(answer)
    made.refresh_from_db()
    assert (made.name, made.severity, made.chart_no) == ("Errors 2", 0, 1)
    stale = text_of(history.alice.post(edit, {**TOLD, "name": "Errors 3", "revision": "1"}), 400)
    assert "was changed by somebody else meanwhile" in stale
    moved = history.alice.post(edit, {**TOLD, "name": "Errors 2", "direction": "both", "revision": "2"}, follow=True)
    assert "Its chart begins anew" in text_of(moved)
    preview = {**TOLD, "name": "Errors 2", "direction": "both", "act": "preview"}
    assert "the same as these" in text_of(history.alice.post(edit, preview))
    assert history.bob.get(edit).status_code == 403
    assert history.charlie.get(edit).status_code == 404


def test_a_second_monitor_costs_the_first_one_delay(history):
    history.alice.post(NEW, TOLD)

    told = text_of(history.alice.post(NEW, {**TOLD, "name": "Again", "act": "preview"}))

    assert "On average the others see a change" in told
    assert "% later." in told


def test_what_is_wrong_is_said_beside_its_input_and_nothing_is_lost(shop):  # noqa: F811
    typed = {
        **TOLD, "name": "", "method": "fixed", "threshold.limit": "much", "window_minutes": "7", "s.feature": "a, b",
        "baseline.start": "soon", "note": "keep <me>",
    }  # fmt: skip

    told = text_of(shop.alice.post(NEW, typed), 400)

    assert 'href="#f-threshold-limit"' in told
    assert 'href="#f-baseline-start"' in told
    assert 'value="much"' in told
    assert "keep &lt;me&gt;" in told
    empty = text_of(shop.alice.post(NEW, {**typed, "threshold.limit": "5", "baseline.start": ""}), 400)
    assert 'href="#f-name"' in empty
    assert 'href="#f-window_minutes"' in empty
    swapped = shop.alice.post(NEW, {**typed, "act": "preview"}, headers={"HX-Request": "true"})
    assert "Fix this first" in text_of(swapped)


def test_without_history_the_preview_says_so(shop):  # noqa: F811
    told = text_of(shop.alice.post(NEW, {**TOLD, "act": "preview"}))

    assert "There is no closed window of history to replay yet" in told


def test_several_at_once_stand_on_monitors_that_are_there(history):
    assert "make two first" in text_of(history.alice.get(NEW + "?metric=composite"))
    for name in ("One", "Two"):
        history.alice.post(NEW, {**TOLD, "name": name})
    members = list(Monitor.objects.order_by("pk").values_list("pk", flat=True))
    typed = {"metric": "composite", "method": "composite", "name": "Both", "members": members, "act": "save"}

    assert history.alice.post(NEW, {**typed, "members": members[:1]}).status_code == 400
    assert history.alice.post(NEW, typed).status_code == 302

    both = Monitor.objects.get(name="Both")
    assert [each["monitor"] for each in both.definition["composite"]["members"]] == members


def test_a_preview_asks_the_same_number_of_questions_for_any_number_of_monitors(history):
    def asked():
        with CaptureQueriesContext(
            connection,
        ) as found:
            history.alice.post(NEW, {**TOLD, "act": "preview", "name": "x"}, headers={"HX-Request": "true"})
        return len(found)

    history.alice.post(NEW, {**TOLD, "name": "first"})
    few = asked()
    for n in range(5):
        history.alice.post(NEW, {**TOLD, "name": f"more {n}"})

    assert asked() <= few


@pytest.mark.parametrize(
    ("a_week", "words"),
    [
        (0, "none"), (116, "about 116 a week"), (1, "about 1 a week"), (2.44, "about 2.4 a week"),
        (0.2, "about 1 in 5 weeks"), (0.8, "about 1 a week"), (0.03, "about 1 in 8 months"),
        (0.004, "about 1 in 5 years"),
        (1e-9, "less than 1 in 100 years"),
    ],
)  # fmt: skip
def test_rates_are_told_in_what_a_person_can_count(a_week, words):
    assert rate_words(a_week) == words


def test_counts_and_stretches_are_words():
    assert [times(n) for n in (0, 1, 2, 17)] == ["never", "once", "twice", "17 times"]
    assert stretch_words(timedelta(days=8, minutes=30)) == "the last 8 days"
    assert stretch_words(timedelta(minutes=30)) == "the last 1 h"


def test_the_form_says_how_far_back_windows_reach_and_where_hours_are_half_off():
    plain, half = (form_of({}, METRICS["errors"], Offers(), is_half=is_half).window.hint for is_half in (False, True))

    assert plain == "Under an hour the history reaches back 8 days, under a day 100."
    assert half.startswith(plain)
    assert "half an hour off in this time zone" in half
