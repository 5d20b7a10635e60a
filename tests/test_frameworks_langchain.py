"""LangChain and LangGraph: agents, tools and calls as rows, each call once, and the handler's totals."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("langchain_core")

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

from langchain_core.caches import InMemoryCache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import ToolException, tool

import spantally
from frameworks_kit import ENDS, KEY, billed, counted, script, tree
from spantally.calls import told
from spantally.instrumentors.langchain.runs import runs
from spantally.langchain import CallbackHandler
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched, attributes

GEMINI: dict[str, Any] = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "total_tokens": 1100,
    "input_token_details": {"cache_read": 400},
    "output_token_details": {"reasoning": 60},
}


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Clients that LangChain keeps for itself are collected in the test that made them."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


ANSWERED = {"model_name": "gemini-2.5-flash", "model_provider": "google_genai"}


class Unpatched(BaseChatModel):
    """A chat model whose SDK nobody patches."""

    usage: Any = GEMINI
    metadata_of_answer: Any = ANSWERED
    fails: int = 0
    error: Any = TimeoutError("no answer")
    asked: int = 0

    @property
    def _llm_type(self) -> str:
        return "unpatched"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_provider": "google_genai", "ls_model_name": "gemini-2.5-flash", "ls_model_type": "chat"}

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self.asked += 1
        if self.asked <= self.fails:
            raise self.error
        message = AIMessage(
            content="hi", usage_metadata=self.usage, response_metadata=dict(self.metadata_of_answer)
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


class Streaming(Unpatched):
    """The same, that streams."""

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for text in ("a", "b"):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=text))
            if run_manager:
                run_manager.on_llm_new_token(text, chunk=chunk)
            yield chunk
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=self.usage))


@tool
def lookup(word: str) -> str:
    """Look a word up."""
    return f"found {word}"


def openai_model(server: ScriptedServer, **values: Any) -> Any:
    """LangChain's model over the patched SDK."""
    module = pytest.importorskip("langchain_openai")
    return module.ChatOpenAI(
        **{"model": "gpt-4o", "base_url": server.base_url, "api_key": KEY, "max_retries": 0, **values}
    )


def ran(coroutine: Any, *models: Any) -> Any:
    """Run a coroutine and close the clients of models, whose connections are of its loop."""

    async def whole() -> Any:
        try:
            return await coroutine
        finally:
            for model in models:
                close = getattr(getattr(model, "root_async_client", None), "close", None)
                if close is not None:
                    await close()
            await asyncio.sleep(0.01)  # for the transports to say that they are closed

    return asyncio.run(whole())


def sdk_client(server: ScriptedServer) -> Any:
    import openai

    return openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)


def test_model_of_no_patched_sdk_is_counted_from_what_langchain_says(watched: Watched) -> None:
    """Gemini through LangChain costs what its tokens cost, cached and reasoning ones told apart."""
    handler = CallbackHandler(session="chat-1")
    Unpatched().invoke("hello", config={"callbacks": [handler]})
    (row,) = watched.of("inference")
    assert (row.provider, row.request_model, row.session_id) == ("gcp.gemini", "gemini-2.5-flash", "chat-1")
    assert row.usage == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "cache_read.input_tokens": 400,
        "reasoning.output_tokens": 60,
    }
    # $0.30 a million tokens in, $0.03 cached, $2.50 out.
    assert handler.total_cost == Decimal("0.000442")
    assert (handler.total_tokens, handler.llm_calls) == (1100, 1)
    (span,) = watched.spans
    told = attributes(span)
    assert span.name == "chat gemini-2.5-flash"
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.cache_read.input_tokens"]) == (1000, 400)
    assert told["session.id"] == "chat-1"


