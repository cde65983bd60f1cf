"""An application tells of changes in the background: each worker that starts tells of the same deploy once."""

from __future__ import annotations

from datetime import UTC, datetime

import telltale_sdk as telltale


def test_each_worker_that_starts_tells_of_one_deploy(sdk, receiver):
    send = sdk(service="shop-api", environment="production")

    assert telltale.change("deploy", "1.8.2", url="https://ci.example.com/17") is True
    assert telltale.change("deploy", "1.8.2", url="https://ci.example.com/17") is True
    telltale.change("deploy", "1.8.3")
    send()

    first, again, other = receiver.signals
    assert first == again == {
        "kind": "deploy", "version": "1.8.2", "service": "shop-api", "environment": "production",
        "url": "https://ci.example.com/17", "client_id": first["client_id"],
    }  # fmt: skip
    assert other["client_id"] != first["client_id"]
    assert {path for path, _ in receiver.requests} == {"/api/v1/changes"}
    stats = telltale.stats()
    assert (stats.changes_given, stats.changes_sent, stats.signals_given) == (3, 3, 0)


def test_all_that_a_change_can_tell_masked_as_everything_else(sdk, receiver):
    send = sdk(service="shop-api", mask=lambda text: text.replace("Kim", "[name]"))

    telltale.change(
        "prompt", 14, name="support-answer", previous="13", service="", feature="support", environment="staging",
        author="ci", note="Kim asked for it", details={"by": "Kim"}, at=datetime(2026, 11, 19, 10, 41, tzinfo=UTC),
        ended_at=datetime(2026, 11, 19, 10, 42, tzinfo=UTC), client_id="p-14",
    )  # fmt: skip
    send()

    assert receiver.signals == [{
        "kind": "prompt", "version": "14", "name": "support-answer", "previous": "13", "feature": "support",
        "environment": "staging", "author": "ci", "note": "[name] asked for it", "details": {"by": "[name]"},
        "at": "2026-11-19T10:41:00+00:00", "ended_at": "2026-11-19T10:42:00+00:00", "client_id": "p-14",
    }]  # fmt: skip


def test_a_change_of_nothing_is_not_sent_and_nothing_raises(sdk, receiver):
    assert telltale.change("deploy", "1") is False  # no init()
    send = sdk()

    assert telltale.change("note") is False
    send()

    assert receiver.requests == []
