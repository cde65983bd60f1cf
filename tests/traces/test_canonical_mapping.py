"""Attributes of every vocabulary become the same columns; the more believed one wins."""

import json
from uuid import UUID

import pytest

from traces.canonical import apply_feature_rules
from traces.canonical.keys import KINDS, TYPED_KEYS, Slot
from traces.canonical.limits import Limits
from traces.canonical.mapping import Draft, map_span
from traces.canonical.names import FINISH_REASONS, finish_reason, provider_name, provider_of_model
from traces.canonical.notes import Notes
from traces.canonical.scopes import EXACT, HTTP_SCOPES, PREFIXES, vocabulary_of_attributes, vocabulary_of_scope
from traces.canonical.source import Source
from traces.canonical.types import Kind, SpanFlag, SpanStatus, Usage, Vocabulary

NOW = 1_795_237_700_000_000_000
START = NOW - 10**9


def make_span(scope="", resource=None, events=None, status=0, message="", **attributes):
    attributes = {key.replace("__", "."): value for key, value in attributes.items()}
    return map_attributes(attributes, scope, resource, events, status, message)


def map_attributes(attributes, scope="", resource=None, events=None, status=0, message=""):
    draft = Draft(UUID(int=7), 1, None, "name", 1, START, NOW, attributes, Notes(), events=events, status=status,
                  status_message=message)  # fmt: skip
    return map_span(draft, Source(resource or {}, scope), NOW, Limits())


@pytest.mark.parametrize(("scope", "vocabulary"), EXACT.items())
def test_known_scopes_tell_the_vocabulary(scope, vocabulary):
    assert make_span(scope).origin.vocabulary is vocabulary


@pytest.mark.parametrize(("prefix", "vocabulary"), PREFIXES)
def test_families_of_scopes_tell_the_vocabulary(prefix, vocabulary):
    assert vocabulary_of_scope(prefix + "something") is vocabulary


@pytest.mark.parametrize("scope", sorted(HTTP_SCOPES))
def test_http_scopes_are_plain_spans(scope):
    span = make_span(scope, http__method="POST")

    assert (span.origin.vocabulary, span.kind) == (Vocabulary.HTTP, Kind.SPAN)


@pytest.mark.parametrize(
    ("keys", "vocabulary"),
    [
        (["gen_ai.system", "openinference.span.kind"], Vocabulary.OPENINFERENCE),
        (["gen_ai.system", "mlflow.spanType"], Vocabulary.MLFLOW),
        (["gen_ai.system", "langfuse.observation.type"], Vocabulary.LANGFUSE),
        (["gen_ai.prompt", "langsmith.span.kind"], Vocabulary.LANGSMITH),
        (["gen_ai.system", "traceloop.span.kind"], Vocabulary.OPENLLMETRY),
        (["gen_ai.system", "http.method"], Vocabulary.GENAI),
        (["http.method"], Vocabulary.HTTP),
        (["app.thing"], Vocabulary.PLAIN),
        ([], Vocabulary.PLAIN),
    ],
)
def test_attributes_tell_the_vocabulary_of_unknown_scopes(keys, vocabulary):
    assert vocabulary_of_attributes(dict.fromkeys(keys, "x")) is vocabulary


def test_spans_of_one_scope_share_an_origin_by_vocabulary():
    source = Source({"service.name": "a"}, "unknown")
    first = source.origin({"gen_ai.system": "x"})

    assert source.origin({"gen_ai.system": "y"}) is first
    assert source.origin({}).key != first.key
    assert Source({"service.name": "a"}, "unknown").origin({"gen_ai.system": "z"}).key == first.key
    assert Source({"service.name": "b"}, "unknown").origin({"gen_ai.system": "z"}).key != first.key


KIND_CASES = [(key, value, kind) for key, values in KINDS.items() for value, kind in values.items()]


