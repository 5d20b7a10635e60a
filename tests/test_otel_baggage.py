"""The wire form of a scope."""

from __future__ import annotations

import logging
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage as otel_baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

from spantally.ground import guard
from spantally.ground.scope import Scope
from spantally.ground.session_state import SessionState
from spantally.otel.baggage import baggage_of, scope_from_baggage, with_baggage, without_own_baggage

_KEYS = st.text(string.ascii_letters + string.digits + "_-./", min_size=1, max_size=64)
_PRINTABLE = st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1, max_size=40)
_IDS = _PRINTABLE.filter(lambda text: text == text.strip())
_TAGS = st.dictionaries(_KEYS, _IDS, max_size=8)


@given(_IDS, _IDS, _IDS.filter(lambda text: ":" not in text), _IDS, _TAGS)
def test_a_scope_survives_the_wire(
    session: str, user: str, kind: str, ident: str, tags: dict[str, str]
) -> None:
    """Whatever ids and tags a session may have, the other side of an HTTP hop reads the same."""
    scope = Scope(
        SessionState(session, start_ns=1),
        user_id=user,
        entity_type=kind,
        entity_id=ident,
        tags=tuple(sorted(tags.items())),
        conversation_id=session,
    )
    headers: dict[str, str] = {}
    W3CBaggagePropagator().inject(headers, with_baggage(Context(), scope))
    assert headers["baggage"].isascii()
    found = scope_from_baggage(W3CBaggagePropagator().extract(headers, Context()))
    assert found is not None
    assert found.session.session_id == session
    assert found.session.implicit
    assert (found.user_id, found.entity_type, found.entity_id) == (user, kind, ident)
    assert found.conversation_id == session
    assert found.tags == scope.tags


def _context(entries: dict[str, object]) -> Context:
    context = Context()
    for key, value in entries.items():
        context = otel_baggage.set_baggage(key, value, context)
    return context


def test_a_bad_entry_is_dropped_and_the_rest_counts(caplog: pytest.LogCaptureFixture) -> None:
    """One wrong value costs itself only; what was sent does not go into the log."""
    guard.reset()
    evil = "line\nbreak-and-secret"
    with caplog.at_level(logging.WARNING):
        found = scope_from_baggage(
            _context({"session.id": "s", "user.id": evil, "spantally.tag.ok": "1", "spantally.tag.b b": "2"})
        )
    assert found is not None
    assert found.user_id is None
    assert found.tags == (("ok", "1"),)
    assert "user.id" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("session", ["", "x" * 257, " s", "a\x00b", 5, None])
def test_an_invalid_session_id_names_no_session(session: object) -> None:
    """What is no id is ignored, as if there were no baggage."""
    assert scope_from_baggage(_context({"session.id": session, "user.id": "u"})) is None


def test_half_an_entity_is_none() -> None:
    """A type without an id says nothing."""
    found = scope_from_baggage(_context({"session.id": "s", "spantally.entity.type": "customer"}))
    assert found is not None
    assert (found.entity_type, found.entity_id) == (None, None)


def test_inbound_baggage_is_bounded() -> None:
    """At most 64 entries and 8192 bytes are looked at, whoever wrote them."""
    many: dict[str, object] = {"session.id": "s", **{f"spantally.tag.t{index}": "v" for index in range(500)}}
    found = scope_from_baggage(_context(many))
    assert found is not None
    assert len(found.tags) <= 48
    assert scope_from_baggage(_context({"junk": "x" * 9000, "session.id": "s"})) is None
    assert scope_from_baggage(_context({**{f"j{i}": "x" for i in range(64)}, "session.id": "s"})) is None


def test_ours_goes_in_and_out_and_the_programs_stays() -> None:
    """Entering replaces earlier entries of ours; taking ours out leaves the program's."""
    outer = Scope(SessionState("outer", start_ns=1), user_id="u", tags=(("a", "1"),))
    inner = Scope(SessionState("inner", start_ns=1))
    base = _context({"theirs": "x"})
    context = with_baggage(with_baggage(base, outer), inner)
    assert dict(otel_baggage.get_all(context)) == {"theirs": "x", "session.id": "inner"}
    assert dict(otel_baggage.get_all(without_own_baggage(context))) == {"theirs": "x"}
    assert without_own_baggage(base) is base
    assert not otel_baggage.get_all(without_own_baggage(with_baggage(Context(), outer)))


def test_what_does_not_fit_is_left_out_ids_last() -> None:
    """However many tags are in force, the header stays within 64 members and ids are in it."""
    tags = tuple((f"t{index:03}", "v" * 200) for index in range(80))
    entries = baggage_of(Scope(SessionState("s", start_ns=1), user_id="u", tags=tags))
    assert entries["session.id"] == "s"
    assert entries["user.id"] == "u"
    headers: dict[str, str] = {}
    W3CBaggagePropagator().inject(
        headers, with_baggage(Context(), Scope(SessionState("s", start_ns=1), tags=tags))
    )
    assert len(headers["baggage"]) <= 8192
    assert headers["baggage"].count(",") < 64
