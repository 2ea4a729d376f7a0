"""A run is a tree of spans, as a real OTLP endpoint receives it."""

from __future__ import annotations

import asyncio
import json

import pytest
from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

from agentrag.app import Graph
from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError, RunError, SettingsError
from agentrag.core.types import Completion, Usage
from agentrag.graph.interpreter import execute
from agentrag.telemetry import attributes
from agentrag.telemetry.provider import flush
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.flow.running import program
from tests.graph.sample_nodes import Say
from tests.telemetry.receiver import Receiver
from tests.telemetry.tracing import run, settings, traced

ASK = "  - ask\n"
ERROR = 2
EVERYTHING = """\
  - parallel: {branches: {left: [search], right: [wide]}, join: {passages: rrf}}
  - repeat: {do: [ask], at_most: 3, until: "size(answer) == 1"}
  - choose: [{when: "size(answer) > 5", do: [tell]}, {otherwise: [ask]}]
  - each: {in: xs, as: x, do: [item], collect: {answer: all}, at_most: 3}
"""


async def test_spans_stand_under_what_is_around_them(receiver: Receiver) -> None:
    deps = traced(receiver, fake_deps(ScriptedModel(["two words", "a", "b"]), passages("a cat", "dog", "cat")))
    flow = EVERYTHING.split("  - each")[0]
    assert await run(flow, deps) == {"answer": "b"}
    assert receiver.tree() == [
        (0, "invoke_agent case"),
        (1, "parallel"),
        (2, "branch left"),
        (3, "node search"),
        (4, "retrieval fake"),
        (2, "branch right"),
        (3, "node wide"),
        (4, "retrieval fake"),
        (1, "repeat"),
        (2, "round 1"),
        (3, "node ask"),
        (4, "chat scripted"),
        (2, "round 2"),
        (3, "node ask"),
        (4, "chat scripted"),
        (1, "choose"),
        (2, "node ask"),
        (3, "chat scripted"),
    ]
    assert len({span.trace for span in receiver.spans}) == 1
    ends = {span.id: span.ended for span in receiver.spans}
    assert all(span.begun <= span.ended <= ends.get(span.parent, span.ended) for span in receiver.spans)


async def test_branches_that_take_turns_keep_their_spans_apart(receiver: Receiver) -> None:
    flow = "  - parallel: {branches: {a: [slow], b: [fast]}, join: {answer: vote}}\n"
    await run(flow, traced(receiver))
    nodes = {span.name: receiver.around(span) for span in receiver.spans if span.name.startswith("node")}
    assert nodes == {"node slow": "branch a", "node fast": "branch b"}


async def test_a_call_says_its_model_tokens_and_kind(receiver: Receiver) -> None:
    completion = Completion("yes", "length", Usage(1, 30, 5, cached_tokens=10, usd=0.25), model="m-2026")
    await run(ASK, traced(receiver, fake_deps(ScriptedModel([completion]))))
    told = receiver.named("chat scripted").attributes
    wanted = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "scripted",
        "llm.token_count.prompt": 30,
        "llm.token_count.completion": 5,
        "llm.token_count.total": 35,
        "llm.token_count.prompt_details.cache_read": 10,
        "llm.cost.total": 0.25,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "scripted",
        "gen_ai.response.model": "m-2026",
        "gen_ai.request.max_tokens": 8,
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.response.finish_reasons": ["length"],
        "agentrag.step": "flow.0:ask",
        "agentrag.reused": False,
    }
    assert {name: told.get(name) for name in wanted} == wanted
    whole = receiver.named("invoke_agent case").attributes
    assert (whole["openinference.span.kind"], whole["agentrag.status"], whole["agentrag.tokens"]) == ("AGENT", "finished", 35)
    assert (whole["agentrag.usd"], "gen_ai.usage.input_tokens" in whole) == (0.25, False)  # sums would count them twice


async def test_what_was_reused_is_told_without_tokens(receiver: Receiver) -> None:
    deps = traced(receiver, fake_deps(ScriptedModel(["yes"]))).but(run="once")
    assert await run(ASK, deps) == await run(ASK, deps)  # the second one goes on with the first
    first, second = sorted((span for span in receiver.spans if span.name == "chat scripted"), key=lambda span: span.begun)
    assert (first.attributes["agentrag.reused"], "llm.token_count.total" in first.attributes) == (False, True)
    assert (second.attributes["agentrag.reused"], "llm.token_count.total" in second.attributes) == (True, False)


