"""A process that is killed with -9 while a receiver has its message but has not answered yet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

from alerts import delivering, routing
from alerts.addressing import channels
from alerts.models import Attempt, Delivery
from alerts.notifying import tell_project
from telltale.lib import clock
from tests.alerts.receiver_kit import Receiver
from tests.conftest import ROOT, database_url

SEND = "import django; django.setup(); from alerts import delivering; print(delivering.deliver_due(), flush=True)"


def test_what_a_killed_process_had_sent_comes_again_under_the_same_id(committed_db, project, settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    receiver = Receiver([(204, {}, 9)])
    channels.add(project, {"name": "On call", "kind": "webhook", "url": receiver.url})
    tell_project(project.pk, "budget", "budget:1", facts={"words": "80 % is spent."})
    routing.route_due()
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "telltale.settings", "TELLTALE_DATABASE_URL": database_url(),
        "TELLTALE_SECRET_KEY": settings.SECRET_KEY, "TELLTALE_EGRESS_ALLOW": "127.0.0.0/8",
        "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
    }  # fmt: skip
    sender = subprocess.Popen([sys.executable, "-c", SEND], env=environment, stdout=subprocess.PIPE)
    try:
        until = time.monotonic() + 60
        while not receiver.got and sender.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert len(receiver.got) == 1
        os.kill(sender.pid, signal.SIGKILL)
    finally:
        sender.kill()
        sender.communicate()

    assert delivering.deliver_due() == 0  # its lease holds
    Delivery.objects.update(leased_until=clock.now() - timedelta(seconds=1))
    assert delivering.deliver_due() == 1
    receiver.close()

    assert len(receiver.got) == 2
    assert len(set(receiver.ids)) == 1
    assert Delivery.objects.get().state == "delivered"
    assert "ended before" in Attempt.objects.get(number=1).error