def test_cache_writes_of_both_durations_are_priced_apart() -> None:
    """Anthropic's cache writes come split by how long they stay, and the sum is not added once more."""
    from spantally.instrumentors.langchain.answers import answered
    from spantally.pricing.usage import normalise

    usage: Any = {
        "input_tokens": 1000,
        "output_tokens": 10,
        "total_tokens": 1010,
        "input_token_details": {
            "cache_read": 100,
            "cache_creation": 0,
            "ephemeral_5m_input_tokens": 200,
            "ephemeral_1h_input_tokens": 300,
        },
    }
    message = AIMessage(content="x", usage_metadata=usage)
    found = answered(ChatResult(generations=[ChatGeneration(message=message)]))
    parts = normalise(found.usage or {}, found.usage_format or "")
    assert (parts.uncached_input, parts.cache_read, parts.cache_write_5m, parts.cache_write_1h) == (
        400,
        100,
        200,
        300,
    )


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"token_usage": {"prompt_tokens": 3, "completion_tokens": 2}}, (3, 2)),
        ({"usage_metadata": {"input_tokens": 4, "output_tokens": 5}}, (4, 5)),
        ({"usage": {"input_tokens": 6, "output_tokens": 7}}, (6, 7)),
    ],
)
def test_usage_is_found_in_response_metadata(metadata: Any, expected: tuple[int, int]) -> None:
    """Where a message has no usage_metadata, what the provider's package left in its metadata counts."""
    handler = CallbackHandler()
    model = Unpatched(usage=None, metadata_of_answer={"model_name": "gemini-2.5-flash", **metadata})
    model.invoke("hello", config={"callbacks": [handler]})
    totals = handler.totals
    assert (totals.input_tokens, totals.output_tokens) == expected


@pytest.mark.parametrize(
    ("address", "priced"),
    [("https://api.openai.com/v1", True), ("https://gateway.example.com/v1", False), (None, True)],
)
def test_name_alone_is_no_price(address: str | None, priced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of a vendor's name on a host that is not the vendor's has no known rate."""
    parameters = {"ls_provider": "openai", "ls_model_name": "gpt-4o", "ls_model_type": "chat"}
    monkeypatch.setattr(Unpatched, "_get_ls_params", lambda *args, **kwargs: parameters)
    monkeypatch.setattr(Unpatched, "_get_invocation_params", lambda *args, **kwargs: {"base_url": address})
    handler = CallbackHandler()
    model = Unpatched(metadata_of_answer={"model_name": "gpt-4o"})
    model.invoke("hello", config={"callbacks": [handler]})
    assert (handler.total_cost is not None) is priced
    assert handler.total_tokens == 1100


def test_no_usage_is_said_and_not_zero(watched: Watched) -> None:
    """A call of which nobody tells the tokens is a call without a cost, not one that is free."""
    handler = CallbackHandler()
    Unpatched(usage=None).invoke("hello", config={"callbacks": [handler]})
    assert handler.total_cost is None
    assert (handler.llm_calls, handler.totals.unpriced_calls) == (1, 1)
    assert watched.of("inference")[0].usage is None


def test_without_instrument_the_totals_are_kept() -> None:
    """A handler alone, with nothing instrumented, sums up what LangChain tells of a patched SDK's model."""
    spantally.uninstrument()
    with ScriptedServer(Reply(text="x", usage=Usage(input=10, output=4))) as server:
        handler = CallbackHandler()
        openai_model(server).invoke("hello", config={"callbacks": [handler]})
    assert (handler.llm_calls, handler.total_tokens) == (1, 14)
    assert handler.total_cost == Decimal("0.000065")


def test_observations_of_others_know_that_runs_are_counted(watched: Watched) -> None:
    """From the first run on, until our handler is taken back, callbacks of others tell of no more calls."""
    RunnableLambda(str).invoke("hello")
    assert "langchain" in told.counted
    spantally.uninstrument()
    assert "langchain" not in told.counted


def test_call_of_the_patched_sdk_is_counted_there_alone(watched: Watched) -> None:
    """The SDK's row is the only one, and both the session and the handler have it once."""
    with ScriptedServer(Reply(text="x", usage=Usage(input=10, output=4))) as server:
        handler = CallbackHandler()
        with spantally.session("mine") as session:
            model = openai_model(server)
            model.invoke("hello", config={"callbacks": [handler]})
            for _ in model.stream("hello", stream_usage=True, config={"callbacks": [handler]}):
                pass

            async def both() -> None:
                await model.ainvoke("hello", config={"callbacks": [handler]})
                async for _ in model.astream("hello", stream_usage=True, config={"callbacks": [handler]}):
                    pass

            ran(both(), model)
        assert counted(watched) == billed(server) == (4, 40, 16)
    assert {row.scope_name for row in watched.of("inference")} == {"spantally"}
    assert session.totals == handler.totals
    assert len(watched.spans) == 4


@pytest.mark.filterwarnings("ignore:Unexpected type for token usage:UserWarning")
@pytest.mark.parametrize("how", ["batch", "abatch", "parallel", "generate", "agenerate", "threads"])
@pytest.mark.parametrize("patched", [True, False])
def test_many_at_once_are_each_counted_once(how: str, patched: bool, watched: Watched) -> None:
    """Batches, parallel branches and threads: as many rows as answers, whoever counts them."""
    handler = CallbackHandler()
    config: Any = {"callbacks": [handler]}
    messages = [[("user", f"hello {number}")] for number in range(5)]
    with ScriptedServer(Reply(text="x", usage=Usage(input=1000, output=100))) as server:
        model = openai_model(server) if patched else Unpatched()
        if how == "batch":
            model.batch(messages, config=config)
        elif how == "abatch":
            ran(model.abatch(messages, config=config), model)
        elif how == "parallel":
            RunnableParallel({str(number): model for number in range(5)}).invoke("hello", config=config)
        elif how == "generate":
            from langchain_core.messages import HumanMessage

            model.generate([[HumanMessage(one[0][1])] for one in messages], callbacks=[handler])
        elif how == "agenerate":
            from langchain_core.messages import HumanMessage

            asked = [[HumanMessage(one[0][1])] for one in messages]
            ran(model.agenerate(asked, callbacks=[handler]), model)
        else:
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(lambda one: model.invoke(one, config=config), messages))
    assert counted(watched) == (5, 5000, 500)
    assert (handler.llm_calls, handler.total_tokens) == (5, 5500)
    assert len(runs) == 0