async def test_a_failed_attempt_is_a_span_and_the_next_one_has_its_calls(receiver: Receiver) -> None:
    down = ModelError("it is down", retryable=True, retry_after=0.0)
    spec = program(ASK).spec
    patient = spec.model_copy(update={"nodes": {"ask": spec.nodes["ask"].model_copy(update={"retry": 2})}})
    deps = traced(receiver, fake_deps(ScriptedModel([down, down, "yes"])))
    assert await execute(type(program(ASK)).of(patient), {"question": "cat"}, deps) == {"answer": "yes"}
    await asyncio.to_thread(flush, 10)
    under = {(span.name, receiver.around(span), span.status) for span in receiver.spans if "invoke" not in span.name}
    assert under == {
        ("node ask", "invoke_agent case", 0),
        ("attempt 1", "node ask", ERROR),
        ("attempt 2", "node ask", ERROR),
        ("attempt 3", "node ask", 0),
        ("chat scripted", "node ask", ERROR),  # that it would not be the last attempt was not known then
        ("chat scripted", "attempt 2", ERROR),
        ("chat scripted", "attempt 3", 0),
    }


async def test_a_failure_is_told_by_every_span_it_went_through(receiver: Receiver) -> None:
    failed = await run(ASK, traced(receiver, fake_deps(ScriptedModel([ModelError("it is down")]))))
    assert isinstance(failed, RunError)
    by_name = {span.name: span for span in receiver.spans}
    assert {name: (span.status, span.said) for name, span in by_name.items()} == {
        "chat scripted": (ERROR, "it is down"),
        "node ask": (ERROR, "it is down"),
        "invoke_agent case": (ERROR, str(failed)),
    }
    assert by_name["chat scripted"].events == [
        ("exception", {"exception.message": "it is down", "exception.type": "ModelError"})
    ]
    assert by_name["node ask"].events[0][1]["exception.type"] == "ModelError"
    assert by_name["invoke_agent case"].attributes["agentrag.status"] == "failed"


async def test_branches_that_fail_or_are_cancelled_say_so(receiver: Receiver) -> None:
    flow = (
        "  - parallel: {branches: {a: [slow], b: [stuck], c: [broken]}, join: {answer: vote}, wait: first, on_error: collect}\n"
    )
    await run(flow, traced(receiver))
    branches = [span for span in receiver.spans if span.name.startswith("branch")]
    assert {span.name: (span.attributes["agentrag.outcome"], span.status) for span in branches} == {
        "branch a": ("done", 0),
        "branch b": ("cancelled", 0),
        "branch c": ("failed", ERROR),
    }
    assert receiver.named("node stuck").attributes["agentrag.outcome"] == "cancelled"


async def test_loops_and_choices_say_what_was_decided(receiver: Receiver) -> None:
    loop = "  - repeat: {do: [tell, weigh], at_most: 2, best_by: support}\n"
    await run(loop + '  - choose: [{when: "size(answer) > 90", do: [fast]}, {otherwise: []}]\n', traced(receiver))
    told = receiver.named("repeat").attributes
    assert (told["agentrag.loop.rounds"], told["agentrag.loop.why"]) == (2, "exhausted")
    assert receiver.named("round 2").attributes["agentrag.best_by"] > 0
    assert receiver.named("choose").attributes["agentrag.choice"] == "otherwise"


async def test_runs_at_once_on_the_same_back_ends_are_traces_of_their_own(receiver: Receiver) -> None:
    deps = traced(receiver, fake_deps(ScriptedModel(lambda request: request.messages[0].content)))
    graph = Graph.of(program("  - slow\n  - ask\n").spec)
    results = await asyncio.gather(*(graph.run(deps, question=f"q{number}") for number in range(8)))
    await asyncio.to_thread(flush, 10)
    by_trace: dict[bytes, list[str]] = {}
    for span in receiver.spans:
        by_trace.setdefault(span.trace, []).append(span.name)
    assert [sorted(names) for names in by_trace.values()] == [
        ["chat scripted", "invoke_agent case", "node ask", "node slow"]
    ] * len(results)
    runs = {span.attributes["agentrag.run"] for span in receiver.spans if span.name == "invoke_agent case"}
    assert runs == {result.run for result in results}


