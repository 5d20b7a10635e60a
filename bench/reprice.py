"""How long rating a ledger anew takes, beside a plain SQL UPDATE of the same rows.

    python bench/reprice.py            # 200,000 rows, 5 times each
    python bench/reprice.py 20000 3

The ledger is made for it: tokens, models, hours, sessions and agents of the calls differ, and all are rated a
little too high, so that each row is another one afterwards. The sums are compared with a recomputation from
the raw usage. Each round is a plain UPDATE, a rating anew and the whole command, each on a fresh copy of the
ledger, one right after the other: the machine's other work hits them alike.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from spantally.ground.money import Rating
from spantally.ground.records import CallRecord, Kind, UsageFormat
from spantally.ledger.contract import Filter
from spantally.ledger.repricing import Repricing
from spantally.ledger.sqlite import codec
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.pricing.rate import rate

ROWS = 200_000
TIMES = 5
MODELS = ("gpt-5", "gpt-5-mini", "gpt-4o", "gpt-4.1", "o3")
FIRST_NS = 1_793_000_000_000_000_000


def call(number: int, chance: random.Random) -> CallRecord:
    """One call of many."""
    prompt = chance.randrange(50, 20_000)
    model = chance.choice(MODELS)
    return CallRecord(
        call_id=f"{number:032x}",
        session_id=f"session-{number // 50}",
        kind=Kind.INFERENCE,
        operation="chat",
        start_ns=FIRST_NS + number * 10_000_000_000,
        end_ns=FIRST_NS + number * 10_000_000_000 + 1_000_000_000,
        provider="openai",
        request_model=model,
        response_model=model,
        server_address="api.openai.com",
        agent_path=(("planner",), ("planner", "researcher"), ())[number % 3],
        usage={
            "prompt_tokens": prompt,
            "completion_tokens": chance.randrange(900),
            "prompt_tokens_details": {"cached_tokens": chance.choice((0, 0, prompt // 2)), "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        usage_format=UsageFormat.OPENAI_CHAT,
        price_context={"service_tier": "default"},
    )


def too_high(record: CallRecord) -> Rating:
    """What an earlier table said."""
    found = rate(record)
    return found._replace(nano_usd=(found.nano_usd or 0) + 7, price_id="earlier")


def make(path: Path, rows: int) -> None:
    """Write the ledger."""
    store, chance = SQLiteStore(path), random.Random(1)
    for first in range(0, rows, 2000):
        store.write([call(number, chance) for number in range(first, min(first + 2000, rows))], too_high)
    store.close()


def plain_seconds(path: Path) -> float:
    """One UPDATE of the cost of every row, committed."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("secure_delete = ON", "journal_mode = WAL", "synchronous = NORMAL"):
        db.execute(f"PRAGMA {pragma}")
    begun = time.perf_counter()
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE call SET cost_nano_usd = cost_nano_usd + 1")
    db.execute("COMMIT")
    took = time.perf_counter() - begun
    db.close()
    return took


def our_seconds(path: Path) -> tuple[float, Repricing, list[int]]:
    """Rating anew, what it told, and the sums after it: from rollups, and from rows."""
    store = SQLiteStore(path)
    store.any_pending()  # opened, as the other is
    begun = time.perf_counter()
    found = store.reprice(rate, Filter())
    took = time.perf_counter() - begun
    sums = [
        sum(row.cost_nano_usd or 0 for row in store.cost([name], Filter(), "UTC"))
        for name in ("model", "trace")
    ]
    store.close()
    return took, found, sums


def command_seconds(path: Path) -> float:
    """The command, from its start to its end."""
    command = [
        sys.executable,
        "-c",
        "from spantally.cli.main import main; main()",
        "--ledger",
        str(path),
        "reprice",
        "--json",
    ]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def from_raw(path: Path) -> tuple[int, int]:
    """Calls, and what they cost, by rating each from its raw usage."""
    db = sqlite3.connect(path)
    costs = [
        rate(codec.decode(values).record).nano_usd or 0
        for values in db.execute(f"SELECT {codec.SELECT} FROM call")
    ]
    db.close()
    return len(costs), sum(costs)


def main() -> int:
    """Measure, compare and print; returns 1 where the sums are not the same."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    times = int(sys.argv[2]) if len(sys.argv) > 2 else TIMES
    plain, ours, command = [], [], []
    true = True
    with tempfile.TemporaryDirectory() as folder:
        made, path = Path(folder) / "made.db", Path(folder) / "ledger.db"
        make(made, rows)
        calls, expected = from_raw(made)
        for _ in range(times):
            shutil.copy(made, path)
            plain.append(plain_seconds(path))
            shutil.copy(made, path)
            took, found, sums = our_seconds(path)
            ours.append(took)
            told = [found.after_nano_usd, found.after_nano_usd]
            true = true and sums == [expected, expected] == told and found.changed_calls == calls
            shutil.copy(made, path)
            command.append(command_seconds(path))
    print(f"rows                     {calls:,}, all changed; {times} times on a fresh copy each")
    print(f"plain UPDATE             {median(plain):.2f} s")
    for name, took in (("rating anew             ", ours), ("spantally reprice, whole", command)):
        ratio = median(one / other for one, other in zip(took, plain, strict=True))
        print(f"{name} {median(took):.2f} s, {ratio:.2f} times that (median of the times of each round)")
    print(f"sums as from raw usage   {'yes' if true else f'NO: {sums}, {expected}'}")
    return 0 if true else 1


if __name__ == "__main__":
    sys.exit(main())
