"""Saved views: one's own and shared ones, the list that opens with one, columns, and the menu, by page and REST."""

from __future__ import annotations

import re
from html import unescape

import pytest

from telltale.audit.models import AuditEntry
from telltale.projects.models import ProjectMember
from traces import saved_views
from traces.forms import TRACE_COLUMNS
from traces.models import DefaultView, SavedView
from traces.pages.columns import COLUMNS

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/traces/"
REST = "/api/v1/views?project=shop"


def hex_id(n):
    return f"{n:032x}"


@pytest.fixture
def some(shop, otlp):
    """Three traces of two features; bob views, erin administrates."""
    for n, feature in ((1, "help"), (2, "help"), (3, "shop")):
        otlp.send(otlp.generation(hex_id(n), f"{n:016x}", at_ms=n, attributes={"telltale.feature": feature}))
    return shop


def engineer(shop, name="bob"):
    ProjectMember.objects.filter(project=shop.project, user=getattr(shop.people, name)).update(role="engineer")


def audited():
    return AuditEntry.objects.filter(action__startswith="view.")


def read(client, path=PAGE, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:300]
    return unescape(answer.content.decode())


def save(client, name="Slow help", query="feature=help&sort=-duration", status=302, **more):
    answer = client.post(PAGE + "views/", {"name": name, "query": query, **more})
    assert answer.status_code == status, answer.content[:300]
    return answer


