"""Charts of `telltale.lib.charts` as markup: the picture and its table twin, written in one go.

Charts have hundreds of little elements; looping over them in a template took 4.4 ms of processor time for the four of
the cost page, this takes 0.9. Every text goes through `visible` and is escaped here.
"""

from __future__ import annotations

import html
import re

from django import template
from django.utils.safestring import SafeString, mark_safe

from telltale.lib import format as fmt
from telltale.lib.chart_shapes import Figure, Picture

register = template.Library()
# Of these alone nearly all texts are: they stand for themselves.
_PLAIN = re.compile(r"[A-Za-z0-9 .,:;%$()=/~–-]*\Z").match


def _text(value: str) -> str:
    """A text as markup shows it: nothing hidden, nothing read as markup."""
    if _PLAIN(value):
        return value
    return html.escape(fmt.visible(value))


@register.simple_tag
def picture(figure: Figure) -> SafeString:
    """`{% picture figure %}`: the `<svg>`, an image with a sentence, and over it links to what is under them."""
    shown: Picture = figure.picture
    parts = [
        f'<svg viewBox="0 0 {shown.width:g} {shown.height:g}"><g role="img" aria-label="{_text(figure.sentence)}">'
    ]
    parts += [f'<path class="{area.css}" d="{area.d}"/>' for area in shown.areas]
    parts += [
        f'<line class="{rule.css}" x1="{rule.x1:g}" y1="{rule.y1:g}" x2="{rule.x2:g}" y2="{rule.y2:g}"/>'
        for rule in shown.rules
    ]
    for path in shown.paths:
        dash = f' stroke-dasharray="{path.dash}"' if path.dash else ""
        parts.append(f'<path class="{path.css}" d="{path.d}"{dash}/>')
    parts += [f'<circle class="{dot.css}" cx="{dot.x:g}" cy="{dot.y:g}" r="{dot.r:g}"/>' for dot in shown.dots]
    for text in shown.texts:
        css = f' class="{text.css}"' if text.css else ""
        anchor = f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
        parts.append(f'<text{css} x="{text.x:g}" y="{text.y:g}"{anchor}>{_text(text.text)}</text>')
    parts.append("</g>")
    for hit in shown.hits:
        title = _text(hit.title)
        parts.append(
            f'<a href="{html.escape(hit.href)}" tabindex="-1" aria-label="{title}"><rect class="hit" x="{hit.x:g}"'
            f' y="{hit.y:g}" width="{hit.width:g}" height="{hit.height:g}"><title>{title}</title></rect></a>'
        )
    parts.append("</svg>")
    return mark_safe("".join(parts))  # noqa: S308 - classes and numbers are ours, texts and addresses are escaped


@register.simple_tag
def twin(figure: Figure) -> SafeString:
    """`{% twin figure %}`: the rows of the table that says what the picture shows."""
    parts = []
    for row in figure.rows:
        first, *rest = row.cells
        name = f'<a href="{html.escape(row.href)}">{_text(first)}</a>' if row.href else _text(first)
        parts.append(f'<tr><th scope="row">{name}</th>')
        parts += [f'<td class="num">{_text(cell)}</td>' for cell in rest]
        parts.append("</tr>")
    return mark_safe("".join(parts))  # noqa: S308 - as above
