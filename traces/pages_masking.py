"""The page of masking: what is masked before it is stored, tried out on a text, applied again to what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.lib.faults import Fault
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role
from traces import masks, remasking
from traces.masking import KINDS, Mode, Policy, PolicyRefused
from traces.masking.policy import FEATURES_MAX, PATTERN_CHARS_MAX, PATTERNS_MAX
from traces.masks import SAMPLE_CHARS_MAX, Trial, Version

MODES = (
    (Mode.MASK, "Mask what the rules find", "Everything else is stored as it was sent."),
    (
        Mode.NO_CONTENT,
        "Keep no content",
        "Times, token counts, cost, names and signals alone: no messages, documents, arguments or errors’ texts.",
    ),
    (Mode.OFF, "Store everything as it was sent", "Nothing is masked, not even keys and passwords."),
)
TEXT_CHARS_MAX = 60_000
# What the rules call by REST, as the form has it.
PLACES = {"patterns": "Pattern", "features": "Feature", "text": "The text to try"}
PARTS = {"pattern": "expression", "mode": "what becomes of it", "feature": "name"}


@dataclass(frozen=True, slots=True)
class KindRow:
    """A kind of secret as the form shows it."""

    name: str
    label: str
    finds: str
    is_on: bool
    has_token: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """The form as somebody filled it in, or as the rules in force fill it."""

    mode: str
    kinds: frozenset[str]
    tokens: frozenset[str]
    patterns: str
    features: str

    def kind_rows(self) -> list[KindRow]:
        """Each kind with its switches."""
        return [
            KindRow(kind.name, kind.label, kind.finds, kind.name in self.kinds, kind.name in self.tokens)
            for kind in KINDS
        ]


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def masking(request: HttpRequest, project: Project) -> HttpResponse:
    """The rules in force; an admin saves others."""
    version = masks.version_of(project.pk)
    if request.method != "POST":
        return _page(request, project, version, _filled(version.policy))
    require(project, "settings")
    typed = _typed(request)
    try:
        saved = masks.change(project, _rules(typed), request=request, by_id=_user_id(request))
    except PolicyRefused as refused:
        return _page(request, project, version, typed, faults=refused.faults, status=400)
    if saved.number == version.number:
        messages.success(request, "Nothing changed.")
    else:
        messages.success(
            request,
            f"Version {saved.number} of the rules is in force within 5 seconds. What is stored stays as it is until you"
            " apply them to it.",
        )
    return redirect("masking", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
def masking_try(request: HttpRequest, project: Project) -> HttpResponse:
    """A text as it would be stored by the rules in the form, saved or not. The text is kept nowhere."""
    typed, version = _typed(request), masks.version_of(project.pk)
    sample = request.POST.get("text", "")[:TEXT_CHARS_MAX].replace("\r\n", "\n")
    try:
        trial = masks.try_text(project, _rules(typed), sample, request=request)
    except PolicyRefused as refused:
        return _page(request, project, version, typed, faults=refused.faults, sample=sample, status=400)
    return _page(request, project, version, typed, trial=trial, sample=sample)


@require_POST
@project_page(Role.ADMIN)
def masking_reapply(request: HttpRequest, project: Project) -> HttpResponse:
    """Mask again what is stored."""
    try:
        remasking.start(project, by_id=_user_id(request), request=request)
    except remasking.Conflict as conflict:
        messages.error(request, str(conflict))
    else:
        messages.success(request, "The stored text is being masked. This page shows how far it is.")
    return redirect("masking", slug=project.slug)


def _user_id(request: HttpRequest) -> int | None:
    return request.user.pk if isinstance(request.user, User) else None


def _page(
    request: HttpRequest,
    project: Project,
    version: Version,
    typed: Typed,
    *,
    faults: tuple[Fault, ...] = (),
    trial: Trial | None = None,
    sample: str = "",
    status: int = 200,
) -> HttpResponse:
    bad = {fault.field.partition(".")[0] for fault in faults}
    context: dict[str, Any] = {
        "project": project,
        "version": version,
        "typed": typed,
        "kinds": typed.kind_rows(),
        "modes": [(str(mode), label, says, str(mode) == typed.mode) for mode, label, says in MODES],
        "mode_words": [str(mode) for mode in Mode],
        "faults": [Told(*_place(fault.field), fault) for fault in faults],
        "bad": bad,
        "trial": trial,
        "found": list(trial.found.items()) if trial else [],
        "sample": sample,
        "sample_max": SAMPLE_CHARS_MAX,
        "patterns_max": PATTERNS_MAX,
        "pattern_chars_max": PATTERN_CHARS_MAX,
        "features_max": FEATURES_MAX,
        "may_change": may(project, "settings"),
        "job": remasking.last(project.pk),
        "is_off": version.policy.strictest is Mode.OFF,
    }
    return render(request, "traces/masking.html", context, status=status)


@dataclass(frozen=True, slots=True)
class Told:
    """What is wrong, where on the page: in words, the field's id, and the field as the form names it."""

    where: str
    anchor: str
    of: str
    fault: Fault


def _place(field: str) -> tuple[str, str, str]:
    """Where the form has what the rules call `field`: "patterns.0.name" is "Pattern 1, name"."""
    of, _, rest = field.partition(".")
    words = PLACES.get(of, of)
    number, _, part = rest.partition(".")
    if number.isdigit():
        words = f"{words} {int(number) + 1}"
        part = part and f", {PARTS.get(part, part)}"
    return words + part, f"f-{of}" if of in PLACES else "", of


def _filled(policy: Policy) -> Typed:
    """The form filled in with rules. A pattern that ignores case says so in RE2's own way."""
    patterns = "\n".join(f"{own.name} = {'(?i)' if own.ignore_case else ''}{own.pattern}" for own in policy.patterns)
    features = "\n".join(f"{feature} = {mode}" for feature, mode in policy.features)
    return Typed(str(policy.mode), policy.kinds, policy.tokens, patterns, features)


def _typed(request: HttpRequest) -> Typed:
    known = {kind.name for kind in KINDS}
    return Typed(
        mode=request.POST.get("mode", "")[:40],
        kinds=frozenset(known & set(request.POST.getlist("kind"))),
        tokens=frozenset(name[:60] for name in request.POST.getlist("token")[:100]),
        patterns=request.POST.get("patterns", "")[:TEXT_CHARS_MAX].replace("\r\n", "\n"),
        features=request.POST.get("features", "")[:TEXT_CHARS_MAX].replace("\r\n", "\n"),
    )


def _rules(typed: Typed) -> dict[str, Any]:
    """What was typed, as REST would tell it. PolicyRefused for a line that is none."""
    patterns = [{"name": name, "pattern": pattern} for name, pattern in _lines("patterns", typed.patterns, first=True)]
    names = {one["name"] for one in patterns}
    return {
        "mode": typed.mode,
        "kinds": {kind.name: kind.name in typed.kinds for kind in KINDS},
        # The mark of a pattern that is gone has nothing to carry a hash.
        "tokens": sorted(name for name in typed.tokens if name in names or any(name == kind.name for kind in KINDS)),
        "patterns": patterns,
        "features": [{"feature": name, "mode": mode} for name, mode in _lines("features", typed.features, first=False)],
    }


def _lines(field: str, text: str, *, first: bool) -> list[tuple[str, str]]:
    """The lines `name = value`, cut at the first or the last equals sign."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        name, sign, value = line.partition("=") if first else line.rpartition("=")
        if not sign:
            raise PolicyRefused(Fault(field, f"must have an equals sign in line {number}", "name = value", line[:100]))
        found.append((name.strip(), value.strip()))
    return found
