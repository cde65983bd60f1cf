"""The sections of a project, in the order the sidebar shows them. A room that gains a page adds its line here."""

from __future__ import annotations

from dataclasses import dataclass

from telltale.projects.access import is_at_least
from telltale.projects.models import Role


@dataclass(frozen=True, slots=True)
class NavItem:
    """One section: `path` is below `/p/<slug>/`; `on_phone` puts it in the bottom bar (five places with More)."""

    path: str
    label: str
    icon: str
    at_least: Role = Role.VIEWER
    on_phone: bool = False


@dataclass(frozen=True, slots=True)
class NavGroup:
    """Sections under one heading; the first group has none."""

    title: str
    items: tuple[NavItem, ...]


NAV = (
    NavGroup(
        "",
        (
            NavItem("", "Overview", "home", on_phone=True),
            NavItem("inbox/", "Inbox", "review", on_phone=True),
            NavItem("incidents/", "Incidents", "incident", on_phone=True),
        ),
    ),
    NavGroup(
        "Explore",
        (
            NavItem("traces/", "Traces", "trace", on_phone=True),
            NavItem("sessions/", "Sessions", "session"),
            NavItem("users/", "Users", "people"),
            NavItem("cost/", "Cost", "cost"),
            NavItem("performance/", "Performance", "chart"),
            NavItem("models/", "Models", "llm"),
        ),
    ),
    NavGroup(
        "Quality",
        (
            NavItem("quality/", "Quality", "chart"),
            NavItem("signals/", "User signals", "thumb"),
            NavItem("outcomes/", "Outcomes", "check"),
            NavItem("judges/", "Judges", "judge"),
            NavItem("review/", "Review queue", "review"),
            NavItem("datasets/", "Datasets", "db"),
            NavItem("experiments/", "Experiments", "probe"),
            NavItem("retrieval/", "Retrieval", "search"),
        ),
    ),
    NavGroup(
        "Alerts",
        (
            NavItem("monitors/", "Monitors", "chart"),
            NavItem("drift/", "Drift", "drift"),
            NavItem("probes/", "Probes", "probe"),
            NavItem("questions/", "Questions", "info"),
            NavItem("changes/", "Changes", "change"),
        ),
    ),
    NavGroup(
        "Project",
        (
            NavItem("accounting/", "Accounting", "db"),
            NavItem("settings/", "Settings", "settings"),
        ),
    ),
)

SETTINGS = (
    NavItem("settings/", "Project", "settings"),
    NavItem("settings/members/", "Members", "people"),
    NavItem("settings/keys/", "API keys", "key"),
    NavItem("settings/prices/", "Prices", "cost"),
    NavItem("settings/masking/", "Masking", "shield"),
    NavItem("settings/retention/", "Retention", "clock"),
    NavItem("settings/exports/", "Export", "db", Role.ADMIN),
    NavItem("settings/forwarding/", "Forwarding", "link"),
    NavItem("settings/channels/", "Channels", "incident"),
    NavItem("settings/incidents/", "Incidents", "clock"),
    NavItem("settings/connections/", "Connections", "llm"),
    NavItem("settings/evaluation/", "Judging", "judge"),
    NavItem("settings/privacy/", "Privacy", "shield", Role.ADMIN),
    NavItem("settings/audit/", "Audit log", "shield", Role.ADMIN),
)


@dataclass(frozen=True, slots=True)
class NavLink:
    """One section as a page shows it."""

    href: str
    label: str
    icon: str
    is_current: bool
    on_phone: bool
    path: str = ""


@dataclass(frozen=True, slots=True)
class NavSection:
    """One heading with its links."""

    title: str
    links: tuple[NavLink, ...]


def _links(items: tuple[NavItem, ...], slug: str, role: Role | None, path: str, first: str) -> tuple[NavLink, ...]:
    links = []
    for item in items:
        href = f"/p/{slug}/{item.path}"
        # What stands first has the others below its own address.
        is_current = path == href if item.path == first else path.startswith(href)
        if is_at_least(role, item.at_least):
            links.append(NavLink(href, item.label, item.icon, is_current, item.on_phone, item.path))
    return tuple(links)


def sections(slug: str, role: Role | None, path: str) -> tuple[NavSection, ...]:
    """The sidebar of project `slug` for somebody of `role` who looks at `path`."""
    found = (NavSection(group.title, _links(group.items, slug, role, path, "")) for group in NAV)
    return tuple(section for section in found if section.links)


def settings_links(slug: str, role: Role | None, path: str) -> tuple[NavLink, ...]:
    """The pages of the settings of project `slug`."""
    return _links(SETTINGS, slug, role, path, "settings/")
