"""What tests of series share: traffic, windows, definitions."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from alerts.monitors.types import Definition, Scope, Window
from alerts.read.series import Asked, read_many, read_windows
from alerts.series.catalogue import CALLS, DRAWN, FEATURE, METRICS, REQUESTS, SCORES
from alerts.series.grid import windows_between

# What docs/series.md calls the sets of dimensions.
SCOPES = {REQUESTS: "request", CALLS: "call", SCORES: "score", DRAWN: "drawn", FEATURE: "feature", (): "none"}


def define(metric, *, scope=None, text="", window=60, **params):
    values = tuple(sorted((name, each if isinstance(each, tuple) else (each,)) for name, each in (scope or {}).items()))
    return Definition(metric, metric, params=params, scope=Scope(values, text), window=timedelta(minutes=window))


def read(project, metric, windows, **asked):
    return read_windows(project.pk, project.time_zone, METRICS[metric], define(metric, **asked), windows)


def read_all(project, definitions, windows):
    asked = [Asked(METRICS[each.metric], each) for each in definitions]
    return read_many(project.pk, project.time_zone, asked, windows)


def windows(project, size, start, end):
    return list(windows_between(project.time_zone, timedelta(minutes=size), start, end))


def whole(start, end):
    return Window(start, end)


def rows(query, *params):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def row_of(metric):
    """The row of docs/series.md for a metric."""
    params = ", ".join([*(f"`{name}`" for name in metric.needs), *(f"`{name}`?" for name in metric.may)])
    scopes = SCOPES[metric.scopes]
    if metric.has_filter:
        scopes += "; filter"
    minutes = int(metric.window.total_seconds() // 60)
    window = f"{minutes} min" if minutes < 60 else "1 h" if minutes == 60 else "1 day"
    cells = (f"`{metric.key}`", metric.title, metric.kind.value, metric.unit, window, params, scopes, metric.told)
    return f"| {' | '.join(cells)} |"


def param_row(param):
    """The row of docs/series.md for a param."""
    told = param.told
    if param.low is not None:
        told += f" {param.low:g} to {param.high:g}."
    if param.choices:
        told += f" One of {', '.join(f'`{value}`' for value, _ in param.choices)}."
    if param.default is not None:
        told += f" `{param.default}` unless told."
    return f"| `{param.name}` | {param.title}. {told} |"