def post(client, body, status=201, path=REST):
    answer = client.post(path, body, content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def test_a_list_is_kept_under_a_name_and_comes_back(some):
    answer = save(some.bob, query="t=28d&feature=help&sort=-duration&columns=time,said,user&before=abc")

    assert answer["Location"] == PAGE + "?t=28d&feature=help&sort=-duration&columns=time%2Csaid%2Cuser"
    html = read(some.bob, answer["Location"])
    assert '<summary class="btn">Slow help</summary>' in html
    assert re.findall(r'<th scope="col"[^>]*>(?:<a[^>]*>)?([^<]+)', html)[-3:] == ["Time", "Asked, answered", "User"]


def test_private_views_are_ones_own(some):
    save(some.bob)
    view = SavedView.objects.get()

    assert "Slow help" not in read(some.erin)
    assert some.erin.get(f"{PAGE}views/{view.pk}/").status_code == 404
    assert some.erin.post(f"{PAGE}views/{view.pk}/delete/").status_code == 404
    assert some.alice.get(f"/api/v1/views/{view.pk}?project=shop").status_code == 404
    assert some.bob.get(f"/api/v1/views/{view.pk}?project=shop").json()["name"] == "Slow help"
    assert audited().count() == 0


def test_viewers_do_not_share_and_engineers_do(some):
    assert save(some.bob, is_shared="yes", status=403)
    assert SavedView.objects.count() == 0
    assert 'name="is_shared"' not in read(some.bob)

    engineer(some)
    save(some.bob, is_shared="yes")

    assert "Slow help" in read(some.erin)
    entry = audited().get()
    assert (entry.action, entry.target, entry.actor) == ("view.share", "view Slow help", "bob@example.com")
    assert entry.after == {"name": "Slow help", "query": "feature=help&sort=-duration"}


def test_a_shared_view_is_changed_by_its_maker_or_an_admin(some):
    engineer(some)
    save(some.erin, is_shared="yes")
    view = SavedView.objects.get()
    path = f"{PAGE}views/{view.pk}/"

    assert some.bob.get(path).status_code == 403
    assert some.bob.post(path + "delete/").status_code == 403
    assert some.bob.patch(f"/api/v1/views/{view.pk}?project=shop", {"name": "x"}, "application/json").status_code == 403
    assert some.alice.post(path, {"name": "Renamed", "is_shared": "yes"}).status_code == 302
    assert some.alice.post(path + "delete/").status_code == 302

    assert [entry.action for entry in audited().order_by("pk")] == ["view.share", "view.change", "view.delete"]
    assert SavedView.objects.count() == 0


def test_taking_a_view_back_closes_it_to_others(some):
    engineer(some)
    save(some.bob, is_shared="yes")
    view = SavedView.objects.get()
    some.erin.post(f"{PAGE}views/{view.pk}/default/")
    assert DefaultView.objects.count() == 1

    some.bob.post(f"{PAGE}views/{view.pk}/", {"name": "Slow help"})

    assert DefaultView.objects.count() == 0
    read(some.erin)  # says what she has just done
    assert "Slow help" not in read(some.erin)
    assert audited().latest("pk").action == "view.unshare"


def test_ones_list_opens_with_the_view_one_chose(some):
    save(some.bob, is_default="yes")

    opened = some.bob.get(PAGE)
    assert (opened.status_code, opened["Location"]) == (302, PAGE + "?feature=help&sort=-duration")
    assert some.erin.get(PAGE).status_code == 200
    everything = read(some.bob, PAGE + "?view=all")
    assert "3 traces match" in everything
    html = read(some.bob, PAGE + "?feature=help")
    assert re.search(r'href="\?view=all"[^>]*>Clear all', html)
    assert re.search(r'href="\?view=all"[^>]*aria-label="Remove filter Feature help"', html)
    assert everything.count('<input type="hidden" name="view" value="all">') == 4  # search, facets, columns, time

    view = SavedView.objects.get()
    some.bob.post(f"{PAGE}views/{view.pk}/default/")
    assert some.bob.get(PAGE).status_code == 200


def test_a_deleted_view_opens_nothing(some):
    save(some.bob, is_default="yes")
    some.bob.post(f"{PAGE}views/{SavedView.objects.get().pk}/delete/")

    assert some.bob.get(PAGE).status_code == 200


@pytest.mark.parametrize(
    ("name", "words"), [("", "needs a value"), ("x" * 81, "is too long"), ("Slow help", "is taken by another view")]
)
def test_a_name_that_cannot_be_comes_back_to_be_mended(some, name, words):
    save(some.bob)

    html = save(some.bob, name=name, query="feature=shop", status=400).content.decode()

    assert words in html
    assert 'name="query" value="feature=shop"' in html
    assert SavedView.objects.count() == 1


def test_two_people_may_use_one_name(some):
    save(some.bob)
    save(some.erin)
    save(some.erin, is_shared="yes")

    assert SavedView.objects.filter(name="Slow help").count() == 3


def test_there_is_an_end_to_views(some, monkeypatch):
    monkeypatch.setattr(saved_views, "VIEWS_MAX", 2)
    save(some.bob, name="a")
    save(some.bob, name="b")

    assert "one view too many" in save(some.bob, name="c", status=400).content.decode()
    save(some.erin, name="c")


def test_rest_does_what_the_page_does(some):
    engineer(some)
    made = post(some.bob, {"name": " Mine ", "query": "?feature=help&t=7d&foo=bar", "is_default": True})
    assert made | {"updated_at": "", "id": ""} == {
        "id": "", "page": "traces", "name": "Mine", "query": "feature=help", "is_shared": False, "is_default": True,
        "may_change": True, "made_by": "Bob", "updated_at": "",
    }  # fmt: skip
    path = f"/api/v1/views/{made['id']}?project=shop"

    changed = some.bob.patch(path, {"name": "Ours", "is_shared": True, "is_default": False}, "application/json").json()
    listed = some.erin.get(REST).json()["items"]

    assert (changed["name"], changed["is_shared"], changed["is_default"]) == ("Ours", True, False)
    assert [(view["name"], view["may_change"], view["made_by"]) for view in listed] == [("Ours", True, "Bob")]
    assert some.bob.delete(path).status_code == 204
    assert some.bob.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": ""}, "name"),
        ({"name": "x", "query": "status=sad"}, "query.status"),
        ({"name": "x", "query": "q" * 9000}, "query"),
        ({"name": "x", "page": "nowhere"}, "page"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "\x00", "query": "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")}, "name"),
    ],
)
def test_rest_names_what_is_wrong_with_a_view(some, body, field):
    problem = post(some.bob, body, 400)

    assert [error["field"] for error in problem["errors"]] == [field]


