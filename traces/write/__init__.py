"""The only code that changes this room's rows."""

from traces.write.logs import store_logs
from traces.write.metrics import store_metrics
from traces.write.parts import store_request
from traces.write.spans import Rules, store_spans

__all__ = ["Rules", "store_logs", "store_metrics", "store_request", "store_spans"]
