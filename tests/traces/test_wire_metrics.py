"""Metric points: five kinds, an allow-list, and everything else counted by reason."""

import json

import orjson
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from traces.wire.otlp import read_metrics

NOW = 1_795_237_700_000_000_000


def pair(key, value):
    return KeyValue(key=key, value=AnyValue(string_value=value))


def make_request(service="shop"):
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend([pair("service.name", service), pair("process.pid", "1")])
    return request, group.scope_metrics.add().metrics


def every_kind():
    request, metrics = make_request()
    metrics.add(name="hw.gpu.utilization", unit="1").gauge.data_points.add(
        time_unix_nano=NOW, as_double=0.5, attributes=[pair("gpu", "0")]
    )
    total = metrics.add(name="vllm:request_success_total", unit="1").sum
    total.aggregation_temporality, total.is_monotonic = 2, True
    total.data_points.add(time_unix_nano=NOW, as_int=7)
    histogram = metrics.add(name="gen_ai.client.operation.duration", unit="s").histogram
    histogram.aggregation_temporality = 1
    histogram.data_points.add(
        time_unix_nano=NOW, count=3, sum=1.5, min=0.1, max=1.0, explicit_bounds=[0.5, 1.0], bucket_counts=[1, 2, 0]
    )
    exponential = metrics.add(name="gen_ai.client.token.usage", unit="{token}").exponential_histogram
    exponential.aggregation_temporality = 2
    point = exponential.data_points.add(time_unix_nano=NOW, count=2, sum=30.0, scale=3, zero_count=1)
    point.positive.offset = 4
    point.positive.bucket_counts.extend([0, 1])
    summary = metrics.add(name="system.cpu.load", unit="1").summary
    summary.data_points.add(time_unix_nano=NOW, count=4, sum=2.0).quantile_values.add(quantile=0.5, value=0.4)
    return request


def read(request, as_json=False):
    body = request.SerializeToString()
    if as_json:
        body = json_format.MessageToJson(request).encode()
    intake = read_metrics(body, as_json, received_at_ns=NOW)
    assert intake.received == len(intake.points) + sum(intake.dropped.values()) + sum(
        r.count for r in intake.rejections
    )
    return intake


@pytest.mark.parametrize("as_json", [False, True])
def test_every_kind_of_point_is_read(as_json):
    gauge, total, histogram, exponential, summary = read(every_kind(), as_json).points

    assert (gauge.kind, gauge.name, gauge.unit, gauge.value, gauge.at_us) == (
        "gauge",
        "hw.gpu.utilization",
        "1",
        0.5,
        NOW // 1000,
    )
    assert gauge.attributes == {"gpu": "0", "service.name": "shop"}
    assert (total.kind, total.value) == ("sum", 7.0)
    assert (histogram.count, histogram.total, histogram.low, histogram.high) == (3, 1.5, 0.1, 1.0)
    assert histogram.buckets == {"bounds": [0.5, 1.0], "counts": [1, 2, 0]}
    assert histogram.attributes["otel.temporality"] == "delta"
    assert exponential.kind == "exponential_histogram"
    assert exponential.buckets["positive"] == {"offset": 4, "counts": [0, 1]}
    assert (exponential.buckets["scale"], exponential.buckets["zero_count"]) == (3, 1)
    assert (summary.kind, summary.count, summary.buckets) == ("summary", 4, {"quantiles": [[0.5, 0.4]]})


def test_protobuf_and_json_lead_to_the_same_series():
    assert [point.series_key for point in read(every_kind()).points] == [
        point.series_key for point in read(every_kind(), as_json=True).points
    ]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("gen_ai.client.operation.duration", True), ("system.memory.usage", True), ("process.cpu.time", True),
        ("DCGM_FI_DEV_GPU_UTIL", True), ("gpu.memory", True), ("tgi_request_count", True), ("vllm:num_requests", True),
        ("http.client.duration", False), ("llm.openai.embeddings.vector_size", False), ("my.gen_ai.thing", False), ("", False),  # noqa: E501
    ],
)  # fmt: skip
def test_only_allow_listed_names_are_kept(name, kept):
    request, metrics = make_request()
    metric = metrics.add(name=name)
    metric.gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    metric.gauge.data_points.add(time_unix_nano=NOW, as_int=2)

    intake = read(request)

    assert len(intake.points) == (2 if kept else 0)
    assert intake.dropped == ({} if kept else {"not_an_allowed_metric": 2})


def test_a_series_is_told_apart_by_name_unit_attributes_and_resource():
    def key(service="shop", name="gpu.load", unit="1", **attributes):
        request, metrics = make_request(service)
        points = metrics.add(name=name, unit=unit).gauge.data_points
        points.add(time_unix_nano=NOW, as_int=1, attributes=[pair(*item) for item in attributes.items()])
        return read(request).points[0].series_key

    keys = {key(), key("other"), key(name="gpu.heat"), key(unit="2"), key(gpu="0"), key(gpu="1")}
    assert len(keys) == 6
    assert key(a="1", b="2") == key(b="2", a="1")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_no_numbers_are_dropped_and_counted(value):
    request, metrics = make_request()
    metrics.add(name="gpu.load").gauge.data_points.add(time_unix_nano=NOW, as_double=value)

    assert read(request).dropped == {"no_recorded_value": 1}


def test_a_point_without_a_recorded_value_is_dropped_and_counted():
    request, metrics = make_request()
    metrics.add(name="gpu.load").gauge.data_points.add(time_unix_nano=NOW, as_int=1, flags=1)

    assert read(request).dropped == {"no_recorded_value": 1}


def test_a_histogram_with_too_many_buckets_is_refused_alone():
    request, metrics = make_request()
    points = metrics.add(name="gpu.load").histogram.data_points
    points.add(time_unix_nano=NOW, count=1, bucket_counts=[0] * 5000)
    points.add(time_unix_nano=NOW, count=1, bucket_counts=[1, 0])

    intake = read(request)

    assert len(intake.points) == 1
    assert "1024 buckets" in intake.rejections[0].message


def test_bad_utf8_costs_no_neighbour():
    request, metrics = make_request()
    metrics.add(name="gpu.one", unit="??").gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    metrics.add(name="gpu.two").gauge.data_points.add(time_unix_nano=0, as_int=2)

    intake = read_metrics(request.SerializeToString().replace(b"??", b"\xff\xff"), False, received_at_ns=NOW)

    assert [point.name for point in intake.points] == ["gpu.one", "gpu.two"]
    assert intake.points[1].at_us == NOW // 1000


def test_hostile_json_points_cost_themselves():
    points = [
        7,
        {"asInt": "x", "timeUnixNano": "1"},
        {"asDouble": 1e999},
        {"asInt": "5", "attributes": 7, "timeUnixNano": "9000"},
    ]
    body = json.dumps(
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "gpu.x", "gauge": {"dataPoints": points}}]}]}]}
    )

    intake = read_metrics(body.encode(), True, received_at_ns=NOW)

    assert intake.received == 4
    assert [(point.value, point.at_us) for point in intake.points] == [(5.0, 9)]
    assert intake.dropped == {"no_recorded_value": 2}
    assert orjson.dumps(intake.points[0].attributes) == b"{}"
