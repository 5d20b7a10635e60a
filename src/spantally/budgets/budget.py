"""``Budget``: a limit that a program sets itself, and what is told of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from spantally.ground.errors import ArgumentError
from spantally.ground.errors import shown as shown_value
from spantally.ground.money import dollar_text, nano_of_dollars, usd

ON_EXCEED: Final = ("warn", "soft", "hard")
ON_UNPRICED: Final = ("warn", "tokens", "refuse")
UNITS: Final = ("usd", "calls", "tokens")

LARGEST: Final = 2**53
"""No limit is larger: sums then fit into 64 bits."""


class Amounts(NamedTuple):
    """What was used, reserved or allowed, by unit."""

    usd: int = 0
    """Nano-USD."""
    calls: int = 0
    tokens: int = 0

    def plus(self, other: Amounts, sign: int = 1) -> Amounts:
        """The sum of both, or (``sign=-1``) the difference."""
        return Amounts(
            self[0] + sign * other[0],
            self[1] + sign * other[1],
            self[2] + sign * other[2],
        )


NOTHING: Final = Amounts()


class Remaining(NamedTuple):
    """What is left of a session's budgets; None where nothing limits that unit. Never below 0."""

    usd: Decimal | None
    """US dollars, exact."""
    calls: int | None
    tokens: int | None


class BudgetNotice(NamedTuple):
    """What a callback gets, and, as JSON, a webhook."""

    budget: str
    """What the budget is of: ``session chat-42``, or the name of one of the settings file."""
    session_id: str
    """The session whose call used the share up."""
    share: float
    """The share that was reached: one of ``tell_at``, or 1.0."""
    unit: str
    """``usd``, ``calls`` or ``tokens``."""
    limit: int
    """Nano-USD, calls or tokens."""
    spent: int
    """In the same unit."""
    reserved: int
    """What calls in flight have reserved, in the same unit."""
    unpriced: int
    """Calls so far whose cost is not known."""


Callback = Callable[[BudgetNotice], object]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A limit on what a session may use: money, calls, tokens, or several of these.

    A call is let through while less than the limit is spent and reserved. Before it is sent, it reserves what
    it may use at most, so that calls side by side exceed the limit by one reservation at the most.

    Attributes:
        usd: US dollars: a number, a ``Decimal`` or a text such as ``"0.50"``.
        calls: model calls.
        tokens: input and output tokens together.
        on_exceed: ``"warn"`` tells and refuses nothing; ``"soft"`` lets the running turn finish and refuses
            the next one; ``"hard"`` raises :class:`BudgetExceeded` before the request is sent.
        on_unpriced: what a limit in dollars does with a call that no price is known for: ``"warn"`` lets it
            through and says so once for each model; ``"tokens"`` leaves it to the limit on tokens, which
            must be given; ``"refuse"`` raises :class:`BudgetExceeded` before it is sent.
        tell_at: shares of the limit that are told when they are reached; 1.0 is told in any case.
        on_share: called with a :class:`BudgetNotice` on a thread of ours; what it raises is only counted.
        webhook: URL that gets the notice as JSON by POST, redacted, from a thread of ours.

    Raises:
        ArgumentError: (a ValueError) naming the value and what is allowed.
    """

    usd: Decimal | float | str | None = None
    calls: int | None = None
    tokens: int | None = None
    on_exceed: str = "warn"
    on_unpriced: str = "warn"
    tell_at: Sequence[float] = (0.8,)
    on_share: Callback | None = None
    webhook: str | None = None

    def __post_init__(self) -> None:
        """Check everything, before any effect."""
        nano = None if self.usd is None else _nano(self.usd)
        for name in ("calls", "tokens"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 0 <= value <= LARGEST):
                raise ArgumentError(f"Budget({name}={shown_value(value)}): use a whole number from 0 up")
        if nano is None and self.calls is None and self.tokens is None:
            raise ArgumentError("Budget(): give a limit: usd=, calls= or tokens=")
        _choice("on_exceed", self.on_exceed, ON_EXCEED)
        _choice("on_unpriced", self.on_unpriced, ON_UNPRICED)
        if self.on_unpriced == "tokens" and self.tokens is None:
            raise ArgumentError('Budget(on_unpriced="tokens"): give the limit on tokens, too: tokens=')
        object.__setattr__(self, "tell_at", _shares(self.tell_at))
        told: object = self.on_share
        if told is not None and (not callable(told) or inspect.iscoroutinefunction(told)):
            raise ArgumentError(
                f"Budget(on_share={shown_value(self.on_share)}): use a function, not a coroutine one"
            )
        if self.webhook is not None:
            _check_url(self.webhook)
        object.__setattr__(self, "_limits", (nano, self.calls, self.tokens))

    @property
    def limits(self) -> tuple[int | None, int | None, int | None]:
        """Nano-USD, calls and tokens; None where there is no limit."""
        found: tuple[int | None, int | None, int | None] = self.__dict__["_limits"]
        return found


def shown(unit: str, value: int) -> str:
    """An amount in words: ``$0.50``, ``3 calls``."""
    return str(dollar_text(value)) if unit == "usd" else f"{value:,} {unit}"


def remaining_of(values: Sequence[int | None]) -> Remaining:
    """What is left, by unit, as the user reads it."""
    least = [None if value is None else max(0, value) for value in values]
    return Remaining(usd(least[0]), least[1], least[2])


def _nano(value: object) -> int:
    nano = nano_of_dollars(value, LARGEST)
    if nano is None:
        raise ArgumentError(
            f"Budget(usd={shown_value(value)}): use dollars from 0 up: a number, a Decimal or a text "
            "such as '0.50'"
        )
    return nano


def _choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"Budget({name}={shown_value(value)}): use one of: {', '.join(choices)}")


def _shares(value: object) -> tuple[float, ...]:
    if isinstance(value, (list, tuple)) and all(
        isinstance(one, (int, float)) and not isinstance(one, bool) and 0 < one <= 1 for one in value
    ):
        return tuple(sorted({float(one) for one in value}))
    raise ArgumentError(
        f"Budget(tell_at={shown_value(value)}): use shares above 0 up to 1, such as (0.5, 0.8)"
    )


def _check_url(value: object) -> None:
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
            if parts.scheme in ("http", "https") and parts.hostname:
                return
        except ValueError:
            pass
    raise ArgumentError(
        f"Budget(webhook={shown_value(value)}): use a URL that begins with http:// or https://"
    )
