"""What addresses of monitors share: who acts, and how refusals are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alerts import alarming, backtesting, baselining, monitoring
from alerts.read.monitors import MonitorRow, get_monitor
from alerts.series.asked import SeriesFault
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from telltale.rest import params
from telltale.rest.problems import FieldError, Problem, not_found
from telltale.rest.views import ProjectView
from traces.read import TooSlow

FAULTS_SHOWN = 50
TOO_SLOW = "The stored history took too long to read; a shorter window of time or a narrower scope makes it quick."


class MonitorView(ProjectView):
    """An address of the monitors of a project."""

    @property
    def actor(self) -> str:
        """What the audit log calls a key; "" for a person, whom it knows."""
        holder = self.request.auth
        if not isinstance(holder, KeyHolder):
            return ""
        name = ApiKey.objects.filter(pk=holder.key_id).values_list("name", flat=True).first()
        return f"API key {name or holder.key_id}"

    @property
    def key_id(self) -> int | None:
        """The key that asks; None where a person does."""
        holder = self.request.auth
        return holder.key_id if isinstance(holder, KeyHolder) else None

    def monitor(self, raw: str, *, with_archived: bool = True) -> MonitorRow:
        """The monitor that an address names; 404 where the project has none, or it was put away."""
        found = get_monitor(self.project.pk, params.row_id(raw))
        if found is None or (found.archived_at is not None and not with_archived):
            raise not_found()
        return found


@contextmanager
def told() -> Iterator[None]:
    """Raise what monitors refuse as the problem a caller can mend."""
    try:
        yield
    except ItemRefused as refused:
        raise problem_of(refused) from None
    except (monitoring.NotThere, alarming.NoAlarm, baselining.NoBaseline):
        raise not_found() from None
    except monitoring.Outdated as outdated:
        error = FieldError("of_revision", "is not in force any more", str(outdated.revision))
        raise Problem(409, f"Revision {outdated.revision} is in force: somebody changed it.", error) from None
    except backtesting.Busy:
        raise Problem(503, "Other back-tests are running; try again in a moment.") from None
    except TooSlow:
        raise Problem(503, TOO_SLOW) from None
    except SeriesFault as fault:
        if fault.is_passing:
            raise Problem(503, fault.words) from None
        raise Problem(400, fault.words, FieldError("definition", fault.words)) from None


def problem_of(refused: ItemRefused) -> Problem:
    """The 400 that names every fault."""
    errors = [_error(fault) for fault in refused.faults[:FAULTS_SHOWN]]
    return Problem(400, "; ".join(f"{error.field}: {error.message}" for error in errors[:5]), *errors)


def _error(fault: Fault) -> FieldError:
    return FieldError(fault.field, fault.message, fault.limit or None, fault.value)
