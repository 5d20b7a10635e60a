"""The facts of a session as a text: written in parts, they are what the whole would be."""

from __future__ import annotations

import json

import pytest

from spantally.ground.records import CallRecord, SessionRecord
from spantally.ledger.session_merge import SessionFacts


def _call(number: int, **fields: object) -> CallRecord:
    values = {"call_id": f"c{number}", "session_id": "s", "kind": "inference", "operation": "chat"}
    return CallRecord(**{**values, "start_ns": number, "end_ns": number + 1, **fields})  # type: ignore[arg-type]


def _whole(facts: SessionFacts) -> str:
    whole = {"facts": facts.facts, "start": facts.start, "last": facts.last}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("name", ["plain", '},"last":5,"start":7}', 'a"},"last":1,"start":2}}', "},{"])
def test_a_text_in_parts_is_the_whole_text(name: str) -> None:
    """Whatever a session's values look like, reading and writing again gives the same text."""
    first = SessionFacts()
    nested = {"a": {"b": 1}, "last": 5, "start": 7}
    first.add_session(SessionRecord("s", 10, name=name, metadata={"x": nested, "y": [nested]}))
    first.add_call(_call(20, session_name=name))
    text = first.dump()
    again = SessionFacts(text)
    assert (again.facts, again.start, again.last) == (first.facts, first.start, first.last)
    assert again.dump() == text == _whole(again)
    again.add_call(_call(30, session_name=name))
    assert again.is_only_longer()
    assert again.dump() == _whole(again)
    assert again.view() == SessionFacts(_whole(again)).view()


def test_what_one_adds_another_does_not_see() -> None:
    """Readers of the same text share what was read, and change nothing of each other's."""
    first = SessionFacts()
    first.add_call(_call(5, session_name="one"))
    text = first.dump()
    other, third = SessionFacts(text), SessionFacts(text)
    other.add_call(_call(3, session_name="earlier", user_id="u"))
    other.put("name", "renamed")
    assert not other.is_only_longer()
    assert other.dump() == _whole(other) != text
    assert third.dump() == text == SessionFacts(text).dump()


@pytest.mark.parametrize("start", [0, -5])
def test_times_that_are_no_usual_ones(start: int) -> None:
    """Moments at or before 1970 are told as they are."""
    first = SessionFacts()
    first.add_call(_call(start))
    again = SessionFacts(first.dump())
    assert (again.start, again.last, again.facts) == (first.start, first.last, first.facts)
    again.add_call(_call(1000))
    assert not again.is_only_longer()
    assert again.dump() == _whole(again)


def test_facts_that_another_wrote_are_read() -> None:
    """A text with spaces, another order or no times is read as JSON."""
    facts = SessionFacts('{"start": 3, "last": null, "facts": {"name": [0, -3, "n"]}}')
    assert (facts.start, facts.last, facts.facts) == (3, None, {"name": [0, -3, "n"]})
    assert facts.dump() == _whole(facts)
