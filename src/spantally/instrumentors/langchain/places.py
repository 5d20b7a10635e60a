"""Where LangChain and LangGraph put a run's configuration into force."""

from __future__ import annotations

from typing import Final

from spantally.instrumentors.patching import Patch, PatchSet, Wrapper


def _load() -> Wrapper:
    from spantally.instrumentors.langchain.context import set_context

    return set_context


CONTEXT_PATCHES: Final = PatchSet(
    "langchain.context",
    (
        Patch("langchain_core.runnables.config", "_set_config_context", load=_load, required=False),
        Patch("langgraph._internal._runnable", "_set_config_context", load=_load, required=False),
    ),
)
"""In force with the instrumentor, and as soon as the program has a handler of ours."""
