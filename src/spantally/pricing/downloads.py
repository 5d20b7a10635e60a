"""Price data newer than the installed package's: downloaded on request, checked, and switched to in one step.

Beneath ``prices`` in the data directory lie the tables by their hash, and ``current.json``, which says which
of them is in force and what was before. Only that small file is ever replaced, so a download that breaks off
or holds nonsense changes nothing. It is in force as long as the package is the one that it was downloaded
for: a newer package has newer data of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from spantally.ground.errors import SpantallyError
from spantally.ground.places import data_directory

MOST_BYTES: Final = 64_000_000
_CURRENT: Final = "current.json"
_MOST_BACK: Final = 5
"""Earlier tables that ``--undo`` can go back to."""
_LEAST_PERCENT: Final = 75
"""A table with fewer of the package's models is older than the package, or not whole."""


class PriceDataError(SpantallyError):
    """Downloaded price data cannot be used; the text says why, and that nothing was changed."""


class Downloaded(NamedTuple):
    """One table that was downloaded."""

    sha256: str
    day: str
    """UTC date of the download."""
    package: str
    """Version of genai-prices that it was downloaded for."""
    url: str

    @property
    def source(self) -> str:
        """What rows rated by it name as their source."""
        return f"genai-prices {self.package}+data {self.day} ({self.sha256[:8]})"


def folder() -> Path:
    """Where downloaded tables lie."""
    return data_directory() / "prices"


def history(place: Path | None = None) -> list[Downloaded]:
    """Downloaded tables, the one in force first; empty where the package's own is in force."""
    try:
        text = ((place or folder()) / _CURRENT).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return []
    entries = json.loads(text)
    return [Downloaded(**{name: str(one[name]) for name in Downloaded._fields}) for one in entries]


def in_force(package: str) -> Downloaded | None:
    """The downloaded table to use with a version of the package, or None for the package's own.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is damaged.
    """
    found = history()
    return found[0] if found and found[0].package == package else None


def read(one: Downloaded) -> tuple[Any, ...]:
    """The providers of a downloaded table.

    Raises:
        PriceDataError: when the file is gone or is not what was downloaded.
    """
    path = folder() / f"{one.sha256}.json"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PriceDataError(f"{path} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != one.sha256:
        raise PriceDataError(f"{path} is not what was downloaded on {one.day}: it was changed since")
    return parsed(content)


def parsed(content: bytes) -> tuple[Any, ...]:
    """The providers of a table as genai-prices publishes it, its decimals as they are written.

    Raises:
        PriceDataError: for anything that is not such a table.
    """
    from genai_prices import types

    try:
        raw = json.loads(content, parse_float=Decimal, parse_constant=_no_number)
        if not isinstance(raw, list):
            raise PriceDataError("it is no list of providers")
        for provider in raw:
            if isinstance(provider, dict):
                # How to read responses: not needed here, and what the package does not know of it would warn.
                provider.pop("extractors", None)
        # The package's own reader of this form; it has no public name.
        reader = getattr(types, "_providers_from_raw", None)
        if reader is None:
            raise PriceDataError("the installed genai-prices does not read downloaded data")
        providers = tuple(reader(raw))
    except PriceDataError:
        raise
    except Exception as error:
        first = str(error).strip().splitlines() or [""]
        raise PriceDataError(
            f"it cannot be read as price data ({type(error).__name__}: {first[0][:200]})"
        ) from error
    for provider in providers:
        for model in provider.models:
            _check_prices(f"{provider.id}/{model.id}", model)
    return providers


def _no_number(text: str) -> Any:
    raise PriceDataError(f"it holds {text}, which is no price")


def _check_prices(name: str, model: Any) -> None:
    """Raise where a price is no amount of money."""
    entries: Sequence[Any] = model.prices if isinstance(model.prices, list) else [model]
    for entry in (*entries, *(model.price_variants or ())):
        for key, price in entry.prices.__dict__.items():
            if price is None:
                continue
            amounts = (
                [price] if isinstance(price, Decimal) else [price.base, *(one.price for one in price.tiers)]
            )
            if any(not amount.is_finite() or amount < 0 for amount in amounts):
                raise PriceDataError(f"{key} of {name} is no price: {price}")


def models(providers: Sequence[Any]) -> int:
    """How many models a table has."""
    return sum(len(provider.models) for provider in providers)


def install(content: bytes, url: str, package: str, own: Sequence[Any]) -> tuple[Downloaded, bool]:
    """Check a table and put it into force for processes that start from now on.

    Args:
        content: what was downloaded.
        url: where from.
        package: version of the installed genai-prices.
        own: the package's own providers, to tell a table that is not whole.

    Returns:
        The table, and whether it is another than was in force.

    Raises:
        PriceDataError: when it cannot be used; nothing is changed then.
    """
    providers = parsed(content)
    ids = {provider.id for provider in providers}
    if models(providers) * 100 < models(own) * _LEAST_PERCENT or not ids >= {"openai", "anthropic", "google"}:
        raise PriceDataError(
            f"it has {models(providers):,} models of {len(ids)} providers, and the installed package has "
            f"{models(own):,}: it is older, or not whole"
        )
    digest = hashlib.sha256(content).hexdigest()
    made = Downloaded(digest, datetime.now(UTC).date().isoformat(), package, url)
    before = history()
    if before and before[0].sha256 == digest and before[0].package == package:
        return before[0], False
    try:
        folder().mkdir(parents=True, exist_ok=True)
        _put(folder() / f"{digest}.json", content)
        kept = [made, *before][: 1 + _MOST_BACK]
        _put_current(kept)
        _tidy(kept)
    except OSError as error:
        raise PriceDataError(f"{folder()} cannot be written: {error.strerror or error}") from error
    return made, True


def undo() -> Downloaded | None:
    """Go back to what was in force before the last update.

    Returns:
        The table in force now; None for the package's own.

    Raises:
        PriceDataError: when there is nothing to undo, or it cannot be done.
    """
    try:
        before = history()
        if not before:
            raise PriceDataError("no update is in force")
        _put_current(before[1:])
        _tidy(before[1:])
    except OSError as error:
        raise PriceDataError(f"{folder()} cannot be written: {error.strerror or error}") from error
    except ValueError as error:
        # Damaged: the package's own data is in force already, and this makes it so for good.
        (folder() / _CURRENT).unlink(missing_ok=True)
        raise PriceDataError(f"{folder() / _CURRENT} was damaged ({error}) and is gone now") from error
    return before[1] if before[1:] else None


def _put_current(entries: Sequence[Downloaded]) -> None:
    path = folder() / _CURRENT
    if not entries:
        path.unlink(missing_ok=True)
        return
    facts: list[Mapping[str, str]] = [one._asdict() for one in entries]
    _put(path, json.dumps(facts, indent=1).encode())


def _put(path: Path, content: bytes) -> None:
    """Replace a file as a whole, or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - of a name, not of a Path
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise


def _tidy(kept: Sequence[Downloaded]) -> None:
    """Remove tables that nothing refers to."""
    names = {f"{one.sha256}.json" for one in kept} | {_CURRENT}
    for path in folder().iterdir():
        if path.name not in names and path.suffix == ".json":
            with contextlib.suppress(OSError):
                path.unlink()
