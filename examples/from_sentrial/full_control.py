"""A session with all that a program knows of it: tools and decisions, its own data, metrics and reckoning."""

from __future__ import annotations

import spantally

spantally.instrument()

session = spantally.session(
    name="support-request",
    title="Customer Support Request",
    user="user_123",
    metadata={"ticket_id": "TKT-789", "channel": "web_chat", "priority": "high"},
).begin()

with spantally.agent("support-agent"):
    spantally.decision(
        "The user cannot log in; the articles may help at once.",
        choice="search the articles",
        alternatives=["escalate to a person", "ask a question back"],
        confidence=0.92,
    )
    session.record_tool(
        "search_knowledge_base",
        {"query": "password reset"},
        {"results": ["KB-001", "KB-002"]},
        reasoning="The user asked about a password.",
        latency_ms=45,
        cost_usd=0.001,
    )
    session.record_tool("open_ticket", {"queue": "it"}, error=TimeoutError("it is away"), latency_ms=30)
    session.record_call(
        provider="openai", model="gpt-4o-mini", input_tokens=1500, output_tokens=500, latency_ms=900
    )

session.finish(
    success=True,
    cost_usd=0.045,
    input_tokens=1500,
    output_tokens=500,
    metrics={"satisfaction": 4.5, "resolution_time": 120},
)
# Later, or from another process: what the user thought of it.
spantally.feedback(1, label="helpful", comment="Works again.", session=session.id)
print(session.totals.calls, session.totals.cost_usd)
