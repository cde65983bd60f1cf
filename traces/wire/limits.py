"""The limits of one span, under the name the edges use."""

from traces.canonical.limits import DEFAULT_LIMITS, Limits

__all__ = ["DEFAULT_LIMITS", "Limits"]
