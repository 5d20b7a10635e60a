"""Where a client sends its requests, and what all requests of one shape say at their start."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from spantally.calls.plans import Plan
from spantally.calls.telemetry import Telemetry
from spantally.ground.guard import swallowed
from spantally.instrumentors.stainless.wire.hosts import priced_provider


class Shape(NamedTuple):
    """What all requests of one shape say at their start."""

    plan: Plan
    model: str | None
    choices: int
    wants_tools: bool


_R = TypeVar("_R")


def attempt(read: Callable[..., _R], *args: Any) -> _R | None:
    """One fact of the request; None where reading it fails, so that the call is metered nevertheless."""
    try:
        return read(*args)
    except Exception as error:
        swallowed("sdk.request", error)
        return None


def address_of(url: Any) -> tuple[str, int]:
    """Host and port of a URL."""
    return url.host, url.port or (80 if url.scheme == "http" else 443)


_DEPLOYMENT: Final = re.compile(r"/deployments/([^/]{1,256})(?:/|$)")


def deployment_of(url: Any) -> str | None:
    """The deployment that a base URL names, as those of Azure do."""
    found = _DEPLOYMENT.search(url.path)
    return None if found is None else found.group(1)


class Place:
    """Where a client sends its requests, and the shapes of those that were sent there."""

    __slots__ = ("deployment", "host", "port", "rates", "shapes", "vendor")

    def __init__(
        self,
        host: str | None,
        port: int | None,
        vendor: str | None,
        rates: Callable[[], str | None],
        deployment: str | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.vendor = vendor
        """``gen_ai.provider.name``."""
        self.rates = rates
        """Whose price list applies."""
        self.deployment = deployment
        """What the address itself says of the model."""
        self.shapes: dict[Any, Shape] = {}


def place_of(
    telemetry: Telemetry, client: Any, flavour: str, provider_of: Callable[[str, str, int], str]
) -> Place:
    """Where a client sends its requests, remembered by its base URL, an object that never changes."""
    kind = type(client)
    try:
        asked = telemetry.known.get(kind)
        is_kept = asked is not None and asked is kind.base_url
        url = client.__dict__.get("_base_url") if is_kept else None
        if url is None:  # perhaps this one keeps it elsewhere
            url = client.base_url
    except Exception as error:
        swallowed("sdk.request", error)
        url = None
    known = telemetry.known.get((kind, id(url)))
    if known is not None and known[0] is url:
        place: Place = known[1]
        return place
    host, port = attempt(address_of, url) or (None, None)
    vendor = attempt(provider_of, " ".join(base.__name__ for base in kind.__mro__), host, port)
    if not vendor or not host or not port:
        return Place(host, port, vendor, _unknown_rates)
    if len(telemetry.known) >= _MOST_PLACES:
        telemetry.known.clear()
    place = Place(
        host,
        port,
        vendor,
        functools.cache(lambda: vendor_of_rates(vendor, host, port, flavour)),
        attempt(deployment_of, url),
    )
    telemetry.known[(kind, id(url))] = (url, place)
    if attempt(_is_kept, client, url):
        telemetry.known[kind] = kind.base_url
    return place


def _is_kept(client: Any, url: Any) -> bool:
    """Whether the SDK itself says what a client's address is, and keeps it where it may be looked up.

    Asking it runs an import in the newest versions of openai, which costs as much as a tenth of a span.
    """
    owner = next((base for base in type(client).__mro__ if "base_url" in vars(base)), object)
    return (
        owner.__module__.partition(".")[0] in _SDKS
        and type(vars(owner)["base_url"]) is property
        and vars(client).get("_base_url") is url
    )


_SDKS: Final = frozenset({"anthropic", "openai"})


_MOST_PLACES: Final = 256


def _unknown_rates() -> None:
    """Nobody's: the address could not be read."""


def body_of(options: Any) -> Any:
    """The body that is sent: what the method built, and the program's ``extra_body`` over it."""
    body = options.json_data
    extra = getattr(options, "extra_json", None)
    if extra is not None and isinstance(extra, Mapping) and isinstance(body, Mapping):
        return {**body, **extra}
    return body


_OPEN_WEIGHTS_PORTS: Final = frozenset({11434, 1234})
"""Default ports of Ollama and LM Studio: what answers there is never the vendor."""


def vendor_of_rates(vendor: str, host: str, port: int, flavour: str) -> str | None:
    """Whose price list applies, or None where that is not known.

    A loopback address is where gateways and scripted servers stand: a model found there by a vendor's exact
    name is rated at that vendor's price; what local servers really serve has other names and stays unpriced.
    """
    known = priced_provider(host)
    if known is not None:
        return known
    if vendor != flavour:
        return vendor
    if port not in _OPEN_WEIGHTS_PORTS and _is_loopback(host):
        return flavour
    return None


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.")