def test_retries_are_calls_of_their_own(watched: Watched) -> None:
    """LangChain's own retries ask again: each attempt is a call, and the one that timed out may be billed."""
    handler = CallbackHandler()
    model = Unpatched(fails=1).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    model.invoke("hello", config={"callbacks": [handler]})
    failed, answered = watched.of("inference")
    assert (failed.status, failed.error_type, failed.possibly_billed) == ("error", "TimeoutError", True)
    assert answered.status == "ok"
    assert (handler.llm_calls, handler.total_tokens) == (2, 1100)


@pytest.mark.parametrize("patched", [True, False])
def test_answer_from_langchains_cache_costs_nothing(patched: bool, watched: Watched) -> None:
    """A cache hit is no call: it has no row, and the totals do not move."""
    handler = CallbackHandler()
    with ScriptedServer(Reply(text="x", usage=Usage(input=1000, output=100))) as server:
        model = openai_model(server, cache=InMemoryCache()) if patched else Unpatched(cache=InMemoryCache())
        for _ in range(3):
            model.invoke("hello", config={"callbacks": [handler]})
    assert counted(watched) == (1, 1000, 100)
    assert (handler.llm_calls, handler.total_tokens) == (1, 1100)


def test_two_handlers_and_the_installed_one_make_one_row(watched: Watched) -> None:
    """However many handlers hear of a call, it has one row, and each handler's totals have it once."""
    first, second = CallbackHandler(), CallbackHandler()
    chain = RunnableLambda(lambda text: Unpatched().invoke(text, config={"callbacks": [second]}))
    chain.invoke("hello", config={"callbacks": [first]})
    assert [row.kind for row in watched.records] == ["inference"]
    assert first.llm_calls == 0  # the program gave its own callbacks to the inner call
    assert second.llm_calls == 1
    Unpatched().invoke("hello", config={"callbacks": [first, second]})
    assert len(watched.of("inference")) == 2
    assert (first.llm_calls, second.llm_calls) == (1, 2)


