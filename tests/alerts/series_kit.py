"""What tests of series share: traffic, windows, definitions."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from alerts.monitors.types import Definition, Scope, Window
from alerts.read.series import Asked, read_many, read_windows
from alerts.series.catalogue import METRICS
from alerts.series.grid import windows_between


def define(metric, *, scope=None, text="", **params):
    values = tuple(sorted((name, each if isinstance(each, tuple) else (each,)) for name, each in (scope or {}).items()))
    return Definition(metric, metric, params=params, scope=Scope(values, text))


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
