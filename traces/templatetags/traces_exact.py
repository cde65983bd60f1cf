"""Counts to the last digit, where the point is that they add up."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def exact(value: int) -> str:
    """`{{ n|exact }}`: 1,234,567, with a real minus."""
    return f"{value:,}".replace("-", "−")
