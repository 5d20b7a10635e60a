"""`spantally prices update`: the one thing that downloads price data, and only when it is asked for."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from importlib.metadata import version
from typing import Final

from spantally.cli.exits import FailedError, cleaned, say
from spantally.ground.errors import SettingsError

TIMEOUT: Final = 30.0
_PACKAGE: Final = "genai-prices"


def go_on(url: str | None) -> None:
    """Download, check and put into force.

    Args:
        url: value of ``--url``, or None.

    Raises:
        FailedError: when that cannot be done; nothing is changed then.
        click.UsageError: for a URL that is none.
    """
    import click

    from spantally.ground.settings import from_argument
    from spantally.pricing import downloads

    try:
        source = from_argument("prices_url", url) or _default_url()
    except SettingsError as error:
        raise click.UsageError(str(error).replace("prices_url", "--url", 1)) from error
    package = version(_PACKAGE)
    try:
        content = download(source)
        from genai_prices.data import providers

        made, changed = downloads.install(content, cleaned(source), package, providers)
        now = downloads.models(downloads.read(made))
    except downloads.PriceDataError as error:
        named = " (URL from SPANTALLY_PRICES_URL)" if url is None and source != _default_url() else ""
        text = f"{cleaned(source)}{named}: {cleaned(str(error))}"
        raise FailedError(f"{text}; the prices in force are what they were") from error
    say(
        f"{made.source}: {now:,} models from {cleaned(source)}"
        + ("" if changed else "; it was in force already")
        + "; used by programs that start from now on (back: spantally prices update --undo)"
    )


def go_back() -> None:
    """Put into force what was before the last update.

    Raises:
        FailedError: when there is nothing to go back to.
    """
    from spantally.pricing import downloads

    try:
        now = downloads.undo()
    except downloads.PriceDataError as error:
        raise FailedError(f"{error}; nothing to undo") from error
    say(f"back to {f'genai-prices {version(_PACKAGE)}, as it is installed' if now is None else now.source}")


def download(url: str) -> bytes:
    """The bytes at a URL, at most so many.

    Raises:
        PriceDataError: when they cannot be had; the text says why and what to do.
    """
    from spantally.pricing.downloads import MOST_BYTES, PriceDataError

    request = urllib.request.Request(url, headers={"User-Agent": f"spantally/{version('spantally')}"})  # noqa: S310 - the scheme is checked where it is read
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            expected = answer.headers.get("Content-Length")
            content: bytes = answer.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise PriceDataError(f"the server answered {error.code} {error.reason}") from error
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "reason", None) or error
        raise PriceDataError(
            f"it cannot be reached ({reason}); is the network allowed? --url file:///... reads a copy of it"
        ) from error
    except Exception as error:  # http.client's own, for an answer that is none
        raise PriceDataError(f"the answer is broken ({type(error).__name__}: {error})") from error
    if len(content) > MOST_BYTES:
        raise PriceDataError(f"it is larger than {MOST_BYTES:,} bytes")
    if expected is not None and expected.isdigit() and int(expected) != len(content):
        raise PriceDataError(f"{len(content):,} of {int(expected):,} bytes came: the download broke off")
    return content


def _default_url() -> str:
    """Where the installed genai-prices itself looks for newer data of its form."""
    from genai_prices.update_prices import DEFAULT_UPDATE_URL

    return str(DEFAULT_UPDATE_URL)
