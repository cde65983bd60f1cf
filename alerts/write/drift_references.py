"""Rows of frozen references and of reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from alerts.drift.fields import Side
from alerts.drift.packing import HALF, SINGLE
from alerts.drift.reference import Reference, learned_json
from alerts.drift.report import Report
from alerts.models import DriftReference, DriftReport
from telltale.lib import clock

IN_FORCE, REPLACED = "in_force", "replaced"


def add_reference(
    project_id: int,
    feature: str | None,
    side: Side,
    encoder: str,
    start: datetime,
    end: datetime,
    reference: Reference,
    *,
    reason: str = "",
    by_id: int | None = None,
    replaces: bool = False,
) -> int | None:
    """Put a reference in force, instead of the one before where it `replaces` it; its id.

    None where there is one already and it does not replace it.
    """
    now = clock.now()
    held = DriftReference.objects.filter(
        project_id=project_id, feature=feature, side=side, encoder=encoder, state=IN_FORCE
    )  # fmt: skip
    try:
        with transaction.atomic():
            if replaces:
                held.update(state=REPLACED, replaced_at=now)
            elif held.exists():
                return None
            row = DriftReference.objects.create(
                project_id=project_id,
                feature=feature,
                side=side,
                encoder=encoder,
                start_at=start,
                end_at=end,
                n=reference.n,
                dims=reference.rows.shape[1],
                vectors=reference.rows.astype(HALF).tobytes(),
                traces=b"".join(bytes.fromhex(each) for each in reference.traces),
                centres=reference.topics.centres.astype(SINGLE).tobytes(),
                learned=learned_json(reference),
                seed=reference.seed,
                reason=reason,
                made_by_id=by_id,
                # Who freezes a stretch by hand has looked at it.
                approved_by_id=by_id,
                approved_at=now if by_id is not None else None,
            )
    except IntegrityError:  # another worker was quicker
        return None
    return int(row.pk)


def approve_reference(project_id: int, reference_id: int, by_id: int | None) -> bool:
    """Write down who approved a reference; False where it is not in force, or approved already."""
    rows = DriftReference.objects.filter(
        project_id=project_id, pk=reference_id, state=IN_FORCE, approved_at=None
    )  # fmt: skip
    return rows.update(approved_by_id=by_id, approved_at=clock.now()) == 1


def save_names(project_id: int, reference_id: int, learned: dict[str, Any]) -> None:
    """Write the names of a reference's topics."""
    DriftReference.objects.filter(project_id=project_id, pk=reference_id).update(learned=learned)


def put_report(
    project_id: int, reference_id: int, days: int, start: datetime, end: datetime, report: Report
) -> None:  # fmt: skip
    """Keep a report; one of the same window is replaced, and of windows that move along only the newest stays."""
    with transaction.atomic():
        DriftReport.objects.update_or_create(
            reference_id=reference_id,
            days=days,
            start_at=start,
            defaults={
                "project_id": project_id,
                "end_at": end,
                "n": report.n,
                "mmd2": report.mmd2,
                "p": report.p,
                "chance_99": report.chance_99,
                "body": report.as_json(),
                "made_at": clock.now(),
            },
        )
        if days:
            DriftReport.objects.filter(reference_id=reference_id, days=days).exclude(start_at=start).delete()
