"""The default redactor is made at the first text: late, once, for all who hold it, and closed on failure."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from spantally import Redactor
from spantally.calls.telemetry import Telemetry
from spantally.ground import guard
from spantally.otel import redactors
from spantally.otel.redactors import LateRedactor, redactor_of
from spantally.redaction.registry import forget_literals

ERROR = "[REDACTED:error]"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody has asked for the default redactor yet."""
    monkeypatch.setattr(redactors, "_late", None)
    monkeypatch.setattr(redactors, "_environment", {})
    yield
    forget_literals()


def made() -> LateRedactor:
    """The default redactor as ``redact=True`` gives it."""
    found = redactor_of(True)
    assert kind(found) == "LateRedactor"
    assert isinstance(found, LateRedactor)
    return found


def kind(redactor: object) -> str:
    """What a redactor is at the moment."""
    return type(redactor).__name__


def test_first_text_makes_it_the_real_one() -> None:
    """Whoever holds it has a plain Redactor after the first text, with the answers of one."""
    late = made()
    assert redactor_of(True) is late
    assert late.text("password=hunter2-and-more") != "password=hunter2-and-more"
    assert kind(late) == "Redactor"
    assert redactor_of(True) is late


@pytest.mark.parametrize("part", ["text", "value", "attributes", "revision"])
def test_each_door_leads_to_it(part: str) -> None:
    """Each way to use it makes it real, and answers as the real one does."""
    late = made()
    if part == "revision":
        assert isinstance(late.revision, int)
    elif part == "attributes":
        assert late.attributes({"api_key": "hunter2-and-more", "n": 1}) == {
            "api_key": Redactor().text("hunter2-and-more", "api_key"),
            "n": 1,
        }
    else:
        assert "hunter2" not in getattr(late, part)("hunter2-and-more", "api_key")
    assert kind(late) == "Redactor"


def test_secret_of_the_environment_at_activation_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that takes its secret out of the environment before the first span has it hidden too."""
    monkeypatch.setenv("PAYMENT_SECRET", "Zq8vN2kLw5rT1x")
    late = made()
    monkeypatch.delenv("PAYMENT_SECRET")
    assert "PAYMENT_SECRET" not in os.environ
    assert "Zq8vN2kLw5rT1x" not in late.text("it said Zq8vN2kLw5rT1x and went on")


def test_text_while_this_thread_makes_it_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finaliser that ends a span while the rules are being imported gets nothing through."""
    late = made()
    inner: list[object] = []
    real = redactors._default_or_closed

    def during() -> object:
        inner.extend([late.text("plain words"), late.value(7), late.attributes({"a": "plain words"})])
        return real()

    monkeypatch.setattr(redactors, "_default_or_closed", during)
    assert late.text("plain words") == "plain words"
    assert inner == [ERROR, 7, {"a": ERROR}]
    assert kind(late) == "Redactor"


@pytest.mark.parametrize("fault", ["default_redactor", "register_environment"])
def test_failure_stays_ours(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rules every text is withheld; an environment that cannot be read costs its secrets alone."""

    def fail(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(f"spantally.redaction.{fault}", fail)
    late = made()
    closed = fault == "default_redactor"
    assert late.attributes({"a": "plain words", "n": 2}) == {"a": ERROR if closed else "plain words", "n": 2}
    assert kind(late) == ("ClosedRedactor" if closed else "Redactor")
    where = "otel.default_redactor" if closed else "otel.environment"
    assert guard.failures[(where, "ZeroDivisionError")]
    assert (redactor_of(True) is late) is not closed, "a later activation tries again"


def test_threads_that_come_together_get_safe_texts() -> None:
    """Many threads with the first text at once: each gets it redacted, none fails."""
    late = made()
    ready = threading.Barrier(8)
    got: list[str] = []

    def use() -> None:
        ready.wait()
        got.append(late.text("password=hunter2-and-more"))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1
    assert len(got) == 8
    assert "hunter2" not in got[0]


def test_first_text_at_shutdown_is_safe() -> None:
    """A text that comes as the interpreter goes, when nothing can be imported, is withheld."""
    program = (
        "import os, sys\n"
        "from spantally.otel.redactors import redactor_of\n"
        "class Last:\n"
        "    def __init__(self, write, redactor): self.write, self.redactor = write, redactor\n"
        "    def __del__(self): self.write(1, self.redactor.text('password=hunter2-and-more').encode())\n"
        "last = Last(os.write, redactor_of(True))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ERROR)
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fork_waits_for_the_rules() -> None:
    """A child never inherits an import that its own threads cannot finish: the fork waits for it."""
    program = (
        "import os, threading, time\n"
        "from spantally.otel import redactors\n"
        "late, real, began = redactors.redactor_of(True), redactors._default_or_closed, threading.Event()\n"
        "def slow():\n"
        "    began.set()\n"
        "    time.sleep(0.2)\n"
        "    return real()\n"
        "redactors._default_or_closed = slow\n"
        "threading.Thread(target=late.text, args=('plain words',)).start()\n"
        "began.wait()\n"
        "if os.fork() == 0:\n"
        "    os.write(1, f'{type(late).__name__} {len(redactors._loading)}'.encode())\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Redactor 0")


def test_failure_at_a_fork_stays_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the hooks of a fork is counted and goes no further."""
    monkeypatch.setattr(redactors, "_loading", None)
    redactors._before_fork()
    redactors._after_fork_in_child()
    assert guard.failures[("otel.before_fork", "TypeError")]
    assert guard.failures[("otel.after_fork", "AttributeError")]


def test_preparation_runs_no_rule_of_the_user() -> None:
    """What the import of an SDK makes ready calls none of the program's own rules."""
    seen: list[str] = []

    def rule(key: str | None, text: str, where: str) -> None:
        seen.append(text)

    Telemetry(Redactor([rule])).prepare()
    assert seen == []
