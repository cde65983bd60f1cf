"""OTLP bodies, protobuf or JSON, as canonical values. Pure: bytes in, values out; nothing here stores or answers."""

from traces.wire.otlp_logs import read_logs
from traces.wire.otlp_metrics import read_metrics
from traces.wire.otlp_traces import read_traces

__all__ = ["read_logs", "read_metrics", "read_traces"]
