"""What this process does, as plain data: for ``doctor`` and for a program's own health page."""

from __future__ import annotations

from typing import Any

from spantally.calls import pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.own_spans import revision_of
from spantally.calls.telemetry import PlainRedactor
from spantally.ground import guard
from spantally.ground.guard import swallowed
from spantally.ground.worker import worker
from spantally.instrumentors import beneath


def report() -> dict[str, Any]:
    """What is patched and by whom, missing taps, the redaction net in use, ledger and swallowed failures.

    Never raises; a part that cannot be told is absent.
    """
    found: dict[str, Any] = {}
    for name, tell in (
        ("active", _active),
        ("patches", _patches),
        ("coexist", _coexist),
        ("redaction", _redaction),
        ("ledger", _ledger),
        ("worker", _worker),
        ("failures", _failures),
    ):
        try:
            found[name] = tell()
        except Exception as error:
            swallowed(f"report.{name}", error)
    return found


def _active() -> bool:
    from spantally.api import runtime

    return runtime.current is not None


def _patches() -> list[dict[str, Any]]:
    from spantally.api import runtime

    rows: list[dict[str, Any]] = []
    for name, instrumentor in runtime.instrumentors().items():
        patches = instrumentor.patch_set
        for patch in patches.patches:
            applied = patches.applied.get(patch)
            row = {"instrumentor": name, "target": f"{patch.module}:{patch.path}", "enabled": patches.enabled}
            row["required"] = patch.required
            row.update(applied=applied is not None, missing=patch in patches.missing, others=_others(applied))
            rows.append(row)
    return rows


def _others(applied: Any) -> list[str]:
    """Modules of other wrappers around or beneath ours: who else patches the same place."""
    if applied is None:
        return []
    parent, name, ours, _ = applied
    if isinstance(parent, type):
        found = beneath.modules_around(parent, name, ours)
        if found:
            return found
    found = []
    current = getattr(parent, "__dict__", {}).get(name)
    for _ in range(20):
        if current is None:
            break
        if current is not ours and hasattr(current, "__wrapped__"):
            wrapper = getattr(current, "_self_wrapper", current)
            found.append(str(getattr(wrapper, "__module__", type(current).__module__)))
        current = getattr(current, "__wrapped__", None)
    return found


def _coexist() -> dict[str, Any]:
    from spantally.instrumentors.openai import peers

    return {
        "setting": telemetry_module.active.coexist,
        "peers": [{"name": peer.name, "distribution": peer.distribution} for peer in peers.at_work()],
    }


def _redaction() -> dict[str, Any]:
    from spantally.api import runtime

    redactor = telemetry_module.active.redactor
    net = runtime.net_report()
    told: dict[str, Any] = {"on": not isinstance(redactor, PlainRedactor), "net": net}
    if told["on"]:
        from spantally.redaction.tags import key_to_be

        revision_of(redactor)  # the default redactor is made when it is first asked
        describe = getattr(redactor, "describe", None)
        told["rules"] = describe() if callable(describe) else None
        key = key_to_be()
        told["key"] = {"source": key.source, "place": key.place, "fault": key.fault}
    return told


def _ledger() -> dict[str, Any] | None:
    from spantally.api import runtime

    consumer = runtime.ledger_consumer()
    if consumer is None:
        return None
    if consumer.writer is None:
        return {"target": str(consumer.target), "opened": False}
    health = consumer.writer.health()
    return {"opened": True, **{name: getattr(health, name) for name in health.__dataclass_fields__}}


def _worker() -> dict[str, Any]:
    return {"running": worker.running, "pending": worker.pending(), "late": len(pipeline.late)}


def _failures() -> list[dict[str, Any]]:
    return [
        {"where": where, "error": kind, "count": count} for (where, kind), count in guard.failures.items()
    ]
