"""An exception forced into each part that runs in a framework's hook: the program does not notice."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import spantally
from frameworks_kit import KEY, script
from spantally.ground import guard
from spantally.testing import ScriptedServer
from watching import Watched

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Boom(Exception):
    """What the forced failures raise."""


class Fault(NamedTuple):
    """One part that is made to raise, and the guards that must have met it."""

    target: str
    """``module:path``."""
    places: tuple[str, ...]


_L = "spantally.instrumentors.langchain"
_A = "spantally.instrumentors.openai_agents"
_P = "spantally.instrumentors.pydantic_ai.hooks"

LANGCHAIN = (
    Fault(
        f"{_L}.runs:Runs.put",
        (
            "langchain.chain_start",
            "langchain.tool_start",
            "langchain.retriever_start",
            "langchain.model_start",
        ),
    ),
    Fault(
        f"{_L}.runs:Runs.pop",
        ("langchain.chain_end", "langchain.tool_end", "langchain.retriever_end", "langchain.model_end"),
    ),
    Fault(f"{_L}.models:answering", ("langchain.token",)),
    Fault(f"{_L}.context:innermost", ("langchain.context",)),
    Fault(f"{_L}.models:innermost", ("calls.place",)),
    Fault(f"{_L}.models:told.count", ("langchain.late_count",)),
    Fault("spantally.calls.hosted:starting.start", ("calls.hosted",)),
    Fault("spantally.calls.hosted:keep_given_arguments", ("calls.hosted",)),
    Fault("spantally.api.hosting:SessionHost.enter", ("langchain.session",)),
    Fault("spantally.api.session:Session._leave", ("langchain.session_end",)),
    Fault("spantally.langchain:CallbackHandler._add", ("calls.listener",)),
)
AGENTS = (
    Fault(f"{_A}.processor:_Open.__init__", ("openai_agents.span_start",)),
    Fault(f"{_A}.processor:claims.withdraw", ("openai_agents.span_end",)),
    Fault(f"{_A}.adding:_add", ("openai_agents.add",)),
)
PYDANTIC_AI = (
    Fault(f"{_P}:begin", ("pydantic_ai.begin",)),
    Fault(f"{_P}:_Around.end", ("pydantic_ai.end",)),
    Fault(f"{_P}:_enter", ("pydantic_ai.run", "pydantic_ai.tool")),
    Fault(f"{_P}:_Asked.__init__", ("pydantic_ai.ask",)),
    Fault(f"{_P}:_Asked.end", ("pydantic_ai.answer",)),
)
EXERCISED = {place for fault in (*LANGCHAIN, *AGENTS, *PYDANTIC_AI) for place in fault.places} | {
    "langchain.instrument",
    "langchain.take_out",
    "langchain.uninstrument",
    "mcp.tool",
    "openai_agents.provider",
    "openai_agents.uninstrument",
    "pydantic_ai.leave",
}


def force(patch: pytest.MonkeyPatch, target: str) -> None:
    """Have a part raise."""
    module_name, _, path = target.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, last = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise Boom

    patch.setattr(owner, last, fail)


def met() -> set[str]:
    """The guards that have met a forced failure."""
    return {where for where, kind in guard.failures if kind == "Boom"}


def outcome(work: Callable[[], Any]) -> Any:
    """What a program gets: a value, or an exception."""
    try:
        return "returned", work()
    except Exception as error:
        return "raised", type(error).__name__, str(error)


def check(fault: Fault, work: Callable[[], Any]) -> None:
    """The outcome with the fault is the one without us, and the guards were reached."""
    spantally.uninstrument()
    expected = outcome(work)
    watched = Watched()
    try:
        assert outcome(work) == expected
        with pytest.MonkeyPatch.context() as patch:
            force(patch, fault.target)
            assert outcome(work) == expected
        assert set(fault.places) <= met()
    finally:
        watched.close()


def langchain_program(server: ScriptedServer) -> Callable[[], Any]:
    """A tool that fails, a retriever, a model that asks the SDK, and one whose stream is left."""
    pytest.importorskip("langchain_core")
    import openai
    from langchain_core.documents import Document
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool

    from spantally.langchain import CallbackHandler

    class Asking(GenericFakeChatModel):
        """A model that asks the SDK."""

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
                client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "plain"}]
                )
            return super()._generate(*args, **kwargs)

    class Shelf(BaseRetriever):
        """One document."""

        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return [Document(page_content="a")]

    @tool
    def lookup(word: str) -> str:
        """Look a word up."""
        if word == "broken":
            raise KeyError(word)
        return f"found {word}"

    def work() -> Any:
        config: Any = {"callbacks": [CallbackHandler(session="mine")]}
        answers = [AIMessage("first answer"), AIMessage("second answer")]
        model = Asking(messages=iter(answers))
        chain = RunnableLambda(lambda word: lookup.invoke({"word": word})) | model
        got = [str(chain.invoke("x", config=config).content)]
        stream = GenericFakeChatModel(messages=iter([AIMessage("a b c")])).stream("x", config=config)
        got.append(str(next(stream).content))
        stream.close()
        got.append(str(Shelf().invoke("x", config=config)[0].page_content))
        chain.invoke("broken", config=config)
        return got

    return work


@pytest.mark.parametrize("fault", LANGCHAIN, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_langchain(fault: Fault) -> None:
    """A chain gives what it gives without us, whatever of ours raises."""
    with ScriptedServer(script) as server:
        check(fault, langchain_program(server))
    importlib.import_module("spantally.instrumentors.langchain.runs").runs._known.clear()  # their ends failed


@pytest.mark.parametrize("fault", AGENTS, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_openai_agents(fault: Fault) -> None:
    """A run of agents gives what it gives without us, whatever of ours raises."""
    agents = pytest.importorskip("agents")
    import openai

    @agents.function_tool
    def lookup(word: str) -> str:
        """Look a word up."""
        return f"found {word}"

    def work() -> Any:
        agents.set_trace_processors([])

        async def run() -> Any:
            async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
                model = agents.OpenAIResponsesModel("gpt-4o", openai_client=client)
                agent = agents.Agent(name="Researcher", model=model, tools=[lookup])
                return (await agents.Runner.run(agent, "hello")).final_output

        return asyncio.run(run())

    with ScriptedServer(script) as server:
        check(fault, work)


@pytest.mark.parametrize("fault", PYDANTIC_AI, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_pydantic_ai(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent of pydantic-ai gives what it gives without us, whatever of ours raises."""
    pydantic_ai = pytest.importorskip("pydantic_ai")
    import openai
    import wrapt
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    from spantally.instrumentors.pydantic_ai import hooks

    # As if it were one of those that nobody patches.
    wrapped = wrapt.FunctionWrapper(OpenAIChatModel.request, hooks.request)
    monkeypatch.setattr(OpenAIChatModel, "request", wrapped)

    def work() -> Any:
        async def run() -> Any:
            async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
                model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=client))
                agent = pydantic_ai.Agent(model, name="Researcher")

                @agent.tool_plain
                def lookup(word: str) -> str:
                    """Look a word up."""
                    return f"found {word}"

                return (await agent.run("hello")).output

        return asyncio.run(run())

    with ScriptedServer(script) as server:
        check(fault, work)


