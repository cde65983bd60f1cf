"""Proposals about monitors as people decide them: retired, kept, or taken back with one click.

A retired monitor is switched off: its chart stops, its share of the alert budget goes to the others, all it drew and
found is kept.
"""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest

from alerts import monitoring
from alerts.models import Proposal
from alerts.read.questions import list_questions
from alerts.write import questions as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.masks import mask_text

NOTE_MAX = 400


class NotThere(Exception):
    """There is no such proposal in this project."""


def accept(
    project: Project, proposal_id: int, note: str = "", *, by_id: int | None = None,
    request: HttpRequest | None = None, actor: str = "",
) -> None:  # fmt: skip
    """Retire the monitor: it is switched off, and where it is merged its questions go to the other.

    ItemRefused where the proposal is not open any more, or the monitor cannot be switched off; NotThere.
    """
    with transaction.atomic():
        held = _held(project, proposal_id, note, write.OPEN)
        if held.kind == "merge" and held.into_id is not None:
            _hand_over(project, held.monitor_id, held.into_id)
        try:
            monitoring.switch(project, held.monitor_id, is_on=False, request=request, actor=actor)
        except monitoring.NotThere:
            raise ItemRefused(Fault("state", "cannot be accepted: the monitor was put away", "refused")) from None
        write.decided(held, write.ACCEPTED, by_id, clock.now(), mask_text(project.pk, note))
        _record(project, "proposal.accept", held, request, actor)


def refuse(
    project: Project, proposal_id: int, note: str = "", *, by_id: int | None = None,
    request: HttpRequest | None = None, actor: str = "",
) -> None:  # fmt: skip
    """Keep the monitor; it is not proposed again for 90 days. ItemRefused, NotThere."""
    with transaction.atomic():
        held = _held(project, proposal_id, note, write.OPEN)
        write.decided(held, write.REFUSED, by_id, clock.now(), mask_text(project.pk, note))
        _record(project, "proposal.refuse", held, request, actor)


def undo(
    project: Project, proposal_id: int, note: str = "", *, by_id: int | None = None,
    request: HttpRequest | None = None, actor: str = "",
) -> None:  # fmt: skip
    """Switch a retired monitor on again: it goes on where it stopped, and takes its share. ItemRefused, NotThere."""
    with transaction.atomic():
        held = _held(project, proposal_id, note, write.ACCEPTED)
        try:
            monitoring.switch(project, held.monitor_id, is_on=True, request=request, actor=actor)
        except monitoring.NotThere:
            raise ItemRefused(Fault("state", "cannot be undone: the monitor was put away", "accepted")) from None
        write.decided(held, write.UNDONE, by_id, clock.now(), mask_text(project.pk, note))
        _record(project, "proposal.undo", held, request, actor)


def _hand_over(project: Project, monitor_id: int, into_id: int) -> None:
    """Questions that the retired monitor answers are answered by the other from now on."""
    for each in list_questions(project.pk):
        if each.id is not None and monitor_id in each.monitor_ids:
            ids = [into_id if one == monitor_id else one for one in each.monitor_ids]
            write.bind(each.id, list(dict.fromkeys(ids)))


def _held(project: Project, proposal_id: int, note: str, state: str) -> Proposal:
    faults = []
    if len(note) > NOTE_MAX:
        faults.append(Fault("note", "is too long", f"0 to {NOTE_MAX} characters", f"{len(note)} characters"))
    if "\x00" in note:
        faults.append(Fault("note", "holds characters that no stored text has", f"0 to {NOTE_MAX} characters"))
    if faults:
        raise ItemRefused(*faults)
    held = write.lock_proposal(project.pk, proposal_id) if 0 < proposal_id < 2**63 else None
    if held is None:
        raise NotThere
    if held.state != state:
        raise ItemRefused(Fault("state", f"cannot follow: the proposal is {held.state}", f"a proposal that is {state}"))
    return held


def _record(project: Project, action: str, held: Proposal, request: HttpRequest | None, actor: str) -> None:
    after = {"kind": held.kind, "into": held.into_id, "state": held.state}
    record_in(project, action, f"monitor {held.monitor.name}"[:200], request=request, actor=actor, after=after)
