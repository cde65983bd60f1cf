"""What a project masks: its rules in force, text of other rooms masked by them, rules changed and tried out."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from telltale.audit.log import record_in
from telltale.lib import vault
from telltale.lib.faults import Fault
from telltale.projects.models import Project
from traces.canonical.text import clean_text
from traces.masking import DEFAULT, Masker, Mode, Policy, PolicyRefused, masker_of, parse_policy
from traces.models import MaskKey, MaskPolicy

T = TypeVar("T")
HOLD_SECONDS = 5.0
SAMPLE_CHARS_MAX = 20_000
SHORT = 60
_PURPOSE = "traces.mask"
_held: dict[int, tuple[float, Masker]] = {}


@dataclass(frozen=True, slots=True)
class Version:
    """The rules of a project as they stand. Version 0 is the shipped one, made by nobody."""

    number: int
    policy: Policy
    made_by: str
    made_at: datetime | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A text as it would be stored, and what was found in it by rule."""

    text: str
    found: dict[str, int]


def masker_for(project_id: int) -> Masker:
    """The rules of the project, ready to be used, at most `HOLD_SECONDS` old."""
    now = monotonic()
    held = _held.get(project_id)
    if held is not None and held[0] > now:
        return held[1]
    masker = read_masker(project_id)
    if len(_held) > 1000:
        _held.clear()
    _held[project_id] = (now + HOLD_SECONDS, masker)
    return masker


def read_masker(project_id: int) -> Masker:
    """The same, read anew."""
    return masker_of(policy_of(project_id), _key_of(project_id))


def forget() -> None:
    """Forget what is held (tests; after rules changed)."""
    _held.clear()


def policy_of(project_id: int) -> Policy:
    """The rules in force, read anew."""
    rules = _newest(project_id).values_list("rules", flat=True).first()
    return DEFAULT if rules is None else _parse(rules)


def version_of(project_id: int) -> Version:
    """The rules in force with who made them and when."""
    row = _newest(project_id).select_related("made_by").first()
    if row is None:
        return Version(0, DEFAULT, "", None)
    by = row.made_by
    return Version(row.version, _parse(row.rules), (by.name or by.email) if by is not None else "", row.made_at)


def _newest(project_id: int) -> Any:
    return MaskPolicy.objects.filter(project_id=project_id).order_by("-version")


def _parse(rules: Any) -> Policy:
    try:
        return parse_policy(rules)
    except PolicyRefused:  # stored by a version that knew kinds which this one does not
        return DEFAULT


def _key_of(project_id: int) -> bytes:
    """What marks are hashed with. Without a key of its own, which `change` makes, no mark carries a hash."""
    sealed = MaskKey.objects.filter(project_id=project_id).values_list("sealed", flat=True).first()
    if sealed is not None:
        try:
            return bytes.fromhex(vault.unseal(_PURPOSE, sealed))
        except (vault.Sealed, ValueError):
            pass
    # Sealed under a secret key that is gone: marks stay unreadable, and join with new ones only.
    return hashlib.sha256(b"telltale.mask:%d:" % project_id + settings.SECRET_KEY.encode()).digest()


def keeps_content(project_id: int, feature: str = "") -> bool:
    """Whether the text of traces of a feature may be stored at all, masked or not."""
    return masker_for(project_id).policy.mode_of(feature or None) is not Mode.NO_CONTENT


def mask_text(project_id: int, text: str, feature: str = "") -> str:
    """`text` as the project may keep it: for notes and comments that people or programs write in any room.

    No longer than it was, or than `SHORT`: what fits into its column still does.
    People's own words are masked, not left out, where traces are stored without content: a note says what was done.
    """
    masker = masker_for(project_id)
    if masker.policy.mode_of(feature or None) is Mode.OFF or not text:
        return text
    masked = masker.text(text, Counter())
    return masked if masked is text else masked[: max(len(text), SHORT)]


def mask_id(project_id: int, text: str) -> str:
    """The same for an id that a caller names a thing by: different ids stay different."""
    masker = masker_for(project_id)
    if masker.policy.mode is Mode.OFF or not text:
        return text
    return masker.id(text, Counter())[: max(len(text), SHORT)]


def mask_value(project_id: int, value: T, feature: str = "") -> T:
    """The same for a value of text, numbers, lists and maps, keys included."""
    masker = masker_for(project_id)
    if masker.policy.mode_of(feature or None) is Mode.OFF:
        return value
    masked: T = masker.value(value, Counter())
    return masked


def try_text(project: Project, rules: Any, text: Any, *, request: HttpRequest, actor: str = "") -> Trial:
    """How a text would be stored under these rules (None: those in force). The text is kept nowhere.

    That somebody tried is audited. PolicyRefused where the rules or the text cannot be.
    """
    policy = policy_of(project.pk) if rules is None else parse_policy(rules)
    if not isinstance(text, str):
        raise PolicyRefused(Fault("text", "must be a text"))
    if not text:
        raise PolicyRefused(Fault("text", "is empty: there is nothing to try", f"1 to {SAMPLE_CHARS_MAX:,} characters"))
    if len(text) > SAMPLE_CHARS_MAX:
        limit = f"{SAMPLE_CHARS_MAX:,} characters"
        raise PolicyRefused(Fault("text", "is too long to be tried", limit, f"{len(text):,} characters"))
    counts: Counter[str] = Counter()
    masker = masker_of(policy, _key_of(project.pk))
    masked = masker.text(clean_text(text), counts)
    record_in(
        project, "masking.try", "masking rules", request=request, actor=actor,
        after={"characters": len(text), "found": counts.total(), "own rules": rules is not None},
    )  # fmt: skip
    return Trial(masked, dict(sorted(counts.items())))


def change(project: Project, told: Any, *, request: HttpRequest, by_id: int | None, actor: str = "") -> Version:
    """Put new rules in force; the version. What says the same as before makes no version. PolicyRefused."""
    policy = parse_policy(told)
    with transaction.atomic():
        Project.objects.select_for_update().only("pk").get(pk=project.pk)
        row = _newest(project.pk).first()
        before = DEFAULT if row is None else _parse(row.rules)
        if policy == before:
            return version_of(project.pk)
        number = 1 if row is None else row.version + 1
        rules = policy.as_dict()
        MaskPolicy.objects.create(project=project, version=number, rules=rules, made_by_id=by_id)
        MaskKey.objects.get_or_create(project=project, defaults={"sealed": vault.seal(_PURPOSE, secrets.token_hex(32))})
        record_in(
            project, "masking.change", f"masking rules, version {number}", request=request, actor=actor,
            before=_changed(before.as_dict(), rules), after=_changed(rules, before.as_dict()),
        )  # fmt: skip
    forget()
    return version_of(project.pk)


def _changed(mine: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in mine.items() if other.get(name) != value}
