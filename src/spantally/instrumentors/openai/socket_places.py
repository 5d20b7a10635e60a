"""Where the SDK's websockets are tapped: names alone, so that nothing else is imported before the SDK is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple


class Place(NamedTuple):
    """One method to wrap."""

    module: str
    path: str
    tap: str
    """Name of what wraps it (:func:`sockets.tap`)."""


_MODULES: Final = (
    ("openai.resources.realtime.realtime", "Realtime", True),
    ("openai.resources.beta.realtime.realtime", "Realtime", False),
    ("openai.resources.responses.responses", "Responses", True),
    ("openai.resources.beta.responses.responses", "Responses", True),
    ("openai.resources.live.live", "Live", True),
    ("openai.resources.live.forks", "Forks", True),
)
"""Module, stem of its classes, and whether they queue events and connect anew."""


def socket_places() -> Iterator[Place]:
    """Every place; a version of the SDK that lacks one of the APIs lacks all of its places."""
    for module, stem, whole in _MODULES:
        for prefix, enter, suffix in (("", "__enter__", ""), ("Async", "__aenter__", "_async")):
            name = f"{prefix}{stem}Connection"
            yield Place(module, f"{name}Manager.{enter}", f"enter{suffix}")
            yield Place(module, f"{name}Manager.enter", f"enter{suffix}")
            yield Place(module, f"{name}.send", f"send{suffix}")
            yield Place(module, f"{name}.recv_bytes", f"receive{suffix}")
            yield Place(module, f"{name}.close", "close")
            if whole:
                yield Place(module, f"{name}.send_raw", f"send_raw{suffix}")
                yield Place(module, f"{name}Manager.send", "queue")
                yield Place(module, f"{name}Manager._connect_ws", f"connect{suffix}")