@pytest.mark.parametrize(("key", "value", "kind"), KIND_CASES)
def test_every_hint_tells_its_kind_in_any_case(key, value, kind):
    assert map_attributes({key: value}).kind is kind
    assert map_attributes({key: value.upper()}).kind is kind
    assert map_attributes({key: f'"{value}"'}).kind is kind


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"}, Kind.PROMPT),
        ({"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings"}, Kind.RETRIEVER),
        ({"langfuse.observation.type": "tool", "gen_ai.operation.name": "chat"}, Kind.TOOL),
        ({"gen_ai.operation.name": "chat", "openinference.span.kind": "CHAIN"}, Kind.GENERATION),
        ({"gen_ai.operation.name": "unheard_of", "openinference.span.kind": "LLM"}, Kind.GENERATION),
        ({"openinference.span.kind": "UNKNOWN"}, Kind.SPAN),
        ({"openinference.span.kind": "DECISION"}, Kind.SPAN),
        ({"langfuse.observation.type": "span"}, Kind.SPAN),
        ({"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 3}, Kind.GENERATION),
        ({"llm.model_name": "gpt-4o", "llm.token_count.prompt": 3}, Kind.GENERATION),
        ({"gen_ai.request.model": "gpt-4o"}, Kind.SPAN),
        ({"gen_ai.operation.name": 5}, Kind.SPAN),
        ({}, Kind.SPAN),
    ],
)
def test_of_several_hints_the_more_believed_that_names_a_kind_wins(attributes, kind):
    assert map_attributes(attributes).kind is kind


# The order of belief, one row a column: the first of the pair wins over the second.
BELIEF = [
    ("model_answered", "langfuse.observation.model.name", "gen_ai.response.model"),
    ("model_answered", "mlflow.llm.model", "gen_ai.response.model"),
    ("model_answered", "gen_ai.response.model", "llm.model_name"),
    ("model_requested", "gen_ai.request.model", "model"),
    ("provider", "gen_ai.provider.name", "llm.provider"),
    ("provider", "llm.provider", "gen_ai.system"),
    ("user_id", "user.id", "gen_ai.request.user"),
    ("user_id", "enduser.id", "llm.user"),
    ("user_id", "user.id", "traceloop.association.properties.user_id"),
    ("session_id", "gen_ai.conversation.id", "session.id"),
    ("session_id", "session.id", "traceloop.association.properties.session_id"),
    ("prompt_name", "langfuse.observation.prompt.name", "gen_ai.prompt.name"),
    ("prompt_version", "llm.prompt_template.version", "traceloop.prompt.version"),
    ("feature", "telltale.feature", "app.feature"),
    ("feature", "app.feature", "gen_ai.workflow.name"),
    ("release", "telltale.release", "app.release"),
    ("release", "app.release", "service.version"),
    ("release", "service.version", "langfuse.release"),
    ("agent_name", "gen_ai.agent.name", "agent_name"),
    ("service_tier", "gen_ai.response.service_tier", "openai.response.service_tier"),
]


@pytest.mark.parametrize(("column", "first", "second"), BELIEF)
@pytest.mark.parametrize("nothing", ["", "null", None])
def test_the_more_believed_key_wins_and_an_empty_one_is_no_hit(column, first, second, nothing):
    base = {"gen_ai.operation.name": "chat"}

    for order in ((first, second), (second, first)):
        values = {first: "one", second: "two"}
        assert getattr(map_attributes(base | {key: values[key] for key in order}), column) == "one"
    assert getattr(map_attributes(base | {first: nothing, second: "two"}), column) == "two"


def test_every_key_that_is_read_stays_visible_as_sent():
    values = {key: "x" for slot, keys in TYPED_KEYS.items() if slot != Slot.REST for key in keys}

    span = map_attributes(values | {"mine": 1})

    assert span.body["raw"] == values
    assert span.attributes == {"mine": 1}


def test_the_resource_comes_before_the_span_for_where_it_ran():
    resource = {"service.name": "shop", "deployment.environment.name": "production", "service.version": "1"}

    span = make_span(
        resource=resource,
        service__name="other",
        deployment__environment="other",
        app__release="2",
        langfuse__release="3",
    )

    assert (span.service, span.environment, span.release) == ("shop", "production", "2")


def test_without_a_resource_the_span_says_where_it_ran():
    span = make_span(service__name="shop", deployment__environment="test", service__version="9")

    assert (span.service, span.environment, span.release) == ("shop", "test", "9")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("openai", "openai"), ("OpenAI", "openai"), ("azure", "azure.ai.openai"), ("az.ai.openai", "azure.ai.openai"),
        ("bedrock", "aws.bedrock"), ("vertexai", "gcp.vertex_ai"), ("gemini", "gcp.gemini"), ("mistral", "mistral_ai"),
        ("some-new-one", "some-new-one"), ("azure.ai.openai", "azure.ai.openai"), ("langchain", None), ("unknown", None),  # noqa: E501
        ("127.0.0.1", None), ("127.0.0.1:8000", None), ("localhost", None), ("https://api.openai.com/v1", None),
        ("api.openai.com", None),
    ],
)  # fmt: skip
def test_providers_have_one_name_and_hosts_are_none(raw, name):
    assert provider_name(raw) == name


