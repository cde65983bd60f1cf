"""What takes the database too long, by REST: a 503 that says what to narrow and when to ask again."""

from __future__ import annotations

import pytest

from traces.read import TooSlow

pytestmark = pytest.mark.django_db
READERS = {
    "traces": "traces.read.list_traces",
    "performance": "traces.api.performance.read_performance",
    "performance/hosts": "traces.api.performance.read_hosts",
    "cost": "traces.api.cost.read_days",
}


def give_up(*asked, **more):
    raise TooSlow


@pytest.mark.parametrize("path", READERS)
def test_too_slow_is_not_the_callers_fault(shop, monkeypatch, path):
    monkeypatch.setattr(READERS[path], give_up)

    answer = shop.nobody.get(f"/api/v1/{path}", headers=shop.key("read"))

    assert answer.status_code == 503, answer.content
    assert int(answer["Retry-After"]) > 0
    told = answer.json()
    assert (told["title"], told["errors"][0]["field"]) == ("Unavailable for a moment", "from")
    assert "Narrow the window" in told["detail"]
