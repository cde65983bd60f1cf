"""From breaching requests to an incident: through the engine's own task, once."""

from __future__ import annotations

import time_machine

from alerts import tasks, watching
from alerts.models import Alarm, Incident, Transition
from tests.alerts.engine_kit import HOUR, MONDAY, make_monitor, share_of, steps

# A thousand requests an hour: few fail for five days, then every one of a window.
RATES = steps((0, 0.01), (120, 1.0), (121, 0.01))


def test_a_thousand_breaching_requests_in_one_window_are_one_incident_and_one_message(project, monkeypatch):
    def read(project_id, zone, asked, windows):
        return [[share_of(window, RATES(window.start), n=1_000) for window in windows] for _ in asked]

    monkeypatch.setattr(watching, "read_many", read)
    make_monitor(project)
    for hour in (119, 121.5, 121.5, 122.5, 220):
        with time_machine.travel(MONDAY + hour * HOUR, tick=False):
            tasks.evaluate()
            tasks.tend_incidents()

    row = Incident.objects.get()
    assert (Alarm.objects.filter(is_page=True).count(), row.state, row.severity) == (1, "open", 2)
    assert row.opened_at == MONDAY + 121.5 * HOUR
    assert Transition.objects.order_by("at")[0].kind == "opened"
    assert Transition.objects.filter(kind="opened").count() == 1
    assert row.quiet_since is not None
