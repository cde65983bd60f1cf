"""Whether an answer declines: the phrases that models begin a refusal with, in the languages they answer in most."""

from __future__ import annotations

import re

# A refusal says so at its beginning; further down, "I cannot" is about something else.
BEGINNING_CHARS = 400
_EN_CANNOT = r"(?:can(?:no|['’])t|can not|won['’]t|will not|am unable to|am not able to)"
_EN_WORK = (
    r"(?:help|assist|provide|comply|answer|do that|fulfil|discuss|share|support|generate|create|write|engage|continue"
    r"|give|offer)"
)
_DE_THAT = r"(?:(?:das|dabei|damit|diese \w{1,30}|ihre \w{1,30}) )?"
_PHRASES = re.compile(
    r"\b(?:"
    + "|".join(
        (
            r"i(?:['’]m| am) (?:sorry|afraid)\b.{0,60}?\b(?:" + _EN_CANNOT + r"|unable|not able)\b",
            r"i (?:must decline to|" + _EN_CANNOT + r") " + _EN_WORK,
            r"i(?:['’]m| am) (?:unable|not able) to " + _EN_WORK,
            r"(?:sorry|unfortunately),? (?:but )?i " + _EN_CANNOT,
            r"as an ai(?: language)?(?: model| assistant)?,? i (?:" + _EN_CANNOT + r"|do not|don['’]t|am not)",
            r"i (?:must|have to) (?:respectfully )?decline",
            r"(?:das|dabei|damit)?\s?kann ich (?:ihnen |dir )?(?:leider )?(?:dabei |damit )?nicht "
            r"(?:helfen|beantworten|weiterhelfen)",
            r"ich (?:kann|darf) (?:ihnen |dir )?" + _DE_THAT + r"(?:leider )?(?:dabei |damit )?nicht "
            r"(?:helfen|beantworten|weiterhelfen|unterstützen|erfüllen)",
            r"je (?:ne peux|ne suis) (?:malheureusement )?pas (?:en mesure|vous aider|répondre|fournir|aider)",
            r"(?:lo siento|perdón),? (?:pero )?no puedo",
            r"no puedo (?:ayudar|proporcionar|responder|cumplir)",
            r"mi dispiace,? (?:ma )?non posso",
            r"non posso (?:aiutar|fornire|rispondere)",
            r"(?:desculpe|sinto muito|lamento),? (?:mas )?não posso",
            r"não posso (?:ajudar|fornecer|responder)",
            r"ik kan (?:u |je )?(?:daar |hier )?(?:helaas )?niet (?:bij |mee )?(?:helpen|beantwoorden)",
            r"nie mogę (?:pomóc|udzielić|odpowiedzieć)",
            r"я не могу (?:помочь|предоставить|ответить|выполнить)",
            r"yardımcı olamam",
        )
    )
    + r")",
    re.IGNORECASE,
)
_DENSE = re.compile(
    r"申し訳(?:ありません|ございません)|お(?:答|手伝)[^。]{0,20}できません|(?:抱歉|很遗憾|对不起)[^。]{0,20}(?:无法|不能)"
    r"|죄송[^.]{0,30}(?:없습니다|어렵)"
)
_REASONS = frozenset({"refusal", "content_filter", "safety", "blocked"})


def is_refusal(answer: str, finish_reason: str = "") -> bool:
    """Whether an answer declines what was asked, by how it begins or by why the model ended."""
    if finish_reason.lower() in _REASONS:
        return True
    beginning = " ".join(answer[: BEGINNING_CHARS * 2].split())[:BEGINNING_CHARS]
    return bool(_PHRASES.search(beginning) or _DENSE.search(beginning))