def test_the_provider_as_sent_is_kept():
    span = make_span(gen_ai__operation__name="chat", gen_ai__system="Azure", gen_ai__request__model="gpt-4o")

    assert (span.provider, span.body["provider_raw"]) == ("azure.ai.openai", "Azure")


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o-mini", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("llama-3-70b", None),
        ("", None),
        ("o3-mini", "openai"),
    ],
)
def test_a_models_name_gives_its_provider_away_where_only_one_serves_it(model, provider):
    assert provider_of_model(model) == provider


@pytest.mark.parametrize(("raw", "normal"), FINISH_REASONS.items())
def test_finish_reasons_are_normalised_in_any_case(raw, normal):
    assert finish_reason(raw) == finish_reason(raw.upper()) == normal


@pytest.mark.parametrize("told", [["tool_calls"], '["tool_calls"]', "tool_calls", "tool_call", "tool_use"])
def test_a_finish_reason_comes_as_a_list_its_json_or_text(told):
    span = make_span(gen_ai__operation__name="chat", gen_ai__response__finish_reasons=told)

    assert span.finish_reason == "tool_call"
    assert span.body["finish_reasons"] in (["tool_calls"], ["tool_call"], ["tool_use"])


def test_a_finish_reason_inside_the_answer_is_found_and_one_inside_its_text_is_not():
    answer = {"choices": [{"message": {"content": 'say "finish_reason": "length"'}, "finish_reason": "stop"}]}

    span = map_attributes(
        {"mlflow.spanType": '"LLM"', "mlflow.spanOutputs": json.dumps(answer)}, "mlflow.tracing.provider"
    )

    assert span.finish_reason == "stop"


def test_tokens_of_openlits_anthropic_calls_exclude_and_of_its_openai_calls_include_the_cached_ones():
    counts = {"gen_ai.usage.input_tokens": 10_100, "gen_ai.usage.cache_read.input_tokens": 8000,
              "gen_ai.usage.cache_creation.input_tokens": 1600, "gen_ai.usage.output_tokens": 250}  # fmt: skip
    call = {"gen_ai.operation.name": "chat", **counts}

    anthropic = map_attributes(call | {"gen_ai.provider.name": "anthropic"}, "openlit.instrumentation.anthropic")
    openai = map_attributes(call | {"gen_ai.provider.name": "openai"}, "openlit.instrumentation.openai")

    assert anthropic.usage.input_fresh == 10_100
    assert openai.usage.input_fresh == 500


def test_cache_creation_and_cache_write_are_the_same_tokens():
    span = make_span(
        gen_ai__usage__input_tokens=100,
        gen_ai__usage__output_tokens=1,
        **{"gen_ai.usage.cache_creation.input_tokens": 30, "gen_ai.usage.cache_write.input_tokens": 30},
    )

    assert span.usage == Usage(70, None, 30, None, None, 1)


def test_aggregated_usage_is_marked_so_that_nothing_adds_it():
    span = make_span(
        "pydantic-ai",
        gen_ai__operation__name="invoke_agent",
        **{"gen_ai.aggregated_usage.input_tokens": 10, "gen_ai.aggregated_usage.output_tokens": 5},
    )

    assert span.kind is Kind.AGENT
    assert span.aggregated_usage
    assert span.usage == Usage(10, output_text=5)


def test_langsmiths_details_are_python_repr_and_its_metadata_json_wins():
    repr_only = {"gen_ai.usage.input_tokens": 700, "gen_ai.usage.output_tokens": 20, "langsmith.span.kind": "llm",
                 "gen_ai.usage.input_token_details": "{'audio': 0, 'cache_read': 640}"}  # fmt: skip
    usage = {"input_tokens": 700, "output_tokens": 20, "input_token_details": {"cache_read": 600}}

    assert map_attributes(repr_only, "langsmith").usage == Usage(60, 640, None, None, 0, 20)
    both = repr_only | {"langsmith.metadata.usage_metadata": json.dumps(usage)}
    assert map_attributes(both, "langsmith").usage == Usage(100, 600, None, None, None, 20)


