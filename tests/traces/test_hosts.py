"""Host metrics: kept by 5 minutes and by hour as their points are stored, and told as one line a host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from traces.hosts import Reading, host_lines
from traces.read.hosts import read_hosts
from traces.write import metrics, partitions

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)


@pytest.fixture
def send(shop):
    """Send gauges or sums: (name, attributes, minute, value), each from host `web-1`."""
    partitions.forget()
    metrics.forget()

    def post(*points, kind="gauge", host="web-1"):
        body = {"resourceMetrics": [{
            "resource": {"attributes": [{"key": "host.name", "value": {"stringValue": host}}]},
            "scopeMetrics": [{"metrics": [
                {"name": name, kind: {"aggregationTemporality": 2, "dataPoints": [{
                    "timeUnixNano": str(int((NOW + timedelta(minutes=minute)).timestamp()) * 10**9),
                    "asDouble": value,
                    "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()],
                }]}} for name, attributes, minute, value in points
            ]}],
        }]}  # fmt: skip
        answer = shop.nobody.post("/v1/metrics", body, "application/json", headers=shop.key("ingest"))
        assert answer.status_code == 200, answer.content

    return post


def read(shop, hours=2):
    return read_hosts(shop.project.pk, NOW, NOW + timedelta(hours=hours)).lines


def test_cpu_busy_is_what_is_not_idle_averaged_over_cpus(send, shop):
    send(*(
        ("system.cpu.utilization", {"cpu": cpu, "state": state}, 1, share)
        for cpu, state, share in (
            ("0", "user", 0.5), ("0", "idle", 0.5), ("1", "user", 0.1), ("1", "system", 0.2), ("1", "idle", 0.7)
        )
    ))  # fmt: skip
    (line,) = read(shop)
    assert (line.measure.key, line.host, line.source) == ("cpu", "web-1", "system.cpu.utilization")
    assert [point.value for point in line.points] == pytest.approx([0.4])


def test_ever_growing_cpu_time_is_told_by_what_was_added_and_survives_a_restart(send, shop):
    send(
        ("system.cpu.time", {"state": "user"}, 0, 1000.0), ("system.cpu.time", {"state": "idle"}, 0, 5000.0),
        ("system.cpu.time", {"state": "user"}, 5, 1060.0), ("system.cpu.time", {"state": "idle"}, 5, 5240.0),
        ("system.cpu.time", {"state": "user"}, 10, 150.0), ("system.cpu.time", {"state": "idle"}, 10, 50.0),
        kind="sum",
    )  # fmt: skip
    (line,) = read(shop)
    assert [point.value for point in line.points] == pytest.approx([0.2, 0.75])
    assert [point.bucket for point in line.points] == [NOW + timedelta(minutes=m) for m in (5, 10)]


def test_memory_is_the_used_part_of_all_bytes(send, shop):
    send(
        ("system.memory.usage", {"state": "used"}, 1, 6e9),
        ("system.memory.usage", {"state": "free"}, 1, 1e9),
        ("system.memory.usage", {"state": "cached"}, 1, 1e9),
        kind="sum",
    )
    (line,) = read(shop)
    assert (line.measure.key, [point.value for point in line.points]) == ("memory", pytest.approx([0.75]))


def test_each_gpu_is_a_line_and_the_better_metric_is_taken(send, shop):
    send(
        ("DCGM_FI_DEV_GPU_UTIL", {"gpu": "0"}, 1, 90.0),
        ("DCGM_FI_PROF_SM_ACTIVE", {"gpu": "0"}, 1, 0.62),
        ("DCGM_FI_DEV_GPU_UTIL", {"gpu": "1"}, 1, 35.0),
    )
    lines = [(line.host, line.source, line.mean) for line in read(shop)]
    assert lines == [
        ("web-1, GPU 0", "DCGM_FI_PROF_SM_ACTIVE", pytest.approx(0.62)),
        ("web-1, GPU 1", "DCGM_FI_DEV_GPU_UTIL", pytest.approx(0.35)),
    ]


def test_points_sent_twice_count_once_and_late_ones_revise_their_bucket(send, shop):
    point = ("gpu.utilization", {"gpu": "0"}, 3, 0.9)
    send(point)
    send(point)
    send(("gpu.utilization", {"gpu": "0"}, 1, 0.3))
    with connection.cursor() as cursor:
        cursor.execute("SELECT grain, n, total, low, high, last_value FROM traces_metric_rollup ORDER BY grain")
        rows = cursor.fetchall()
    assert [row[:2] for row in rows] == [(5, 2), (60, 2)]
    assert all(row[2:] == pytest.approx((1.2, 0.3, 0.9, 0.9)) for row in rows)


def test_long_windows_read_hours(send, shop):
    send(*(("gpu.utilization", {"gpu": "0"}, minute, 0.5) for minute in (0, 20, 40, 60)))
    hosts = read_hosts(shop.project.pk, NOW - timedelta(days=7), NOW + timedelta(hours=2))
    assert hosts.step == timedelta(hours=1)
    assert [len(line.points) for line in hosts.lines] == [2]


def test_the_largest_doubles_are_stored_and_wedge_nothing(send, shop):
    send(("gpu.utilization", {"gpu": "0"}, 1, 1.7e308))
    send(("gpu.utilization", {"gpu": "0"}, 2, 1.7e308))
    (line,) = read(shop)
    assert line.points[0].value > 1e289


def test_states_alone_tell_no_share():
    assert host_lines([Reading("system.memory.usage", {"state": "used", "host.name": "a"}, NOW, 5.0, None)]) == []
    assert host_lines([Reading("system.cpu.time", {"state": "user"}, NOW, 5.0, None)]) == []


def test_nobody_elses_hosts_are_shown(send, shop):
    send(("gpu.utilization", {"gpu": "0"}, 1, 0.5))
    assert read_hosts(shop.project.pk + 1, NOW, NOW + timedelta(hours=1)).lines == ()
