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
            ``missing_file``, ``switched_off``).
    """

    def __init__(self, message: str, *, slug: str) -> None:
        super().__init__(message)
        self.slug = slug
