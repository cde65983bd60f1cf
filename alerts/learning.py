"""Learn: failing cases of an incident into a dataset, and the experiment that ran over them.

What failed once is asked again before every change. Cases keep the chance they had to be dealt, so the dataset's pass
share is one of failing cases, never of traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.http import Http404, HttpRequest

from alerts.closing import began_of
from alerts.incidents.types import NotThere, WrongState, ref_of
from alerts.models import Incident, IncidentCase
from alerts.moving import holding, noted
from alerts.read.cases import list_cases, tried_of
from alerts.read.flagged import SeriesFault, TooSlow, flagged_rows, flagging_of
from alerts.read.incidents import IncidentRow, get_incident
from alerts.read.triage import FLAGGED, REAL, Deal, get_deal
from alerts.write.incidents import put
from evals.keeping import By, DatasetRefused, NewItem, make_dataset, put_items
from evals.keeping.sources import items_of_traces
from evals.read.datasets import get_dataset
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.read.contents import read_rows

CASES_MOST = 200
# Of flagged responses that nobody was dealt, so many are offered on request.
MORE_MOST = 40
ANSWER_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A response that may be a failing case. `why`: real (a person said so) or flagged (the monitor did, nobody else).

    `who` called it real; `question` and `answer` are previews, "" where none is stored; `is_gone`: its trace is not
    stored any more. `datasets`: slugs of those that hold it for this incident.
    """

    trace_id: UUID
    span_id: int | None
    why: str
    who: str
    pi: float | None
    question: str
    answer: str
    feature: str
    is_gone: bool
    datasets: tuple[str, ...]

    @property
    def ref(self) -> str:
        """Its name in forms and REST: the trace's id, with the call's after a colon."""
        return ref_of_case(self.trace_id, self.span_id)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of cases: new ones, those that were there, those whose trace says nothing any more."""

    dataset_slug: str
    dataset_name: str
    version: int
    added: int
    known: int
    gone: int


def ref_of_case(trace_id: UUID, span_id: int | None) -> str:
    """ "<32 hex digits>" or "<32 hex digits>:<16 hex digits>"."""
    return trace_id.hex if not span_id else f"{trace_id.hex}:{span_id & (2**64 - 1):016x}"


def read_ref(text: str, field: str = "cases") -> tuple[UUID, int | None]:
    """The trace, and the call, that a ref names. ItemRefused."""
    trace, _, span = str(text).partition(":")
    try:
        if len(trace) != 32 or (span and len(span) != 16):
            raise ValueError
        number = int(span, 16) if span else 0
        return UUID(hex=trace), (number - 2**64 if number >= 2**63 else number) or None
    except ValueError:
        limit = "32 hex digits of a trace, and : with 16 of a call where it is one"
        raise ItemRefused(Fault(field, "names no trace", limit, str(text)[:80])) from None


def candidates(project_id: int, row: IncidentRow, *, with_more: bool = False) -> list[Candidate]:
    """Responses that may be failing cases: those people called real first, then flagged ones nobody decided.

    None of those that were dealt before the deal is over: a trace says when it was, and so what it is. `with_more` adds
    flagged ones that were not dealt; it looks at the traffic of the incident. A constant number of queries.
    """
    found = get_deal(row.id, row.round, clock.now())
    told: list[tuple[UUID, int | None, str, str, float | None]] = []
    if found is not None and found.is_open:
        told += [(each.trace_id, each.span_id, REAL, each.who, each.pi) for each in found.items if each.verdict == REAL]
        told += [
            (each.trace_id, each.span_id, FLAGGED, "", each.pi)
            for each in found.items
            if each.origin == FLAGGED and not each.verdict
        ]
    if with_more and (found is None or found.is_open):
        told += _more(project_id, row, found)
    kept: dict[tuple[UUID, int | None], list[str]] = {}
    for case in list_cases(project_id, row.id):
        if case.is_kept:
            kept.setdefault((case.trace_id, case.span_id), []).append(case.dataset_slug)
    known = {(trace_id, span_id) for trace_id, span_id, *_ in told}
    told += [(trace_id, span_id, "kept", "", None) for trace_id, span_id in kept if (trace_id, span_id) not in known]
    rows = read_rows(project_id, list({trace_id for trace_id, *_ in told}))
    return [
        Candidate(
            trace_id, span_id, why, who, pi,
            (rows[trace_id].preview_in or "") if trace_id in rows else "",
            (rows[trace_id].preview_out or "") if trace_id in rows else "",
            (rows[trace_id].feature or "") if trace_id in rows else "",
            trace_id not in rows, tuple(sorted(kept.get((trace_id, span_id), ()))),
        )
        for trace_id, span_id, why, who, pi in told
    ]  # fmt: skip


def _more(
    project_id: int, row: IncidentRow, found: Deal | None
) -> list[tuple[UUID, int | None, str, str, float | None]]:
    held = [each.trace_id for each in found.items] if found is not None else []
    try:
        by = flagging_of(project_id, row.id)
        more = flagged_rows(by, by.start, by.end, MORE_MOST, wanted=(True,), without=held, seed=row.id)
    except (TooSlow, SeriesFault):
        return []
    return [(each.trace_id, each.span_id, FLAGGED, "", None) for each in more.rows]


def add_cases(
    project: Project,
    number: int,
    cases: Sequence[tuple[UUID, int | None]],
    *,
    dataset: str = "",
    name: str = "",
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> Added:
    """Put failing cases into a dataset, one that is there (by slug) or a new one of that name; what became of them.

    Those that are in it stay. ItemRefused where nothing can be added, or the dataset refuses; NotThere, WrongState.
    """
    found = get_incident(project.pk, number)
    if found is None:
        raise NotThere
    wanted = list(dict.fromkeys(cases))
    if not 1 <= len(wanted) <= CASES_MOST:
        raise ItemRefused(
            Fault("cases", "are none" if not wanted else "are too many", f"1 to {CASES_MOST}", len(wanted))
        )
    if bool(dataset) == bool(name):
        raise ItemRefused(Fault("dataset", "is needed", "a dataset's slug, or the name of a new one"))
    held = get_dataset(project.pk, dataset[:60]) if dataset else None
    if dataset and held is None:
        raise ItemRefused(Fault("dataset", "is none of this project", "a dataset's slug", dataset[:80]))
    deal = get_deal(found.id, found.round, clock.now())
    items, gone = _items(project.pk, number, wanted, deal)
    if not items:
        raise ItemRefused(Fault("cases", "say nothing any more", "traces that are stored and say what was asked"))
    by = By(user.pk if user is not None else None, actor, request)
    with holding(project, number, with_project=held is None) as incident:
        try:
            kept = held or make_dataset(project, name, f"Failing cases of {ref_of(number)}", by=by)
            changed = put_items(project, kept.slug, items, note=f"failing cases of {ref_of(number)}", by=by)
        except DatasetRefused as refused:
            field = "name" if refused.field in {"name", "slug"} else refused.field
            raise ItemRefused(Fault(field, refused.message, refused.limit, refused.value)) from None
        except Http404:
            raise ItemRefused(Fault("dataset", "was deleted meanwhile", "another dataset", dataset[:80])) from None
        before = IncidentCase.objects.filter(incident=incident, dataset_id=kept.id).count()
        _keep(incident, kept.id, items, user)
        added = IncidentCase.objects.filter(incident=incident, dataset_id=kept.id).count() - before
        if added or incident.dataset_id != kept.id:
            put(incident, dataset_id=kept.id)
            words = f"{added} failing {'case' if added == 1 else 'cases'} in “{kept.name}”"
            noted(
                project, incident, "cases", user=user, actor=actor, request=request,
                facts={"words": words, "dataset": kept.slug, "added": added},
                after={"dataset": kept.slug, "added": added, "version": changed.version},
            )  # fmt: skip
    return Added(kept.slug, kept.name, changed.version, added, len(items) - added, gone)


def _items(
    project_id: int, number: int, wanted: Sequence[tuple[UUID, int | None]], deal: Deal | None
) -> tuple[list[NewItem], int]:
    """The items of cases, and how many traces say nothing any more."""
    targets = [(trace_id, span_id or 0) for trace_id, span_id in wanted]
    made, gone = items_of_traces(project_id, targets, with_answer=True)
    dealt = {(each.trace_id, each.span_id): each for each in deal.items} if deal is not None else {}
    items = []
    for item in made:
        said = dealt.get((item.trace_id, item.span_id)) if item.trace_id is not None else None
        told = {**item.metadata, "incident": ref_of(number)}
        if item.expected:
            # What was answered is what failed: nothing to expect.
            told["failed_answer"] = str(item.expected)[:ANSWER_MAX]
        if said is not None and said.verdict:
            told["verdict"] = said.verdict
        if said is not None and said.note:
            told["note"] = said.note
        items.append(
            replace(
                item,
                expected=None,
                metadata=told,
                origin="incident",
                ref=ref_of(number),
                pi=said.pi if said is not None else None,
            )
        )
    return items, gone


def _keep(incident: Incident, dataset_id: int, items: Sequence[NewItem], user: User | None) -> None:
    now = clock.now()
    IncidentCase.objects.bulk_create(
        [
            IncidentCase(
                incident=incident, dataset_id=dataset_id, item_key=item.key, trace_id=item.trace_id,
                span_id=item.span_id, added_by=user, added_at=now,
            )
            for item in items
            if item.trace_id is not None
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def record_experiment(
    project: Project,
    number: int,
    experiment_id: int,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> bool:
    """Record the experiment that ran over the cases; False where it is recorded. ItemRefused, NotThere, WrongState."""
    with holding(project, number) as incident:
        cases = list_cases(project.pk, incident.pk)
        if not any(case.is_kept for case in cases):
            raise WrongState("Add failing cases to a dataset first: the experiment runs over them.")
        found = tried_of(project.pk, experiment_id, cases, began_of(incident)) if 0 < experiment_id < 2**63 else None
        limit = "an experiment of this project over a dataset with these cases"
        if found is None:
            raise ItemRefused(Fault("experiment", "is none", limit, experiment_id))
        if found.lacking:
            raise ItemRefused(Fault("experiment", f"does not count: {found.lacking}", limit, experiment_id))
        if incident.experiment_id == found.row.id:
            return False
        put(incident, experiment_id=found.row.id)
        words = f"“{found.row.name}” over {found.covers} of the cases"
        noted(
            project, incident, "experiment", user=user, actor=actor, request=request,
            facts={"words": words, "experiment": found.row.id}, after={"experiment": found.row.id},
        )  # fmt: skip
    return True
