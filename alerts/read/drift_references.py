"""Frozen references of drift, as values: what holds now, what held before, what each says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import QuerySet
from django.db.models.fields.json import KeyTransform
from numpy.typing import NDArray

from alerts.drift.fields import Side
from alerts.drift.packing import SINGLE
from alerts.drift.reference import Reference, from_stored
from alerts.models import DriftReference

Floats = NDArray[np.float64]
# Columns of megabytes that lists do not need.
_HEAVY = ("vectors", "traces", "centres", "learned")


@dataclass(frozen=True, slots=True)
class ReferenceView:
    """A reference without its vectors. `feature` None: all features together; "": traces that told none."""

    id: int
    feature: str | None
    side: Side
    encoder: str
    state: str
    start_at: datetime
    end_at: datetime
    n: int
    dims: int
    names: tuple[str, ...]
    reason: str
    made_by: str
    approved_by: str
    approved_at: datetime | None
    replaced_at: datetime | None
    created_at: datetime

    @property
    def is_in_force(self) -> bool:
        return self.state == "in_force"


@dataclass(frozen=True)
class TopicsInForce:
    """How later inputs are divided: `centres` (k, d), `radius`, and the topics' names."""

    encoder: str
    centres: Floats = field(repr=False)
    radius: float
    names: tuple[str, ...]


def topics_in_force(project_id: int, feature: str | None, side: Side, encoder: str = "") -> TopicsInForce | None:
    """The topics of a feature's reference, else of the one of all features; of the newest where no encoder is told."""
    rows = DriftReference.objects.filter(project_id=project_id, side=side, state="in_force").defer("vectors", "traces")
    if encoder:
        rows = rows.filter(encoder=encoder)
    held = {row.feature: row for row in rows.order_by("created_at", "pk") if row.feature in (feature, None)}
    row = held.get(feature) or held.get(None)
    if row is None:
        return None
    centres = np.frombuffer(bytes(row.centres), dtype=SINGLE).reshape(-1, row.dims).astype(np.float64)
    return TopicsInForce(row.encoder, centres, float(row.learned["topics"]["radius"]), tuple(row.learned["names"]))


def list_references(project_id: int, *, with_replaced: bool = False) -> list[ReferenceView]:
    """The references of a project, newest first."""
    rows = _rows(project_id)
    return [_view(row) for row in (rows if with_replaced else rows.filter(state="in_force"))]


def get_reference(project_id: int, reference_id: int) -> ReferenceView | None:
    """One reference of the project; None where it has none of this id."""
    row = _rows(project_id).filter(pk=reference_id).first()
    return None if row is None else _view(row)


def load_reference(reference_id: int) -> Reference:
    """A reference with its vectors. DriftReference.DoesNotExist."""
    row = DriftReference.objects.get(pk=reference_id)
    return from_stored(
        row.learned, bytes(row.vectors), bytes(row.traces), bytes(row.centres), row.dims, row.seed
    )  # fmt: skip


def _rows(project_id: int) -> QuerySet[DriftReference]:
    rows = DriftReference.objects.filter(project_id=project_id).defer(*_HEAVY)
    rows = rows.annotate(topic_names=KeyTransform("names", "learned"))
    return rows.select_related("made_by", "approved_by").order_by("-created_at", "-pk")


def _person(user: Any) -> str:
    return "" if user is None else str(user.name or user.email)


def _view(row: DriftReference) -> ReferenceView:
    return ReferenceView(
        id=row.pk,
        feature=row.feature,
        side="input" if row.side == "input" else "output",
        encoder=row.encoder,
        state=row.state,
        start_at=row.start_at,
        end_at=row.end_at,
        n=row.n,
        dims=row.dims,
        names=tuple(getattr(row, "topic_names", None) or ()),
        reason=row.reason,
        made_by=_person(row.made_by),
        approved_by=_person(row.approved_by),
        approved_at=row.approved_at,
        replaced_at=row.replaced_at,
        created_at=row.created_at,
    )