def test_code_in_a_repr_is_never_run():
    span = make_span(
        "litellm", gen_ai__operation__name="chat", metadata__usage_object="{'a': __import__('os').getpid()}"
    )

    assert span.usage is None


@pytest.mark.parametrize(
    ("told", "pico"),
    [
        (0.01455, 14_550_000_000), ("0.0004014", 401_400_000), (1.3199999999999999e-05, 13_200_000), (1, 10**12),
        ('{"input": 0.0015, "output": 0.00375, "total": 0.01455}', 14_550_000_000),
        ('{"input": 0.001, "output": 0.002}', 3_000_000_000),
        (0, None), (0.0, None), ("0", None), (-1, None), ("free", None), (True, None), (float("nan"), None), (1e30, None),  # noqa: E501
        ("1e999999999", None), ('{"total": "x"}', None), ("[1]", None),
    ],
)  # fmt: skip
def test_a_reported_cost_is_exact_and_zero_is_unknown(told, pico):
    span = map_attributes({"langfuse.observation.cost_details": told})

    assert span.cost_reported_pico == pico
    if pico:
        assert span.body["cost_reported_by"] == "langfuse.observation.cost_details"


@pytest.mark.parametrize(
    ("attributes", "events", "streamed", "ttft_ns"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.25}, None, True, 250_000_000),
        ({"gen_ai.client.operation.time_to_first_chunk": "0.25"}, None, True, 250_000_000),
        ({"gen_ai.server.time_to_first_token": 0.25, "gen_ai.request.stream": False}, None, False, None),
        ({"gen_ai.server.time_to_first_token": 0.25, "gen_ai.request.stream": True}, None, True, 250_000_000),
        ({"gen_ai.server.time_to_first_token": 0.25}, None, None, None),
        ({"llm.is_streaming": "True"}, None, True, None),
        ({"llm.is_streaming": "False"}, None, False, None),
        ({}, "First Token Stream Event", True, 5_000_000),
        ({}, "gen_ai.content.completion.chunk", True, 5_000_000),
        ({}, "mlflow.chunk.item.0", True, 5_000_000),
        ({}, "new_token", True, 5_000_000),
        ({}, "something else", None, None),
        ({"gen_ai.response.time_to_first_chunk": -1}, None, None, None),
        ({"gen_ai.response.time_to_first_chunk": "soon"}, None, None, None),
        ({"gen_ai.response.time_to_first_chunk": 1e9}, None, None, None),
        ({"langfuse.observation.completion_start_time": '"2026-11-21T05:08:19.250000Z"'}, None, True, 250_000_000),
        ({"langfuse.observation.completion_start_time": "2026-11-21T05:08:19.250000"}, None, True, 250_000_000),
        ({"langfuse.observation.completion_start_time": '"2020-11-21T05:08:19Z"'}, None, None, None),
        ({"langfuse.observation.completion_start_time": '"never"'}, None, None, None),
    ],
)
def test_time_to_first_token_in_every_unit_and_place(attributes, events, streamed, ttft_ns):
    found = [{"name": events, "at_ns": START + 5_000_000}] if events else None

    span = map_attributes({"gen_ai.operation.name": "chat"} | attributes, events=found)

    assert (span.streamed, span.ttft_ns) == (streamed, ttft_ns)


def test_metadata_of_every_client_is_typed_and_joined():
    assert make_span(metadata='{"plan": "pro", "n": 3}').metadata == {"plan": "pro", "n": 3}
    assert make_span("langfuse-sdk", langfuse__trace__metadata__customer='"acme"').metadata == {"customer": "acme"}
    assert make_span("langfuse-sdk", langfuse__trace__metadata__customer="acme").metadata == {"customer": "acme"}
    assert make_span(traceloop__association__properties__customer="acme").metadata == {"customer": "acme"}
    assert make_span(metadata="free text").metadata == {"metadata": "free text"}
    assert make_span("litellm", metadata__user_api_key_hash="", metadata__team="a").metadata == {"team": "a"}


def test_session_user_and_feature_are_taken_from_metadata_where_nothing_else_tells_them():
    told = json.dumps({"thread_id": "t1", "user_id": 42, "feature": "search"})

    span = make_span(metadata=told)
    explicit = make_span(metadata=told, session__id="s", user__id="u", app__feature="f")

    assert (span.session_id, span.user_id, span.feature) == ("t1", "42", "search")
    assert (explicit.session_id, explicit.user_id, explicit.feature) == ("s", "u", "f")


