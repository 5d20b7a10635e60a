"""Marker secrets in every place of a span, a log record and a metric, and the search for them in bytes.

Each place gets a secret of its own, so that a leak names the place. The secrets are made up from the name of
the place; nothing here is a credential of anything.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags, TraceState

from spantally.redaction import register_literal

_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
WORDS: Final = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heron", "inlet", "jetty")


def noise(name: str, length: int) -> str:
    """Random-looking letters and digits that depend on ``name`` alone."""
    made = ""
    while len(made) < length:
        digest = hashlib.sha256(f"{name}/{len(made)}".encode()).digest()
        made += "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)
    return made[:length]


class Marker(NamedTuple):
    """A text with a secret in it, and what of it must never be seen."""

    place: str
    text: str
    needles: tuple[str, ...]


def _halves(secret: str) -> tuple[str, ...]:
    middle = len(secret) // 2
    return secret, secret[:middle], secret[middle:]


def key(place: str) -> Marker:
    """A vendor's key, by its prefix."""
    secret = noise(place, 40)
    return Marker(place, f"sk-proj-{secret}", _halves(secret))


def pair(place: str) -> Marker:
    """A name that tells, and its value."""
    secret = noise(place, 24)
    return Marker(place, f"api_key={secret}", _halves(secret))


def pem(place: str) -> Marker:
    """A private key in its armour."""
    lines = [noise(f"{place}{number}", 64) for number in range(3)]
    text = "\n".join(("-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"))
    return Marker(place, text, tuple(half for line in lines for half in _halves(line)))


def url(place: str) -> Marker:
    """A URL with a password in it."""
    secret = noise(place, 20)
    return Marker(place, f"postgres://app:{secret}@db.internal:5432/orders", _halves(secret))


def literal(place: str) -> Marker:
    """Words that only a registry can know, as it knows the key of a client."""
    number = int.from_bytes(hashlib.sha256(place.encode()).digest()[:6], "big")
    picked = [WORDS[number // len(WORDS) ** index % len(WORDS)] for index in range(5)]
    secret = "-".join((*picked, str(number % 10**6)))
    register_literal(secret)
    return Marker(place, f"it is {secret} today", (secret,))


SHAPES: Final[dict[str, Callable[[str], Marker]]] = {
    "key": key,
    "pair": pair,
    "pem": pem,
    "url": url,
    "literal": literal,
}


class Planter:
    """Hands out a marker for each place, and remembers them."""

    def __init__(self, shape: str, *, label: str = "") -> None:
        self.shape = shape
        self.label = label
        self.markers: dict[str, Marker] = {}

    def __call__(self, place: str) -> str:
        """The text to plant there."""
        if place not in self.markers:
            made = SHAPES[self.shape](f"{self.label}{self.shape}:{place}")
            self.markers[place] = made._replace(place=place)
        return self.markers[place].text

    def found_in(self, data: bytes) -> set[str]:
        """Places whose secret, or half of it, stands in these bytes: as it is, or in base64."""
        return {
            place
            for place, marker in self.markers.items()
            if any(form in data for needle in marker.needles for form in forms(needle))
        }


def forms(needle: str) -> Iterator[bytes]:
    """A secret as it is, and as base64 at each of its three alignments."""
    raw = needle.encode()
    yield raw
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        # What the neighbours decide is left out: the first characters and the last.
        yield encoded[4 if shift else 0 : len(encoded) - 4]


DROPPED: Final = (
    frozenset()
    if BoundedAttributes(attributes={"map": {"a": 1}})
    else frozenset({"sequence.bytes", "map", "map.key"})
)
"""Places that this SDK drops by itself: the older ones take no maps, and no bytes within a sequence."""


# -- spans -------------------------------------------------------------------------------------------------

URL_KEYS: Final = ("http.url", "url.full")
DATABASE_KEYS: Final = ("db.statement", "db.query.text")
HEADER_KEYS: Final = (
    "http.request.header.authorization",
    "http.request.header.x_api_key",
    "http.response.header.set_cookie",
)


def resource_of(planter: Planter) -> Resource:
    """A resource as detectors and programs make them."""
    return Resource(
        {
            "service.name": "shop",
            "process.command_args": ["app", f"--config={planter('resource.command_args')}"],
            "process.command_line": f"app {planter('resource.command_line')}",
            "deployment.note": planter("resource.attribute"),
        }
    )


def attributes_of(planter: Planter) -> dict[str, Any]:
    """Attributes of every type, and those of other instrumentors."""
    made: dict[str, Any] = {
        "note": planter("attribute"),
        "json": json.dumps({"a": [{"b": planter("json")}], "n": 1}),
        "json.twice": json.dumps(json.dumps({"a": planter("json.twice")})),
        "list": ["plain", planter("sequence")],
        "bytes": f"raw {planter('bytes')}".encode(),
        "list.bytes": [f"raw {planter('sequence.bytes')}".encode(), b"\xff\xfe"],
        "map": {"plain": 1, "deeper": {"deepest": [planter("map")]}},
        "map.key": {planter("map.key"): 1},
        planter("attribute.key"): "value",
        "gen_ai.input.messages": json.dumps(
            [{"role": "user", "parts": [{"type": "text", "content": planter("genai.messages")}]}]
        ),
        "gen_ai.tool.call.arguments": json.dumps({"query": planter("genai.arguments")}),
        "gen_ai.tool.call.result": planter("genai.result"),
        "baggage.note": planter("baggage.attribute"),
        "url.query": f"page=1&{planter('url.query')}",
        "tokens": 42,
    }
    for name in URL_KEYS:
        made[name] = f"https://api.example/v1?next={planter(name)}&page=2"
    for name in DATABASE_KEYS:
        made[name] = f"SELECT * FROM t WHERE note = '{planter(name)}'"
    for name in HEADER_KEYS:
        made[name] = [planter(name)]
    return made


def state_of(planter: Planter) -> TraceState:
    """A trace state; most shapes do not fit its grammar as they are, so ``,`` and ``=`` are left out."""
    text = planter("trace_state").replace("\n", " ").replace("=", ":")
    return TraceState([("vendor", text[:250].rstrip())])


def plant_span(provider: Any, planter: Planter, scope: str = "foreign.instrumentor") -> None:
    """One span with a secret in each of its places."""
    tracer = provider.get_tracer(
        f"{scope} {planter('scope.name')}",
        f"1.0 {planter('scope.version')}",
        f"https://schema.example/?{planter('scope.schema_url')}",
        {"note": planter("scope.attribute"), planter("scope.key"): 1},
    )
    remote = SpanContext(
        7, 9, is_remote=True, trace_flags=TraceFlags(1), trace_state=state_of(planter)
    )  # a parent's state is its children's
    other = SpanContext(11, 13, is_remote=False, trace_flags=TraceFlags(0))
    span = tracer.start_span(
        f"call {planter('name')}",
        context=trace.set_span_in_context(trace.NonRecordingSpan(remote)),
        attributes=attributes_of(planter),
        links=[Link(other, {"note": planter("link.attribute"), planter("link.key"): 1})],
    )
    span.add_event(
        f"event {planter('event.name')}",
        {"body": planter("event.attribute"), planter("event.key"): 1, "list": [planter("event.sequence")]},
    )
    try:
        raise ValueError(f"failed for {planter('exception')}")
    except ValueError as error:
        span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"failed for {planter('status')}"))
    span.end()


