"""Whether an address speaks the protocol that it will be sent: found out before anything is sent.

An exporter that speaks gRPC to an HTTP port, or TLS to a plain one, tries for ten seconds and then names a
transport error. One short conversation tells what is wrong, and what to write instead.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from spantally.ground.guard import swallowed

SECONDS: Final = 1.0
"""For each step of the conversation, connecting included."""

_PORTS: Final = {"http": 80, "https": 443}
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""The preface of HTTP/2 and an empty SETTINGS frame (RFC 9113, sections 3.4 and 6.5)."""
_SETTINGS: Final = 4


def mismatch(target: tuple[str, str], environ: Mapping[str, str] = os.environ) -> str | None:
    """What is wrong with an address, in one sentence; None where nothing is, or nothing answers.

    Args:
        target: endpoint and protocol, of :func:`~spantally.cli.otlp_target.parse_target`.
        environ: has ``OTEL_EXPORTER_OTLP_CERTIFICATE``, where the receiver's authority is one's own.
    """
    endpoint, protocol = target
    parts = urlsplit(endpoint)
    if protocol != "grpc" and getproxies().get(parts.scheme) and not proxy_bypass(parts.hostname or ""):
        return None  # only the proxy can tell
    try:
        return _told(parts, protocol, environ)
    except OSError:
        return None  # it does not answer: that is said elsewhere
    except Exception as error:
        swallowed("cli.otlp_probe", error)
        return None


def _told(parts: SplitResult, protocol: str, environ: Mapping[str, str]) -> str | None:
    grpc = protocol == "grpc"
    plain, secure = ("grpc", "grpcs") if grpc else ("http", "https")
    name = parts.netloc
    if parts.scheme == "https":
        try:
            with _connected(parts) as raw, _context(environ).wrap_socket(raw, server_hostname=parts.hostname):
                return None
        except ssl.SSLCertVerificationError as error:
            return (
                f"the certificate of {name} is not trusted ({error.verify_message}); name the file of its "
                "authority in OTEL_EXPORTER_OTLP_CERTIFICATE"
            )
        except ssl.SSLError:
            return f"{name} does not speak TLS; write {plain}://{name}"
    answer = _answer(parts, _PREFACE if grpc else _question(parts))
    if answer[3:4] == bytes((_SETTINGS,)) and not answer.startswith(b"HTTP"):
        return None if grpc else f"{name} speaks gRPC; write grpc://{name}"
    if grpc:  # what an HTTP server says to the preface of another version is its own affair
        answer = _answer(parts, _question(parts))
    if answer.startswith(b"HTTP/1"):
        if grpc:
            return f"{name} speaks HTTP and no gRPC; write http://{name}"
        status = answer.split(b" ", 2)[1]
        if status == b"404":
            return (
                f"{name} answers 404 to {parts.path}/v1/traces: it takes no OTLP there; check port and path"
            )
        return None
    if _speaks_tls(parts):
        return f"{name} speaks TLS; write {secure}://{name}"
    return None


def _question(parts: SplitResult) -> bytes:
    """An export of no spans, which changes nothing anywhere."""
    head = (
        f"POST {parts.path}/v1/traces HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "Content-Type: application/x-protobuf",
        "Content-Length: 0",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode()


def _connected(parts: SplitResult) -> socket.socket:
    return socket.create_connection((parts.hostname or "", parts.port or _PORTS[parts.scheme]), SECONDS)


def _answer(parts: SplitResult, question: bytes) -> bytes:
    """The first bytes of an answer; none where the other side hangs up or stays silent."""
    with _connected(parts) as connection:
        try:
            connection.sendall(question)
            found = b""
            while len(found) < 16 and (more := connection.recv(256)):
                found += more
            return found
        except OSError:
            return b""


def _context(environ: Mapping[str, str]) -> ssl.SSLContext:
    named = environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE", "").strip()
    context = ssl.create_default_context(cafile=named or None)
    key, own = (environ.get(f"OTEL_EXPORTER_OTLP_CLIENT_{what}", "") for what in ("KEY", "CERTIFICATE"))
    if own:
        context.load_cert_chain(own, key or None)
    return context


def _speaks_tls(parts: SplitResult) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with _connected(parts) as raw, context.wrap_socket(raw, server_hostname=parts.hostname):
            return True
    except OSError:
        return False
