"""The rate table comes late, on a thread of its own, and never in the way of the program."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def run(program: str) -> str:
    """Run a program in a fresh interpreter; it must end well and say nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=TESTS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_importing_pricing_imports_no_price_data() -> None:
    """Neither the table nor pydantic, nor an HTTP client: they cost up to a second."""
    run("""
        import sys
        import spantally.pricing
        import spantally.pricing.rate
        heavy = {"genai_prices", "pydantic", "httpx", "httpx2"} & set(sys.modules)
        assert not heavy, heavy
    """)


def test_rating_without_the_table_answers_at_once() -> None:
    """Pending with the parts; what needs no rates has its answer; and nothing is imported for it."""
    run("""
        import sys
        from pricing_records import chat, record
        from spantally.ground.money import CostStatus, UsageParts
        from spantally.pricing.rate import rate_if_loaded
        found = rate_if_loaded(record("gpt-4o", chat(10, 5, cached=4)))
        assert found.status == CostStatus.PENDING and found.nano_usd is None
        assert found.parts == UsageParts(uncached_input=6, cache_read=4, output=5)
        assert rate_if_loaded(record("gpt-4o", None)).status == CostStatus.NO_USAGE
        assert rate_if_loaded(record("gpt-4o", chat(1, 5, cached=4))).status == CostStatus.BAD_USAGE
        assert rate_if_loaded(record("gpt-4o", chat(1, 1), kind="agent")).status == CostStatus.NO_USAGE
        reported = rate_if_loaded(record("x/y", {**chat(1, 1), "cost": 0.5}))
        assert reported.status == CostStatus.PROVIDER_REPORTED
        assert "genai_prices" not in sys.modules
    """)


def test_one_thread_loads_and_calls_back() -> None:
    """However many ask at once: one loader thread, each callback once, one that raises hurts no other."""
    run("""
        import logging, threading, time
        logging.getLogger("spantally").addHandler(logging.NullHandler())
        from pricing_records import chat, record
        from spantally.ground import guard
        from spantally.pricing import rates
        from spantally.pricing.rate import rate_if_loaded
        seen, done = [], threading.Event()
        rates.on_loaded(lambda: seen.append(threading.current_thread().name))
        rates.on_loaded(lambda: 1 / 0)
        rates.on_loaded(done.set)
        asking = [threading.Thread(target=rates.ensure_loading) for _ in range(20)]
        for one in asking: one.start()
        for one in asking: one.join()
        names = [one.name for one in threading.enumerate() if one.name == "spantally-rates"]
        assert len(names) <= 1, names
        assert done.wait(30) and rates.loaded()
        assert seen == ["spantally-rates"], seen
        assert guard.failures[("pricing.on_loaded", "ZeroDivisionError")] == 1
        assert rate_if_loaded(record("gpt-4o", chat(1, 0))).nano_usd == 2_500
        rates.on_loaded(lambda: seen.append("late"))
        assert seen == ["spantally-rates", "late"], seen
        while rates._loader.thread is not None: time.sleep(0.01)
        rates.ensure_loading()
        assert rates._loader.thread is None
    """)


def test_rate_waits_for_a_load_that_is_under_way() -> None:
    """The blocking form gives the cost, whether or not the thread has begun."""
    run("""
        from pricing_records import chat, record
        from spantally.pricing import rates
        from spantally.pricing.rate import rate
        rates.ensure_loading()
        assert rate(record("gpt-4o", chat(1, 0))).nano_usd == 2_500
    """)


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_the_program_may_end_while_the_table_loads(seconds: float) -> None:
    """No crash, no message, no long wait: the load is given up between its steps."""
    run(f"""
        import time
        from spantally.pricing import rates
        rates.ensure_loading()
        time.sleep({seconds})
    """)


def test_asking_while_the_interpreter_ends_is_harmless() -> None:
    """From Python 3.12 on no thread starts then; the rows stay pending."""
    run("""
        import atexit
        from spantally.pricing import rates
        atexit.register(rates.ensure_loading)
    """)
    run("""
        import threading
        from spantally.pricing import rates
        class Late:
            def __del__(self): rates.ensure_loading()
        late = Late()
        late.itself = late
    """)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
def test_a_child_forked_while_the_table_loads_can_load_it() -> None:
    """The fork waits for the load: a child with half an import would hang at its own."""
    run("""
        import os, sys, time
        from pricing_records import chat, record
        from spantally.pricing import rates
        from spantally.pricing.rate import rate
        for delay in (0.0, 0.03, 0.1):
            rates.ensure_loading()
            time.sleep(delay)
            child = os.fork()
            if child == 0:
                import pydantic
                rates.ensure_loading()
                os._exit(0 if rate(record("gpt-4o", chat(1, 0))).nano_usd == 2_500 else 1)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid: break
                time.sleep(0.01)
            else:
                os.kill(child, 9)
                sys.exit("the child hangs")
            assert status == 0, status
    """)


def test_a_table_that_cannot_be_loaded_leaves_rows_pending() -> None:
    """One log line, no retry on every call, and the program goes on."""
    run("""
        import logging, sys, time
        lines = []
        class Keep(logging.Handler):
            def emit(self, entry): lines.append(entry.getMessage())
        logging.getLogger("spantally").addHandler(Keep())
        from pricing_records import chat, record
        from spantally.ground.money import CostStatus
        from spantally.pricing import rates
        from spantally.pricing.rate import rate
        sys.modules["genai_prices"] = None
        for _ in range(50):
            found = rate(record("gpt-4o", chat(1, 0)))
            assert found.status == CostStatus.PENDING and found.parts is not None
            rates.ensure_loading()
        assert rates._loader.thread is None and not rates.loaded()
        assert len(lines) == 1 and "pricing.load" in lines[0], lines
        del sys.modules["genai_prices"]
        rates._loader.failed_at -= rates.RETRY_SECONDS
        assert rate(record("gpt-4o", chat(1, 0))).nano_usd == 2_500
    """)


def test_a_table_that_the_program_swapped_in_changes_no_price() -> None:
    """The source names a version of the package, so only its own data is read."""
    run("""
        from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
        set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=False))
        from pricing_records import chat, record
        from spantally.pricing.rate import rate
        assert rate(record("gpt-4o", chat(1, 0))).nano_usd == 2_500
    """)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
def test_a_child_of_a_fork_that_could_not_wait_leaves_its_rows_pending() -> None:
    """A load that outlasts the wait is not touched again in the child, which would hang on its locks."""
    run("""
        import os, time, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of the thread, which is the point
        from pricing_records import chat, record
        from spantally.ground.money import CostStatus
        from spantally.pricing import rates
        from spantally.pricing.rate import rate
        rates.STOP_SECONDS = 0.2
        read = rates._read
        rates._read = lambda pause: time.sleep(1.5) or read(pause)
        rates.ensure_loading()
        child = os.fork()
        if child == 0:
            began = time.monotonic()
            pending = rate(record("gpt-4o", chat(1, 0))).status == CostStatus.PENDING
            os._exit(0 if pending and time.monotonic() - began < 0.5 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert rate(record("gpt-4o", chat(1, 0))).nano_usd == 2_500
    """)
