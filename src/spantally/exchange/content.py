"""Content of spans and events on its way into a ledger: what may be kept, redacted, within its limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.payload import others
from spantally.calls.telemetry import RedactorLike
from spantally.ground import semconv
from spantally.ground.records import CallRecord
from spantally.otel.foreign import CONTENT_KEYS

KEEPS_ALL: Final = "all"
KEEPS_NONE: Final = "never"


class Content:
    """What of content a ledger keeps.

    Args:
        redactor: what it passes; None keeps it as it is.
        policy: ``never``, ``explicit`` (what came from a ledger that kept it) or ``all``.
        limit: characters of the content of a row.
    """

    def __init__(self, redactor: RedactorLike | None, policy: str, limit: int) -> None:
        self.policy = policy
        self._redactor = redactor
        self._limit = limit

    def kept(self, record: CallRecord, attributes: Mapping[str, Any], *, whole: bool) -> CallRecord:
        """A row with what may be kept of its content, and with further attributes redacted.

        Args:
            record: of the span.
            attributes: of it.
            whole: the row comes from a ledger, with its content as that had it.
        """
        if record.attributes:
            record = record._replace(attributes=self.safe(record.attributes))
        if self.policy == KEEPS_NONE or (self.policy != KEEPS_ALL and not whole):
            return record
        found = self.of(attributes, exact=whole)
        return record if found is None else record._replace(content=found)

    def of(self, attributes: Mapping[str, Any], *, exact: bool = False) -> Mapping[str, Any] | None:
        """Content of a span or event; None where there is none."""
        found = {name: attributes[key] for name, key in CONTENT_KEYS.items() if key in attributes}
        extra = attributes.get(semconv.RECORD_CONTENT) if exact else None
        if isinstance(extra, str):
            found = {**found, **json.loads(extra)}
        if not found:
            return None
        safe = self.safe(found)
        return safe if exact else others(safe, self._limit)

    def safe(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values without their secrets."""
        if self._redactor is None:
            return dict(values)
        found: dict[str, Any] = self._redactor.attributes(values)
        return found
