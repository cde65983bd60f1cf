"""REST: cost budgets, what is spent of them, and whether an application may go on spending."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import allowing
from alerts.allowances.periods import bounds_at
from alerts.allowances.types import Of
from alerts.api import cost_budget_json as shown
from alerts.api import cost_budget_shapes as said
from alerts.api.views import MonitorView, problem_of
from alerts.read.outlooks import Histories
from alerts.read.spending import BudgetRow, get_budget, list_budgets, list_stands, stands_now
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from telltale.rest import paging, params, shapes
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from traces.read import TooSlow
from traces.read.rollups import reading
from traces.rollup.buckets import calendar_of

BUDGET = OpenApiParameter("budget", OpenApiTypes.STR, OpenApiParameter.PATH, description="The budget's id.")
SUBJECT = OpenApiParameter("subject", OpenApiTypes.STR, description="A feature or user of a budget for each.")
_OUTDATED = {409: "Another version is in force than the one named."}
TOO_SLOW = "The sums took too long to read and were given up; try again in a moment."


class BudgetView(MonitorView):
    """An address of the cost budgets of a project."""

    def budget(self, raw: str) -> BudgetRow:
        """The budget that an address names; 404 where the project has none."""
        found = get_budget(self.project.pk, params.row_id(raw))
        if found is None:
            raise not_found()
        return found

    def json(self, *rows: BudgetRow) -> list[dict[str, Any]]:
        """Budgets with their dearest stands. One query."""
        stands = stands_now(rows, calendar_of(self.project.time_zone), clock.now())
        return [shown.budget(row, stands[row.id]) for row in rows]


class CostBudgetsView(BudgetView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("of", "archived", "limit", "cursor")}

    @shapes.describe(
        "List cost budgets",
        said.CostBudgetPage,
        tag="Cost",
        detail="In the order in which they were made, each with whoever spent most of it in the current period.",
        query=(
            OpenApiParameter("of", OpenApiTypes.STR, enum=said.OFS),
            OpenApiParameter("archived", OpenApiTypes.BOOL, description="Those put away, instead of the others."),
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        of = params.choice(query, "of", said.OFS)
        after = paging.read_cursor(params.text(query, "cursor"), int)
        limit = params.page_size(query)
        rows = list_budgets(
            self.project.pk, archived=params.boolean(query, "archived") or False, of=Of(of) if of else None,
            after=after[0] if after else None, limit=limit + 1,
        )  # fmt: skip
        following = paging.write_cursor(rows[limit - 1].id) if len(rows) > limit else None
        return Response(paging.page(request, self.json(*rows[:limit]), following, None))

    @shapes.describe(
        "Make a cost budget",
        said.CostBudgetShape,
        tag="Cost",
        status=201,
        body=said.CostBudgetBody,
        detail="Of the whole project, of each feature or user, or of one. It is added up at once.",
    )
    def post(self, request: Request) -> Response:
        with told():
            made = allowing.create(
                self.project, request.data, by_id=self.person_id, request=self.http, actor=self.actor
            )
        return Response(self.json(self.budget(str(made)))[0], status=201)


class CostBudgetView(BudgetView):
    acts = {"GET": "read", "PATCH": "measure", "DELETE": "measure"}

    @shapes.describe("One cost budget", said.CostBudgetShape, tag="Cost", path=(BUDGET,))
    def get(self, request: Request, budget: str) -> Response:
        return Response(self.json(self.budget(budget))[0])

    @shapes.describe(
        "Change a cost budget",
        said.CostBudgetShape,
        tag="Cost",
        path=(BUDGET,),
        body=said.CostBudgetChange,
        detail="The fields that are given. With another limit people are told again of the marks that are passed. "
        "`is_archived: false` takes it back.",
        problems=_OUTDATED,
    )
    def patch(self, request: Request, budget: str) -> Response:
        held = self.budget(budget)
        body = dict(request.data)
        if not body:
            raise bad_field("name", "or another field is required: there is nothing to change")
        version, is_archived = body.pop("of_version", None), body.pop("is_archived", None)
        if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
            raise bad_field("of_version", "is no whole number", limit="the version of the budget", value=version)
        if is_archived is not None and not isinstance(is_archived, bool):
            raise bad_field("is_archived", "is neither true nor false", limit="true or false", value=is_archived)
        with told():
            allowing.change(
                self.project, held.id, body, of_version=version, is_archived=is_archived, request=self.http,
                actor=self.actor,
            )  # fmt: skip
        return Response(self.json(self.budget(budget))[0])

    @shapes.describe(
        "Put a cost budget away",
        None,
        tag="Cost",
        status=204,
        path=(BUDGET,),
        detail="It holds for nobody any longer; what was spent of it is kept.",
    )
    def delete(self, request: Request, budget: str) -> Response:
        held = self.budget(budget)
        with told():
            allowing.archive(self.project, held.id, request=self.http, actor=self.actor)
        return Response(status=204)


class CostBudgetStandsView(BudgetView):
    query = {"GET": ("limit", "cursor")}

    @shapes.describe(
        "What is spent of a cost budget",
        said.CostBudgetStandPage,
        tag="Cost",
        path=(BUDGET,),
        detail="In the current period, the dearest first. Of a budget for each user: those who passed a mark.",
        query=(shapes.LIMIT, shapes.CURSOR),
    )
    def get(self, request: Request, budget: str) -> Response:
        held, limit = self.budget(budget), params.page_size(request.query_params)
        start = bounds_at(held.allowance.period, calendar_of(self.project.time_zone), clock.now()).start
        raw = params.text(request.query_params, "cursor")
        after = paging.read_cursor(raw, str, str)
        if after is not None and not (after[0].isascii() and after[0].isdigit() and len(after[0]) <= 30):
            raise paging.bad_cursor(raw)
        rows = list_stands(held.id, start, after=(int(after[0]), after[1]) if after else None, limit=limit + 1)
        following = None
        if len(rows) > limit:
            following = paging.write_cursor(str(rows[limit - 1].spent_pico), rows[limit - 1].subject)
        items = [shown.stand(row, held.allowance.limit_pico) for row in rows[:limit]]
        return Response(paging.page(request, items, following, None))


class CostBudgetBurnView(BudgetView):
    query = {"GET": ("subject",)}

    @shapes.describe(
        "How a cost budget burns down",
        said.CostBudgetBurnShape,
        tag="Cost",
        path=(BUDGET,),
        detail="The current period by day (or hour), and what it will come to, with an 80 % interval.",
        query=(SUBJECT,),
        problems={503: "The sums took too long to read."},
    )
    def get(self, request: Request, budget: str) -> Response:
        held = self.budget(budget)
        subject = params.text(request.query_params, "subject") or held.allowance.subject
        if held.allowance.subject and subject != held.allowance.subject:
            raise bad_field("subject", "is not this budget's", limit=held.allowance.subject, value=subject)
        if held.allowance.of != Of.PROJECT and not subject:
            raise bad_field("subject", f"is required: which {held.allowance.of} of this budget for each")
        now = clock.now()
        bounds = bounds_at(held.allowance.period, calendar_of(self.project.time_zone), now)
        with told(), reading(self.project.pk, self.project.time_zone) as rollups:
            found = Histories(rollups, now).burn(held.allowance.of, subject, bounds)
        return Response(shown.burn(found, subject, bounds, held.allowance.limit_pico))


class CostBudgetCheckView(MonitorView):
    query = {"GET": ("user", "feature")}
    # What sends may ask: the answer holds sums of money and nothing that anybody wrote.
    key_scopes = {"GET": "ingest|read"}

    @shapes.describe(
        "Whether a user or feature may spend",
        said.CostBudgetCheckShape,
        tag="Cost",
        detail="Asked before a request, in a few milliseconds. The project's budgets always hold; those of features "
        "and users where they are named. Key with the scope ingest or read.",
        query=(
            OpenApiParameter("user", OpenApiTypes.STR, description="The end user, as traces name them."),
            OpenApiParameter("feature", OpenApiTypes.STR, description="The feature, as traces name it."),
        ),
    )
    def get(self, request: Request) -> Response:
        feature = params.text(request.query_params, "feature") or None
        user = params.text(request.query_params, "user") or None
        found = allowing.check(self.project.pk, self.project.time_zone, feature=feature, user=user)
        response = Response(shown.check(found, feature, user))
        response["Cache-Control"] = "no-store"
        return response


@contextmanager
def told() -> Iterator[None]:
    """Raise what budgets refuse as the problem a caller can mend."""
    try:
        yield
    except ItemRefused as refused:
        raise problem_of(refused) from None
    except allowing.NotThere:
        raise not_found() from None
    except allowing.Outdated as outdated:
        error = FieldError("of_version", "is not in force any more", str(outdated.version))
        raise Problem(409, f"Version {outdated.version} is in force: somebody changed it.", error) from None
    except TooSlow:
        raise Problem(503, TOO_SLOW) from None
