"""A small HTTP/1.1 server on loopback with keep-alive and chunked answers, for the servers of this room."""

from __future__ import annotations

import contextlib
import http
import http.server
import json
import socket
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

MAX_BODY: Final = 256 * 1024 * 1024
"""Largest request body that is read, in bytes."""

_REASONS: Final = {int(status): status.phrase for status in http.HTTPStatus}


class Connection(http.server.BaseHTTPRequestHandler):
    """One connection of a client; hands each request to the server's ``handle_http``."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        """Remember the connection, so that closing the server ends it."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        with contextlib.suppress(OSError):
            super().finish()
        self.server.connections.discard(self.connection)

    def handle(self) -> None:
        """Serve requests until either side ends the connection."""
        with contextlib.suppress(ConnectionError, TimeoutError, ValueError, OSError):
            super().handle()

    def do_GET(self) -> None:
        """Hand over a request without a body."""
        self.server.owner.handle_http(self, b"")

    def do_POST(self) -> None:
        """Read the body and hand the request over."""
        try:
            length = int(self.headers.get("content-length") or "")
        except ValueError:
            self.close_connection = True
            self.answer_json(411, {"error": {"message": "a content-length is needed"}})
            return
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            self.answer_json(413, {"error": {"message": f"a body has at most {MAX_BODY} bytes"}})
            return
        self.server.owner.handle_http(self, self.rfile.read(length))

    do_DELETE = do_GET  # noqa: N815 - the base class looks methods up by these names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Stay silent: the output belongs to the program under test."""

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a whole answer in one write.

        Args:
            status: HTTP status.
            body: the bytes.
            headers: further headers; ``content-length`` is added.
        """
        # Head and body in one write: two small ones would be two segments for the client to wait for.
        self.wfile.write(_head(status, {**headers, "content-length": str(len(body))}) + body)

    def answer_json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        """Send a JSON answer."""
        sent = {"content-type": "application/json", **{k.lower(): v for k, v in (headers or {}).items()}}
        self.answer(status, json.dumps(value).encode(), sent)

    def answer_chunks(self, status: int, chunks: Iterable[bytes], headers: Mapping[str, str]) -> None:
        """Send an answer chunk by chunk as ``chunks`` yields them.

        Raises:
            ConnectionError: when the client has gone.
        """
        self.wfile.write(_head(status, {**headers, "transfer-encoding": "chunked"}))
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """End the connection after this request without completing the answer, as a crashed server does."""
        self.close_connection = True


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = False

    def __init__(self, address: tuple[str, int], owner: LoopbackServer) -> None:
        self.owner = owner
        self.host = address[0]
        self.connections: set[socket.socket] = set()
        super().__init__(address, Connection)

    def server_bind(self) -> None:
        # The base class looks its own name up, which can take seconds without a resolver.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name = self.host
        self.server_port = int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away."""


class LoopbackServer:
    """Starts and stops a listener on a thread of its own; a context manager.

    Args:
        host: address to listen at.
        port: 0 takes a free one.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self._asked_port = port
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer one request; called on a thread of the connection."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The port listened at.

        Raises:
            RuntimeError: before :meth:`start`.
        """
        if self._listener is None:
            raise RuntimeError("the server is not started; use it as a context manager or call start()")
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        """``http://host:port`` without a path."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Begin to listen; a second call does nothing."""
        if self._listener is None:
            self._listener = _Listener((self.host, self._asked_port), self)
            self._thread = threading.Thread(
                target=self._listener.serve_forever,
                kwargs={"poll_interval": 0.02},
                name=f"{type(self).__name__}:{self.port}",
                daemon=True,
            )
            self._thread.start()
        return self

    def stop(self) -> None:
        """End every connection and stop listening; may be called again."""
        listener, thread = self._listener, self._thread
        self._listener = self._thread = None
        if listener is None or thread is None:
            return
        listener.shutdown()
        thread.join()
        for connection in list(listener.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        listener.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
