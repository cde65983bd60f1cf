"""The registry of models and prompts: what was seen, how much it is used, and what was let through the gate."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from evals import promoting
from evals.api.models import registry_json
from evals.keeping import By
from evals.probes.pins import is_pinned
from evals.promoting import NotThrough, PromotionRefused, Wanted
from evals.read import promotions as read
from evals.read.comparison import PAIRS_MIN
from evals.read.experiments import list_experiments
from evals.read.promotions import PromotionRow
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from telltale.stats.proportions import wilson
from traces.cost.names import is_own_hosting
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import query_string, read_window
from traces.read import TooSlow
from traces.read.model_registry import ModelVersion, PromptVersion, Registry, Usage, read_registry

ROWS_MAX = 200
EXPERIMENTS_SHOWN = 50
PROMOTIONS_SHOWN = 50
ID_MAX = 2**63 - 1
_FILE_NAMES = (
    "what", "provider", "name", "version", "is_pinned", "calls", "share", "errors", "cost_usd", "unpriced",
    "first_at", "last_at", "features", "asked", "shifted",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A model or a prompt's version as the page writes it. `warning`: what somebody should know of it."""

    name: str
    detail: str
    calls: str
    share: str
    errors: str
    errors_ci: str
    cost: str
    unpriced: str
    first_at: Any
    last_at: Any
    features: str
    promoted: tuple[str, ...]
    warnings: tuple[str, ...]
    fingerprints: str
    is_pinned: bool
    promote: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def model_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """Models and prompts ever seen, with the calls of a window; `format` has them as a file."""
    window = read_window(request.GET, clock.zone_of(project.time_zone), clock.now(), default="28d", keep=())
    context: dict[str, Any] = {"project": project, "window": window, "may_measure": may(project, "measure")}
    try:
        found = read_registry(project.pk, project.time_zone, window.start_at, window.end_at)
        if request.GET.get("format") in FORMATS:
            is_head = request.method == "HEAD"
            return download(
                f"{project.slug}-models", request.GET["format"], _FILE_NAMES, iter(records(found)), is_head=is_head
            )  # fmt: skip
    except TooSlow:
        return render(request, "evals/models.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    promotions = read.list_promotions(project.pk, limit=PROMOTIONS_SHOWN)
    standing = read.list_promotions(project.pk, standing=True, limit=500)
    base = reverse("promote", args=[project.slug])
    context |= {
        "found": found,
        "models": [_model_line(each, standing, base) for each in found.models[:ROWS_MAX]],
        "prompts": [_prompt_line(each, standing, base) for each in found.prompts[:ROWS_MAX]],
        "more_models": max(len(found.models) - ROWS_MAX, 0),
        "more_prompts": max(len(found.prompts) - ROWS_MAX, 0),
        "unpinned": sum(
            not (is_pinned(each.model) or is_own_hosting(each.provider)) for each in found.models if each.usage.calls
        ),
        "used": sum(bool(each.usage.calls) for each in found.models),
        "promotions": promotions,
        "csv": query_string(request.GET, format="csv"),
        "ndjson": query_string(request.GET, format="ndjson"),
    }
    return render(request, "evals/models.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def promote(request: HttpRequest, project: Project) -> HttpResponse:
    """The form that promotes a version, and what the gate says."""
    told = request.POST if request.method == "POST" else request.GET
    typed = {
        name: told.get(name, "")[:limit]
        for name, limit in (
            ("kind", 10), ("subject", 2 * promoting.SUBJECT_MAX), ("version", 2 * promoting.VERSION_MAX),
            ("experiment", 20), ("against", 20), ("note", 2 * promoting.NOTE_MAX),
        )
    }  # fmt: skip
    typed["kind"] = typed["kind"] if typed["kind"] in promoting.KINDS else "model"
    refused: PromotionRefused | None = None
    reasons: tuple[str, ...] = ()
    if request.method == "POST":
        person = cast(User, request.user)
        try:
            wanted = Wanted(
                typed["kind"], typed["subject"], typed["version"], _number("experiment", typed["experiment"]),
                _number("against", typed["against"]) if typed["against"] else None, typed["note"],
            )  # fmt: skip
            row = promoting.promote(project, wanted, By(person.pk, "", request), person.name or person.email)
        except PromotionRefused as error:
            refused = error
        except NotThrough as closed:
            reasons = closed.reasons
        else:
            messages.success(request, f"Promoted: {row.words}.")
            return redirect(reverse("models", args=[project.slug]) + "#promotions")
    done = [row for row in list_experiments(project.pk, limit=EXPERIMENTS_SHOWN) if row.state == "done"]
    choices = [
        (str(row.id), f"{row.name}, {row.dataset_name} v{row.version}, {row.done:,} answers", row) for row in done
    ]
    context = {
        "project": project,
        "typed": typed,
        "refused": refused,
        "reasons": reasons,
        "choices": [(value, words, value == typed["experiment"]) for value, words, _ in choices],
        "older": [(value, words, value == typed["against"]) for value, words, _ in choices],
        "standing": read.find_standing(project.pk, typed["kind"], promoting_subject(typed["subject"])),
        "pairs_min": PAIRS_MIN,
        "subject_max": promoting.SUBJECT_MAX,
        "version_max": promoting.VERSION_MAX,
        "note_max": promoting.NOTE_MAX,
    }
    return render(request, "evals/promote.html", context, status=400 if refused else 409 if reasons else 200)


@require_POST
@project_page(Role.ENGINEER)
def promotion_withdraw(request: HttpRequest, project: Project, promotion_id: int) -> HttpResponse:
    """Withdraw a promotion that stands."""
    person = cast(User, request.user)
    row = read.get_promotion(project.pk, promotion_id) if promotion_id <= ID_MAX else None
    if row is None:
        raise Http404
    if request.POST.get("withdraw") != "yes":
        return redirect(reverse("models", args=[project.slug]) + "#promotions")
    try:
        promoting.withdraw(project, promotion_id, By(person.pk, "", request), person.name or person.email)
    except promoting.Gone:
        messages.error(request, "There is no such promotion in force; somebody may have withdrawn it.")
    else:
        messages.success(request, "The promotion is withdrawn; its record stays.")
    return redirect(reverse("models", args=[project.slug]) + "#promotions")


def records(found: Registry) -> list[dict[str, Any]]:
    """Models and prompts as a file has them."""
    shown = registry_json(found, [])
    rows = []
    for what, items in (("model", shown["models"]), ("prompt", shown["prompts"])):
        for item in items:
            names = {
                "what": what,
                "name": item.get("model") if what == "model" else item["name"],
                "asked": [one["name"] for one in item.get("asked", ())],
                "shifted": item.get("shifted", []),
            }
            rows.append({name: (item | names).get(name) for name in _FILE_NAMES})
    return rows


def promoting_subject(raw: str) -> str:
    """A subject as it may be looked up."""
    return raw.replace("\x00", "").encode("utf-8", "ignore").decode().strip()


def _number(field: str, raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and int(raw) <= ID_MAX):
        raise PromotionRefused(field, "must be chosen", "one of the list", raw)
    return int(raw)


def _model_line(each: ModelVersion, standing: list[PromotionRow], base: str) -> Line:
    pinned = is_pinned(each.model)
    warnings = []
    for name in each.shifted:
        warnings.append(f"“{name}” was answered by another model too")
    if not pinned and each.model and not is_own_hosting(each.provider):
        warnings.append("not pinned: its provider may change it under this name")
    asked = [one.name for one in each.asked if one.name != each.model]
    detail = each.provider or "provider not told"
    if asked:
        detail += f"; asked for as {', '.join(asked[:5])}{' …' if len(asked) > 5 else ''}"
    promoted = tuple(
        row.subject or "everything"
        for row in standing
        if row.kind == "model" and row.version in {each.model, *(one.name for one in each.asked)}
    )
    count = len(each.fingerprints)
    prints = f"{count:,} fingerprint{'' if count == 1 else 's'}, last {each.fingerprints[-1].name}" if count else ""
    href = query_of(base, "model", "", each.model)
    return _line(each.model or "not told", detail, each, promoted, tuple(warnings), prints, pinned, href)


def _prompt_line(each: PromptVersion, standing: list[PromotionRow], base: str) -> Line:
    promoted = tuple(
        "promoted" for row in standing
        if (row.kind, row.subject, row.version) == ("prompt", each.name, each.version)
    )  # fmt: skip
    href = query_of(base, "prompt", each.name, each.version)
    return _line(f"{each.name} {each.version}", "", each, promoted, (), "", True, href)


def query_of(base: str, kind: str, subject: str, version: str) -> str:
    """The address of the form with what is promoted filled in."""
    return base + "?" + urlencode({"kind": kind, "subject": subject, "version": version})


def _line(
    name: str, detail: str, each: ModelVersion | PromptVersion, promoted: tuple[str, ...], warnings: tuple[str, ...],
    prints: str, pinned: bool, href: str,
) -> Line:  # fmt: skip
    used = each.usage
    return Line(
        name, detail, fmt.count(used.calls) if used.calls else "none", fmt.share(used.share) if used.calls else "",
        *_errors(used), _cost(used), f"{used.unpriced:,} unpriced" if used.unpriced else "", each.first_at,
        each.last_at, ", ".join(each.features[:5]) + (" …" if len(each.features) > 5 else ""), promoted, warnings,
        prints, pinned, href,
    )  # fmt: skip


def _errors(used: Usage) -> tuple[str, str]:
    if not used.calls:
        return "", ""
    found = wilson(used.errors, used.calls)
    return fmt.share(used.errors / used.calls), f"{fmt.share(found.low)}–{fmt.share(found.high)}"


def _cost(used: Usage) -> str:
    if not used.calls:
        return ""
    return "unknown" if used.cost_pico is None else fmt.cost(_usd(used.cost_pico))


def _usd(pico: int) -> Decimal:
    return Decimal(pico).scaleb(-12)
