"""docs/notifications.md says what the code does: its verification verifies, its limits are those of the code."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

from alerts.notices import settings, webhook
from alerts.notices.answers import BELIEVED, GIVE_UP, PAUSES, SLOW_PAUSES
from alerts.notices.outgoing import ABOUT
from alerts.notices.told import Told
from alerts.notices.transitions import KINDS, Kind, make_id
from alerts.notices.wording import write
from alerts.standing_guard import GRACE, ROUND_LIMIT

TEXT = Path("docs/notifications.md").read_text()


def test_the_verification_of_the_documentation_verifies_and_refuses():
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    found = {}
    exec(code, found)
    key, other = webhook.make_key(), webhook.make_key()
    told = Told(make_id(1, "t"), Kind.TEST, "t", datetime.now(UTC), "shop", "Shop", "UTC", "https://t.example", None)
    keys = [{"key": other, "until": None}, {"key": key, "until": None}]
    sent = webhook.request(write(told), {}, {"url": "https://h.example/", "keys": keys}, datetime.now(UTC))

    assert found["verify"](key, sent.headers, sent.body)
    assert not found["verify"](key, sent.headers, sent.body + b" ")
    assert not found["verify"](webhook.make_key(), sent.headers, sent.body)
    late = {**sent.headers, "webhook-timestamp": str(int(time.time()) - 600)}
    assert not found["verify"](key, late, sent.body)


def test_limits_kinds_and_pauses_are_those_of_the_code():
    for kind in KINDS:
        assert f"`{kind}`" in TEXT
    for about in ABOUT.values():
        assert f"| {about.label} |" in TEXT
    assert PAUSES == (5, 15, 45, 120, 300, 600, 1200, 1800)
    assert "5, 15, 45 s, 2, 5, 10, 20 min, then every 30 min" in TEXT
    assert SLOW_PAUSES == (60, 120, 300, 600, 1200, 1800)
    assert "1, 2, 5, 10, 20 min, then every 30 min" in TEXT
    assert f"for the first {BELIEVED} attempts" in TEXT
    assert f"{GIVE_UP.total_seconds() / 3600:.0f} hours after it was made" in TEXT
    assert f"wait {settings.GROUP_SECONDS} s (0 to {settings.GROUP_MOST})" in TEXT
    assert f"every {settings.REPEAT_MINUTES} minutes ({settings.REPEAT_LEAST} to {settings.REPEAT_MOST:,}" in TEXT
    assert f"at most {settings.SILENCE_MOST_DAYS} days" in TEXT.replace("\n", " ")
    counts = (
        f"At most {settings.CHANNELS_MAX} channels, {settings.ROUTES_MAX} routes and {settings.SILENCES_MAX} silences"
    )
    assert counts in TEXT
    assert f"ended for {ROUND_LIMIT.total_seconds():.0f} s" in TEXT.replace("\n  ", " ")
    assert f"the engine has {GRACE.total_seconds():.0f} s to begin" in TEXT