def test_installed_by_itself(watched: Watched) -> None:
    """With ``instrument()`` alone every run is seen; after ``uninstrument()`` none is."""
    Unpatched().invoke("hello")
    assert counted(watched) == (1, 1000, 100)
    spantally.LangChainInstrumentor().uninstrument()
    Unpatched().invoke("hello")
    assert counted(watched) == (1, 1000, 100)
    spantally.LangChainInstrumentor().instrument()
    Unpatched().invoke("hello")
    assert counted(watched) == (2, 2000, 200)


def test_tools_take_the_models_id_and_hold_what_runs_inside(watched: Watched) -> None:
    """A tool is a row with the id of its tool call; what the SDK does inside hangs beneath it."""
    with ScriptedServer(Reply(text="x", usage=Usage(input=10, output=4))) as server:

        @tool
        def asks(word: str) -> str:
            """Ask a model."""
            return (
                sdk_client(server)
                .chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": word}])
                .choices[0]
                .message.content
            )

        call: Any = {"name": "asks", "args": {"word": "x"}, "id": "call_7", "type": "tool_call"}
        asks.invoke(call)

        async def later() -> None:
            await asks.ainvoke(call)

        ran(later())
    assert tree(watched.records) == ["tool asks", "tool asks > inference gpt-4o"] * 2
    assert [row.tool_call_id for row in watched.of("tool")] == ["call_7", "call_7"]
    assert {row.tool for row in watched.of("inference")} == {"asks"}


def test_errors_of_tools_are_errors(watched: Watched) -> None:
    """A tool that raises, and one whose error is told to the model as its answer, are both errors."""

    @tool
    def raises(word: str) -> str:
        """Raise."""
        raise KeyError(word)

    @tool
    def told(word: str) -> str:
        """Raise what is told."""
        raise ToolException(word)

    told.handle_tool_error = True
    with pytest.raises(KeyError):
        raises.invoke({"word": "x"})
    told.invoke({"name": "told", "args": {"word": "x"}, "id": "call_1", "type": "tool_call"})
    assert [(row.name, row.status, row.error_type) for row in watched.of("tool")] == [
        ("raises", "error", "KeyError"),
        ("told", "error", "tool_error"),
    ]


def test_retrievers_are_retrievals(watched: Watched) -> None:
    """A retriever is a row of its own kind, beneath the chain around it."""
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    class Shelf(BaseRetriever):
        """Two documents."""

        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return [Document(page_content="a"), Document(page_content="b")]

    (Shelf() | RunnableLambda(len)).invoke("hello", config={"run_name": "answer"})
    assert tree(watched.records) == ["workflow answer", "workflow answer > retrieval Shelf"]


@pytest.mark.parametrize(("status", "billed"), [(503, True), (529, False), (429, False)])
def test_server_error_may_have_been_billed(watched: Watched, status: int, billed: bool) -> None:
    """What failed is judged by its status, as a call of an SDK of ours is."""

    class ServerError(Exception):
        status_code = status

    with pytest.raises(ServerError):
        Unpatched(fails=1, error=ServerError()).invoke("hello")
    (row,) = watched.of("inference")
    assert (row.status, row.possibly_billed) == ("error", billed)


def test_consumer_of_a_stream_is_outside_of_it(watched: Watched) -> None:
    """What the program does between two chunks is its own, and the model's call is counted nevertheless."""
    with ScriptedServer(Reply(text="x", usage=Usage(input=10, output=4))) as server:
        client = sdk_client(server)
        chain = Streaming() | RunnableLambda(lambda message: message)
        for _ in Streaming().stream("hello"):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
            break
        for _ in chain.stream("hello"):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
            break
        asked = len(server.requests)
    rows = watched.of("inference")
    assert asked == 2
    assert [row.parent_call_id for row in rows if row.request_model == "gpt-4o"] == [None, None]
    assert len([row for row in rows if row.request_model == "gemini-2.5-flash"]) == 2
    assert spantally.ground.scope.current_scope() is None


