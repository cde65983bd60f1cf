"""Signals of users in a real browser: the list of all of them, and the pages that show them."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from telltale.projects import keys
from telltale.projects.models import Project
from tests.traces.signal_rows import put_behaviour, put_signal
from tests.web.looks import EVERY_LOOK, fits, forget_stored
from tests.web.test_browser_traces import call, send
from traces.behaviour.types import Fact, Stratum
from traces.folding import fold_roll_ups
from traces.read.filters import TraceFilter
from traces.read.listing import list_traces
from traces.signals.kinds import Kind, Source

pytestmark = pytest.mark.django_db(transaction=True)
ALL = "/p/shop/signals/all/"
ATTACK = "<script>document.title='owned'</script>\u202e{{7*7}}" + "w" * 300


def hex_id(n):
    return f"{n:032x}"


@pytest.fixture
def shop(alice):
    """Two sessions with signals of every sort about them, some of a stranger's making, some about nothing here."""
    forget_stored()
    project = Project.objects.get(slug="shop").pk
    key = keys.make_key(Project.objects.get(slug="shop"), "browser", ("ingest",)).secret
    for n, session, said in ((1, "s_1", "May I return a gift?"), (2, "s_1", "No, that's wrong"), (3, "s_2", "Hello")):
        told = {"session.id": session, "user.id": "ada", "telltale.feature": "returns"}
        send(key, call(hex_id(n), f"{n:016x}", at_ms=n * 3000, ms=900, said=said, answered="Yes.", attributes=told))
    while fold_roll_ups().traces:
        pass
    traces = {row.trace_id.int: row.trace_id for row in list_traces(project, TraceFilter()).rows}
    more = {"author": "ada", "feature": "returns"}
    put_signal(project, trace=traces[1], vote=-1, value_bool=True, comment="Not what the page says.", of="s_1", **more)
    put_signal(project, Kind.CORRECTION, trace=traces[1], value_text=ATTACK, at=5, of="s_1", author=ATTACK[:200])
    odd = {"name": ATTACK[:90], "value_label": ATTACK[:190], "span_id": 2}
    put_signal(project, Kind.OTHER, trace=traces[2], at=6, of="s_1", **odd)
    put_signal(project, Kind.OUTSIDE, trace=traces[2], name="toxicity", value_number=0.5, source=Source.MODEL, at=7)
    put_signal(project, Kind.CONVERSION, session="s_1", value_number=129.5, at=8, revision=3, is_dated=False, **more)
    put_signal(project, vote=1, session="never-came", at=9, bound=False)
    for n in range(60):
        put_signal(project, Kind.COPIED, session="s_2", at=20 + n)
    put_behaviour(project, "s_1", Stratum.CORRECTED, facts=Fact.CORRECTED, vote=-1)
    put_behaviour(project, "s_2", Stratum.ABANDONED, facts=Fact.ABANDONED)
    yield alice
    keys.cache.clear()


@pytest.mark.parametrize("look", ["dark", "phone", "without scripts"])
def test_every_page_with_signals_is_accessible_and_fits(enter, look):
    page = enter(ALL + "?t=all", **EVERY_LOOK[look])
    paths = [
        ALL + "?t=all&kind=odd", ALL + "?t=all&author=nobody", "/p/shop/sessions/", "/p/shop/sessions/s_1/",
        f"/p/shop/traces/{hex_id(2)}/", "/p/shop/users/ada/", "/p/shop/traces/?signal=any&columns=time,said,signals",
    ]  # fmt: skip

    for path in paths:
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        assert fits(page), path
        assert page.title() != "owned"
        # Without scripts the checker cannot run; what it looks at is the same page.
        if look != "without scripts":
            found = Axe().run(page).response["violations"]
            assert not found, (path, [(v["id"], [n["html"] for n in v["nodes"][:3]]) for v in found])


def test_from_the_list_of_signals_to_what_they_are_about_and_back_by_filters(enter):
    page = enter(ALL + "?t=all&author=ada")

    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sessions/s_1/")
    # Its traces are dated by when this file was read: half an hour later the session is over.
    assert page.locator("#did .badge").inner_text() in {"Not over yet", "Corrected"}
    assert "asks for a correction" in page.locator("#did").inner_text()

    page.goto(ALL + "?t=all")
    page.locator(".facets label", has_text="thumb down").click()
    page.wait_for_url("**kind=thumb.down**")
    assert page.locator("tbody tr").count() == 1
    page.locator(".chip a").click()
    page.wait_for_url(lambda url: "kind=" not in url)
    assert page.locator("tbody tr").count() == 50
    page.locator("a[rel=next]").click()
    page.wait_for_url("**before=**")
    assert page.locator("tbody tr").count() == 16
