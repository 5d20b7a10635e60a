"""Adding our processor to those of the SDK."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from spantally.calls.telemetry import Telemetry
from spantally.ground.guard import guard, swallowed
from spantally.instrumentors.openai_agents import added
from spantally.instrumentors.openai_agents.processor import Processor
from spantally.instrumentors.patching import Wrapper


def use(telemetry: Callable[[], Telemetry]) -> Wrapper:
    """Have a processor that is added to every list of processors.

    Args:
        telemetry: where it reports to.

    Returns:
        The wrapper of what makes and replaces such a list.
    """
    if not added.processors:
        added.processors.append(Processor(telemetry))
        with guard("openai_agents.provider"):
            _add_to_known()
    return _after


def _add_to_known() -> None:
    """The SDK's provider is there already, where the program has used it before."""
    setup = sys.modules.get("agents.tracing.setup")
    provider = getattr(setup, "GLOBAL_TRACE_PROVIDER", None)
    held = getattr(provider, "_multi_processor", None)
    if held is not None:
        _add(held)


def _add(held: Any) -> None:
    if added.processors and added.processors[0] not in held._processors:
        held.add_tracing_processor(added.processors[0])
    if held not in added.lists:
        added.lists.append(held)


def _after(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = wrapped(*args, **kwargs)
    try:
        _add(instance)
    except Exception as error:
        swallowed("openai_agents.add", error)
    return result