async def test_the_steps_of_an_exported_langgraph_graph_are_spans_too(receiver: Receiver) -> None:
    graph = Graph.of(program("  - ask\n  - repeat: {do: [tell], at_most: 2}\n").spec)
    compiled = graph.to_langgraph(steps=True)
    await compiled.ainvoke({"question": "cat"}, context=traced(receiver, fake_deps(ScriptedModel(["yes"]))))
    await asyncio.to_thread(flush, 10)
    assert [name for _, name in receiver.tree()] == [
        "invoke_agent case",
        "node ask",
        "chat scripted",
        "repeat",
        "round 1",
        "node tell",
        "round 2",
        "node tell",
    ]


class Outlook(Say):
    """Begins a span of its own, as instrumented code in a node does."""

    async def __call__(self, state: State, deps: Deps) -> State:
        with trace.get_tracer("mine", tracer_provider=_provider_of(trace.get_current_span())).start_as_current_span("mine"):
            await asyncio.sleep(0)
        return {"answer": "x"}


def _provider_of(span: trace.Span) -> trace.TracerProvider:
    from agentrag.telemetry import provider

    assert span.get_span_context().is_valid
    return provider._providers[-1]


async def test_spans_of_a_nodes_own_code_stand_under_it_and_the_callers_around_the_run(receiver: Receiver) -> None:
    deps = traced(receiver)
    spec = program("  - fast\n").spec
    spec = spec.model_copy(update={"nodes": {"fast": Outlook(text="x")}})
    from agentrag.telemetry import provider

    with provider._providers[-1].get_tracer("caller").start_as_current_span("request") as outer:
        await execute(type(program("  - fast\n")).of(spec), {"question": "cat"}, deps)
        assert trace.get_current_span() is outer
    await asyncio.to_thread(flush, 10)
    assert receiver.tree() == [(0, "request"), (1, "invoke_agent case"), (2, "node fast"), (3, "mine")]


async def test_texts_are_in_spans_only_where_contents_are_asked_for(receiver: Receiver) -> None:
    texts = (b"whiskered", b"purring", b"velvety")

    def deps(content: bool) -> Deps:
        fakes = fake_deps(ScriptedModel(["purring it is"]), passages("velvety paws"))
        return traced(receiver, fakes, content=content)

    await run("  - search\n  - ask\n", deps(content=False), question="whiskered?")
    assert receiver.spans
    assert not [text for text in texts if any(text in body for body in receiver.bodies)]
    receiver.spans.clear()
    await run("  - search\n  - ask\n", deps(content=True), question="whiskered?")
    found, asked = receiver.named("retrieval fake").attributes, receiver.named("chat scripted").attributes
    assert (found["input.value"], found["retrieval.documents.0.document.content"]) == ("whiskered?", "velvety paws")
    assert asked["llm.input_messages.0.message.content"] == "whiskered?"
    assert (asked["llm.output_messages.0.message.content"], asked["output.value"]) == ("purring it is", "purring it is")
    whole = receiver.named("invoke_agent case").attributes
    assert json.loads(whole["input.value"])["question"] == "whiskered?"
    assert json.loads(whole["output.value"]) == {"answer": "purring it is"}


