"""Costs of usages as their speakers tell them, exact to the pico-dollar against figures worked by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from traces.canonical.types import CanonicalSpan, CostStatus, Kind, Origin, Vocabulary
from traces.canonical.usage import Counts, resolve
from traces.canonical.usage_maps import counts_from_map
from traces.cost.book import usd
from traces.cost.pricing import price_span
from traces.cost.shipped import shipped_book

AT_US = 1_795_000_000_000_000  # 2026-11-18
MODELS = {"HAIKU": "claude-3-5-haiku-20241022", "SONNET": "claude-sonnet-4-20250514"}
# What a row's counts are called in the words of the speaker.
COUNTS = {"in": "tokens_in", "out": "tokens_out", "5m": "write_5m", "1h": "write_1h"}

# name | vocabulary | provider | model | what it tells | how | tokens x US dollars a million, one term a bucket
TABLE = """
plain | genai | openai | gpt-4o-mini | in=1000 out=200 | - | 1000x0.15+200x0.60
cached | genai | openai | gpt-4o-mini | in=2500 read=2048 out=300 | - | 452x0.15+2048x0.075+300x0.60
all cached | genai | openai | gpt-4o-mini | in=1024 read=1024 out=1 | - | 1024x0.075+1x0.60
one token | genai | openai | gpt-4o-mini | in=1 out=1 | - | 1x0.15+1x0.60
nothing answered | genai | openai | gpt-4o-mini | in=77 out=0 | - | 77x0.15
dated model | genai | openai | gpt-4o-2024-08-06 | in=777 out=333 | - | 777x2.50+333x10
4o cached | genai | openai | gpt-4o | in=1000 read=500 out=9 | - | 500x2.50+500x1.25+9x10
turbo | genai | openai | gpt-4-turbo | in=1200 out=640 | - | 1200x10+640x30
gpt-4 | genai | openai | gpt-4 | in=1200 out=640 | - | 1200x30+640x60
3.5 | genai | openai | gpt-3.5-turbo | in=4096 out=99 | - | 4096x0.50+99x1.50
reasoning inside | genai | openai | o3 | in=300 out=500 reasoning=448 | - | 300x2+500x8
reasoning larger than output | genai | openai | o4-mini | in=10 out=100 reasoning=800 | - | 10x1.10+900x4.40
gpt-5 | genai | openai | gpt-5 | in=1000 read=900 out=64 | - | 100x1.25+900x0.125+64x10
openai batch | genai | openai | gpt-4o-mini | in=1000 out=200 | tier=batch | 1000x0.075+200x0.30
openai priority | genai | openai | gpt-4o-mini | in=1000 out=200 | tier=priority | 1000x0.25+200x1
openai flex | genai | openai | gpt-5 | in=1000 out=200 | tier=flex | 1000x0.625+200x5
openai default tier | genai | openai | gpt-4o-mini | in=1000 out=200 | tier=default | 1000x0.15+200x0.60
3-small | genai | openai | text-embedding-3-small | in=8191 | embedding | 8191x0.02
3-large | genai | openai | text-embedding-3-large | in=8191 | embedding | 8191x0.13
ada-002 | genai | openai | text-embedding-ada-002 | in=17 out=0 | embedding | 17x0.10
openai-v2 blind | genai | openai | gpt-4o-mini | in=2500 out=300 | blind upper_bound | 2500x0.15+300x0.60
logfire blind without discount | logfire | openai | gpt-4-turbo | in=25 out=3 | blind | 25x10+3x30
openinference | openinference | openai | gpt-4o-mini | in=2500 read=2048 out=300 reasoning=192 | - | 452x0.15+2048x0.075+300x0.60
openllmetry anthropic | openllmetry | anthropic | HAIKU | in=1000 read=900 out=50 | - | 100x0.80+900x0.08+50x4
openlit anthropic | openlit | anthropic | HAIKU | in=1000 read=900 out=50 | - | 1000x0.80+900x0.08+50x4
openlit openai | openlit | openai | gpt-4o-mini | in=1000 read=900 out=50 | - | 100x0.15+900x0.075+50x0.60
exclusive for certain | genai | anthropic | HAIKU | in=10 read=900 write=100 out=50 | - | 10x0.80+900x0.08+100x1.00+50x4
native anthropic | anthropic | anthropic | HAIKU | in=100 read=60 1h=20 out=5 | - | 20x0.80+60x0.08+20x1.60+5x4
langfuse raw openai | langfuse | openai | gpt-4o-mini | map | - | 452x0.15+2048x0.075+300x0.60
langfuse raw anthropic | langfuse | anthropic | SONNET | map | - | 500x3.00+8000x0.30+1200x3.75+400x6.00+250x15.00
langfuse additive | langfuse | openai | gpt-4o-mini | map | - | 452x0.15+2048x0.075+108x0.60+192x0.60
langfuse plain | langfuse | openai | gpt-4o | map | - | 12x2.50+34x10
mlflow | mlflow | anthropic | HAIKU | map | inclusive | 100x0.80+900x0.08+50x4
opus | genai | anthropic | claude-3-opus-20240229 | in=1000 out=200 | - | 1000x15+200x75
anthropic batch | genai | anthropic | HAIKU | in=1000 out=200 | tier=batch | 1000x0.40+200x2
bedrock | genai | aws.bedrock | us.anthropic.claude-sonnet-4-20250514-v1:0 | in=1000 out=200 | - | 1000x3+200x15
vertex | genai | gcp.vertex_ai | claude-sonnet-4-5@20250929 | in=1000 out=200 | - | 1000x3+200x15
azure | genai | azure.ai.openai | gpt-4o-2024-11-20 | in=1000 out=200 | - | 1000x2.50+200x10
gemini short | genai | gcp.gemini | gemini-2.5-pro | in=200000 out=1 | - | 200000x1.25+1x10
gemini long | genai | gcp.gemini | gemini-2.5-pro | in=200001 out=1 | - | 200001x2.50+1x15
gemini long by its cache | genai | gcp.gemini | gemini-2.5-pro | in=200001 read=200000 out=1 | - | 1x2.50+200000x0.25+1x15
gemini audio | genai | gcp.gemini | gemini-2.5-flash | in=1000 audio_in=400 out=10 | - | 600x0.30+400x1+10x2.50
realtime audio | genai | openai | gpt-4o-realtime-preview | in=1000 audio_in=900 out=200 audio_out=150 | - | 100x5+900x40+50x20+150x80
groq | genai | groq | llama-3.3-70b-versatile | in=1000 out=200 | - | 1000x0.59+200x0.79
litellm prefix | litellm | - | groq/llama-3.3-70b-versatile | in=1000 out=200 | - | 1000x0.59+200x0.79
mistral | genai | mistral_ai | mistral-large-2512 | in=1000 out=200 | - | 1000x0.50+200x1.50
deepseek | genai | deepseek | deepseek-chat | in=1000 read=800 out=50 | - | 200x0.27+800x0.07+50x1.10
cohere | genai | cohere | command-r-plus-08-2024 | in=1000 out=200 | - | 1000x2.50+200x10
cohere embed | genai | cohere | embed-english-v3.0 | in=512 | embedding | 512x0.10
voyage | genai | voyageai | voyage-3-large | in=512 | embedding | 512x0.18
grok | genai | x_ai | grok-3 | in=1000 out=200 | - | 1000x3+200x15
mixtral | genai | mistral_ai | mixtral-8x7b | in=1000 out=200 | - | 1000x0.27+200x0.81
mixtral instruct | genai | mistral_ai | mixtral-8x7b-instruct | in=1000 out=200 | - | 1000x0.27+200x0.81
langsmith lifetimes | langsmith | anthropic | SONNET | in=10100 read=8000 5m=1200 1h=400 out=250 | - | 500x3.00+8000x0.30+1200x3.75+400x6.00+250x15.00
"""  # noqa: E501 - one usage a line
MAPS: dict[str, dict[str, Any]] = {
    "langfuse raw openai": {
        "prompt_tokens": 2500,
        "completion_tokens": 300,
        "total_tokens": 2800,
        "prompt_tokens_details": {"cached_tokens": 2048},
        "completion_tokens_details": {"reasoning_tokens": 192},
    },
    "langfuse raw anthropic": {
        "input_tokens": 500,
        "output_tokens": 250,
        "cache_read_input_tokens": 8000,
        "cache_creation_input_tokens": 1600,
        "cache_creation": {"ephemeral_5m_input_tokens": 1200, "ephemeral_1h_input_tokens": 400},
    },
    "langfuse additive": {
        "input": 452,
        "input_cached_tokens": 2048,
        "output": 108,
        "output_reasoning_tokens": 192,
        "total": 2800,
    },
    "langfuse plain": {"input": 12, "output": 34, "total": 46},
    "mlflow": {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050, "cache_read_input_tokens": 900},
}


def case(line: str) -> tuple[CanonicalSpan, CostStatus, Decimal]:
    """The priced span of a row of the table, the status and the cost in dollars that it ought to have."""
    name, speaker, provider, model, told, how, figure = (cell.strip() for cell in line.split("|"))
    vocabulary, hints = Vocabulary(speaker), how.split()
    if told == "map":
        counts = counts_from_map(MAPS[name], inclusive="inclusive" in hints)
    else:
        pairs = (pair.split("=") for pair in told.split())
        counts = Counts(**{COUNTS.get(key, key): int(value) for key, value in pairs})
    owner = None if provider == "-" else provider
    resolved = resolve(
        counts,
        vocabulary=vocabulary,
        provider=owner,
        cache_blind="blind" in hints,
        is_error=False,
        has_output=True,
        source="test",
    )
    span = CanonicalSpan(
        trace_id=UUID(int=1),
        span_id=1,
        parent_span_id=None,
        name=name,
        kind=Kind.EMBEDDING if "embedding" in hints else Kind.GENERATION,
        started_us=AT_US,
        start_ns=AT_US * 1000,
        end_ns=None,
        duration_ns=None,
        origin=Origin(1, {}, "scope", "", {}, vocabulary),
        provider=owner,
        model_answered=MODELS.get(model, model),
        service_tier=next((hint.removeprefix("tier=") for hint in hints if hint.startswith("tier=")), None),
        usage=resolved.usage,
        flags=resolved.flags,
    )
    price_span(span, shipped_book())
    terms = (term.split("x") for term in figure.split("+"))
    cost = sum((Decimal(tokens) * Decimal(rate) for tokens, rate in terms), Decimal(0)) / 1_000_000
    return span, CostStatus.UPPER_BOUND if "upper_bound" in hints else CostStatus.PRICED, cost


LINES = TABLE.strip().splitlines()


def test_the_table_covers_the_speakers() -> None:
    told = [tuple(cell.strip() for cell in line.split("|")) for line in LINES]

    assert len({cells[0] for cells in told}) == len(LINES) >= 40
    assert {Vocabulary(cells[1]) for cells in told} == set(Vocabulary) - {
        Vocabulary.HTTP,
        Vocabulary.NATIVE,
        Vocabulary.PLAIN,
    }


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[0].strip())
def test_cost_to_the_pico_dollar(line: str) -> None:
    span, status, cost = case(line)

    assert span.cost_status is status
    assert usd(span.cost_pico or 0) == cost
    assert sum(part or 0 for part in span.cost_parts or []) == span.cost_pico
    assert span.model_priced == span.model_answered
