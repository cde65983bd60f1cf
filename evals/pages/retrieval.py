"""The page of retrieval, and the page on which people say which retrieved documents were of use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from evals.keeping.labelling import PERSON, Label, label_documents
from evals.read.material import load_material
from evals.read.retrieval import RetrievalPage, Stage, labels_of, read_retrieval
from evals.retrieval import DEPTHS, TRACES_MIN, Quality
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate, TooLittle
from telltale.lib import charts, clock
from telltale.lib import format as fmt
from telltale.lib.chart_shapes import Figure, Row, Stack
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from telltale.rest import params
from traces.pages_accounting import query_string, read_window
from traces.read import TooSlow

STAGE_WORDS = {"RETRIEVER": "Retrieval", "EMBEDDING": "Embedding", "RERANKER": "Reranking", "GENERATION": "Generation"}
LINKS_MAX = 12
# A list is labelled by eye: far more than anybody reads, and below what a form may hold.
SHOWN_MAX = 100
MARKS = {"": "not said", "1": "of use", "0": "of no use"}


@dataclass(frozen=True, slots=True)
class Told:
    """A figure in words: value, interval, n; or what is lacking."""

    value: str
    interval: str
    n: str


@dataclass(frozen=True, slots=True)
class QualityView:
    """Precision and hit rate at one depth or of one feature."""

    name: str
    precision: Told
    hits: Told
    partly: int
    href: str = ""


@dataclass(frozen=True, slots=True)
class StageView:
    """A kind of step with its times and money."""

    name: str
    n: str
    p50: str
    p95: str
    p95_ci: str
    errors: str
    cost: str
    each: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def retrieval(request: HttpRequest, project: Project) -> HttpResponse:
    """How good retrieval is in a window: documents, answers, time and money, the worst queries."""
    zone = clock.zone_of(project.time_zone)
    window = read_window(request.GET, zone, clock.now(), default="7d", keep=("feature", "by", "k"))
    feature = _clean(request.GET.get("feature", ""))
    k = int(request.GET["k"]) if request.GET.get("k") in [str(each) for each in DEPTHS] else 5
    context: dict[str, Any] = {"project": project, "window": window, "feature": feature, "k": k}
    try:
        found = read_retrieval(
            project.pk, project.time_zone, window.start_at, window.end_at, feature=feature or None,
            by=_clean(request.GET.get("by", "")), k=k,
        )  # fmt: skip
    except TooSlow:
        return render(request, "evals/retrieval.html", context | {"too_slow": True}, status=503)
    at_k = next((each for each in found.qualities if each.k == k), None)
    context |= {
        "found": found,
        "is_empty": not found.choices and not found.stages,
        "headline": headline(found, at_k),
        "words": _words(found, at_k),
        "reciprocal": told(found.reciprocal, is_share=False),
        "depths": [(query_string(request.GET, k=str(each)), each, each == k) for each in DEPTHS],
        "qualities": [_quality(each, f"First {each.k}" if each.k > 1 else "First alone") for each in found.qualities],
        "features": [
            _quality(each, name or "no feature told", query_string(request.GET, feature=name or None))
            for name, each in found.by_feature
        ],
        "choices": [(query_string(request.GET, by=each.key), each, each == found.chosen) for each in found.choices],
        "at_k": at_k,
        "figure": distribution(found),
        "grounded": [
            (row, told(row.raw, is_share=row.of.is_share), _corrected(row.corrected, is_share=row.of.is_share))
            for row in found.grounded
        ],
        "stages": [_stage(each) for each in found.stages],
        "worst": [
            (each, reverse("trace_page", args=[project.slug, each.trace_id.hex]),
             reverse("retrieval_documents", args=[project.slug, each.trace_id.hex]))
            for each in found.worst
        ],
        "clear": query_string(request.GET, feature=None),
        "feature_links": [(name, query_string(request.GET, feature=name)) for name in found.features[:LINKS_MAX]],
        "may_label": may(project, "review"),
        "traces_min": TRACES_MIN,
    }  # fmt: skip
    return render(request, "evals/retrieval.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.REVIEWER)
def documents(request: HttpRequest, project: Project, trace: str) -> HttpResponse:
    """Say which documents of a trace were of use; POST keeps it."""
    trace_id = params.trace_id(trace)
    material = load_material(project.pk, trace_id) if trace_id is not None else None
    if trace_id is None or material is None:
        raise Http404
    if request.method == "POST" and may(project, "review"):
        labels = []
        for document in material.documents[:SHOWN_MAX]:
            mark = request.POST.get(f"d{document.span_id}-{document.rank}", "")
            if mark in MARKS:
                relevance = float(mark) if mark else None
                labels.append(Label(trace_id, relevance, document.rank, span_id=document.span_id))
        done = label_documents(project, labels, source=PERSON)
        said = sum(label.relevance is not None for label in labels)
        messages.success(request, f"Kept: {said:,} of {len(material.documents):,} documents are labelled.")
        if done.refused:
            messages.warning(request, f"{len(done.refused):,} were not taken: {done.refused[0][1]}.")
        return redirect("retrieval_documents", slug=project.slug, trace=trace_id.hex)
    held = labels_of(project.pk, trace_id)
    rows = [
        (document, f"d{document.span_id}-{document.rank}",
         _mark(held.get((document.span_id, document.rank, PERSON))))
        for document in material.documents[:SHOWN_MAX]
    ]  # fmt: skip
    context = {
        "project": project, "trace": trace_id.hex, "material": material, "rows": rows, "marks": list(MARKS.items()),
        "more": max(len(material.documents) - SHOWN_MAX, 0),
    }  # fmt: skip
    return render(request, "evals/retrieval_documents.html", context)


def headline(found: RetrievalPage, at_k: Quality | None) -> str:
    """The answer of the page in a sentence."""
    if at_k is None:
        return "Retrieval: no document was judged in this window" if found.stages else "Retrieval"
    if isinstance(at_k.hits, TooLittle):
        return f"Too little to tell: {at_k.hits.have} of {at_k.hits.need} traces with judged documents"
    hits, precision = at_k.hits, at_k.precision
    first = f"{fmt.share(hits.value)} of retrievals find a document of use among the first {at_k.k}"
    if isinstance(precision, TooLittle):
        return first
    return f"{first}; {fmt.share(precision.value)} of these documents are"


def _words(found: RetrievalPage, at_k: Quality | None) -> str:
    """Whose verdicts the figures stand on, and for what they speak."""
    if found.chosen is None or at_k is None:
        return ""
    documents = f"{found.documents:,} document{'' if found.documents == 1 else 's'}"
    said = (
        f"Judged by {found.chosen.title}: {found.retrievals:,} retrieval{'' if found.retrievals == 1 else 's'},"
        f" {documents}. "
    )
    if not at_k.is_sample:
        return said + "Picked by hand: the figures speak for these retrievals alone."
    said += "Drawn with known chances, so the figures speak for all retrievals that brought documents."
    if at_k.unweighted:
        is_one = at_k.unweighted == 1
        said += f" {at_k.unweighted:,} more {'was' if is_one else 'were'} picked by hand and {'is' if is_one else 'are'} in no figure."  # noqa: E501
    return said


def _corrected(found: Corrected | TooLittle, *, is_share: bool) -> Told:
    if isinstance(found, TooLittle):
        return Told("not corrected", f"{found.have:,} of {found.need:,} {found.what}", f"{found.have:,}")
    return told(found.estimate, is_share=is_share)


def told(found: Estimate | TooLittle | None, *, is_share: bool = True) -> Told:
    """A figure in words."""
    if found is None:
        return Told(fmt.UNKNOWN, "not corrected", "0")
    if isinstance(found, TooLittle):
        return Told("too little data", f"{found.have:,} of {found.need:,} {found.what}", f"{found.have:,}")

    def word(value: float) -> str:
        return fmt.share(min(max(value, 0.0), 1.0)) if is_share else f"{value:.2f}"

    interval = "no interval"
    if found.low is not None and found.high is not None:
        interval = f"95% CI {word(found.low)}{fmt.EN_DASH}{word(found.high)}"
    n = f"{found.n:,}" if abs(found.n_eff - found.n) < 1 else f"{found.n:,} (worth {found.n_eff:,.0f})"
    return Told(word(found.value), interval, n)


def distribution(found: RetrievalPage) -> Figure | None:
    """How the retriever scored documents that were of use, and those that were not."""
    scores = found.scores
    edges, relevant, other = scores.edges, scores.relevant, scores.other
    if not edges:
        return None
    labels = [f"{edge:.2g}" if at % 3 == 0 else "" for at, edge in enumerate(edges[:-1])]
    stacks = (Stack("of use", relevant, "f1"), Stack("of no use", other, "f2"))
    n = sum(relevant) + sum(other)
    finding = "The retriever’s scores tell little: only one kind of document was judged"
    if scores.relevant_middle is not None and scores.other_middle is not None:
        finding = (
            f"Documents of use score {scores.relevant_middle:.2g} in the middle, others {scores.other_middle:.2g}"
        )
    rows = tuple(
        Row((f"{edges[at]:.3g} to {edges[at + 1]:.3g}", f"{relevant[at]:,}", f"{other[at]:,}"))
        for at in range(len(relevant))
    )
    return Figure(
        finding, f"Documents by the retriever’s own score, n = {n:,}", finding,
        charts.bar_picture(stacks, labels, charts.COUNT, size=charts.HALF), ("Score", "Of use", "Of no use"), rows,
        (("s1", "of use"), ("s2", "of no use")), True,
    )  # fmt: skip


def _quality(each: Quality, name: str, href: str = "") -> QualityView:
    return QualityView(name, told(each.precision), told(each.hits), each.partly, href)


def _stage(stage: Stage) -> StageView:
    low, high = stage.p95[1], stage.p95[2]
    interval = "" if low is None else f"{fmt.latency(low)} to {fmt.latency(high, missing='no upper limit')}"
    pico = stage.cost.pico
    one = pico // stage.of_requests if pico is not None and stage.of_requests else None
    return StageView(
        STAGE_WORDS[stage.kind.name], f"{stage.n:,}", fmt.latency(stage.p50[0], missing="not told"),
        fmt.latency(stage.p95[0], missing="not told"), interval,
        fmt.share(stage.errors / stage.n) if stage.n else fmt.UNKNOWN,
        fmt.cost_pico(pico, missing="not known"), fmt.cost_pico(one, missing="not known"),
    )  # fmt: skip


def _mark(relevance: float | None) -> str:
    return "" if relevance is None else "1" if relevance >= 0.5 else "0"


def _clean(text: str) -> str:
    return "".join(c for c in text[:200] if c != "\x00" and not "\ud800" <= c <= "\udfff")