async def test_headers_service_and_path_go_to_the_endpoint(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_HEADERS", "x-tenant=blue,authorization=Bearer%20abc.def1")
    await run("  - fast\n", traced(receiver, headers_env="MY_HEADERS", service="mine"))
    assert (receiver.paths[0], receiver.services[0]) == ("/v1/traces", "mine")
    assert (receiver.headers[0]["x-tenant"], receiver.headers[0]["authorization"]) == ("blue", "Bearer abc.def1")


async def test_the_standard_variables_beat_the_settings(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "theirs")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    await run("  - fast\n", traced(receiver, service="mine", sample=0.0))
    assert receiver.services == ["theirs"]


async def test_a_run_that_is_not_sampled_has_no_spans(receiver: Receiver) -> None:
    assert await run(ASK, traced(receiver, fake_deps(ScriptedModel(["yes"])), sample=0.0)) == {"answer": "yes"}
    assert receiver.bodies == []


def test_headers_that_are_not_there_are_an_error_of_the_settings(receiver: Receiver) -> None:
    with pytest.raises(SettingsError, match=r"telemetry\.headers_env names NO_SUCH_HEADERS, which is not set"):
        traced(receiver, headers_env="NO_SUCH_HEADERS")
    assert settings(receiver).telemetry.headers_env is None


@pytest.mark.parametrize(
    ("target", "provider", "model"),
    [
        ("openai-compatible/gpt-4o@api.openai.com", "openai", "gpt-4o"),
        ("openai-compatible/org/model@h", "openai", "org/model"),
        ("litellm/bedrock/anthropic.claude", "aws.bedrock", "anthropic.claude"),
        ("llamacpp/qwen", "llamacpp", "qwen"),
        ("scripted", "", "scripted"),
    ],
)
def test_a_models_name_is_its_provider_and_model(target: str, provider: str, model: str) -> None:
    assert attributes.model_of(target) == (provider, model)


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (attributes.OPERATION, gen_ai.GEN_AI_OPERATION_NAME),
        (attributes.PROVIDER, gen_ai.GEN_AI_PROVIDER_NAME),
        (attributes.AGENT_NAME, gen_ai.GEN_AI_AGENT_NAME),
        (attributes.REQUEST_MODEL, gen_ai.GEN_AI_REQUEST_MODEL),
        (attributes.RESPONSE_MODEL, gen_ai.GEN_AI_RESPONSE_MODEL),
        (attributes.MAX_TOKENS, gen_ai.GEN_AI_REQUEST_MAX_TOKENS),
        (attributes.TEMPERATURE, gen_ai.GEN_AI_REQUEST_TEMPERATURE),
        (attributes.SEED, gen_ai.GEN_AI_REQUEST_SEED),
        (attributes.INPUT_TOKENS, gen_ai.GEN_AI_USAGE_INPUT_TOKENS),
        (attributes.OUTPUT_TOKENS, gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS),
        (attributes.CACHED_TOKENS, gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS),
        (attributes.FINISH_REASONS, gen_ai.GEN_AI_RESPONSE_FINISH_REASONS),
        (attributes.DATA_SOURCE, gen_ai.GEN_AI_DATA_SOURCE_ID),
        (attributes.TOOL_NAME, gen_ai.GEN_AI_TOOL_NAME),
    ],
)
def test_names_are_those_of_the_convention(own: str, theirs: str) -> None:
    assert own == theirs


def test_operations_are_those_of_the_convention() -> None:
    known = {value.value for value in gen_ai.GenAiOperationNameValues}
    assert {operation for operation, _ in attributes.OPERATIONS.values()} | {"invoke_agent"} <= known


async def test_embeddings_and_tools_have_spans_clocks_have_none(receiver: Receiver) -> None:
    class Busy(Say):
        async def __call__(self, state: State, deps: Deps) -> State:
            from pydantic import TypeAdapter

            async def work(key: str) -> int:
                return 7

            await deps.embed(["one", "two"])
            await deps.now()
            await deps.tool("mcp/sum", {"numbers": [3, 4]}, work, TypeAdapter(int), "read")
            return {"answer": "x"}

    spec = program("  - fast\n").spec.model_copy(update={"nodes": {"fast": Busy(text="x")}})
    await execute(type(program("  - fast\n")).of(spec), {"question": "cat"}, traced(receiver, content=True))
    await asyncio.to_thread(flush, 10)
    assert [name for _, name in receiver.tree()][2:] == ["embeddings words", "execute_tool mcp/sum"]
    embedded, tool = receiver.named("embeddings words").attributes, receiver.named("execute_tool mcp/sum").attributes
    assert (embedded["openinference.span.kind"], embedded["agentrag.texts"]) == ("EMBEDDING", 2)
    assert embedded["embedding.embeddings.1.embedding.text"] == "two"
    assert (tool["openinference.span.kind"], tool["tool.name"], tool["output.value"]) == ("TOOL", "mcp/sum", "7")
    assert json.loads(tool["input.value"]) == {"numbers": [3, 4]}
