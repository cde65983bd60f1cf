"""A back-test through REST says what the live engine did on the same data, for every kind of monitor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
import time_machine

from alerts import budgeting, watching
from tests.alerts import history_kit
from tests.traces.conftest import shop  # noqa: F401

FIXED = {"method": "fixed"}
# With the composite 22 kinds: every kind of series and every method, with what else can decide a window.
KINDS = {
    "share chart": {"metric": "errors"},
    "share of calls": {"metric": "call_errors", "scope": {"model": ["gpt-4o"]}},
    "share sums": {"metric": "errors", "method": "cusum"},
    "share fixed": {"metric": "errors", **FIXED, "threshold": {"limit": 0.05, "release": 0.03, "after": 2}},
    "share objective": {
        "metric": "errors",
        "method": "objective",
        "objective": {"allowed": 0.01},
        "window_minutes": 60,
    },
    "rare share": {"metric": "unpriced", "scope": {"model": ["gpt-4o"]}},
    "reason": {"metric": "finish_reason", "params": {"finish_reason": ["refusal"]}, "direction": "both"},
    "slow calls": {"metric": "slow_calls", "params": {"limit_ms": 1_500}},
    "duration": {"metric": "request_duration"},
    "duration fixed": {
        "metric": "request_duration",
        **FIXED,
        "params": {"quantile": 0.95},
        "threshold": {"limit": 2_000},
    },
    "duration sums": {"metric": "duration", "method": "cusum"},
    "token speed": {"metric": "token_speed"},
    "count": {"metric": "requests", "no_data_minutes": 180},
    "count points": {"metric": "calls", "method": "shewhart", "direction": "down"},
    "count fixed": {"metric": "requests", **FIXED, "threshold": {"limit": 40, "side": "under"}},
    "spend": {"metric": "spend", "floor": 0.0001},
    "level": {"metric": "input_length", "direction": "both"},
    "cache": {"metric": "cache_share", "window_minutes": 120},
    "utilisation": {"metric": "utilisation", "params": {"capacity": 10}, **FIXED, "threshold": {"limit": 0.8}},
    "categories": {"metric": "finish_reasons"},
    "silence": {"metric": "silence", "window_minutes": 60, **FIXED, "threshold": {"limit": 7_200}},
}


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(history_kit.NOW, tick=False):
        yield


@pytest.fixture
def client(shop, settings):  # noqa: F811
    now = datetime.now(UTC)
    end = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    worse_at = end - timedelta(hours=30)
    history_kit.fill(
        shop.project, end, days=10, worse_at=worse_at, silent=(end - timedelta(hours=60), end - timedelta(hours=55))
    )
    return asking(shop)


def asking(shop):  # noqa: F811
    headers = shop.key("read write")

    def ask(method, path, body=None):
        answer = getattr(shop.nobody, method)(
            f"/api/v1/{path}",
            orjson.dumps(body or {}) if method != "get" else None,
            **({"content_type": "application/json"} if method != "get" else {}),
            headers=headers,
        )
        return answer.status_code, answer.json() if answer.content else None

    return ask


def run_engine():
    while watching.evaluate_due(seconds=60).windows:
        pass


def alarms_of(client, monitor):
    _, page = client("get", f"monitors/{monitor}/alarms?limit=500")
    return [(each["window_start"], each["direction"], each["rule"]) for each in reversed(page["items"])]


def test_a_back_test_counts_what_the_live_engine_found(client):
    made = {}
    for name, told in KINDS.items():
        status, monitor = client("post", "monitors", {"name": name, "window_minutes": 60, **told})
        assert status == 201, (name, monitor)
        made[name] = monitor["id"]
    members = [made["share chart"], made["duration"], made["slow calls"]]
    composite = {"name": "together", "method": "composite", "composite": {"members": members, "least": 2}}
    run_engine()
    status, monitor = client("post", "monitors", composite)
    assert status == 201, monitor
    made["together"] = monitor["id"]

    run_engine()

    fired = {}
    for name, monitor in made.items():
        status, found = client("get", f"monitors/{monitor}/backtest")
        assert status == 200, (name, found)
        _, held = client("get", f"monitors/{monitor}")
        replayed = [(each["window_start"], each["direction"], each["rule"]) for each in found["alarms"]]
        assert replayed == alarms_of(client, monitor), name
        assert found["count"] == len(replayed)
        assert (found["standing"], found["standing_words"]) == (held["standing"], held["standing_words"]), name
        fired[name] = found["count"]
    assert len(fired) >= 20
    # Not a comparison of silences: most kinds saw the change, and some did not.
    assert 10 <= sum(1 for count in fired.values() if count) < len(fired)


def test_a_back_test_of_a_stored_monitor_knows_what_people_did_to_it(shop):  # noqa: F811
    now = history_kit.NOW
    history_kit.fill(shop.project, now + timedelta(hours=30), days=11, worse_at=now - timedelta(hours=12))
    ask = asking(shop)
    _, made = ask("post", "monitors", {"name": "Errors", "metric": "errors", "window_minutes": 60})
    run_engine()
    first = alarms_of(ask, made["id"])
    assert len(first) == 1

    # Others come, the budget changes, limits are made anew, the alarm is closed and found again, a new level accepted.
    ask("post", "monitors", {"name": "Other", "metric": "call_errors", "window_minutes": 60})
    ask("put", "monitors/budget", {"pages_a_week": 0.1})
    assert budgeting.remake_limits() == 1
    _, page = ask("get", f"monitors/{made['id']}/alarms")
    ask("patch", f"alarms/{page['items'][0]['id']}", {"state": "closed", "verdict": "real"})
    with time_machine.travel(now + timedelta(hours=14), tick=False):
        run_engine()
        second = alarms_of(ask, made["id"])
        assert len(second) == 2
        _, found = ask("get", f"monitors/{made['id']}/backtest")
        assert [(each["window_start"], each["direction"], each["rule"]) for each in found["alarms"]] == second
        status, anew = ask("post", f"monitors/{made['id']}/baselines", {"reason": "it stays like this"})
        assert status == 200, anew
    with time_machine.travel(now + timedelta(hours=29), tick=False):
        run_engine()
        _, found = ask("get", f"monitors/{made['id']}/backtest")
        _, held = ask("get", f"monitors/{made['id']}")
        assert found["count"] == len(alarms_of(ask, made["id"]))
        assert found["standing"] == held["standing"]