# -- logs --------------------------------------------------------------------------------------------------


def plant_logs(provider: Any, planter: Planter) -> None:
    """Log records with secrets in body, attributes, names and exceptions."""
    logger = provider.get_logger(
        f"app {planter('log.scope.name')}",
        f"1 {planter('log.scope.version')}",
        f"https://schema.example/?{planter('log.scope.schema_url')}",
        {"note": planter("log.scope.attribute")},
    )
    bodies: Iterable[Any] = (
        f"text {planter('log.body')}",
        {"message": [planter("log.body.map")], planter("log.body.key"): 1},
        [planter("log.body.list"), {"deeper": planter("log.body.deeper")}],
        f"raw {planter('log.body.bytes')}".encode(),
    )
    for body in bodies:
        logger.emit(LogRecord(body=body, severity_number=SeverityNumber.INFO))
    attributes: Any = {
        "note": planter("log.attribute"),
        "map": {"deeper": [planter("log.attribute.map")]},
        planter("log.attribute.key"): 1,
    }
    logger.emit(
        LogRecord(
            body="plain",
            attributes=attributes,
            event_name=f"event {planter('log.event_name')}",
            severity_text=f"INFO {planter('log.severity_text')}",
            severity_number=SeverityNumber.INFO,
        )
    )
    try:
        raise ValueError(f"failed for {planter('log.exception')}")
    except ValueError as error:
        if "exception" in inspect.signature(LogRecord).parameters:
            logger.emit(LogRecord(body="plain", exception=error, severity_number=SeverityNumber.ERROR))
        else:  # an older API: what a logging handler makes of it
            logger.emit(LogRecord(body="plain", attributes={"exception.message": str(error)}))


def plant_lines(planter: Planter) -> None:
    """Lines of the standard logging, which a handler of OpenTelemetry's may send."""
    logger = logging.getLogger("app")
    logger.warning("a line of %s", planter("line.argument"), extra={"note": planter("line.extra")})
    logger.warning("a line of " + planter("line.message"))  # noqa: G003 - as programs do it
    try:
        raise ValueError(f"failed for {planter('line.exception')}")
    except ValueError:
        logger.exception("it failed")


# -- metrics -----------------------------------------------------------------------------------------------


def plant_metrics(provider: Any, planter: Planter) -> None:
    """Points of each kind, with an exemplar whose filtered attributes hold a secret."""
    meter = provider.get_meter(
        f"app {planter('metric.scope.name')}",
        f"1 {planter('metric.scope.version')}",
        f"https://schema.example/?{planter('metric.scope.schema_url')}",
        {"note": planter("metric.scope.attribute")},
    )
    attributes = {"route": planter("metric.attribute"), planter("metric.key"): "x"}
    counter = meter.create_counter("things", description=f"things of {planter('metric.description')}")
    counter.add(1, attributes)
    meter.create_histogram("sizes").record(5, {"route": planter("metric.histogram")})
    meter.create_gauge("level").set(5, {"route": planter("metric.gauge")})
    filtered = meter.create_counter("filtered")  # a view of the test keeps no attribute of it
    filtered.add(1, {"dropped": planter("metric.exemplar")})


# -- the ledger --------------------------------------------------------------------------------------------


def ledger_bytes(path: Path) -> bytes:
    """A ledger and its side files as they lie on the disk."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))
