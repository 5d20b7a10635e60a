"""Telling that a share of a budget is used: callbacks and webhooks, on threads of their own.

Nothing here is ever waited for by the program. A callback or a webhook that hangs holds up its own kind and
nobody else; a thread lives as long as there is something to tell.
"""

from __future__ import annotations

import contextvars
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from spantally.budgets.budget import Budget, BudgetNotice
from spantally.calls import pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.ground import semconv
from spantally.ground.guard import say_once, swallowed

MOST_WAITING: Final = 256
"""Notices of one kind that wait; what comes then is dropped and said."""

WEBHOOK_SECONDS: Final = 5.0
"""How long a webhook may take to answer."""

EXIT_SECONDS: Final = 1.0
"""How long the end of the process waits for notices that are under way."""


class Teller:
    """A queue with a thread that comes when something is put in, and goes when it is empty."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], object]] = deque()
        self._thread: threading.Thread | None = None

    def put(self, task: Callable[[], object]) -> None:
        """Have ``task`` run soon; never waits."""
        if self._pid != os.getpid():
            self._fresh()
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                say_once(
                    f"telling:{self.name}", "spantally: too many budget %s wait; some are lost", self.name
                )
                return
            self._waiting.append(task)
            if self._thread is None:
                # In a context of its own: what it does belongs to nobody's session.
                run = contextvars.Context().run
                thread = threading.Thread(
                    target=run, args=(self._run,), name=f"spantally-{self.name}", daemon=True
                )
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                task = self._waiting.popleft()
            try:
                task()
            except BaseException as error:  # SystemExit of a callback ends nobody's program either
                swallowed(f"budgets.{self.name}", error)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to tell, or the time is over."""
        deadline = time.monotonic() + seconds
        while (thread := self._thread) is not None and self._pid == os.getpid():
            thread.join(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                return self._thread is None
        return True


callbacks: Final = Teller("callbacks")
webhooks: Final = Teller("webhooks")


def tell(budget: Budget, notice: BudgetNotice) -> None:
    """Hand a notice to the budget's callback and webhook."""
    on_share, url = budget.on_share, budget.webhook
    if on_share is not None:
        callbacks.put(lambda: on_share(notice))
    if url is not None:
        webhooks.put(lambda: _post(url, notice))
    if on_share is not None or url is not None:
        pipeline.at_exit(_at_exit)


def without_secrets(notice: BudgetNotice) -> BudgetNotice:
    """A notice as it may leave: its session is named as the ledger and spans name it."""
    redactor = telemetry_module.active.redactor
    session_id = redactor.text(notice.session_id, semconv.SESSION_ID)
    name = notice.budget
    if session_id != notice.session_id:
        name = name.replace(notice.session_id, session_id)
    return notice._replace(budget=redactor.text(name), session_id=session_id)


def _post(url: str, notice: BudgetNotice) -> None:
    import urllib.request  # slow to import, and few programs need it

    body: dict[str, Any] = without_secrets(notice)._asdict()
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "user-agent": "spantally"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS) as answer:  # noqa: S310
        answer.read(1)


def _at_exit() -> None:
    deadline = time.monotonic() + EXIT_SECONDS
    for teller in (callbacks, webhooks):
        teller.wait(max(0.0, deadline - time.monotonic()))