def test_a_scrubbed_session_is_no_session():
    span = make_span("logfire", session_id="[Scrubbed due to 'session']", user_id="u")

    assert (span.session_id, span.user_id) == (None, "u")
    assert span.flags & SpanFlag.SESSION_SCRUBBED


@pytest.mark.parametrize(
    ("attributes", "scope", "tags"),
    [
        ({"tag.tags": ["a", "b", "a"]}, "", ["a", "b"]),
        ({"langfuse.trace.tags": '["a", "b"]'}, "langfuse-sdk", ["a", "b"]),
        ({"langsmith.span.tags": "a, b"}, "langsmith", ["a", "b"]),
        ({"mlflow.traceTag.team": "support", "mlflow.traceTag.mlflow.source": "x"}, "", ["team:support"]),
        ({"tag.tags": [f"t{n}" for n in range(100)]}, "", [f"t{n}" for n in range(64)]),
        ({"tag.tags": []}, "", None),
        ({"tag.tags": ""}, "", None),
        ({"tag.tags": {"a": 1}}, "", None),
    ],
)
def test_tags_of_every_shape(attributes, scope, tags):
    assert map_attributes(attributes, scope).tags == tags


def test_an_error_is_told_by_status_level_and_exception():
    event = {"name": "exception", "at_ns": NOW,
             "attributes": {"exception.type": "openai.NotFoundError", "exception.message": "gone", "exception.stacktrace": "tb"}}  # fmt: skip  # noqa: E501

    failed = make_span(events=[event], status=2)
    level = make_span("langfuse-sdk", langfuse__observation__level="ERROR", langfuse__observation__status_message="no")
    handled = make_span(events=[event], status=1)

    assert (failed.status, failed.error_type, failed.status_message) == (
        SpanStatus.ERROR,
        "openai.NotFoundError",
        "gone",
    )
    assert (failed.body["error_message"], failed.body["error_stack"]) == ("gone", "tb")
    assert (level.status, level.status_message) == (SpanStatus.ERROR, "no")
    assert (handled.status, handled.error_type) == (SpanStatus.OK, None)


def test_a_long_status_message_is_cut_and_kept_whole_in_the_body():
    span = make_span(status=2, message="x" * 5000)

    assert len(span.status_message) == 1024
    assert span.body["error_message"] == "x" * 5000


def test_pending_spans_are_marked():
    assert make_span("logfire", logfire__span_type="pending_span").flags & SpanFlag.PENDING
    assert not make_span("logfire", logfire__span_type="span").flags & SpanFlag.PENDING


def test_content_that_was_hidden_is_marked():
    assert make_span(input__value="__REDACTED__").flags & SpanFlag.CONTENT_REDACTED
    assert make_span("logfire", logfire__scrubbed='[{"path": ["attributes", "gen_ai.input.messages"]}]').flags & (
        SpanFlag.CONTENT_SCRUBBED
    )
    assert make_span(gen_ai__operation__name="chat").flags & SpanFlag.CONTENT_NOT_CAPTURED
    assert not make_span(gen_ai__operation__name="chat", input__value="x").flags & SpanFlag.CONTENT_NOT_CAPTURED


def test_a_workflow_names_the_feature_and_a_decorated_one_does_not():
    assert make_span(gen_ai__workflow__name="checkout").feature == "checkout"
    assert make_span(traceloop__workflow__name="checkout").feature is None


RULES = [
    {"match": "root_name", "pattern": "checkout*", "feature": "checkout"},
    {"match": "service", "pattern": "search-?", "feature": "search"},
    {"match": "root_name", "pattern": 5, "feature": "bad"},
    {"pattern": "*", "feature": ""},
    {"match": "root_name", "pattern": "*a*", "feature": "late"},
]


@pytest.mark.parametrize(
    ("name", "service", "feature"),
    [
        ("checkout.pay", None, "checkout"), ("Checkout", None, None), ("x", "search-1", "search"), ("x", "search-10", None),  # noqa: E501
        ("bar", None, "late"), ("x", None, None), ("checkout", "search-1", "checkout"),
    ],
)  # fmt: skip
def test_the_first_matching_project_rule_names_the_feature(name, service, feature):
    assert apply_feature_rules(name, service, RULES) == feature


def test_a_pattern_made_to_stall_does_not():
    assert apply_feature_rules("a" * 5000, None, [{"pattern": "*a" * 50 + "b", "feature": "x"}]) is None
