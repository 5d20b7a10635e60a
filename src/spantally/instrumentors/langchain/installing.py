"""Giving every run our handler, by langchain-core's hook for it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from spantally.calls.telemetry import Telemetry
from spantally.calls.told import counted
from spantally.ground.guard import guard
from spantally.instrumentors.langchain import installed
from spantally.instrumentors.langchain.handler import Handler


def install(register: Any, telemetry: Callable[[], Telemetry]) -> None:
    """Register a handler with langchain-core; in every context, since a variable's default is in each.

    Args:
        register: langchain-core's ``register_configure_hook``.
        telemetry: where the handler reports to.
    """
    installed.remove()
    handler = Handler(telemetry)
    variable: ContextVar[Any] = ContextVar("spantally-langchain", default=handler)
    register(variable, inheritable=True, handle_class=Handler)

    def take_out() -> None:
        with guard("langchain.take_out"):
            from langchain_core.tracers import context

            hooks = context._configure_hooks
            hooks[:] = [hook for hook in hooks if hook[0] is not variable]

    installed.handlers.append((handler, take_out))
    counted.add(installed.NAME)
