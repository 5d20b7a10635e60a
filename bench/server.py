"""A server on loopback that answers every chat completion at once; it prints its port and ends with stdin."""

from __future__ import annotations

import asyncio
import sys

from traffic import STREAM_CHUNKS, answer, stream_body

STREAM = stream_body(STREAM_CHUNKS)


def _head(kind: bytes, length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, length)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    number = 0
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            place = head.lower().index(b"content-length:") + len(b"content-length:")
            body = await reader.readexactly(int(head[place : head.index(b"\r", place)]))
            if b'"stream":true' in body or b'"stream": true' in body:
                writer.write(_head(b"text/event-stream", len(STREAM)) + STREAM)
            else:
                number += 1
                text = answer(number)
                writer.write(_head(b"application/json", len(text)) + text)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


asyncio.run(_main())
