"""The errors that reach a user of spantally, and only by a call that the user made."""

from __future__ import annotations


class SpantallyError(Exception):
    """Base of every error that spantally raises on purpose."""


class ArgumentError(SpantallyError, ValueError):
    """A wrong argument in a call that the user's code made; raised before any effect."""


class SettingsError(ArgumentError):
    """A setting with a value that is not allowed; the text names value, allowed range and remedy."""


class LedgerError(SpantallyError):
    """A ledger that cannot be opened, read or written; the text says what to do.

    Attributes:
        slug: a stable short name of the cause (``missing_directory``, ``not_writable``,
            ``newer_schema``, ``older_schema``, ``not_a_database``, ``corrupt``, ``locked``, ``disk_full``,
            ``missing_file``, ``switched_off``, ``no_rates``, ``not_supported``).
    """

    def __init__(self, message: str, *, slug: str) -> None:
        super().__init__(message)
        self.slug = slug


class Refusal(SpantallyError):  # noqa: N818 - what it is
    """Base of what is raised on purpose, inside a program that asked for it: a limit that it set itself."""


class BudgetExceeded(Refusal):
    """A budget with ``on_exceed="hard"`` or ``"soft"``, or ``on_unpriced="refuse"``, refused work.

    Nothing of the refused call was sent.

    Attributes:
        budget: what the budget is of: ``session chat-42``, or the name of one of the settings file.
        unit: what ran out: ``usd``, ``calls`` or ``tokens``; ``unpriced`` where no price is known for the
            call.
        limit: the limit, in nano-USD, calls or tokens; None for a call that cannot be priced.
        spent: what was spent of it, in the same unit.
        reserved: what calls in flight have reserved of it.
        unpriced: calls so far whose cost is not known, so that ``spent`` lacks it or holds an estimate.
    """

    def __init__(
        self,
        message: str,
        *,
        budget: str,
        unit: str,
        limit: int | None,
        spent: int,
        reserved: int,
        unpriced: int,
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.unit = unit
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.unpriced = unpriced

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), str(self), self.__dict__)


class LoopDetected(Refusal):
    """A tool was about to run once more with the arguments that it has just run with, again and again.

    Attributes:
        tool: name of the tool.
        times: how often it was called so within the window, this call included.
        window: how many tool calls were looked at.
        cost_nano_usd: what the session spent since the first repetition; None where it is not known.
    """

    def __init__(
        self, message: str, *, tool: str, times: int, window: int, cost_nano_usd: int | None
    ) -> None:
        super().__init__(message)
        self.tool = tool
        self.times = times
        self.window = window
        self.cost_nano_usd = cost_nano_usd

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), str(self), self.__dict__)


def _again(kind: type[Refusal], message: str, facts: dict[str, object]) -> Refusal:
    """A refusal that came from another process, by pickle."""
    made = kind.__new__(kind)
    Refusal.__init__(made, message)
    made.__dict__.update(facts)
    return made


def shown(value: object) -> str:
    """A value for an error text, not too long, whatever it is."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."
