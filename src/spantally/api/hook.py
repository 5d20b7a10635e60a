"""The entry point of ``opentelemetry_pre_instrument``: how a program that says nothing of us gets us.

``opentelemetry-instrument`` calls it once the configurator has made its providers and before any
instrumentor runs. One exception here would end all instrumentation of the program, ours or not.
"""

from __future__ import annotations

from spantally.ground.guard import swallowed


def pre_instrument() -> None:
    """Install processors and ledger with the providers there are; never raises, sets no global provider."""
    try:
        from spantally.api import runtime

        runtime.activate_from_hook()
    except Exception as error:
        swallowed("otel.pre_instrument", error)
