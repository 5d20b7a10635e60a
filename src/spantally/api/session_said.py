"""What a program says of a session: title, metadata, labels, metrics, input, output; for the ledger only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from spantally.api.plain_values import parse_json
from spantally.calls import telemetry as telemetry_module
from spantally.calls.json_text import printable
from spantally.calls.telemetry import Telemetry
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.event_loop import in_event_loop
from spantally.ground.guard import swallowed

MOST_METRICS: Final = 64
MOST_LABELS: Final = 48
LONGEST_NAME: Final = 64
"""Longest name of a metric, and longest label, in characters."""
LONGEST_TITLE: Final = 1_024
_LARGEST: Final = 1e300


def parse_title(value: object) -> str | None:
    """Free text of at most 1,024 characters.

    Raises:
        ArgumentError: for anything else.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TITLE:
        raise ArgumentError(f"title={shown(value)}: use a text of 1 to {LONGEST_TITLE} characters")
    return value


def parse_metadata(value: object) -> dict[str, Any] | None:
    """A mapping that is JSON, of at most 65,536 characters; a copy, so that later changes do not show.

    Raises:
        ArgumentError: for anything else, cycles and numbers that are not finite among it.
    """
    return parse_json("metadata", value)


def parse_labels(value: object) -> tuple[str, ...]:
    """Labels: texts of 1 to 64 printable characters, at most 48, sorted, each once.

    Raises:
        ArgumentError: for anything else.
    """
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ArgumentError(f"labels={shown(value)}: use a list of texts")
    found = sorted({_name("labels", one) for one in value})
    if len(found) > MOST_LABELS:
        raise ArgumentError(f"labels: {len(found)} are given; a session has at most {MOST_LABELS}")
    return tuple(found)


def parse_metrics(value: object) -> dict[str, int | float] | None:
    """Finite numbers by name, at most 64.

    Raises:
        ArgumentError: for anything else; True and False are no numbers.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ArgumentError(f"metrics={shown(value)}: use a mapping of name to number")
    if len(value) > MOST_METRICS:
        raise ArgumentError(f"metrics: {len(value)} are given; a session has at most {MOST_METRICS}")
    found: dict[str, int | float] = {}
    for name, number in value.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ArgumentError(f"metrics[{shown(name)}]={shown(number)}: use a number")
        if abs(number) > _LARGEST or not math.isfinite(number):
            raise ArgumentError(f"metrics[{shown(name)}]={shown(number)}: use a finite number")
        found[_name("metrics", name)] = number
    return found


def _name(what: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NAME or not value.isprintable():
        raise ArgumentError(
            f"{what}: {shown(value)} is no name; use 1 to {LONGEST_NAME} printable characters"
        )
    return value


def begun(
    telemetry: Telemetry, title: str | None, metadata: dict[str, Any] | None, labels: tuple[str, ...]
) -> dict[str, Any]:
    """Fields of the session's record for what is said at its beginning, redacted."""
    said: dict[str, Any] = {}
    for name, value in (("title", title), ("metadata", metadata), ("labels", list(labels) or None)):
        safe = None if value is None else _redacted(telemetry, name, value)
        if safe is not None:
            said[name] = tuple(safe) if name == "labels" else printable(safe) if name == "title" else safe
    return said


def with_more(
    telemetry: Telemetry, before: Mapping[str, Any] | None, more: Mapping[str, Any]
) -> dict[str, Any]:
    """What is said of a session with more of it: labels and names are added, a title takes the other's place.

    Args:
        telemetry: gives the redactor.
        before: what was said, redacted.
        more: checked values by field.
    """
    said = dict(before or {})
    safe = begun(telemetry, more.get("title"), more.get("metadata"), more.get("labels", ()))
    if "title" in safe:
        said["title"] = safe["title"]
    if "labels" in safe:
        said["labels"] = tuple(sorted({*said.get("labels", ()), *safe["labels"]}))
    metrics = _named_safely(telemetry, more.get("metrics"))
    for name, values in (("metadata", safe.get("metadata")), ("metrics", metrics)):
        if values:
            said[name] = {**(said.get(name) or {}), **values}
    return said


def parse_reported(cost_usd: object, input_tokens: object, output_tokens: object) -> dict[str, int] | None:
    """What a program says that a session used, by the names under which it is kept; None for nothing.

    Raises:
        ArgumentError: for what is no amount, and no count.
    """
    from spantally.api.record_arguments import parse_cost, parse_count

    figures = {
        "cost_nano_usd": parse_cost("finish(cost_usd", cost_usd),
        "input_tokens": parse_count("finish(input_tokens", input_tokens),
        "output_tokens": parse_count("finish(output_tokens", output_tokens),
    }
    return {name: number for name, number in figures.items() if number is not None} or None


def for_worker(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Input and output as they are now, where they are too large to be scanned on this event loop's thread.

    Returns:
        Plain data, for the worker; None where they can be scanned at once. Never raises.
    """
    if not telemetry_module.active.keep_explicit or not in_event_loop():
        return None
    try:
        from spantally.calls.unscanned import is_large_here  # with it comes the engine
        from spantally.calls.work_values import plain

        if not is_large_here(dict(given)):
            return None
        return {name: plain(value) for name, value in given.items()}
    except Exception as error:
        swallowed("session.said", error)
        return None


def ended(
    telemetry: Telemetry,
    before: Mapping[str, Any] | None,
    metrics: dict[str, int | float] | None,
    given: Mapping[str, Any],
    reported: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Fields of the session's record for what is said at its end.

    Args:
        telemetry: gives redactor, limits and policy.
        before: what was said until then.
        metrics: checked numbers.
        reported: what the program says that it used.
        given: input and output as the program has them; kept only where the ledger keeps what a user hands
            to our API (``ledger_content``).
    """
    said: dict[str, Any] = {}
    if metrics is not None:
        safe_metrics = _named_safely(telemetry, metrics)
        said["metrics"] = {**((before or {}).get("metrics") or {}), **safe_metrics}
    if reported is not None:
        said["reported"] = reported
    if telemetry.keep_explicit:
        for name, value in given.items():
            safe = None if value is None else _fitted(telemetry, name, value)
            if safe is not None:
                said[name] = safe
    return said


def _named_safely(telemetry: Telemetry, metrics: Mapping[str, int | float] | None) -> dict[str, int | float]:
    """Metrics without secrets in their names; the numbers are the program's and stay."""
    safe: dict[str, int | float] = {}
    for name, number in (metrics or {}).items():
        try:
            safe[printable(telemetry.redactor.text(name))] = number
        except Exception as error:
            swallowed("session.metrics", error)
    return safe


def _redacted(telemetry: Telemetry, name: str, value: Any) -> Any:
    try:
        return telemetry.redactor.value(value, name)
    except Exception as error:
        swallowed("session.said", error)
        return None


def _fitted(telemetry: Telemetry, name: str, value: Any) -> Any:
    try:
        from spantally.calls.payload import shortened
        from spantally.calls.work_values import plain

        room, whole = telemetry.ledger_limits
        return shortened(telemetry.redactor.value(plain(value), name), min(room, whole))
    except Exception as error:
        swallowed("session.said", error)
        return None
