"""Which redactor a processor uses, by its ``redact`` argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.telemetry import PlainRedactor, RedactorLike
from spantally.ground.errors import SettingsError
from spantally.ground.guard import say_once, swallowed

_NEEDED: Final = ("text", "value", "attributes")


class ClosedRedactor:
    """Stands in where the redactor cannot be made: no text passes, numbers do."""

    def text(self, text: str, key: str | None = None) -> str:
        """Nothing of the text."""
        return "[REDACTED:error]"

    def value(self, value: Any, key: str | None = None) -> Any:
        """A number as it is, nothing of anything else."""
        return value if isinstance(value, (bool, int, float, type(None))) else "[REDACTED:error]"

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes' keys and numbers."""
        return {key: self.value(value, key) for key, value in attributes.items()}


def redactor_of(redact: object) -> RedactorLike | None:
    """The redactor that an argument means, or None for ``redact=False``.

    Raises:
        SettingsError: for anything but True, False and a redactor.
    """
    if redact is False or isinstance(redact, PlainRedactor):
        return None
    if redact is True:
        try:
            from spantally.redaction import default_redactor

            made: RedactorLike = default_redactor()
            return made
        except Exception as error:
            swallowed("otel.default_redactor", error)
            say_once(
                "redactor:closed", "spantally: the redactor failed to start; texts on spans are withheld"
            )
            return ClosedRedactor()
    if all(callable(getattr(redact, name, None)) for name in _NEEDED):
        return redact  # type: ignore[return-value]
    raise SettingsError(f"redact={redact!r} is not allowed; use True, False or a Redactor")
