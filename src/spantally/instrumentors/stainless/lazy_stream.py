"""The iterator of an SDK's stream object, also where the SDK makes it only when it is first read.

Newer SDKs make it late, on a copy of the stream: so that a subclass may still set what it reads, and so that
stream and iterator do not hold each other. Both stay so.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import Any

_NAME = "_iterator"


def iterator_of(stream: Any) -> Any:
    """What the stream is read through, made when it is first asked where the SDK does so.

    Args:
        stream: the SDK's object, as its ``__init__`` left it.
    """
    made = vars(stream).get(_NAME)
    if made is not None:
        return made
    maker = getattr(type(stream), _NAME, None)
    if not isinstance(maker, cached_property):
        return getattr(stream, _NAME)
    reference = weakref.ref(stream)
    return _late_async(reference, maker) if hasattr(stream, "__aiter__") else _late(reference, maker)


def _late(reference: weakref.ref[Any], maker: cached_property[Any]) -> Iterator[Any]:
    stream = reference()
    if stream is None:
        return
    inner = maker.func(stream)
    del stream
    yield from inner


async def _late_async(reference: weakref.ref[Any], maker: cached_property[Any]) -> AsyncIterator[Any]:
    stream = reference()
    if stream is None:
        return
    inner = maker.func(stream)
    del stream
    async for item in inner:
        yield item