def test_stream_that_is_left_is_said_so(watched: Watched) -> None:
    """A stream that the program leaves is abandoned, and possibly billed where no usage came."""
    stream = Streaming().stream("hello")
    next(stream)
    stream.close()
    (row,) = watched.of("inference")
    assert (row.status, row.abandoned, row.possibly_billed) == ("ok", True, True)
    for _ in Streaming().stream("hello"):
        pass
    assert watched.of("inference")[1].usage == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "cache_read.input_tokens": 400,
        "reasoning.output_tokens": 60,
    }


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
def test_graph_nests_agent_calls_and_tools(how: str, watched: Watched) -> None:
    """LangGraph: an agent's graph is an agent, its calls and tools hang beneath, the bill is the server's."""
    agents = pytest.importorskip("langchain.agents")
    handler = CallbackHandler(session="thread-7")
    config: Any = {"callbacks": [handler]}
    asked: Any = {"messages": [("user", "hello")]}
    with ScriptedServer(script) as server:
        model = openai_model(server)
        agent = agents.create_agent(model, [lookup], name="researcher")
        if how == "invoke":
            agent.invoke(asked, config=config)
        elif how == "ainvoke":
            ran(agent.ainvoke(asked, config=config), model)
        elif how == "stream":
            list(agent.stream(asked, config=config))
        else:

            async def run() -> None:
                async for _ in agent.astream(asked, config=config):
                    pass

            ran(run(), model)
        assert counted(watched) == billed(server) == (2, 311, 22)
    assert tree(watched.records) == [
        "agent researcher",
        "agent researcher > inference gpt-4o",
        "agent researcher > tool lookup",
        "agent researcher > inference gpt-4o",
    ]
    assert {row.session_id for row in watched.records} == {"thread-7"}
    assert {row.agent_path for row in watched.records} == {("researcher",)}
    assert len(watched.spans) == 4
    by_name = {span.name: span for span in watched.spans}
    agent_span = by_name["invoke_agent researcher"]
    assert {span.parent_span_id for span in watched.spans} == {b"", agent_span.span_id}
    told = attributes(agent_span)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (311, 22)
    assert handler.total_cost == handler.totals.cost_usd
    assert watched.of("tool")[0].tool_call_id is not None
    assert watched.of("agent")[0].turn
    assert ENDS.output == 15


def test_graph_in_a_graph(watched: Watched) -> None:
    """A graph that is a step of another one is an agent within, named after its step where it has no name."""
    agents = pytest.importorskip("langchain.agents")
    graphs = pytest.importorskip("langgraph.graph")
    with ScriptedServer(script) as server:
        inner = agents.create_agent(openai_model(server), [lookup])
        builder = graphs.StateGraph(graphs.MessagesState)
        builder.add_node("team", inner)
        builder.add_node("mine", lambda state: {"messages": [openai_model(server).invoke("plain")]})
        builder.add_edge(graphs.START, "team")
        builder.add_edge("team", "mine")
        builder.compile(name="house").invoke({"messages": [("user", "hello")]})
        assert counted(watched) == billed(server)
    assert tree(watched.records) == [
        "agent house",
        "agent house > agent team",
        "agent house > agent team > inference gpt-4o",
        "agent house > agent team > tool lookup",
        "agent house > agent team > inference gpt-4o",
        "agent house > inference gpt-4o",
    ]


def test_what_the_program_enters_inside_a_step_is_further_in(watched: Watched) -> None:
    """An agent of ours and a session that a step enters hold what the step does, as anywhere."""
    graphs = pytest.importorskip("langgraph.graph")

    def step(state: Any) -> Any:
        with spantally.session("inner"), spantally.agent("helper"):
            Unpatched().invoke("hello")
        return {"messages": []}

    builder = graphs.StateGraph(graphs.MessagesState)
    builder.add_node("step", step)
    builder.add_edge(graphs.START, "step")
    builder.compile(name="outer").invoke({"messages": []})
    assert tree(watched.records) == [
        "agent outer",
        "agent outer > agent helper",
        "agent outer > agent helper > inference gemini-2.5-flash",
    ]
    assert [row.session_id for row in watched.records[1:]] == ["inner", "inner"]


