"""Reference metrics for items with an expected answer. Pure: values in, numbers out."""

from evals.metrics.registry import METRICS, Metric, Whole, measure, wholes

__all__ = ["METRICS", "Metric", "Whole", "measure", "wholes"]