def test_leaving_a_level_of_pydantic_ai(watched: Watched) -> None:
    """A context that cannot be read when a run ends is no matter of the program's."""
    hooks = importlib.import_module(_P)

    class Broken:
        """A variable that raises."""

        def get(self) -> Any:
            raise Boom

        set = get

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hooks, "_inside", Broken())
        hooks._leave(("run", "1"))
    assert "pydantic_ai.leave" in met()


def test_installing_and_taking_out(watched: Watched) -> None:
    """Where putting our parts in or taking them out fails, the program goes on, and a handler works alone."""
    pytest.importorskip("langchain_core")
    pytest.importorskip("agents")
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tracers import context as theirs

    from spantally.instrumentors.langchain import installed
    from spantally.instrumentors.langchain.places import CONTEXT_PATCHES
    from spantally.langchain import CallbackHandler

    assert RunnableLambda(len).invoke("abc") == 3
    with pytest.MonkeyPatch.context() as patch:
        force(patch, "spantally.instrumentors.openai_agents.adding:_add_to_known")
        force(patch, "spantally.instrumentors.openai_agents.added:remove")
        spantally.OpenAIAgentsInstrumentor().uninstrument()
        importlib.import_module("spantally.instrumentors.openai_agents.added").processors.clear()
        spantally.OpenAIAgentsInstrumentor().instrument()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CONTEXT_PATCHES, "enable", _raises)
        CallbackHandler()
        patch.setattr(installed, "remove", _raises)
        spantally.LangChainInstrumentor().uninstrument()
    _, take_out = installed.handlers[0]
    with pytest.MonkeyPatch.context() as patch:

        class Broken(list):  # type: ignore[type-arg]
            """A list that cannot be changed."""

            def __setitem__(self, *args: Any) -> None:
                raise Boom

        patch.setattr(theirs, "_configure_hooks", Broken())
        take_out()
    spantally.LangChainInstrumentor().instrument()
    assert {
        "openai_agents.provider",
        "openai_agents.uninstrument",
        "langchain.instrument",
        "langchain.uninstrument",
        "langchain.take_out",
    } <= met()


def _raises(*args: Any, **kwargs: Any) -> None:
    raise Boom


def test_mcp_scope_without_a_row(watched: Watched) -> None:
    """Where the row of a tool's execution cannot be told, the message's session is in force all the same."""
    from opentelemetry.context import Context

    mcp = importlib.import_module("spantally.instrumentors.mcp")
    scope: Any = object()
    with pytest.MonkeyPatch.context() as patch:
        force(patch, "spantally.calls.mcp_calls:row_of")
        assert mcp._inside_tool(scope, Context(), (None, "tools/call", {"name": "ask"}), {}) is scope
    assert "mcp.tool" in met()


def test_without_langchain_the_import_says_what_to_install() -> None:
    """The error is Python's own kind, names the module that is missing, and tells the extra."""
    program = (
        "import sys; sys.modules['langchain_core'] = None\n"
        "try: import spantally.langchain\n"
        "except ModuleNotFoundError as error: print(error.name, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("langchain_core"), done.stderr
    assert "spantally.langchain needs langchain-core" in done.stdout
    assert "pip install 'spantally[langchain]'" in done.stdout
