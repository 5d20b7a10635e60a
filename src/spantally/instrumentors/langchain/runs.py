"""The runs of LangChain that are under way: their place, and the works of ours that they are.

LangChain tells of everything as runs with an id and the id of the run around. Which of them are agents,
workflows, tools and retrievers shows partly at their start and partly by what begins inside, so that a chain
becomes a work of ours when it has to:

* a run with the steps of a graph inside is an agent (a workflow, where its name says so);
* an outermost chain in which a model, tool, retriever or graph begins is a workflow;
* any other chain is not shown, and what is inside hangs beneath whatever is around.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.calls import admission
from spantally.calls.claims import Announced, Listener
from spantally.calls.hosted import Hosted, begin, innermost
from spantally.calls.telemetry import Telemetry
from spantally.calls.work import AgentWork, ToolWork, Work, WorkflowWork
from spantally.ground.errors import Refusal
from spantally.ground.guard import swallowed
from spantally.ground.scope import PAUSED_KEY, is_paused, raw_scope, with_values

MOST_RUNS: Final = 20_000
"""Runs under way that are remembered; of more the oldest is forgotten."""

UNNAMED: Final = "LangGraph"
"""Name of a graph that its program did not name."""

_WORKFLOWS: Final = ("workflow", "pipeline")
"""Words in the name of a graph that is no agent."""

_lock = threading.RLock()


class Run:
    """One run: a chain, a model call, a tool or a retriever."""

    __slots__ = (
        "_base",
        "announced",
        "facts",
        "hosted",
        "is_chain",
        "is_graph",
        "listeners",
        "name",
        "node",
        "on_end",
        "opened",
        "parent",
        "paused",
        "refusal",
        "start_ns",
        "telemetry",
    )

    def __init__(
        self,
        name: str,
        parent: Run | None,
        *,
        is_chain: bool,
        telemetry: Telemetry,
        base: Context | None = None,
        node: str | None = None,
    ) -> None:
        self.name = name
        self.parent = parent
        self.is_chain = is_chain
        self.telemetry = telemetry
        self.start_ns = time.time_ns()
        self.node = node
        """The step of a graph that it is, or is in."""
        self.is_graph = False
        self.hosted: Hosted | None = None
        """The work of ours that it is, once it is one."""
        self.opened = False
        self.refusal: Refusal | None = None
        """By what the program itself has limited; raised where the run's inside begins."""
        self.announced: Announced | None = None
        self.facts: Any = None
        """What was known of a model call at its start."""
        self.listeners: list[Listener] = []
        self.on_end: list[Callable[[BaseException | None], None]] = []
        ambient = otel_context.get_current()
        self.paused = is_paused(ambient)
        self._base: Context | None = ambient if base is None else base
        if parent is not None:
            around = parent.context()
            if innermost(ambient, around) is around or raw_scope(ambient) is raw_scope(around):
                self._base = None  # that of the run around, also where it becomes a work only now
        hidden = ambient.get(PAUSED_KEY)
        if hidden:
            self._base = with_values(self.around(), {PAUSED_KEY: hidden})

    def context(self) -> Context:
        """The Context inside the run."""
        if self.hosted is not None:
            return self.hosted.context
        return self.around()

    def around(self) -> Context:
        """The Context that the run began in."""
        if self._base is not None or self.parent is None:
            return self._base if self._base is not None else Context()
        return self.parent.context()

    def open(self, kind: type[Work], name: str | None = None, **values: Any) -> None:
        """Make it a work of ours, once."""
        with _lock:
            if self.opened:
                return
            self.hosted = begin(
                kind,
                name or self.name,
                context=self.around(),
                telemetry=self.telemetry,
                start_ns=self.start_ns,
                **values,
            )
            self.opened = True
        if self.hosted is not None:
            self._ask(kind, self.hosted, values.get("arguments"))

    def _ask(self, kind: type[Work], hosted: Hosted, arguments: Any) -> None:
        """Have it let through or refused by the budgets and loop guards of its session."""
        try:
            if kind is AgentWork:
                admission.admit_turn(hosted.operation)
            elif kind is ToolWork:
                admission.note_tool(hosted.operation, hosted.operation.name or "", lambda: arguments)
        except Refusal as refusal:
            self.refusal = refusal

    def refused(self) -> Refusal | None:
        """What refuses this run, or the one whose step it is."""
        if self.refusal is not None or self.parent is None:
            return self.refusal
        return self.parent.refusal

    def show_chains(self) -> None:
        """Something worth a row begins inside: the chains around it become what they are."""
        outermost: Run = self
        while outermost.parent is not None:
            outermost = outermost.parent
        if outermost.is_chain and not outermost.opened:
            outermost.open(WorkflowWork)

    def has_steps(self) -> None:
        """A step of a graph begins inside: the run is a graph."""
        self.is_graph = True
        if self.opened:
            return
        if self.parent is not None:
            self.parent.show_chains()
        name = self.name
        if name == UNNAMED and self.node:
            name = self.node
        lowered = name.lower()
        self.open(WorkflowWork if any(word in lowered for word in _WORKFLOWS) else AgentWork, name)

    def end(self, error: BaseException | None = None, **values: Any) -> None:
        """The run has ended; what waits for that is told."""
        if self.hosted is not None:
            if isinstance(error, GeneratorExit):
                self.hosted.leave()
            else:
                self.hosted.finish(error, **values)
        for tell in self.on_end:
            try:
                tell(error)
            except Exception as failure:
                swallowed("langchain.session_end", failure)


class Runs:
    """The runs under way, by their id."""

    def __init__(self) -> None:
        self._known: dict[Any, Run] = {}

    def get(self, run_id: Any) -> Run | None:
        """A run that is under way."""
        return None if run_id is None else self._known.get(run_id)

    def put(self, run_id: Any, run: Run) -> None:
        """Remember a run that begins."""
        if len(self._known) >= MOST_RUNS:
            try:
                self._known.pop(next(iter(self._known)), None)
            except (StopIteration, RuntimeError):
                pass  # another thread is at it
        self._known[run_id] = run

    def pop(self, run_id: Any) -> Run | None:
        """A run that ends; None where another handler of ours has ended it."""
        return self._known.pop(run_id, None)

    def __len__(self) -> int:
        return len(self._known)


runs: Final = Runs()
"""Shared by all handlers: a run that several of them hear of is one work, and counted once."""


def _after_fork_in_child() -> None:
    """A lock that another thread of the parent held at the fork would be held in the child for ever."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