def test_paused_and_untracked_hold(watched: Watched) -> None:
    """Nothing is seen inside ``paused()``; inside ``untracked()`` only what it cost."""
    with ScriptedServer(Reply(text="x", usage=Usage(input=10, output=4))) as server:
        chain = RunnableLambda(lambda text: text) | Unpatched()
        with spantally.paused():
            chain.invoke("hello")
            openai_model(server).invoke("hello")
        assert watched.records == []
        with spantally.untracked():
            chain.invoke("hello")
            openai_model(server).invoke("hello")
    assert [(row.kind, row.name) for row in watched.records] == [("inference", None), ("inference", None)]
    assert watched.spans == []


def test_open_session_is_used_from_any_thread(watched: Watched) -> None:
    """A session object that the program has open gets the runs, also those of threads that know nothing."""
    with spantally.session("mine") as session:
        handler = CallbackHandler(session=session)
        with ThreadPoolExecutor(1) as pool:
            import contextvars

            pool.submit(
                contextvars.Context().run, lambda: Unpatched().invoke("x", config={"callbacks": [handler]})
            ).result()
        assert session.totals.calls == 1
    assert watched.of("inference")[0].session_id == "mine"


@pytest.mark.parametrize("wrong", [7, "", object()])
def test_wrong_session_is_named(wrong: Any) -> None:
    """What is no session is refused at once."""
    with pytest.raises(ValueError, match="session"):
        CallbackHandler(session=wrong)


def test_limits_of_the_program_hold(watched: Watched) -> None:
    """A loop guard stops a tool that is called alike again, and a budget an agent's turn."""
    graphs = pytest.importorskip("langgraph.graph")
    with spantally.session("loop", loop_guard=spantally.LoopGuard(identical=2, on_loop="raise")):
        lookup.invoke({"word": "x"})
        with pytest.raises(spantally.LoopDetected):
            lookup.invoke({"word": "x"})
    assert [row.status for row in watched.of("tool")] == ["ok", "error"]
    with ScriptedServer(script) as server:
        builder = graphs.StateGraph(graphs.MessagesState)
        builder.add_node("step", lambda state: {"messages": [openai_model(server).invoke("plain")]})
        builder.add_edge(graphs.START, "step")
        graph = builder.compile(name="house")
        with spantally.session("turns", budget=spantally.Budget(calls=1, on_exceed="soft")):
            graph.invoke({"messages": []})
            with pytest.raises(spantally.BudgetExceeded):
                graph.invoke({"messages": []})
        assert len(server.requests) == 1
    assert [row.status for row in watched.of("agent")] == ["ok", "error"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_steps_side_by_side_are_of_one_agent(asynchronous: bool, watched: Watched) -> None:
    """Steps that run at once, in threads or tasks, hang beneath one agent, each call once."""
    graphs = pytest.importorskip("langgraph.graph")
    builder = graphs.StateGraph(graphs.MessagesState)
    for number in range(8):
        builder.add_node(f"step{number}", lambda state: {"messages": [Unpatched().invoke("hello")]})
        builder.add_edge(graphs.START, f"step{number}")
    graph = builder.compile(name="wide")
    if asynchronous:
        asyncio.run(graph.ainvoke({"messages": []}))
    else:
        graph.invoke({"messages": []})
    assert tree(watched.records) == ["agent wide", *["agent wide > inference gemini-2.5-flash"] * 8]


@pytest.mark.parametrize("collected", [False, True])
def test_graph_that_is_left_is_abandoned(collected: bool, watched: Watched) -> None:
    """A graph's stream that the program leaves, or drops, ends its agent, and nothing stays in force."""
    graphs = pytest.importorskip("langgraph.graph")
    builder = graphs.StateGraph(graphs.MessagesState)
    builder.add_node("first", lambda state: {"messages": [Unpatched().invoke("hello")]})
    builder.add_node("second", lambda state: {"messages": [Unpatched().invoke("hello")]})
    builder.add_edge(graphs.START, "first")
    builder.add_edge("first", "second")
    stream = builder.compile(name="left").stream({"messages": []})
    next(stream)
    if not collected:
        stream.close()
    del stream
    gc.collect()
    (agent,) = watched.of("agent")
    assert (agent.status, agent.abandoned) == ("ok", True)
    assert len(watched.of("inference")) == 1
    assert spantally.ground.scope.current_scope() is None
    assert len(runs) == 0
