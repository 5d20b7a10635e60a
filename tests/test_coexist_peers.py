"""Beside the real instrumentors of others: one span, one row, the right tokens, the program's value."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

HERE = Path(__file__).parent
ENVIRONMENTS = Path(os.environ.get("PEER_ENVIRONMENTS") or HERE.parent)

PEERS: Final = {
    "official": "OpenTelemetry",
    "openinference": "OpenInference",
    "openllmetry": "OpenLLMetry",
    "logfire": "Logfire",
    "openlit": "OpenLIT",
}
ORDERS: Final = ("theirs-first", "ours-first")

UNTRACED: Final = {
    "official": {"moderation", "image"},
    "openinference": set(),
    "openllmetry": {"moderation", "image", "responses raw stream"},
    "logfire": set(),
    "openlit": set(),
}
"""Forms that a peer does not trace: their one span is ours."""

LOST: Final = {"openlit": {"left early", "raw stream", "responses raw stream"}}
"""Forms of which a peer begins a span and never ends it: nobody exports one."""

FEW: Final = ("chat", "stream", "responses", "responses stream", "embeddings", "async chat", "async stream")

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240)]


@cache
def seen(peer: str, order: str, coexist: str = "yield", sampled: str = "sampled", *forms: str) -> Any:
    """What the program in the peer's environment saw, run once for all tests."""
    python = ENVIRONMENTS / f".venv-peer-{peer}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: make peers")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST"))}
    environ = {name: value for name, value in environ.items() if not name.startswith("SPANTALLY_")}
    done = subprocess.run(
        [str(python), str(HERE / "peer_program.py"), peer, order, coexist, sampled, *forms],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environ,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def tokens(form: str, told: dict[str, Any]) -> list[int]:
    """Calls, input and output tokens that the form's session must show."""
    if form == "moderation":
        return [0, 0, 0]
    if form == "left early":
        return [1, 0, 0]
    billed: list[int] = told["billed"]
    return [1, billed[0], 0 if "embeddings" in form else billed[1]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peer", PEERS)
def test_one_span_and_one_row_of_every_call(peer: str, order: str) -> None:
    """Theirs is the only span, ours the only row, joined by span id and call id; values are unchanged."""
    for form, told in seen(peer, order)["forms"].items():
        assert told["same"], form
        assert told["live"] == told["kept"] == tokens(form, told), form
        ((kind, counted, trace_id, span_id, call_id, _),) = told["rows"]
        assert counted is (kind != "other"), form
        spans = [span for span in told["spans"] if not span["log"]]
        if form in LOST.get(peer, ()):
            assert spans == [], form
            continue
        (span,) = spans
        assert (span["scope"] == "spantally") is (form in UNTRACED[peer]), form
        assert (span["trace_id"], span["span_id"], span["call_id"]) == (trace_id, span_id, call_id), form
        assert span["session"] == f"both {form}"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peer", PEERS)
def test_calls_that_only_they_see_are_read_from_their_spans(peer: str, order: str) -> None:
    """With our instrumentor off, each call is counted once, with its tokens, from the other's dialect."""
    told_of = seen(peer, order)["theirs alone"]
    assert len(told_of) >= 7
    for form, told in told_of.items():
        assert told["same"], form
        assert told["live"] == told["kept"] == tokens(form, told), form
        assert [(row[0], row[1]) for row in told["rows"]] == [
            ("embeddings" if form == "embeddings" else "inference", True)
        ], form


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peer", PEERS)
def test_taking_both_back_leaves_the_sdk_as_it_was(peer: str, order: str) -> None:
    """In either order the SDK's functions are the originals again, and ours goes on when theirs leaves."""
    told = seen(peer, order)
    assert told["failures"] == []
    assert told["end"]["left"] == []
    assert told["end"]["value"] is True
    if order == "theirs-first":
        assert told["end"]["seen between"] == ["inference"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("peer", PEERS)
def test_the_report_names_the_peer(peer: str, order: str) -> None:
    """What doctor prints is known in the process: who is at work, and who yields."""
    told = seen(peer, order)["coexist"]
    assert told["setting"] == "yield"
    assert [one["name"] for one in told["peers"]] == [PEERS[peer]]


@pytest.mark.parametrize("peer", PEERS)
def test_own_makes_ours_beside_theirs_and_counts_once(peer: str) -> None:
    """With coexist="own" there are two spans of one call id and still one row."""
    for form, told in seen(peer, "theirs-first", "own", "sampled", *FEW)["forms"].items():
        assert told["same"], form
        assert told["live"] == told["kept"] == tokens(form, told), form
        ((*_, span_id, call_id, _),) = told["rows"]
        assert {span["call_id"] for span in told["spans"]} == {call_id}, form
        ours = [span["span_id"] for span in told["spans"] if span["scope"] == "spantally"]
        # Logfire suppresses all others' spans beneath its own, and that is respected.
        assert ours == ([] if peer == "logfire" else [span_id]), form
        assert any(span["scope"] != "spantally" for span in told["spans"]), form


@pytest.mark.parametrize("peer", PEERS)
def test_calls_that_nobody_samples_are_counted_once(peer: str) -> None:
    """Without any exported span every call has its row and its tokens."""
    for form, told in seen(peer, "theirs-first", "yield", "unsampled", *FEW)["forms"].items():
        assert told["same"], form
        assert told["spans"] == [], form
        assert told["live"] == told["kept"] == tokens(form, told), form
        assert len(told["rows"]) == 1, form
