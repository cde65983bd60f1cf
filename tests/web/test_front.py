"""The overview of a project: what it answers, what it names, and what it admits it does not know."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from alerts.allowances.periods import bounds_at
from alerts.allowances.types import Period
from alerts.models import BudgetStand, CostBudget, Monitor, Question, QuestionMonitor
from alerts.monitors.states import UNJUDGED
from alerts.pages import alarms as _alarms  # noqa: F401 - first of all pages: the warm-up is not counted
from telltale.lib import clock
from telltale.projects.access import get_project_for
from telltale.projects.models import Project
from telltale.web.front import engine
from telltale.web.front.engine import Engine
from telltale.web.front.reading import forget_judged
from telltale.web.front.view import overview
from tests.alerts.incident_kit import incident_of
from tests.web.front_kit import alarm_at, watched
from traces.models import Change
from traces.rollup.buckets import calendar_of


@pytest.fixture
def project(alice):
    """The project of this folder's alice."""
    return Project.objects.get(slug="shop")


@pytest.fixture
def shop(project):
    """A project that has sent something."""
    Project.objects.filter(pk=project.pk).update(first_span_at=clock.now() - timedelta(days=9))
    return Project.objects.get(pk=project.pk)


@pytest.fixture
def look(sign_in, alice):
    """The text of the overview as alice sees it."""
    client = sign_in(alice)

    def page(query=""):
        answer = client.get(f"/p/shop/{query}")
        assert answer.status_code == 200
        return " ".join(answer.content.decode().split())

    return page


def test_without_monitors_nobody_knows_and_the_next_step_is_there(shop, look):
    page = look()

    assert "Nobody knows yet: no judge scores the answers." in page
    assert 'href="/p/shop/judges/new/">Make a judge' in page
    assert page.count("Not watched") == 4
    assert "Nobody watches this project yet" in page
    assert "Nothing came in the last 24 h" in page
    assert "In range" not in page


def test_a_viewer_is_offered_nothing_they_may_not_do(shop, bob, sign_in):
    page = sign_in(bob).get("/p/shop/").content.decode()

    assert "Nobody knows yet" in page
    assert "Make a judge" not in page


def test_a_stranger_finds_no_project(shop, charlie, sign_in):
    assert sign_in(charlie).get("/p/shop/").status_code == 404


def test_in_range_says_what_is_expected(shop, look):
    watched(shop, feature="returns")

    page = look()

    assert "No: requests with an error in returns at 1.0%, expected 0.5%–1.5%." in page
    assert "The one monitor is within its limits." in page
    assert "Speed and errors are in range. Nobody can say yet: quality, cost and safety." in page


def test_an_alarm_says_by_how_much_since_when_and_what_came_before(shop, look):
    monitor = watched(shop, out=3, value=0.05, feature="returns", severity=1)
    alarm = alarm_at(monitor, out=3)
    Change.objects.create(
        project=shop, kind="prompt", name="returns", version="v18", at=alarm.window_start - timedelta(minutes=50),
        source="page", feature="returns",
    )  # fmt: skip
    Change.objects.create(
        project=shop, kind="prompt", name="other", version="v2", at=alarm.window_start - timedelta(minutes=5),
        source="page", feature="sizing",
    )  # fmt: skip

    page = look()

    assert "Yes, in returns: requests with an error rose from 1.0% to 5.0%, 50 min after returns v18." in page
    assert "A rise of 4.0 pts (95% CI" in page
    assert "Speed and errors in returns are out of limits since" in page
    assert "The last one before an alarm that is open; that is no proof." in page
    assert "caused" not in page


def test_a_notice_and_a_muted_monitor_are_nothing_that_pages(shop, look):
    monitor = watched(shop, out=2, value=0.05)
    alarm_at(monitor, out=2)
    Monitor.objects.filter(pk=monitor.pk).update(muted_until=clock.now() + timedelta(hours=1))

    page = look()

    assert "Nothing that pages." in page
    assert "It calls nobody: it is muted." in page
    assert "Out of limits" not in page


@pytest.mark.parametrize(
    ("standing", "words", "said"),
    [
        ("learning", "12 of 50 windows", "Not known yet: its monitor is still learning."),
        ("in_control", UNJUDGED, "Not known yet: its monitor is still learning."),
        ("broken", "", "Not known yet: its monitor cannot be evaluated."),
        ("no_data", "", "Not known yet: its monitor has no data."),
    ],
)
def test_a_monitor_that_cannot_say_is_not_in_range(shop, look, standing, words, said):
    monitor = watched(shop, standing=standing)
    Monitor.objects.filter(pk=monitor.pk).update(standing_words=words)

    page = look()

    assert said in page
    assert "In range" not in page


def test_what_is_watched_in_part_is_said_so(shop, look):
    watched(shop)
    watched(shop, "Duration", "request_duration", standing="learning", value=900.0, level=900.0)

    assert "No, as far as is watched:" in look()


