"""Reading it back from Python: one session, its messages, lists and pages, search, figures."""

from __future__ import annotations

import spantally

with spantally.open_ledger() as ledger:
    session = ledger.session("billing-1")
    assert session is not None
    print(session.title, session.user_id, session.labels, session.metadata)

    for totals in ledger.messages("billing-1"):
        print(totals.role, totals.messages, totals.message_tokens)
    messages = ledger.conversation("billing-1")
    print([message.role for message in messages], sum(message.tokens or 0 for message in messages))

    page = ledger.sessions(
        user="alice", tags={"project": "support-bot"}, labels=["billing"], limit=50, offset=0
    )
    print([row.session_id for row in page])

    for message in ledger.search("double-charged", limit=20):
        print(message.session_id, message.role, message.content)

    everything = ledger.sessions()
    print(
        len(everything),
        sum(len(ledger.conversation(row.session_id)) for row in everything),
        sum(row.status == "running" for row in everything),
    )
