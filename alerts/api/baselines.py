"""REST: the frozen references of a chart, and the acts that change them."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import baselining
from alerts.api import monitor_json
from alerts.api import monitor_shapes as said
from alerts.api.monitors import MONITOR
from alerts.api.views import MonitorView, told
from alerts.read.baselines import BaselineRow, get_baseline, list_baselines
from alerts.read.monitors import MonitorRow
from telltale.rest import form, paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import not_found

BASELINE = OpenApiParameter("baseline", OpenApiTypes.STR, OpenApiParameter.PATH, description="The baseline's id.")


class BaselinesView(MonitorView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("limit", "cursor")}

    @shapes.describe(
        "The baselines of a monitor",
        said.MonitorBaselinePage,
        tag="Monitors",
        path=(MONITOR,),
        detail="Newest first, those of its earlier charts too; none is ever deleted.",
        query=(shapes.LIMIT, shapes.CURSOR),
    )
    def get(self, request: Request, monitor: str) -> Response:
        held, query = self.monitor(monitor), request.query_params
        before, limit = paging.read_cursor(params.text(query, "cursor"), int), params.page_size(query)
        rows = list_baselines(self.project.pk, held.id, before=before[0] if before else None, limit=limit + 1)
        following = paging.write_cursor(rows[limit - 1].id) if len(rows) > limit else None
        return Response(paging.page(request, [monitor_json.baseline(row) for row in rows[:limit]], following, None))

    @shapes.describe(
        "Begin a new baseline",
        said.RebaselineShape,
        tag="Monitors",
        path=(MONITOR,),
        body=said.RebaselineBody,
        detail="From where the present level began, or from `start`, which never lies before it. With enough there, "
        "the new baseline judges the next window; else the chart learns on. An open alarm is closed as accepted; the "
        "old baseline is kept.",
    )
    def post(self, request: Request, monitor: str) -> Response:
        held = self.monitor(monitor, with_archived=False)
        body = checked(said.RebaselineBody, request)
        with told():
            anew = baselining.rebaseline(
                self.project, held.id, start=body.get("start"), end=body.get("end"), reason=body["reason"],
                user=self.person, request=self.http, actor=self.actor,
            )  # fmt: skip
        return Response(
            {"baseline": anew.baseline_id, "learns_from": form.moment(anew.learns_from), "words": anew.words}
        )


class _Act(MonitorView):
    def held(self, monitor: MonitorRow, raw: str) -> BaselineRow:
        """The baseline that an address names; 404 where the monitor has none of this id."""
        found = get_baseline(self.project.pk, params.row_id(raw))
        if found is None or found.monitor_id != monitor.id:
            raise not_found()
        return found


class ApproveView(_Act):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Approve a baseline",
        said.MonitorBaselineShape,
        tag="Monitors",
        path=(MONITOR, BASELINE),
        detail="One in force is approved; a proposed one comes into force with the next window.",
    )
    def post(self, request: Request, monitor: str, baseline: str) -> Response:
        row = self.monitor(monitor, with_archived=False)
        held = self.held(row, baseline)
        with told():
            baselining.approve(self.project, held.id, self.person, request=self.http, actor=self.actor)
        return Response(monitor_json.baseline(self.held(row, baseline)))


class RefuseView(_Act):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Refuse a proposed baseline",
        said.MonitorBaselineShape,
        tag="Monitors",
        path=(MONITOR, BASELINE),
        detail="The one in force goes on; the refused one is kept.",
    )
    def post(self, request: Request, monitor: str, baseline: str) -> Response:
        row = self.monitor(monitor, with_archived=False)
        held = self.held(row, baseline)
        with told():
            baselining.refuse(self.project, held.id, request=self.http, actor=self.actor)
        return Response(monitor_json.baseline(self.held(row, baseline)))
