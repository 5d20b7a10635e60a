"""Whether anything listens where an OTLP exporter sends to, asked in a bounded time."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from typing import Any, Final
from urllib.parse import urlsplit

from spantally.ground.guard import swallowed

LOOPBACK_SECONDS: Final = 0.2
"""Time for a connection on this machine: a refusal is immediate."""

REMOTE_SECONDS: Final = 1.0
"""Time for a connection to another machine."""

DEFAULT_PORTS: Final = frozenset({4317, 4318})

_LOCALHOST: Final = ("localhost", "127.0.0.1", "::1")
_SIGNALS: Final = {"traces": "TRACES", "metrics": "METRICS", "logs": "LOGS"}


class Target:
    """Host and port of an exporter.

    Attributes:
        host: without user information.
        port: TCP port.
        explicit: True if the user named the endpoint, False where it is the default.
    """

    def __init__(self, host: str, port: int, *, explicit: bool) -> None:
        self.host = host
        self.port = port
        self.explicit = explicit
        self._addresses: list[tuple[int, Any]] | None = None

    @property
    def local(self) -> bool:
        """True for this machine by its usual names."""
        return self.host in _LOCALHOST

    @property
    def text(self) -> str:
        """``host:port`` for a message."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def prepare(self) -> None:
        """Look the name up ahead, in the background.

        A look-up has no time limit of its own, and while the interpreter shuts down no thread can be
        started to put one around it.
        """
        if self.local or _is_address(self.host):
            return
        try:
            threading.Thread(target=self._resolve, name="spantally-resolve", daemon=True).start()
        except RuntimeError as error:
            swallowed("otel.resolve", error)

    def _resolve(self) -> None:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            self._addresses = [(int(family), address) for family, _, _, _, address in found]
        except OSError:
            self._addresses = []
        except Exception as error:
            swallowed("otel.resolve", error)

    def listening(self) -> bool:
        """True if a TCP connection opens in time; a name that is still being looked up counts as no."""
        try:
            return _connects(self._known_addresses(), LOOPBACK_SECONDS if self.local else REMOTE_SECONDS)
        except Exception as error:
            swallowed("otel.probe", error)
            return True  # leave the exporter alone

    def _known_addresses(self) -> list[tuple[int, Any]]:
        if self.local:
            return [
                (socket.AF_INET, ("127.0.0.1", self.port)),
                (socket.AF_INET6, ("::1", self.port, 0, 0)),
            ]
        if _is_address(self.host):
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return [(family, (self.host, self.port))]
        return self._addresses or []


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
            return True
        except (OSError, ValueError):
            continue
    return False


def _connects(addresses: list[tuple[int, Any]], seconds: float) -> bool:
    """Try all addresses at once; the first that connects decides."""
    deadline = time.monotonic() + seconds
    selector = selectors.DefaultSelector()
    opened: list[socket.socket] = []
    try:
        for family, address in addresses:
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                continue  # no IPv6 here
            opened.append(sock)
            sock.setblocking(False)
            code = sock.connect_ex(address)
            if code == 0:
                return True
            if code in (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", -1)):
                selector.register(sock, selectors.EVENT_WRITE)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                ready: Any = key.fileobj
                selector.unregister(ready)
                if ready.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    return True
        return False
    finally:
        selector.close()
        for sock in opened:
            sock.close()


def target_of(exporter: Any, signal: str) -> Target | None:
    """Where an OTLP exporter sends to, or None where a TCP connection would tell nothing.

    Args:
        exporter: an OTLP exporter of either protocol.
        signal: ``traces``, ``metrics`` or ``logs``.
    """
    endpoint = getattr(exporter, "_endpoint", None)
    if not isinstance(endpoint, str) or not endpoint or endpoint.startswith(("unix:", "dns:", "xds:")):
        return None
    parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname
    if not host or port is None or _behind_proxy(host):
        return None
    explicit = _named_by_environment(signal) or host not in _LOCALHOST or port not in DEFAULT_PORTS
    return Target(host, port, explicit=explicit)


def _named_by_environment(signal: str) -> bool:
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{_SIGNALS[signal]}_ENDPOINT")
    return any(os.environ.get(name, "").strip() for name in (*names, "OTEL_CONFIG_FILE"))


def _behind_proxy(host: str) -> bool:
    """True if the exporter would reach its endpoint by a proxy: then only the proxy can tell."""
    # Imported here: it brings an HTTP client along, and most programs have no such exporter.
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    return any(proxies.get(scheme) for scheme in ("http", "https", "all")) and not proxy_bypass(host)
