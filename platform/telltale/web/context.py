"""What every page of the shell needs: where one is, where one can go. Nothing is asked before a template asks."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest

from alerts import standing_guard
from alerts.read.waiting import MOST, Waiting, read_waiting
from alerts.standing_guard import Look
from telltale.accounts import sessions
from telltale.accounts.mail import is_by_smtp
from telltale.lib import clock
from telltale.lib.disk import FullDisk, nearly_full
from telltale.projects.access import SecondFactorLacking, get_project_for, may, projects_of
from telltale.projects.models import Project
from telltale.web.behind import Behind, behind
from telltale.web.nav import NavLink, NavSection, sections, settings_links

# A switcher is for the few one works in; the rest are one click away on the list.
SWITCHER_MAX = 12


class Shell:
    """The shell of one request. Templates read its attributes; each costs nothing until read."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def project(self) -> Project | None:
        """The project of the page, as its view found it, or by the address; None outside one."""
        known = getattr(self._request, "project", None)
        if isinstance(known, Project):
            return known
        match = self._request.resolver_match
        slug = match.kwargs.get("slug") if match and self._request.path.startswith("/p/") else None
        if not slug:
            return None
        try:
            return get_project_for(self._request.user, slug)
        except (Http404, SecondFactorLacking):
            return None

    @cached_property
    def projects(self) -> list[Project]:
        """The projects one can switch to; none before a second factor that is asked for is set up."""
        try:
            return projects_of(self._request.user)
        except SecondFactorLacking:
            return []

    @cached_property
    def session(self) -> sessions.Left | None:
        """How long the session of who is signed in lives yet, so that the page ends with it."""
        request = self._request
        return sessions.left(request.session) if request.user.is_authenticated else None

    @property
    def switcher(self) -> list[Project]:
        """The first of them."""
        return self.projects[:SWITCHER_MAX]

    @cached_property
    def nav(self) -> tuple[NavSection, ...]:
        """The sidebar; empty outside a project."""
        project = self.project
        return sections(project.slug, project.your_role, self._request.path) if project else ()

    @property
    def phone(self) -> list[NavLink]:
        """The sections in the phone's bottom bar."""
        return [link for section in self.nav for link in section.links if link.on_phone][:4]

    @cached_property
    def _waits(self) -> Waiting:
        project = self.project
        return Waiting() if project is None else read_waiting(project.pk)

    @cached_property
    def behind(self) -> Behind | None:
        """What the page has to say of its own age, where work that it stands on is late. Read with `waiting`."""
        project, request = self.project, self._request
        if project is None or not request.path.startswith("/p/"):
            return None
        section = request.path.split("/")[3]
        found = behind(section, self._waits.oldest, clock.now(), searches=section == "traces" and "q" in request.GET)
        # The watchdog says it already, on every page.
        return None if found is not None and self.engine is not None and not found.kinds else found

    @cached_property
    def waiting(self) -> dict[str, str]:
        """What waits, as the sections of these paths show it; where nothing does they have none. One query."""
        project = self.project
        if project is None:
            return {}
        found = self._waits
        counts = {"incidents/": found.incidents, "review/": found.reviews}
        return {path: f"{n:,}" if n < MOST else f"{MOST - 1}+" for path, n in counts.items() if n}

    @cached_property
    def settings(self) -> tuple[NavLink, ...]:
        """The pages of the settings."""
        project = self.project
        return settings_links(project.slug, project.your_role, self._request.path) if project else ()

    @property
    def engine(self) -> Look | None:
        """What the watchdog of this process saw, where monitors are not evaluated; None where they are. No query."""
        look = standing_guard.seen()
        return look if look is not None and look.stands else None

    @property
    def lost_zone(self) -> str:
        """The project's time zone where this machine knows it no more, so that times are those of UTC; else ""."""
        name = self.project.time_zone if self.project is not None else ""
        return name if name and not clock.knows_zone(name) else ""

    @property
    def disk(self) -> FullDisk | None:
        """The disk below the home where it is nearly full; None where it is not. No query."""
        return nearly_full(settings.TELLTALE_HOME)

    @property
    def mail_leaves(self) -> bool:
        """Whether mail goes out by SMTP, or into the operator's file."""
        return is_by_smtp()

    @property
    def may_administer(self) -> bool:
        """Whether the person may change the project's settings."""
        return self.project is not None and may(self.project, "settings")


def shell(request: HttpRequest) -> dict[str, Any]:
    """The context processor: `shell`."""
    return {"shell": Shell(request)}
