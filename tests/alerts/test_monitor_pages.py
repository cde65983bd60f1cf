"""The pages of monitors: the list, a chart with what people do on it, alarms, the budget; whoever asks for whatever."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from scipy import stats

from alerts import alarming, monitoring, watching
from alerts.models import Alarm, Baseline, Budget, Monitor
from alerts.monitors.states import UNJUDGED, Method
from alerts.monitors.types import Composite, Member, Objective, Scope, Threshold
from alerts.pages import chart_view, expecting, monitors
from alerts.read import charted
from alerts.read.alarms import AlarmTally
from alerts.read.shown import FixedSeen
from evals.read.probe_state import SuiteState
from tests.alerts.engine_kit import DEFINITION, HOUR, MONDAY, make_monitor, series, steps
from tests.traces.conftest import room_for_files, shop  # noqa: F401

# Three days to learn, a shift after five that stays.
SHIFT = steps((0, 0.02), (120, 0.08))
NOW = MONDAY + 150 * HOUR + timedelta(minutes=30)
BASE = "/p/shop/monitors/"


@pytest.fixture(autouse=True)
def frozen(monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(SHIFT))
    with time_machine.travel(NOW, tick=False):
        yield


def evaluate():
    while watching.evaluate_due().windows:
        pass


@pytest.fixture
def shifted(shop):  # noqa: F811
    """The monitor "Errors" with an open alarm that was found when it happened, evaluated up to now."""
    row = make_monitor(shop.project)
    with time_machine.travel(MONDAY + 126 * HOUR, tick=False):
        evaluate()
    evaluate()
    row.refresh_from_db()
    return row


def text_of(answer):
    assert answer.status_code == 200, answer.content[:400]
    return answer.content.decode()


def test_an_empty_list_says_what_will_be_here_and_who_can_make_it(shop):  # noqa: F811
    told = text_of(shop.alice.get(BASE))

    assert "Begin with one question" in told
    assert 'href="new/"' in told
    assert 'href="new/"' not in text_of(shop.bob.get(BASE))
    assert "Nothing is watched yet" in text_of(shop.bob.get(BASE + "alarms/"))
    assert "nobody takes from it" in text_of(shop.bob.get(BASE + "budget/"))


def test_the_list_begins_with_how_many_are_outside_their_limits(shop, shifted):  # noqa: F811
    make_monitor(shop.project, replace(DEFINITION, name="Calm"), is_on=False)
    objective = replace(DEFINITION, name="Promise", method=Method.OBJECTIVE, objective=Objective(0.5))
    make_monitor(shop.project, objective, severity=1)
    evaluate()

    told = text_of(shop.bob.get(BASE))

    assert "1 of 3 monitors is outside its limits" in told
    assert "1 turned off" in told
    # The most urgent first, those turned off last.
    assert told.index(">Errors<") < told.index(">Promise<") < told.index(">Calm<")
    assert "beyond its upper limit, since" in told
    assert "50% allowed" in told
    assert "1 page; 0.36 false expected" in told
    assert "False pages: 0 in the last 30 days" in told


def test_filters_of_the_address_narrow_the_list_and_name_what_to_remove(shop, shifted):  # noqa: F811
    calm = replace(DEFINITION, name="Calm", severity=0, is_paging=False)
    make_monitor(shop.project, calm, is_on=False)

    def names(query):
        told = text_of(shop.alice.get(f"{BASE}?{query}"))
        return [name for name in ("Errors", "Calm") if f">{name}<" in told]

    assert names("") == ["Errors", "Calm"]
    assert names("state=out") == ["Errors"]
    assert names("state=off") == names("severity=p0") == names("tier=notice") == names("q=aL") == ["Calm"]
    assert names("state=archived") == names("state=learning&q=zz") == []
    assert names("metric=errors&severity=p9&state=nonsense") == ["Errors", "Calm"]
    assert "Remove filter severity P0" in text_of(shop.alice.get(f"{BASE}?severity=p0&q=x"))
    assert "No monitor fits" in text_of(shop.alice.get(f"{BASE}?q=nothing-like-it"))


def test_a_long_list_is_paged_by_the_last_monitor_of_the_page(shop):  # noqa: F811
    for at in range(53):
        make_monitor(shop.project, replace(DEFINITION, name=f"m{at:02}"))

    first = text_of(shop.alice.get(BASE))
    last = Monitor.objects.get(name="m49")
    second = text_of(shop.alice.get(f"{BASE}?after={last.pk}"))

    assert "1–50 of 53" in first
    assert f"?after={last.pk}" in first
    assert "51–53 of 53" in second
    assert ">m50<" in second
    assert ">m49<" not in second
    assert 'rel="prev" href="?"' in second


def test_the_number_of_questions_does_not_grow_with_monitors_or_windows(
    shop, shifted, django_assert_max_num_queries  # noqa: F811
):
    with django_assert_max_num_queries(60) as few:
        shop.alice.get(BASE)
        shop.alice.get(f"{BASE}{shifted.pk}/?t=24h")
    for at in range(6):
        make_monitor(shop.project, replace(DEFINITION, name=f"more {at}"))
    evaluate()

    with django_assert_max_num_queries(len(few)):
        shop.alice.get(BASE)
        shop.alice.get(f"{BASE}{shifted.pk}/?t=28d")


def test_a_chart_says_since_when_by_how_much_and_how_surely(shop, shifted):  # noqa: F811
    alarm = Alarm.objects.get(monitor=shifted)

    told = text_of(shop.bob.get(f"{BASE}{shifted.pk}/"))

    assert "Errors has been above its upper limit since" in told
    # The same moment as in the list: the end of the window that alarmed.
    assert f"since {alarm.window_end:%-d %b %H:%M}" in told
    assert alarm.window_end == shifted.standing_since
    assert "How big: a rise of" in told
    assert " pts (95% CI" in told
    assert "one window in 2,000" in told
    assert "EWMA 0.1" in told
    assert "one point" in told
    assert "8 points in a row on one side of the centre" in told
    assert "by nobody so far: frozen by the engine" in told
    # Every window drawn leads to the traces it was counted from, every row to what was said of it.
    assert told.count('class="hit"') == 150
    hour = alarm.window_start.strftime("%Y-%m-%dT%H%%3A00%%3A00Z")
    assert f"/p/shop/traces/?from={hour}" in told
    assert f"at={int(alarm.window_start.timestamp())}#window" in told
    # A viewer reads; the acts are for others.
    assert '<form method="post"' not in told.split("<main")[1].split("</main")[0]


def test_a_window_tells_all_that_was_said_of_it(shop, shifted):  # noqa: F811
    alarm = Alarm.objects.get(monitor=shifted)

    told = text_of(shop.alice.get(f"{BASE}{shifted.pk}/?at={int(alarm.window_start.timestamp())}"))

    assert 'id="window-h"' in told
    assert "The traces behind it" in told
    assert f"of baseline {alarm.baseline_id}" in told
    assert 'id="window-h"' not in text_of(shop.alice.get(f"{BASE}{shifted.pk}/?at=1"))


def test_late_data_are_shown_beside_what_was_decided(shop, shifted):  # noqa: F811
    from django.db import connection

    start = MONDAY + 100 * HOUR
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE alerts_point SET revision = 3, revised_n = 400, revised_value = 0.5 "
            "WHERE monitor_id = %s AND start_at = %s",
            [shifted.pk, start],
        )

    told = text_of(shop.alice.get(f"{BASE}{shifted.pk}/?at={int(start.timestamp())}"))

    assert "50%, n = 400" in told
    assert "late data changed it 2 times since" in told
    assert "Late data changed 1 of them after the decision, which stays" in told


def test_a_person_takes_an_alarm_on_and_closes_it(shop, shifted):  # noqa: F811
    alarm = Alarm.objects.get(monitor=shifted)
    address = f"{BASE}{shifted.pk}/alarms/{alarm.pk}/"
    page = f"{BASE}{shifted.pk}/"

    assert "I am on it" in text_of(shop.alice.get(page))
    assert shop.bob.post(address, {"act": "acknowledge"}).status_code == 403
    assert shop.charlie.post(address, {"act": "acknowledge"}).status_code == 404
    answer = shop.erin.post(address, {"act": "acknowledge", "next": page + "?t=24h#top"})
    assert (answer.status_code, answer["Location"]) == (302, page + "?t=24h#alarm")
    told = text_of(shop.alice.get(page))
    assert "It is noted" not in told  # erin was told, not alice
    assert "Acknowledged, Erin" in told
    shop.alice.post(address, {"act": "close", "verdict": "maybe"})
    assert "Verdict is not accepted" in text_of(shop.alice.get(page))
    shop.alice.post(address, {"act": "close", "verdict": "false", "note": "a <b>test</b>", "next": "//evil.example/"})

    alarm.refresh_from_db()
    assert (alarm.state, alarm.verdict, alarm.closed_by.name) == ("closed", "false", "Alice")
    told = text_of(shop.alice.get(f"{page}?alarm={alarm.pk}"))
    assert "a &lt;b&gt;test&lt;/b&gt;" in told
    assert "It counts against the budget" in told
    assert "False pages: 1 in the last 30 days" in text_of(shop.bob.get(BASE))


def test_an_alarm_of_another_monitor_is_not_there(shop, shifted):  # noqa: F811
    alarm = Alarm.objects.get(monitor=shifted)
    other = make_monitor(shop.project, replace(DEFINITION, name="Other"))
    far = make_monitor(shop.elsewhere, replace(DEFINITION, name="Far"))

    assert shop.alice.post(f"{BASE}{other.pk}/alarms/{alarm.pk}/", {"act": "acknowledge"}).status_code == 404
    assert shop.alice.get(f"{BASE}{far.pk}/").status_code == 404
    assert shop.charlie.get(f"{BASE}{shifted.pk}/").status_code == 404
    assert "The alarm of" not in text_of(shop.alice.get(f"{BASE}{other.pk}/?alarm={alarm.pk}"))
    assert far.name not in text_of(shop.alice.get(BASE))


def test_a_baseline_is_approved_and_learned_anew_with_a_reason(shop, shifted):  # noqa: F811
    held = Baseline.objects.get(monitor=shifted)
    address = f"{BASE}{shifted.pk}/baseline/"

    shop.alice.post(address, {"act": "approve", "baseline": held.pk})
    held.refresh_from_db()
    assert held.approved_by.name == "Alice"
    shop.alice.post(address, {"act": "renew"})
    assert "Say why" in text_of(shop.alice.get(f"{BASE}{shifted.pk}/"))
    shop.alice.post(address, {"act": "renew", "reason": "new prompt", "start": "the day after"})
    assert "From takes a time such as" in text_of(shop.alice.get(f"{BASE}{shifted.pk}/"))
    shop.alice.post(address, {"act": "renew", "reason": "new prompt", "start": "2026-03-07 00:00"})
    told = text_of(shop.alice.get(f"{BASE}{shifted.pk}/"))
    assert "learns anew from" in told or "learned from" in told
    assert shop.bob.post(address, {"act": "approve", "baseline": held.pk}).status_code == 403
    assert shop.alice.post(address, {"act": "approve", "baseline": "x"}).status_code == 404


def test_a_baseline_that_judged_nothing_is_not_said_to_hold(shop):  # noqa: F811
    row = make_monitor(shop.project)
    # Up to the window that completes the baseline, hour by hour.
    for hour in range(70, 80):
        with time_machine.travel(MONDAY + hour * HOUR, tick=False):
            evaluate()
        if Baseline.objects.filter(monitor=row).exists():
            break
    row.refresh_from_db()
    assert (row.standing, row.standing_words) == ("in_control", UNJUDGED)

    told = text_of(shop.bob.get(f"{BASE}{row.pk}/"))

    assert f"Errors has a baseline, and {UNJUDGED}" in told
    assert "within its limits</" not in told
    assert f", {UNJUDGED}." in told
    assert ", smoothed" not in told.split('class="asof"')[1].split("</p>")[0]
    assert "Not judged yet" in text_of(shop.bob.get(BASE))


def test_limits_made_anew_are_in_force_and_no_step(shop, shifted):  # noqa: F811
    held = Baseline.objects.get(monitor=shifted)
    anew = Baseline.objects.get(pk=held.pk)
    anew.pk, anew._state.adding, anew.limits_of_id = None, True, held.pk
    Baseline.objects.filter(pk=held.pk).update(state="replaced")
    anew.save()

    told = text_of(shop.bob.get(f"{BASE}{shifted.pk}/"))

    assert f"number {anew.pk}<" in told
    assert f"that of baseline {held.pk}, limits made anew" in told
    assert f"watched from here: baseline {held.pk}" in told
    assert f">baseline {anew.pk}<" not in told


def test_alarms_that_called_nobody_are_in_the_sum():
    assert chart_view.fired_words(AlarmTally(1, 0, 0, 0, 0, 0)) == (
        "1 alarm in 30 days: 0 pages, 1 without a page",
        "None of them called anybody.",
    )
    assert chart_view.fired_words(AlarmTally(5, 4, 1, 2, 0, 1)) == (
        "5 alarms in 30 days: 4 pages, 1 without a page",
        "Of the 4 pages: 1 real, 2 false, 0 accepted, 1 nobody judged.",
    )


def test_a_monitor_is_muted_switched_and_put_away(shop, shifted):  # noqa: F811
    address = f"{BASE}{shifted.pk}/switch/"

    shop.alice.post(address, {"act": "mute"})
    assert "Choose for how long" in text_of(shop.alice.get(f"{BASE}{shifted.pk}/"))
    shop.alice.post(address, {"act": "mute", "for": "8h"})
    shifted.refresh_from_db()
    assert shifted.muted_until == NOW + timedelta(hours=8)
    assert "muted until" in text_of(shop.alice.get(BASE))
    assert ">Errors<" in text_of(shop.alice.get(f"{BASE}?state=muted"))
    shop.alice.post(address, {"act": "off"})
    assert "Errors is turned off" in text_of(shop.alice.get(f"{BASE}{shifted.pk}/"))
    shop.alice.post(address, {"act": "archive"})
    told = text_of(shop.alice.get(f"{BASE}{shifted.pk}/"))
    assert "Errors is put away" in told
    assert "Take back" in told
    assert "Edit or back-test" not in told
    shop.alice.post(address, {"act": "restore"})
    shifted.refresh_from_db()
    assert shifted.archived_at is None
    shop.alice.post(address, {"act": "explode"})
    assert "Nothing was chosen" in text_of(shop.alice.get(f"{BASE}{shifted.pk}/"))
    assert shop.bob.post(address, {"act": "off"}).status_code == 403


def test_the_alarms_of_a_project_are_listed_filtered_and_paged(shop, shifted):  # noqa: F811
    opened = Alarm.objects.get(monitor=shifted)
    for at in range(52):
        Alarm.objects.create(
            project=shop.project, monitor=shifted, chart_no=9, window_start=MONDAY + at * HOUR,
            window_end=MONDAY + (at + 1) * HOUR, direction="down", rule="no data", severity=3, is_page=False,
            state="ended", found_at=NOW, note="",
        )  # fmt: skip

    told = text_of(shop.bob.get(BASE + "alarms/"))
    last = Alarm.objects.filter(chart_no=9).order_by("window_start")[3]

    assert f"?alarm={opened.pk}#alarm" in told
    assert "sent no data" in told
    assert f"before={last.pk}" in told
    assert "3 alarms, newest first" in text_of(shop.bob.get(f"{BASE}alarms/?before={last.pk}"))
    assert "1 alarm, newest first" in text_of(shop.bob.get(f"{BASE}alarms/?state=open"))
    assert "1 alarm, newest first" in text_of(shop.bob.get(f"{BASE}alarms/?tier=page&verdict=nobody"))
    assert "No alarm fits" in text_of(shop.bob.get(f"{BASE}alarms/?verdict=real&severity=p1"))
    alarming.close(shop.project, opened.pk, "real")
    assert "1 alarm, newest first" in text_of(shop.bob.get(f"{BASE}alarms/?verdict=real&monitor={shifted.pk}"))
    assert "No alarm in this time" in text_of(shop.bob.get(f"{BASE}alarms/?from=2026-02-01&to=2026-02-02"))


def test_the_budget_shows_what_it_gives_and_takes_another_value(shop, shifted):  # noqa: F811
    told = text_of(shop.bob.get(BASE + "budget/"))
    assert "1 false page a week, shared by 1 monitor" in told
    assert "One more monitor: a change of one sd is seen after" in told
    assert "95% CI 0–" in told
    assert "1 page nobody judged" in told
    assert "Set the budget" not in told

    assert shop.bob.post(BASE + "budget/", {"pages_a_week": "2"}).status_code == 403
    for wrong in ("", "many", "0", "-1", "1e99", "nan", "inf", "<b>"):
        answer = shop.alice.post(BASE + "budget/", {"pages_a_week": wrong})
        assert answer.status_code == 400, wrong
        assert "it takes a number from 0.01 to 100" in answer.content.decode()
    assert shop.alice.post(BASE + "budget/", {"pages_a_week": "0,5"}).status_code == 302
    assert Budget.objects.get(project=shop.project).pages_a_week == 0.5
    assert "0.5 false pages a week" in text_of(shop.bob.get(BASE + "budget/"))


def test_a_monitor_that_people_mostly_find_false_is_suggested_to_be_changed(shop, shifted):  # noqa: F811
    for at in range(6):
        Alarm.objects.create(
            project=shop.project, monitor=shifted, chart_no=9, window_start=MONDAY + at * HOUR,
            window_end=MONDAY + (at + 1) * HOUR, direction="up", rule="one point", severity=2, is_page=True,
            state="closed", verdict="false", found_at=NOW,
        )  # fmt: skip

    told = text_of(shop.bob.get(BASE + "budget/"))

    assert "0 of 6 pages were real (80% interval 0.1%–19%)" in told
    assert "more than expected" in told


def test_every_list_is_a_file_too(shop, shifted):  # noqa: F811
    def rows(address):
        answer = shop.bob.get(address)
        assert answer["Content-Type"].startswith("text/csv")
        return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))

    (monitor,) = rows(f"{BASE}?format=csv")
    points = rows(f"{BASE}{shifted.pk}/?format=csv&t=28d")
    (alarm,) = rows(f"{BASE}alarms/?format=csv")
    (share,) = rows(f"{BASE}budget/?format=csv")

    assert (monitor["name"], monitor["standing"], monitor["pages_30d"]) == ("Errors", "alarmed", "1")
    assert len(points) == 150
    assert points[0]["phase"] == "1"
    assert [each["alarm_id"] for each in points if each["alarm_id"]] == [alarm["id"]]
    assert float(share["windows_until_false_alarm"]) == 2_000.0
    head = shop.bob.head(f"{BASE}{shifted.pk}/?format=ndjson")
    assert (head.status_code, head.content) == (200, b"")


def test_a_chart_of_many_windows_is_thinned_and_keeps_what_alarmed(shop, shifted, monkeypatch):  # noqa: F811
    monkeypatch.setattr(charted, "DRAWN_MAX", 20)
    alarm = Alarm.objects.get(monitor=shifted)

    drawn = charted.read_drawn(shifted.pk, 1, MONDAY, NOW, HOUR, [alarm.window_start])

    assert drawn.every == 8
    assert len(drawn.points) in {19, 20}
    assert alarm.pk in {point.alarm_id for point in drawn.points}
    assert [point.start_at for point in drawn.points] == sorted(point.start_at for point in drawn.points)
    told = text_of(shop.bob.get(f"{BASE}{shifted.pk}/?from=2026-03-02&to=2026-03-08 06:30"))
    assert "Of 8 windows one is drawn" in told


def test_a_composite_names_the_members_that_moved(shop, shifted):  # noqa: F811
    fixed = replace(DEFINITION, name="Fixed", method=Method.FIXED, threshold=Threshold(0.05))
    second = make_monitor(shop.project, fixed)
    evaluate()
    members = Composite((Member(shifted.pk), Member(second.pk)), least=2, within=timedelta(hours=6))
    both = replace(DEFINITION, name="Both", metric="composite", method=Method.COMPOSITE, composite=members)
    row = make_monitor(shop.project, both)
    evaluate()

    alarm = Alarm.objects.get(monitor=row)
    told = text_of(shop.bob.get(f"{BASE}{row.pk}/?alarm={alarm.pk}"))

    assert "Had enough of its members alarmed: 2 in the window" in told
    # Cards and titles of pages name one moment: the end of the window.
    ended = f"7 Mar {alarm.window_end:%H:%M}"
    assert told.split("The alarm of")[1].split("</h2>")[0].count(ended) == 1
    moved = told.split("Its members")[1].split("</section>")[0]
    assert moved.count("7 Mar 0") >= 2  # the sixth day, on which the shift began
    assert f'href="{BASE}{second.pk}/"' in told
    assert "as often as its members do together; a back-test tells" in told
    chart = text_of(shop.bob.get(f"{BASE}{second.pk}/"))
    assert "over 5.0%" in chart
    # Of 150 windows 120 at 2 % and 30 at 8 %.
    assert "by chance alone at 3.2 %, the share of its last 150 windows" in chart
    assert "a week by chance" in text_of(shop.bob.get(BASE))
    assert "a week by chance" in text_of(shop.bob.get(BASE + "budget/"))


def test_a_fixed_limit_says_what_chance_does_or_why_that_is_not_known():
    limit = replace(DEFINITION, method=Method.FIXED, threshold=Threshold(0.05))
    seen = FixedSeen(100, 200, 10_000, (100,) * 9)

    def told(definition, held):
        return expecting.by_chance(definition, held, 168)

    chance = float(stats.binom.sf(5, 100, 0.02))
    assert told(limit, seen).a_week == pytest.approx(168 * chance * (1 - chance), rel=1e-6)
    # Small windows are beyond the limit with a single one: a limit within the noise says so.
    assert told(limit, replace(seen, volumes=(12,) * 9)).a_week > 25
    assert told(replace(limit, least_n=50), replace(seen, volumes=(12,) * 9)).a_week == 0
    assert "beyond the limit" in told(limit, replace(seen, k=800)).words
    assert told(limit, replace(seen, k=0)).a_week == 0
    for definition, held in (
        (limit, None),
        (limit, replace(seen, windows=19)),
        (replace(limit, threshold=Threshold(0.05, after=2)), seen),
        (replace(limit, metric="ttft"), seen),
    ):
        assert told(definition, held).a_week is None


def test_an_alarm_of_an_earlier_chart_is_shown_on_that_chart(shop, shifted):  # noqa: F811
    alarm = Alarm.objects.get(monitor=shifted)
    monitoring.change(shop.project, shifted.pk, {"window_minutes": 120})
    evaluate()

    then = text_of(shop.bob.get(f"{BASE}{shifted.pk}/?alarm={alarm.pk}"))
    now = text_of(shop.bob.get(f"{BASE}{shifted.pk}/"))

    assert "An earlier chart of this monitor: number 1" in then
    assert then.count('class="hit"') > 100
    assert "chart=1&amp;at=" in then
    assert "An earlier chart" not in now
    assert 'href="?chart=1">1</a>' in now


@pytest.mark.parametrize(
    "query",
    [
        "t=9y", "from=x&to=y", "at=99999999999999999999", "at=-1", "at=253402300800", "alarm=0", "alarm=9" * 30,
        "by=model%00", "by=feature", "began=1", "format=xml", "after=%F0%9F%98%80", "severity=p%C2%B2",
        "q=%00%ED%A0%80",
        "state=out&state=off", "before=1e9", "metric=%3Cscript%3E", "monitor=99999999999999999999999",
    ],
)  # fmt: skip
def test_no_address_breaks_a_page(shop, shifted, query):  # noqa: F811
    for page in ("", "alarms/", "budget/", f"{shifted.pk}/"):
        answer = shop.alice.get(f"{BASE}{page}?{query}")
        assert answer.status_code == 200
        assert b"<script>" not in answer.content


def test_names_that_senders_choose_are_shown_as_text(shop):  # noqa: F811
    hostile = "<img src=x onerror=alert(1)>\u202e"
    row = make_monitor(
        shop.project, replace(DEFINITION, name=hostile, scope=Scope((("feature", ("</title><script>",)),)), note="<u>")
    )

    for page in ("", "budget/", f"{row.pk}/", f"alarms/?monitor={row.pk}"):
        told = text_of(shop.alice.get(BASE + page))
        assert "<img src=x" not in told
        assert "</title><script>" not in told
        assert "\u202e" not in told
    assert shop.alice.get(f"{BASE}{2**63}/").status_code == 404
    assert shop.alice.get(f"{BASE}0/").status_code == 404


def test_suites_of_probes_stand_beside_the_monitors_those_that_changed_first(shop, shifted, monkeypatch):  # noqa: F811
    def suite(name, state):
        return SuiteState(
            id=1, slug=name.lower(), name=name, state=state, words=f"{name} says", schedule="daily at 06:00",
            models=("gpt-4o",), counts={}, runs_between_alarms=200, expected_a_week=0.035, open_alarms=0, fired=2,
            real=1, false=0, last_run_at=None, next_at=None,
        )  # fmt: skip

    monkeypatch.setattr(monitors, "suites", lambda project_id: [suite("Calm", "same"), suite("Moved", "changed")])

    told = text_of(shop.bob.get(BASE))
    Alarm.objects.all().delete()
    Baseline.objects.all().delete()
    Monitor.objects.all().delete()
    alone = text_of(shop.bob.get(BASE))

    # A project that watches nothing by monitors may well watch its providers.
    assert "Nothing is watched" in alone
    assert alone.index(">Moved<") < alone.index(">Calm<")
    assert told.index(">Moved<") < told.index(">Calm<")
    assert 'href="/p/shop/probes/?suite=moved"' in told
    assert "0.15 false expected" in told
    assert "Probes of providers" not in text_of(shop.bob.get(f"{BASE}?state=out"))
