"""A project's timers and gates of incidents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.incidents.types import SEVERITIES, STEPS, TIMERS, Settings
from alerts.models import IncidentSettings
from alerts.read.monitors import _person


@dataclass(frozen=True, slots=True)
class SettingsRow:
    """The settings with who changed them; `changed_at` None: nobody did, the defaults hold."""

    settings: Settings
    changed_by: str
    changed_at: datetime | None


def get_settings(project_id: int) -> Settings:
    """The timers and gates of a project; the defaults where nobody set any. One query."""
    return get_settings_row(project_id).settings


def get_settings_row(project_id: int) -> SettingsRow:
    """The same, with who changed them. One query."""
    row = IncidentSettings.objects.select_related("changed_by").filter(pk=project_id).first()
    if row is None:
        return SettingsRow(Settings(), "", None)
    timers = {
        severity: {step: row.timers.get(str(severity), {}).get(str(step), TIMERS[step]) for step in STEPS}
        for severity in SEVERITIES
    }
    settings = Settings(timers, row.cases_least, row.recovery_hours, row.reopen_days)
    return SettingsRow(settings, _person(row.changed_by), row.changed_at)
