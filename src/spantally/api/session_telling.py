"""Telling the ledger of a session: that it began, what is said of it, how it ended."""

from __future__ import annotations

import time
from typing import Any

from spantally.calls import implicit, pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.json_text import printable
from spantally.ground.cancelling import is_cancellation
from spantally.ground.guard import swallowed
from spantally.ground.records import SessionStatus
from spantally.ground.scope import Scope


def tell_begun(scope: Scope, *, news: bool) -> None:
    """Tell the ledger of a session: once, and again where it goes on after its end or more is said of it."""
    telemetry = telemetry_module.active
    if news and scope.session.recorded:
        # Its moment is now, later than the end that was told; the earliest moment stays its beginning.
        pipeline.emit(implicit.session_record(scope, telemetry)._replace(start_ns=time.time_ns()))
    else:
        implicit.record_session(scope, telemetry)


def tell_more(scope: Scope) -> None:
    """Tell the ledger what is known of a session, but not how it stands."""
    record = implicit.session_record(scope, telemetry_module.active)
    pipeline.emit(record._replace(status=None, process=None, start_ns=time.time_ns()))


def tell_ended(scope: Scope, outcome: dict[str, Any], reason: str | None) -> None:
    """Tell the ledger that a session has ended."""
    telemetry = telemetry_module.active
    if not telemetry.keep_explicit:
        reason = None
    if reason is not None:
        try:
            reason = printable(telemetry.redactor.text(reason, "reason"))
        except Exception as error:
            swallowed("session.reason", error)
            reason = None
    pipeline.emit(implicit.session_record(scope, telemetry)._replace(reason=reason, **outcome))


def status_of(error: BaseException | None) -> SessionStatus:
    """How a session stands whose block ended by ``error``."""
    if error is None or isinstance(error, GeneratorExit):
        return SessionStatus.SUCCEEDED
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return SessionStatus.SUCCEEDED
    if isinstance(error, KeyboardInterrupt) or is_cancellation(error):
        return SessionStatus.CANCELLED
    return SessionStatus.FAILED