def test_the_teams_questions_stand_in_place_of_the_shipped_ones(shop, look):
    monitor = watched(shop, "Errors", out=2, value=0.05)
    alarm_at(monitor, out=2)
    question = Question.objects.create(project=shop, text="Do <b>returns</b> work?", pillar="latency")
    QuestionMonitor.objects.create(question=question, monitor=monitor)
    Question.objects.create(project=shop, text="Is it cheap?", pillar="cost", position=1)

    page = look()

    assert "Do &lt;b&gt;returns&lt;/b&gt; work?" in page
    assert "Out of limits: requests with an error rose" in page, "nobody knows whether yes or no is the good answer"
    assert "Nobody knows: nothing is bound to this question." in page
    assert "Is quality degrading?" not in page


def test_nothing_is_in_range_while_the_engine_stands_still(shop, look, monkeypatch):
    watched(shop)
    since = clock.now() - timedelta(minutes=9)
    monkeypatch.setattr("telltale.web.front.view.read_engine", lambda now: Engine(since, "no worker has shown life"))

    page = look()

    assert "Telltale stands still since" in page
    assert "Not known since" in page
    assert "In range" not in page


def test_without_a_watchdog_late_monitors_say_that_the_engine_stands(shop):
    monitor = watched(shop)
    now = clock.now()
    assert engine.read_engine(now).stands_since is None

    Monitor.objects.filter(pk=monitor.pk).update(due_at=now - timedelta(minutes=10))

    assert engine.read_engine(now).stands_since == now - timedelta(minutes=10)


def test_open_incidents_come_first_with_their_timer(shop, look):
    incident = incident_of(shop, name="Errors of returns", feature="returns", severity=1)

    page = look()

    assert f'<a class="btn primary" href="/p/shop/incidents/{incident.number}/">Open INC-{incident.number}</a>' in page
    assert "Triage: 30 min left of 30 min. No owner yet." in page


def test_a_window_that_cannot_be_read_is_named(shop, look):
    assert "The window was not understood" in look("?from=yesterday&to=now")


def spent(project, name, share, *, forecast=None):
    """A budget of a dollar of which so much is spent."""
    now = clock.now()
    row = CostBudget.objects.create(
        project=project, name=name, of="project", limit_pico=10**12, tell_at=[1], read_at=now
    )
    bounds = bounds_at(Period.MONTH, calendar_of(project.time_zone), now)
    BudgetStand.objects.create(
        budget=row, start_at=bounds.start, end_at=bounds.end, spent_pico=int(share * 10**12), n=3, read_at=now,
        forecast_pico=forecast, forecast_low_pico=forecast, forecast_high_pico=forecast,
    )  # fmt: skip
    return row


def test_cost_budgets_that_are_spent_or_near_are_named_here_and_on_the_list_of_projects(shop, look, sign_in, alice):
    assert "Cost budgets" not in look()
    over = spent(shop, "Returns, a month", 1.25)
    spent(shop, "Assistant, a month", 0.5, forecast=2 * 10**12)
    spent(shop, "Search, a month", 0.1)
    spent(shop, "Off", 3).delete()

    page = look()

    assert f'<a href="/p/shop/cost/budgets/{over.pk}/">Returns, a month</a>' in page
    assert "$1.25 of $1" in page
    assert page.index("Returns, a month") < page.index("Assistant, a month")
    assert "Search, a month" not in page
    assert "1 budget is within its limit so far." in page
    client = sign_in(alice)
    home = client.get("/").content.decode()
    assert "1 budget over" in home
    assert "needs attention" in home
    found = overview(get_project_for(alice, "shop"), alice, clock.now() - timedelta(days=7), clock.now(), clock.now())
    assert [(line.name, line.state) for line in found.budgets.lines] == [
        ("Returns, a month", "over"), ("Assistant, a month", "near"), ("Search, a month", "within"),
    ]  # fmt: skip
    over.is_on = False
    over.save()
    assert "1 budget near" in client.get("/").content.decode()


def test_queries_do_not_grow_with_what_there_is(shop, look):
    from django.db import connection

    def queries():
        forget_judged()
        with CaptureQueriesContext(connection) as held:
            look()
        return len(held)

    one = watched(shop, out=3, value=0.05, feature="a")
    alarm_at(one, out=3)
    look()
    few = queries()
    for feature in "bcdefg":
        for metric in ("errors", "request_duration", "spend"):
            monitor = watched(
                shop, f"{metric} {feature}", metric, out=2, value=0.5, level=0.1, feature=feature, hours=5
            )
            alarm_at(monitor, out=2, hours=5)
    for at in range(8):
        incident_of(shop, name=f"I{at}", feature=f"x{at}")

    assert queries() <= few + 1, "one more where a second question has an alarm to measure"
    assert few <= 75
