"""What an erasure is about: sealed while the work lasts, a keyed hash and a hint afterwards."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from telltale.lib import vault
from telltale.web.models import Erasure
from traces.erasure import What, key_of, spelled
from traces.masks import mask_id, read_masker

PURPOSE = "erasure"
_WHAT = {"trace": What.TRACE, "session": What.SESSION, "user": What.USER}
HINT_CHARS = 4


def seal_subject(subject: str) -> str:
    """The subject as it is kept until the work is done."""
    return vault.seal(PURPOSE, subject)


def open_subject(erasure: Erasure) -> str:
    """The subject of an erasure that is not done; vault.Sealed where the secret key changed since."""
    return vault.unseal(PURPOSE, erasure.subject)


def hint_of(subject: str) -> str:
    """The subject as receipts show it: its last characters, where it is so long that they give nobody away."""
    return f"…{subject[-HINT_CHARS:]}" if len(subject) >= 3 * HINT_CHARS else "…"


def subject_key(project_id: int, kind: str, subject: str) -> UUID:
    """The keyed hash under which a subject is refused and found again."""
    if kind in {"project", "organisation"}:
        return UUID(int=project_id)
    return key_of(project_id, _WHAT[kind], subject)


def spellings(project_id: int, subject: str) -> list[str]:
    """The ids under which the doors keep what was sent as `subject`."""
    told = spelled(subject)
    # As it came before anything was masked, and as the rules in force keep it.
    return list(dict.fromkeys([told, read_masker(project_id).id(told, Counter()), mask_id(project_id, told)]))
