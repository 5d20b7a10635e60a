"""Messages handed over one by one: a conversation with all that is known of it, a block, and a decorator."""

from __future__ import annotations

from datetime import UTC, datetime

import spantally

spantally.instrument(ledger_content="all")

session = spantally.session(
    "billing-1",
    user="alice",
    title="Billing query",
    labels=["billing", "priority"],
    metadata={"channel": "web"},
    tags={"project": "support-bot"},
).begin()
session.record_message("system", "You are brief.", timestamp=datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
session.record_message(
    "user",
    "I was double-charged.",
    id="m-1",
    timestamp=datetime(2026, 3, 1, 9, 31, tzinfo=UTC),
    metadata={"client": "browser"},
)
session.record_message(
    "assistant",
    "I can see the duplicate charge. Let me fix that.",
    tokens=18,
    model="claude-3-sonnet",
    latency_ms=410,
    id="m-2",
    timestamp="2026-03-01T09:31:02Z",
)
session.record_message("user", "=SUM(A1:A9) it says", status="pending", timestamp="2026-03-01T09:32:00Z")
session.finish()

# A block ends by itself.
with spantally.session("onboarding-1", user="bob", tags={"project": "onboarding"}) as session:
    session.record_message("user", "How do I get started?")
    session.record_message("assistant", "Welcome! Let's begin with the set-up.", tokens=9)


# A decorator takes argument and result, of coroutines and generators too.
@spantally.session(user="carol", tags={"project": "search-service"})
def run_query(question: str) -> str:
    """Answer a question; a model would be asked here."""
    return f"{question} That is a long story."


run_query("What is quantum entanglement?")
