"""Any metric of the product as a series: what each window of it holds, for charts, back-tests and previews.

    readings = read_windows(project.pk, project.time_zone, METRICS["errors"], definition, windows)

The number of queries does not depend on the number of windows; `read_many` reads many series of a project in few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from alerts.monitors.types import Definition, Metric, Reading, Window
from alerts.read.filtering import check_filter as check_filter
from alerts.read.series_about import check_params as check_params
from alerts.read.series_about import history_start as history_start
from alerts.read.series_about import made_by as made_by
from alerts.read.series_about import makers as makers
from alerts.read.series_about import metric_for as metric_for
from alerts.read.series_about import metrics_for as metrics_for
from alerts.read.series_about import param_choices as param_choices
from alerts.read.series_about import values_of as values_of
from alerts.read.series_hosts import OF_HOSTS, OF_INGEST, read_host_lines, read_ingest
from alerts.read.series_rollups import read_rollups, read_silence
from alerts.read.series_scores import OF_SCORES, read_coverage, read_scores, read_unparsable
from alerts.read.series_scores import CorrectedPoint as CorrectedPoint
from alerts.read.series_scores import read_corrected as read_corrected
from alerts.read.series_traces import OF_COSTS, OF_TIMES, OF_TRACES, read_costs, read_trace_times, read_traces
from alerts.read.series_units import OF_OUTCOMES, OF_UNITS, read_outcomes, read_session_costs, read_units
from alerts.read.series_vectors import read_samples, read_vectors
from alerts.series.asked import Asked as Asked
from alerts.series.asked import SeriesFault as SeriesFault
from alerts.series.links import behind as behind
from alerts.series.links import traces_behind as traces_behind
from alerts.series.params import parse_params
from alerts.series.recipes import RECIPES
from telltale.lib.faults import ItemRefused

Answers = list[list[Reading] | SeriesFault]
Reader = Callable[[int, str, Sequence[Asked], Sequence[Window]], Answers]

# More windows a call are read in parts of so many.
WINDOWS_A_QUERY = 2_000
_READERS: Mapping[str, Reader] = {
    **dict.fromkeys(RECIPES, read_rollups),
    "silence": read_silence,
    **dict.fromkeys(OF_COSTS, read_costs),
    **dict.fromkeys(OF_SCORES, read_scores),
    "unparsable": read_unparsable,
    "coverage": read_coverage,
    **dict.fromkeys(OF_UNITS, read_units),
    **dict.fromkeys(OF_OUTCOMES, read_outcomes),
    "cost_per_session": read_session_costs,
    **dict.fromkeys(OF_INGEST, read_ingest),
    **dict.fromkeys(OF_HOSTS, read_host_lines),
    "embeddings": read_vectors,
    "inputs_and_outputs": read_samples,
}
# Under a filter single traces are looked at.
_FILTERED: Mapping[str, Reader] = {
    **dict.fromkeys(OF_TRACES, read_traces),
    **dict.fromkeys(OF_TIMES, read_trace_times),
    **dict.fromkeys(OF_COSTS, read_costs),
    **dict.fromkeys(OF_SCORES, read_scores),
}


def read_windows(
    project_id: int, time_zone: str, metric: Metric, definition: Definition, windows: Sequence[Window]
) -> list[Reading]:
    """A reading for each of the windows, which must not overlap, in their order. Raises SeriesFault."""
    answer = read_many(project_id, time_zone, [Asked(metric, definition)], windows)[0]
    if isinstance(answer, SeriesFault):
        raise answer
    return answer


def read_many(project_id: int, time_zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """As `read_windows`, of many series over the same windows; one that cannot be read spoils no other."""
    if not windows:
        return [[] for _ in asked]
    answers: Answers = [SeriesFault("nothing reads this metric") for _ in asked]
    groups: dict[Reader, list[int]] = defaultdict(list)
    for at, each in enumerate(asked):
        fault = _fault(each)
        reader = _reader(each)
        if fault is not None or reader is None:
            answers[at] = fault or answers[at]
        else:
            groups[reader].append(at)
    for reader, members in groups.items():
        found = _read(reader, project_id, time_zone, [asked[at] for at in members], windows)
        for at, answer in zip(members, found, strict=True):
            answers[at] = answer
    return answers


def _read(
    reader: Reader, project_id: int, time_zone: str, asked: Sequence[Asked], windows: Sequence[Window]
) -> Answers:
    whole: Answers = [[] for _ in asked]
    for first in range(0, len(windows), WINDOWS_A_QUERY):
        part = reader(project_id, time_zone, asked, windows[first : first + WINDOWS_A_QUERY])
        for at, answer in enumerate(part):
            held = whole[at]
            if isinstance(held, SeriesFault):
                continue
            whole[at] = answer if isinstance(answer, SeriesFault) else [*held, *answer]
    return whole


def _reader(asked: Asked) -> Reader | None:
    readers = _FILTERED if asked.definition.scope.filter else _READERS
    return readers.get(asked.metric.key)


def _fault(asked: Asked) -> SeriesFault | None:
    """Why a series cannot be what its definition says; None where it can."""
    metric, definition = asked.metric, asked.definition
    missing = [name for name in metric.needs if definition.params.get(name) in (None, "", [])]
    if missing:
        return SeriesFault(f"{metric.title} needs {', '.join(missing)}")
    try:
        parse_params(metric, definition.params)
    except ItemRefused as refused:
        return SeriesFault(f"{metric.title}: {refused}")
    if definition.window < metric.shortest:
        return SeriesFault(f"{metric.title} has windows of {metric.shortest.total_seconds() / 60:g} minutes or more")
    wrong = [name for name, _ in definition.scope.values if name not in metric.scopes]
    if wrong:
        return SeriesFault(f"{metric.title} cannot be narrowed by {', '.join(wrong)}")
    if definition.scope.filter and not metric.has_filter:
        return SeriesFault(f"{metric.title} cannot be narrowed by a filter")
    return None
