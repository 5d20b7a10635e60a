"""Sums of the messages that a program recorded: by role, beside the calls and never added to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spantally.ground import semconv
from spantally.ledger.contract import EventRow


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTotals:
    """The messages of one role, as the program told of them."""

    role: str
    messages: int
    message_tokens: int
    """What the messages say of their tokens, added up; no part of any session's or call's tokens."""
    untold_messages: int
    """Messages that do not say how many tokens they have."""

    @property
    def mean_tokens(self) -> float | None:
        """Of the messages that say how many tokens they have; None where none does."""
        told = self.messages - self.untold_messages
        return self.message_tokens / told if told else None


def message_totals(events: Iterable[EventRow]) -> list[MessageTotals]:
    """Sum up messages by role, sorted by role.

    Args:
        events: of any type; those that are no message are passed over.
    """
    found: dict[str, list[int]] = {}
    for event in events:
        if event.type != semconv.EVENT_MESSAGE:
            continue
        sums = found.setdefault(str(event.attributes.get(semconv.MESSAGE_ROLE)), [0, 0, 0])
        tokens = event.attributes.get(semconv.MESSAGE_TOKENS)
        sums[0] += 1
        if isinstance(tokens, int):
            sums[1] += tokens
        else:
            sums[2] += 1
    return [
        MessageTotals(role=role, messages=count, message_tokens=tokens, untold_messages=untold)
        for role, (count, tokens, untold) in sorted(found.items())
    ]
