"""Cost budgets: added up exactly, told of once, asked in a few queries, refused with every fault named."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import time_machine

from alerts import spending
from alerts.models import BudgetStand, CostBudget, Transition
from alerts.read import spending as read
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from tests.traces.conftest import shop  # noqa: F401
from tests.traces.cost_rows import Traffic, price
from traces.read import TooSlow

NOW = datetime(2026, 11, 19, 11, 2, tzinfo=UTC)
JSON = {"content_type": "application/json"}
pytestmark = pytest.mark.django_db
MONTH = {"name": "Month", "of": "project", "limit_usd": "1"}


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def traffic(shop):  # noqa: F811
    return Traffic(shop)


class Rest:
    """Asks as a key that may do all."""

    def __init__(self, shop):  # noqa: F811
        self.client, self.key = shop.nobody, shop.key("read write ingest")

    def ask(self, method, path, body=None, status=200):
        told = {"data": orjson.dumps(body), **JSON} if body is not None else {}
        answer = getattr(self.client, method)(f"/api/v1/budgets{path}", headers=self.key, **told)
        assert answer.status_code == status, answer.content
        return orjson.loads(answer.content) if answer.content else None

    def make(self, **told):
        return self.ask("post", "", MONTH | told, 201)

    def check(self, query=""):
        return self.ask("get", f"/check{query}")


@pytest.fixture
def rest(shop):  # noqa: F811
    return Rest(shop)


def day(number, hour=9):
    return datetime(2026, 11, number, hour, tzinfo=UTC)


def fields(problem):
    return {each["field"] for each in problem["errors"]}


def usd(pico):
    return f"{pico / 1e12:.12f}".rstrip("0").rstrip(".")


def told():
    return [each.facts for each in Transition.objects.filter(kind="budget").order_by("at", "key")]


def test_what_is_spent_is_exact_by_project_feature_and_user(rest, traffic):
    traffic.send(
        traffic.call(day(2), n=3, fresh=400_000, feature="search", user="u1"),
        traffic.call(day(19, 8), n=1, fresh=333, out=7, feature="returns", user="u2"),
        traffic.call(day(1) - timedelta(days=1), n=9, fresh=10**6, feature="search", user="u1"),
    )
    search, returns = price(400_000, 0, 100, 3), price(333, 0, 7)

    whole = rest.make()
    each = rest.make(name="Features", of="feature", limit_usd="0.1")
    one = rest.make(name="Search", of="feature", subject="search", limit_usd="5")
    rest.make(name="People", of="user", limit_usd="0.1")
    rest.make(name="Today", period="day")

    assert whole["dearest"]["spent_usd"] == usd(search + returns)
    assert (whole["dearest"]["requests"], whole["dearest"]["over"], whole["over"]) == (4, False, 0)
    stands = rest.ask("get", f"/{each['id']}/stands")["items"]
    assert [(s["subject"], s["spent_usd"], s["over"]) for s in stands] == [
        ("search", usd(search), True), ("returns", usd(returns), False),
    ]  # fmt: skip
    assert one["dearest"]["spent_usd"] == usd(search)
    asked = {b["name"]: b for b in rest.check("?user=u2&feature=returns")["budgets"]}
    assert {name: b["spent_usd"] for name, b in asked.items()} == {
        "Month": usd(search + returns), "Features": usd(returns), "People": usd(returns), "Today": usd(returns),
    }  # fmt: skip
    assert asked["Month"]["resets_at"] == "2026-12-01T00:00:00Z"
    assert asked["Today"]["resets_at"] == "2026-11-20T00:00:00Z"


def test_the_strictest_policy_of_all_budgets_is_the_advice(rest, traffic):
    traffic.send(traffic.call(day(2), n=1, fresh=10**6, out=0, user="u1"))  # $0.15
    steps = [{"at": 1, "do": "refuse"}, {"at": 0.5, "do": "cheaper_model", "with": "gpt-4o-mini"}]
    rest.make(limit_usd="0.25", policy=steps)
    rest.make(name="People", of="user", limit_usd="0.16", policy=[{"at": 0.9, "do": "cached_answer"}])

    answer = rest.check("?user=u1")

    assert (answer["allowed"], answer["over"], answer["advice"]) == (True, False, "cached_answer")
    assert (answer["budget"]["name"], answer["budget"]["subject"]) == ("People", "u1")
    somebody_else = rest.check("?user=u2")
    assert (somebody_else["advice"], somebody_else["with"]) == ("cheaper_model", "gpt-4o-mini")

    rest.ask("patch", f"/{answer['budgets'][0]['id']}", {"limit_usd": "0.15"})

    refused = rest.check()
    assert (refused["allowed"], refused["over"], refused["advice"]) == (False, True, "refuse")
    assert refused["budget"]["remaining_usd"] == "0"


def test_one_users_budget_stands_instead_of_everybodys(rest, traffic):
    traffic.send(traffic.call(day(2), fresh=10**6, out=0, user="vip"))
    rest.make(name="People", of="user", limit_usd="0.1", policy=[{"at": 1, "do": "refuse"}])
    rest.make(name="The VIP", of="user", subject="vip", limit_usd="10", policy=[{"at": 1, "do": "refuse"}])

    assert [b["name"] for b in rest.check("?user=vip")["budgets"]] == ["The VIP"]
    assert rest.check("?user=vip")["allowed"] is True
    assert [b["name"] for b in rest.check("?user=other")["budgets"]] == ["People"]


def test_no_budget_allows_and_says_that_none_holds(rest):
    answer = rest.check("?user=u1")

    assert answer == {
        "allowed": True, "over": False, "advice": None, "with": None, "budget": None, "budgets": [], "as_of": None,
        "is_stale": False,
    }  # fmt: skip


def test_unpriced_calls_make_the_sum_at_least(rest, traffic):
    traffic.send(traffic.call(day(2), model="nobody-knows", n=2), traffic.call(day(2), n=1))

    rest.make()

    (held,) = rest.check()["budgets"]
    assert (held["is_at_least"], held["unpriced_calls"], held["spent_usd"]) == (True, 2, usd(price()))


def test_a_new_period_nobody_added_up_yet_is_unknown_and_allowed(rest, traffic, frozen):
    traffic.send(traffic.call(day(19, 8), fresh=10**7))
    rest.make(name="Today", period="day", policy=[{"at": 0.1, "do": "refuse"}])
    assert rest.check()["allowed"] is False

    frozen.shift(timedelta(days=1))

    answer = rest.check()
    (held,) = answer["budgets"]
    assert (answer["allowed"], answer["over"], answer["is_stale"]) == (True, None, True)
    assert (held["spent_usd"], held["share"], held["over"], held["as_of"]) == (None, None, None, None)

    spending.tend()

    answer = rest.check()
    assert (answer["over"], answer["budgets"][0]["spent_usd"], answer["is_stale"]) == (False, "0", False)


def test_marks_are_told_of_once_and_the_highest_alone(rest, traffic, frozen):
    rest.make(limit_usd="1")
    traffic.send(traffic.call(day(19, 8), fresh=4 * 10**6, out=0))  # $0.60
    spending.tend()
    spending.tend()
    assert [each["title"] for each in told()] == ["The project has spent 50% of its cost budget"]
    assert told()[0]["path"].startswith("/p/shop/cost/budgets/")

    frozen.shift(timedelta(minutes=1))
    traffic.send(traffic.call(day(19, 9), fresh=4 * 10**6, out=0))
    spending.tend()
    frozen.shift(timedelta(minutes=1))
    spending.tend()

    assert [each["title"] for each in told()][1:] == ["The project is over its cost budget"]
    assert "$1.20 of $1.00 this month, 120%" in told()[1]["words"]
    assert BudgetStand.objects.get().over_at is not None


def test_many_users_over_are_one_message_an_hour(rest, traffic, frozen):
    rest.make(name="People", of="user", limit_usd="0.1", tell_at=[1])
    traffic.send(*(traffic.call(day(19, 8), fresh=10**6 + n, out=0, user=f"u{n:02}") for n in range(30)))
    spending.tend()
    traffic.send(traffic.call(day(19, 9), fresh=10**6, out=0, user="late"))
    frozen.shift(timedelta(minutes=30))
    spending.tend()

    (message,) = told()
    assert message["title"] == "30 users passed a mark of the cost budget People"
    assert "u29" in message["words"]
    assert "25 more" in message["words"]

    frozen.shift(timedelta(minutes=31))
    spending.tend()
    assert [each["title"] for each in told()][1:] == ["User late is over its cost budget"]


def test_a_message_and_its_mark_are_written_together_or_not_at_all(rest, traffic, monkeypatch):
    rest.make()
    traffic.send(traffic.call(day(19, 8), fresh=10**7))

    def die(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(spending.write, "mark_told", die)
        spending.tend()
    assert told() == []

    spending.tend()
    assert len(told()) == 1


def test_another_limit_is_told_of_anew(rest, traffic, frozen):
    made = rest.make(limit_usd="1")
    traffic.send(traffic.call(day(19, 8), fresh=10**7, out=0))  # $1.50
    spending.tend()
    frozen.shift(timedelta(minutes=1))
    raised = rest.ask("patch", f"/{made['id']}", {"limit_usd": "100"})
    assert (raised["dearest"]["over"], raised["dearest"]["over_at"]) == (False, None)
    frozen.shift(timedelta(minutes=1))

    rest.ask("patch", f"/{made['id']}", {"limit_usd": "1.5"})

    assert [each["title"] for each in told()] == ["The project is over its cost budget"] * 2


def test_a_forecast_over_the_limit_is_told_before_it_is_spent(rest, traffic):
    traffic.send(*(traffic.call(day(1) - timedelta(days=n), fresh=10**6, out=0) for n in range(-18, 30)))

    made = rest.make(limit_usd="4", tell_at=[1])  # $0.15 a day: $2.85 so far, more today
    kept = rest.make(name="Kept", limit_usd="6")
    spending.tend()

    (message,) = [each for each in told() if "forecast" in each["title"]]
    assert "About $4.58 at its end, 80% interval" in message["words"]
    stand = rest.ask("get", f"/{made['id']}")["dearest"]
    assert float(stand["forecast_usd"]) == pytest.approx(4.58, abs=0.01)
    burn = rest.ask("get", f"/{made['id']}/burn-down")
    assert (burn["runs_out"], burn["n"], len(burn["items"]), len(burn["ahead"])) == ("2026-11-27", 47, 19, 12)
    assert rest.ask("get", f"/{kept['id']}/burn-down")["runs_out"] is None


def test_a_day_has_its_forecast_by_the_hour(rest, traffic):
    for n in range(1, 22):
        for hour in (8, 15):
            traffic.send(traffic.call(NOW.replace(hour=hour) - timedelta(days=n), fresh=10**6, out=0))
    traffic.send(traffic.call(day(19, 8), fresh=10**6, out=0))

    made = rest.make(name="Today", period="day")

    burn = rest.ask("get", f"/{made['id']}/burn-down")
    assert (float(burn["forecast_usd"]), burn["n"]) == (pytest.approx(0.3, abs=0.001), 20)
    assert len(burn["items"]) == 12
    assert burn["items"][8]["spent_usd"] == "0.15"


def test_too_little_data_has_no_forecast(rest, traffic):
    traffic.send(traffic.call(day(12)))

    burn = rest.ask("get", f"/{rest.make()['id']}/burn-down")

    assert (burn["forecast_usd"], burn["n"], burn["needed"], burn["ahead"]) == (None, 7, 14, [])


def test_every_fault_is_named(rest):
    problem = rest.ask("post", "", {
        "name": " ", "of": "team", "limit_usd": "-3", "period": "year", "tell_at": [0.5, "much", 99], "colour": "red",
        "policy": [{"at": 0.5, "do": "panic"}, {"do": "refuse", "with": 3}, 7], "severity": True, "is_on": "yes",
    }, 400)  # fmt: skip

    assert fields(problem) == {
        "name", "of", "limit_usd", "period", "tell_at[1]", "tell_at[2]", "colour", "policy[0].do", "policy[1].at",
        "policy[1].with", "policy[2]", "severity", "is_on",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told_of", "field"),
    [
        ({"limit_usd": "0"}, "limit_usd"),
        ({"limit_usd": "NaN"}, "limit_usd"),
        ({"limit_usd": "1e99"}, "limit_usd"),
        ({"limit_usd": "0.0000010000001"}, "limit_usd"),
        ({"limit_usd": [1]}, "limit_usd"),
        ({"limit_usd": "٣"}, "limit_usd"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"subject": "search"}, "subject"),
        ({"tell_at": [0.123456]}, "tell_at[0]"),
        ({"policy": [{"at": 1, "do": "refuse"}, {"at": 1.0, "do": "warn"}]}, "policy"),
    ],
)
def test_a_fault_is_named(rest, told_of, field):
    assert fields(rest.ask("post", "", MONTH | told_of, 400)) == {field}


def test_a_budget_is_changed_by_one_person_at_a_time_and_every_act_is_audited(rest, shop):  # noqa: F811
    made = rest.make()
    changed = rest.ask("patch", f"/{made['id']}", {"severity": 1, "of_version": 1})
    assert (changed["version"], changed["severity"], changed["name"]) == (2, 1, "Month")
    assert fields(rest.ask("patch", f"/{made['id']}", {"severity": 0, "of_version": 1}, 409)) == {"of_version"}
    assert rest.ask("patch", f"/{made['id']}", {"severity": 1})["version"] == 2
    assert fields(rest.ask("post", "", MONTH, 400)) == {"name"}

    rest.ask("delete", f"/{made['id']}", status=204)
    rest.ask("patch", f"/{made['id']}", {"severity": 3}, 404)
    assert rest.check()["budgets"] == []
    assert [b["id"] for b in rest.ask("get", "?archived=true")["items"]] == [made["id"]]
    assert rest.ask("patch", f"/{made['id']}", {"is_archived": False})["archived_at"] is None

    acts = AuditEntry.objects.filter(project_id=shop.project.pk, action__startswith="cost_budget.")
    assert [each.action.partition(".")[2] for each in acts.order_by("pk")] == ["create", "change", "archive", "restore"]
    assert acts.first().actor.startswith("key ")


def test_a_check_takes_the_same_few_queries_however_much_there_is(
    rest, traffic, shop, django_assert_num_queries  # noqa: F811
):
    rest.make()
    rest.check("?user=u1&feature=search")
    for n in range(10):
        rest.make(name=f"B{n}", of=("project", "feature", "user")[n % 3])
    traffic.send(*(traffic.call(day(19, 8), user=f"u{n}", feature="search") for n in range(20)))
    spending.tend()

    with django_assert_num_queries(2):  # the project, the budgets; what waits to be booked is asked beside them
        assert len(rest.check("?user=u1&feature=search")["budgets"]) == 11


def test_what_is_not_booked_yet_is_told_by_the_time_of_the_answer(rest, traffic, monkeypatch):
    rest.make(name="People", of="user")
    monkeypatch.setattr(read, "unbooked_since", lambda _: clock.now() - timedelta(minutes=6))

    answer = rest.check("?user=u1")

    assert (answer["as_of"], answer["is_stale"]) == ("2026-11-19T10:56:00Z", True)


def test_one_projects_trouble_leaves_the_others_theirs(rest, shop, traffic, monkeypatch):  # noqa: F811
    theirs = CostBudget.objects.create(project=shop.elsewhere, name="Theirs", of="project", limit_pico=1, tell_at=[1])
    rest.make()
    traffic.send(traffic.call(day(19, 8), fresh=10**7))
    real = read.by_feature

    def slow(rollups, bounds):
        if rollups.project_id == theirs.project_id:
            raise TooSlow
        return real(rollups, bounds)

    monkeypatch.setattr(read, "by_feature", slow)
    assert spending.tend() == 1
    assert len(told()) == 1


class TestPages:
    def text(self, page):
        main = page.partition("<main")[2].partition("</main>")[0]
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())

    def get(self, client, path, status=200):
        answer = client.get(f"/p/shop/cost/budgets/{path}")
        assert answer.status_code == status
        return self.text(answer.content.decode())

    def test_none_yet_and_one_by_the_form(self, shop, traffic):  # noqa: F811
        assert "No cost budget yet" in self.get(shop.erin, "")
        assert "Nothing is limited" in self.get(shop.bob, "")
        typed = {
            "name": "Search", "of": "feature", "subject": "search", "limit_usd": "$1,000.50", "period": "month",
            "tell_at": "50%, 80; 100", "severity": "1", "at_0": "80", "do_0": "cheaper_model", "with_0": "gpt-4o-mini",
            "at_1": "100", "do_1": "refuse", "with_1": "",
        }  # fmt: skip

        made = shop.erin.post("/p/shop/cost/budgets/new/", typed)

        assert made.status_code == 302
        held = CostBudget.objects.get()
        assert (int(held.limit_pico), held.tell_at, held.policy) == (
            1000_500_000_000_000, [0.5, 0.8, 1.0],
            [{"at": 0.8, "do": "cheaper_model", "with": "gpt-4o-mini"}, {"at": 1.0, "do": "refuse"}],
        )  # fmt: skip
        page = self.get(shop.bob, f"{held.pk}/")
        assert "Feature search has spent $0 of $1,001" in page  # whole dollars from a hundred on
        assert "use a cheaper model: gpt-4o-mini" in page

    def test_what_was_typed_wrong_comes_back_with_its_fault(self, shop):  # noqa: F811
        answer = shop.erin.post("/p/shop/cost/budgets/new/", {
            "name": "x", "of": "project", "limit_usd": "a lot", "period": "month", "tell_at": "much", "severity": "9",
            "at_0": "", "do_0": "refuse",
        })  # fmt: skip

        page = self.text(answer.content.decode())
        assert answer.status_code == 400
        assert "4 things need fixing" in page
        assert 'value="a lot"' in answer.content.decode()
        assert CostBudget.objects.count() == 0

    def test_somebody_elses_change_is_not_written_over(self, shop, rest):  # noqa: F811
        made = rest.make()
        typed = {"name": "Mine", "of": "project", "limit_usd": "5", "period": "month", "tell_at": "", "severity": "2"}
        rest.ask("patch", f"/{made['id']}", {"severity": 1})

        answer = shop.erin.post(f"/p/shop/cost/budgets/{made['id']}/edit/", typed | {"version": "1"})

        assert answer.status_code == 409
        assert CostBudget.objects.get().name == "Month"

    def test_each_user_is_seen_with_the_dearest(self, shop, rest, traffic):  # noqa: F811
        traffic.send(
            traffic.call(day(3), fresh=10**6, out=0, user="rich"), traffic.call(day(3), fresh=1000, user="poor/é?")
        )
        made = rest.make(name="People", of="user", limit_usd="0.1")
        spending.tend()

        assert "1 of 1 cost budget is over" in self.get(shop.bob, "")
        page = self.get(shop.bob, f"{made['id']}/")
        assert "User rich has spent $0.15 of $0.10" in page
        assert "poor/é?" in page
        other = self.get(shop.bob, f"{made['id']}/?subject=poor/%C3%A9%3F")
        assert "User poor/é? has spent $0.0002" in other

    def test_the_pages_take_as_many_queries_for_one_budget_as_for_many(
        self, shop, rest, traffic, django_assert_max_num_queries  # noqa: F811
    ):
        for n in range(12):
            rest.make(name=f"B{n}", of=("project", "feature", "user")[n % 3])
        traffic.send(*(traffic.call(day(19, 8), user=f"u{n}", feature=f"f{n}") for n in range(20)))
        spending.tend()
        self.get(shop.bob, "")
        # Session, person, project, projects to switch to, and two of budgets.
        with django_assert_max_num_queries(9):
            self.get(shop.bob, "")

    def test_what_takes_too_long_says_so(self, shop, rest, monkeypatch):  # noqa: F811
        made = rest.make()
        monkeypatch.setattr("alerts.pages.cost_budgets.Histories.burn", lambda *_: (_ for _ in ()).throw(TooSlow))

        assert "This took too long" in self.get(shop.bob, f"{made['id']}/", 503)
        rest.ask("get", f"/{made['id']}/burn-down", status=503)

    def test_a_list_is_a_file(self, shop, rest, traffic):  # noqa: F811
        traffic.send(traffic.call(day(3), fresh=10**6, out=0))
        rest.make()

        answer = shop.bob.get("/p/shop/cost/budgets/?format=csv")
        head, row = b"".join(answer.streaming_content).decode().splitlines()

        assert dict(zip(head.split(","), row.split(","), strict=True))["spent_usd"] == "0.15"
