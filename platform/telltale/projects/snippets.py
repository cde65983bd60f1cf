"""What a person pastes to send a first trace. A test sends each of these through the real door."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

PLACEHOLDER = "tt_sk_YOUR_KEY"
# The set that was recorded and tested; docs/sending-traces.md has the others.
OTEL_VERSION = "1.45.2"


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way to send: `key` names it in the page, `code` is what to paste."""

    key: str
    label: str
    hint: str
    code: str


def snippets(url: str, secret: str, now: datetime) -> list[Snippet]:
    """The ways to send a first trace to `url` with the key `secret`."""
    return [
        Snippet("curl", "curl", "Plain JSON, for anything without OpenTelemetry.", _curl_native(url, secret, now)),
        Snippet("otlp", "curl, OTLP", "The same as OpenTelemetry's own JSON.", _curl_otlp(url, secret, now)),
        Snippet(
            "python",
            "Python",
            f"pip install opentelemetry-sdk=={OTEL_VERSION} opentelemetry-exporter-otlp-proto-http=={OTEL_VERSION}",
            _python(url, secret),
        ),
        Snippet(
            "sdk",
            "Telltale SDK",
            "pip install ./sdk/python, from the folder that Telltale was cloned into.",
            _sdk(url, secret),
        ),
    ]


def native_body(now: datetime) -> dict[str, object]:
    """One trace with one model call, in the native form."""
    return {
        "name": "answer a question",
        "kind": "generation",
        "start": (now - timedelta(seconds=2)).isoformat(timespec="milliseconds"),
        "end": now.isoformat(timespec="milliseconds"),
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input": "How long do I have to send back a gift?",
        "output": "60 days from the day it was given.",
        "usage": {"input_tokens": 18, "output_tokens": 11},
        "feature": "returns",
        "user": "u-1",
    }


def otlp_body(now: datetime) -> dict[str, object]:
    """The same trace as OTLP/JSON."""
    end = int(now.timestamp() * 1_000_000) * 1000
    attributes: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 18,
        "gen_ai.usage.output_tokens": 11,
        "telltale.feature": "returns",
        "user.id": "u-1",
    }
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [_attribute("service.name", "shop")]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": secrets.token_hex(16),
                                "spanId": secrets.token_hex(8),
                                "name": "chat gpt-4o-mini",
                                "kind": 3,
                                "startTimeUnixNano": str(end - 2_000_000_000),
                                "endTimeUnixNano": str(end),
                                "attributes": [_attribute(key, value) for key, value in attributes.items()],
                            }
                        ]
                    }
                ],
            }
        ]
    }


def _attribute(key: str, value: object) -> dict[str, object]:
    return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def _curl(url: str, secret: str, body: dict[str, object]) -> str:
    return (
        f"curl {url} \\\n  -H 'Authorization: Bearer {secret}' \\\n  -H 'Content-Type: application/json' \\\n"
        f"  -d '{json.dumps(body, indent=2)}'"
    )


def _curl_native(url: str, secret: str, now: datetime) -> str:
    return _curl(f"{url}/api/v1/traces", secret, native_body(now))


def _curl_otlp(url: str, secret: str, now: datetime) -> str:
    return _curl(f"{url}/v1/traces", secret, otlp_body(now))


def _python(url: str, secret: str) -> str:
    return f'''from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

exporter = OTLPSpanExporter(
    endpoint="{url}/v1/traces",
    headers={{"Authorization": "Bearer {secret}"}},
)
provider = TracerProvider(resource=Resource.create({{"service.name": "shop"}}))
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)

with trace.get_tracer("shop").start_as_current_span("chat gpt-4o-mini") as span:
    span.set_attributes({{
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 18,
        "gen_ai.usage.output_tokens": 11,
        "telltale.feature": "returns",
        "user.id": "u-1",
    }})

provider.shutdown()  # sends what is still waiting
'''


def _sdk(url: str, secret: str) -> str:
    return f'''import telltale_sdk as telltale

telltale.init(endpoint="{url}", api_key="{secret}", service="shop")


@telltale.observe(kind="generation")
def answer(question):
    span = telltale.current_span()
    span.set_model("gpt-4o-mini", "openai")
    span.set_usage(input_tokens=18, output_tokens=11)
    return "60 days from the day it was given."


with telltale.user("u-1"), telltale.feature("returns"):
    answer("How long do I have to send back a gift?")
'''