def test_a_key_has_no_views_of_its_own(some):
    write, reads = some.key("write read"), some.key("read")

    def ask(body, headers, status):
        answer = some.nobody.post("/api/v1/views", body, "application/json", headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json()

    assert ask({"name": "x"}, write, 400)["errors"][0]["field"] == "is_shared"
    assert ask({"name": "x", "is_shared": True, "is_default": True}, write, 400)["errors"][0]["field"] == "is_default"
    ask({"name": "y", "is_shared": True}, reads, 403)
    save(some.bob, name="private")
    made = ask({"name": "y", "is_shared": True}, write, 201)
    listed = some.nobody.get("/api/v1/views", headers=reads).json()["items"]

    assert made["made_by"] == ""
    names = {view["name"] for view in listed}
    assert "y" in names
    assert "private" not in names


def test_strangers_learn_nothing(some):
    save(some.erin, is_shared="yes")
    view = SavedView.objects.get()

    assert some.charlie.get(PAGE + "views/").status_code == 404
    assert some.charlie.get(f"/api/v1/views/{view.pk}?project=elsewhere").status_code == 404
    assert some.charlie.post(f"/p/elsewhere/traces/views/{view.pk}/delete/").status_code == 404
    assert SavedView.objects.count() == 1


@pytest.mark.parametrize("n", [0, 30])
def test_views_cost_a_list_one_query_however_many(some, django_assert_num_queries, n):
    for k in range(n):
        save(some.bob, name=f"view {k}")
    some.bob.get(PAGE)

    with django_assert_num_queries(11):
        assert some.bob.get(PAGE).status_code == 200
    with django_assert_num_queries(6):
        assert some.bob.get(PAGE + "views/").status_code == 200


def test_the_columns_of_an_address_are_those_of_the_page():
    assert tuple(COLUMNS) == TRACE_COLUMNS


@pytest.mark.parametrize("key", TRACE_COLUMNS)
def test_each_column_shows_known_and_unknown(some, otlp, key):
    otlp.send(otlp.span(hex_id(9), "9" * 16, name="<b>bare</b>"))

    html = some.bob.get(f"{PAGE}?columns=said,{key}").content.decode().split("<colgroup>")[1]

    assert html.count("<tr><td") == 4
    assert "<b>bare</b>" not in html
    assert "None" not in html


@pytest.mark.parametrize(
    ("query", "headings"),
    [
        ("columns=user", ["Asked, answered", "User"]),
        ("columns=time,user", ["Time", "Asked, answered", "User"]),
        ("columns=time&columns=said&columns=user", ["Time", "Asked, answered", "User"]),
        ("columns=time,said,model,errors,tokens,cost,latency", None),
        ("columns=", None),
    ],
)
def test_columns_are_chosen_in_the_address(some, query, headings):
    html = read(some.bob, f"{PAGE}?{query}")
    shown = re.findall(r'<th scope="col"[^>]*>(?:<a[^>]*>)?([^<]+)', html.split("<colgroup>")[1])

    assert shown == (headings or ["Time", "Asked, answered", "Model", "Errors", "Tokens", "Cost", "Latency"])
    assert ("columns=" in re.search(r'rowlink[^>]*href="([^"]*)"', html)[1]) == (headings is not None)


def test_columns_nobody_has_are_told(some):
    assert "columns has no such column: “colour”" in read(some.bob, PAGE + "?columns=colour,user")
    assert "columns are too many" in read(some.bob, PAGE + "?columns=" + ",".join(TRACE_COLUMNS))
