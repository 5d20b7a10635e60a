"""What sessions did and cost, asked from Python: no server and no key, the ledger is a file."""

from __future__ import annotations

import spantally

with spantally.open_ledger() as ledger:
    for session in ledger.sessions(entity="customer:acme-corp", since="2025-01-01T00:00:00Z"):
        print(f"{session.session_id}: {session.turn_count} turns, ${session.cost_usd}")

    costliest = ledger.sessions(order_by="-cost", limit=1)[0]
    print("costliest:", costliest.session_id)

    for row in ledger.outcomes("entity"):
        each = row.per_session
        print(row.keys["entity"], row.sessions, each["cost_nano_usd"].mean, each["turns"].mean)

    for group in ledger.cost("entity,model,tag:feature"):
        print(dict(group.keys), group.calls, group.total_cost)
