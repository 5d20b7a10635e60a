"""The callback handler: LangChain's hooks, each under a guard, and what they tell as works and calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from langchain_core.callbacks.base import BaseCallbackHandler

from spantally.calls.claims import Listener
from spantally.calls.hosted import RetrievalWork
from spantally.calls.telemetry import Telemetry
from spantally.calls.telemetry import active as active_telemetry
from spantally.calls.work import ToolWork, Work
from spantally.ground.guard import guarded
from spantally.instrumentors.langchain import models
from spantally.instrumentors.langchain.runs import Run, runs

STEP: Final = "graph:step:"
"""How the tag begins that LangGraph gives the steps of a graph, and nothing else."""


class Handler(BaseCallbackHandler):
    """Makes agents, tools, retrievals and workflows of runs, and counts the model calls nobody else counts.

    One handler serves any number of runs, at once and from any thread.
    """

    run_inline: ClassVar[bool] = True
    """In the context of the run itself, also where that is asynchronous; nothing here waits."""
    raise_error: ClassVar[bool] = False

    def __init__(self, telemetry: Callable[[], Telemetry] | None = None) -> None:
        super().__init__()
        self.switched_off = False
        self._telemetry = telemetry or (lambda: active_telemetry)

    def listener(self) -> Listener | None:
        """What takes the records of model calls, if anybody keeps totals."""
        return None

    def outermost(self, run: Callable[..., Run]) -> Run:
        """Make the run that has none around it; a subclass puts it into a session."""
        return run()

    # -- beginnings ----------------------------------------------------------------------------------

    def _begin(
        self, run_id: Any, parent_run_id: Any, name: str | None, metadata: Any, *, is_chain: bool = False
    ) -> Run | None:
        """The run that begins, or None where another handler of ours knows it already."""
        if self.switched_off:
            return None
        listener = self.listener()
        known = runs.get(run_id)
        if known is not None:
            if listener is not None:
                known.listeners.append(listener)
            return None
        parent = runs.get(parent_run_id)
        node = metadata.get("langgraph_node") if isinstance(metadata, Mapping) else None

        def make(**values: Any) -> Run:
            return Run(
                name or "chain",
                parent,
                is_chain=is_chain,
                telemetry=self._telemetry(),
                node=node if isinstance(node, str) else None,
                **values,
            )

        run = make() if parent is not None else self.outermost(make)
        if listener is not None:
            run.listeners.append(listener)
        runs.put(run_id, run)
        return run

    @guarded("langchain.chain_start")
    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        tags: Any = None,
        metadata: Any = None,
        **kwargs: Any,
    ) -> None:
        """A chain, graph or step of a graph begins."""
        run = self._begin(run_id, parent_run_id, _name(serialized, kwargs), metadata, is_chain=True)
        if run is not None and run.parent is not None and any(_is_step(tag) for tag in tags or ()):
            run.parent.has_steps()

    @guarded("langchain.tool_start")
    def on_tool_start(
        self,
        serialized: Any,
        input_str: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: Any = None,
        inputs: Any = None,
        tool_call_id: Any = None,
        **kwargs: Any,
    ) -> None:
        """A tool begins."""
        about = serialized if isinstance(serialized, Mapping) else {}
        run = self._begin(
            run_id, parent_run_id, _text(about.get("name")) or _name(serialized, kwargs), metadata
        )
        self._open(
            run,
            ToolWork,
            description=_text(about.get("description")),
            tool_call_id=_text(tool_call_id),
            arguments=inputs if isinstance(inputs, Mapping) else input_str,
        )

    @guarded("langchain.retriever_start")
    def on_retriever_start(
        self,
        serialized: Any,
        query: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: Any = None,
        **kwargs: Any,
    ) -> None:
        """A retriever begins."""
        run = self._begin(run_id, parent_run_id, _name(serialized, kwargs), metadata)
        self._open(run, RetrievalWork)

    def _open(self, run: Run | None, kind: type[Work], **values: Any) -> None:
        if run is not None:
            run.show_chains()
            run.open(kind, **values)

    @guarded("langchain.model_start")
    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: Any = None,
        **kwargs: Any,
    ) -> None:
        """A chat model is asked."""
        self._ask(serialized, run_id, parent_run_id, metadata, kwargs, "chat")

    @guarded("langchain.model_start")
    def on_llm_start(
        self,
        serialized: Any,
        prompts: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: Any = None,
        **kwargs: Any,
    ) -> None:
        """A model that completes texts is asked."""
        self._ask(serialized, run_id, parent_run_id, metadata, kwargs, "text_completion")

    def _ask(
        self,
        serialized: Any,
        run_id: Any,
        parent_run_id: Any,
        metadata: Any,
        kwargs: Mapping[str, Any],
        operation: str,
    ) -> None:
        run = self._begin(run_id, parent_run_id, _name(serialized, kwargs), metadata)
        if run is not None:
            run.show_chains()
            models.begin(run, operation, serialized, metadata, kwargs.get("invocation_params"))

    # -- ends ----------------------------------------------------------------------------------------

    @guarded("langchain.token")
    def on_llm_new_token(self, token: Any, *, run_id: Any, **kwargs: Any) -> None:
        """An answer begins to arrive: whoever asks a model from now on does not do it for this run."""
        models.answering(runs.get(run_id))

    @guarded("langchain.token")
    def on_stream_event(self, event: Any, *, run_id: Any, **kwargs: Any) -> None:
        """The same, in LangChain's newer way of streaming."""
        models.answering(runs.get(run_id))

    @guarded("langchain.model_end")
    def on_llm_end(self, response: Any, *, run_id: Any, **kwargs: Any) -> None:
        """A model has answered."""
        run = runs.pop(run_id)
        if run is not None:
            models.ended(run, response)

    @guarded("langchain.model_end")
    def on_llm_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        """A model call has failed, or was left."""
        run = runs.pop(run_id)
        if run is not None:
            models.ended(run, kwargs.get("response"), error)

    @guarded("langchain.chain_end")
    def on_chain_end(self, outputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        """A chain has ended; a stream of one that is closed early ends so, too."""
        run = runs.pop(run_id)
        if run is not None:
            run.end(models.being_closed())

    @guarded("langchain.chain_end")
    def on_chain_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        """A chain has failed."""
        run = runs.pop(run_id)
        if run is not None:
            run.end(None if _only_stops(error) else error)

    @guarded("langchain.tool_end")
    def on_tool_end(self, output: Any, *, run_id: Any, **kwargs: Any) -> None:
        """A tool has answered; an error that it tells the model as its answer is an error."""
        run = runs.pop(run_id)
        if run is not None:
            failed = getattr(output, "status", None) == "error"
            if run.hosted is not None:
                # Before langchain-core 1.1 only the answer tells it.
                run.hosted.name_call(_text(getattr(output, "tool_call_id", None)))
            run.end(error_type="tool_error" if failed else None, result=_content(output))

    @guarded("langchain.tool_end")
    def on_tool_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        """A tool has failed."""
        run = runs.pop(run_id)
        if run is not None:
            run.end(None if _only_stops(error) else error)

    @guarded("langchain.retriever_end")
    def on_retriever_end(self, documents: Any, *, run_id: Any, **kwargs: Any) -> None:
        """A retriever has answered."""
        run = runs.pop(run_id)
        if run is not None:
            run.end()

    @guarded("langchain.retriever_end")
    def on_retriever_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        """A retriever has failed."""
        run = runs.pop(run_id)
        if run is not None:
            run.end(error)

    def __copy__(self) -> Handler:
        return self

    def __deepcopy__(self, memo: Any) -> Handler:
        return self


def _is_step(tag: Any) -> bool:
    return isinstance(tag, str) and tag.startswith(STEP)


def _only_stops(error: BaseException) -> bool:
    """True where a graph stops on purpose: to ask a person, or to go on in the graph around it."""
    return any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)


def _name(serialized: Any, kwargs: Mapping[str, Any]) -> str | None:
    """The name of a run: what it was given, else that of what runs."""
    named = _text(kwargs.get("name"))
    if named is None and isinstance(serialized, Mapping):
        named = _text(serialized.get("name"))
        path = serialized.get("id")
        if named is None and isinstance(path, (list, tuple)) and path:
            named = _text(path[-1])
    return named


def _content(output: Any) -> Any:
    """What a tool has given: the content of the message that LangChain makes of it."""
    return getattr(output, "content", output)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


__all__ = ["Handler"]
