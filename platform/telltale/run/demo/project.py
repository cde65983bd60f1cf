"""The demo's project: made once, labelled as demo, filled through a key of its own, and removed whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, transaction
from django.utils.crypto import salted_hmac

from alerts.drifting import erase_project as erase_drift
from alerts.keeping import erase_project as erase_alerts
from evals.erasing import erase_project as erase_evals
from telltale.accounts.models import Organisation
from telltale.audit.log import record
from telltale.projects.keys import SECRET_PREFIX, hash_secret, make_key
from telltale.projects.models import ApiKey, Project
from telltale.projects.write import ProjectSettings, change_project, create_project, revoke_key
from telltale.run.demo.story import Story
from telltale.run.demo.texts import FEATURES
from traces.erasure import erase_project
from traces.prices import add_price

NAME = "shop-assistant (demo)"
SLUG = "shop-assistant-demo"
LABEL = "(demo)"
KEY_NAME = "Demo traffic"
SCOPES = ("ingest", "signal", "read", "write")
ACTOR = "telltale demo"
# What the shop pays where the price book knows nothing, or no rate for its cached tokens (US dollars a million).
PRICES = (
    {"model": "gpt-4-turbo", "input_fresh": "10", "input_cache_read": "1", "output_text": "30"},
    {"model": "mixtral-8x7b", "input_fresh": "0.27", "output_text": "0.81"},
)
# Any number no other use of the database takes: "demo" in ASCII behind the product's.
_LOCK = 0x7E1164656D6F


class DemoError(Exception):
    """What was asked for cannot be; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class DemoProject:
    """The project to fill. `made_at`: the story is told around it, so that nothing moves when it is filled again."""

    id: int
    slug: str
    key_id: int
    secret: str
    made_at: datetime

    @property
    def story(self) -> Story:
        """What is told in it."""
        return Story.of(self.made_at)


def is_demo(project: Project) -> bool:
    """Whether a project is labelled as demo: by its name, and by having been made for the demo's own key."""
    return project.name.endswith(LABEL) and ApiKey.objects.filter(project=project, name=KEY_NAME).exists()


def ensure_project() -> DemoProject:
    """The demo's project and its key, made where they are missing. DemoError where they cannot be."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        project = Project.objects.filter(slug=SLUG).first()
        if project is None:
            project = _make_project()
        elif not is_demo(project):
            raise DemoError(f"There is a project {SLUG} that was not made for the demo; nothing was sent to it.")
        key, secret = _key(project)
    return DemoProject(project.pk, project.slug, key.pk, secret, project.created_at)


def _make_project() -> Project:
    organisation = Organisation.objects.order_by("pk").first()
    if organisation is None:
        raise DemoError("There is no organisation yet: start Telltale once, or run `telltale provision`.")
    project = create_project(organisation, NAME)
    if project.slug != SLUG:
        raise DemoError(f"The address {SLUG} is taken.")
    settings = ProjectSettings(project.name, project.time_zone, project.retention_days, list(FEATURES), [])
    change_project(project, settings)
    for price in PRICES:
        add_price(project, {**price, "source": "the demo's own agreement"}, UTC, by_id=None)
    return project


def _key(project: Project) -> tuple[ApiKey, str]:
    """The demo's key. Its secret part follows from the installation's own secret, so that it need not be kept."""
    for number in range(100):
        digest = salted_hmac("telltale.run.demo", f"{project.pk}/{number}", algorithm="sha256").hexdigest()
        secret = SECRET_PREFIX + digest[:48]
        key = ApiKey.objects.filter(secret_sha256=hash_secret(secret)).first()
        if key is None:
            key = make_key(project, KEY_NAME, SCOPES, secret=secret).key
            record(
                "key.create",
                actor=ACTOR,
                organisation_id=project.organisation_id,
                project_id=project.pk,
                target=key.public_part,
                after={"name": KEY_NAME, "scopes": list(SCOPES)},
            )
            return key, secret
        # One that somebody revoked stays revoked; the next one takes its place.
        if key.revoked_at is None and key.project_id == project.pk:
            if set(SCOPES) - set(key.scopes):
                _widen(key, project)
            return key, secret
    raise DemoError("A hundred keys of the demo were revoked: it is not wanted here.")


def _widen(key: ApiKey, project: Project) -> None:
    """Give a key that an earlier version made the scopes that the demo needs now."""
    before, key.scopes = list(key.scopes), list(SCOPES)
    key.save(update_fields=["scopes"])
    record(
        "key.scopes",
        actor=ACTOR,
        organisation_id=project.organisation_id,
        project_id=project.pk,
        target=key.public_part,
        before={"scopes": before},
        after={"scopes": key.scopes},
    )


def remove_project(slug: str, tell: Callable[[int], None]) -> int:
    """Remove a demo project with everything in it; how many rows of traces went. DemoError for any other project.

    Its keys die first, so that nothing comes in behind. Safe to stop anywhere and to repeat.
    """
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise DemoError(f"There is no project {slug!r}.")
    if not is_demo(project):
        _record_removal(project, "refused")
        raise DemoError(f"The project {slug} is not labelled as demo, and stays as it is.")
    for key in ApiKey.objects.filter(project=project, revoked_at=None).select_related("project"):
        revoke_key(key)
    removed = 0
    for removed in erase_project(project.pk):
        tell(removed)
    # What was made of the traces goes after them: nothing new is made by then.
    for also in erase_evals(project.pk):
        tell(removed + also)
    for also in erase_alerts(project.pk):
        tell(removed + also)
    for also in erase_drift(project.pk):
        tell(removed + also)
    with transaction.atomic():
        _record_removal(project, "done", removed)
        Project.objects.filter(pk=project.pk).delete()
    return removed


def _record_removal(project: Project, outcome: str, rows: int = 0) -> None:
    record(
        "project.remove",
        actor=ACTOR,
        organisation_id=project.organisation_id,
        project_id=project.pk,
        target=project.slug,
        before={"name": project.name, "rows_of_traces": rows} if outcome == "done" else {"name": project.name},
        outcome=outcome,
    )
