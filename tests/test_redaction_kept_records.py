"""What names things in a ledger (users, agents, models, tags) is redacted on its way there."""

from __future__ import annotations

from typing import Any

import pytest

from otel_kit import SECRET
from spantally.api.kept_records import KeptRecords
from spantally.calls.telemetry import PlainRedactor
from spantally.calls.tool_results import inferred_id
from spantally.ground import guard
from spantally.ground.records import CallRecord, EventRecord, LinkRecord, Record, SessionRecord
from spantally.redaction import Redactor, register_literal
from spantally.redaction.registry import forget_literals

CALL = CallRecord(
    call_id="c1",
    session_id="s1",
    kind="inference",
    operation="chat",
    start_ns=1,
    user_id="somebody",
    tags=(("team", "blue"),),
    request_model="gpt-4o",
    response_id="chatcmpl-8a7b6c5d4e3f",
    agent_path=("planner", "researcher"),
    usage={"prompt_tokens": 3, "details": {"cached_tokens": 1}},
    price_context={"service_tier": "default"},
)


def keep(redactor: Any, *records: Record) -> list[Any]:
    """The records as a ledger gets them."""
    return list(KeptRecords(redactor)(records))


@pytest.fixture(autouse=True)
def _clean() -> Any:
    guard.reset()
    yield
    forget_literals()
    guard.reset()


def test_clean_records_pass_as_the_same_objects() -> None:
    """Nothing is copied where there is no secret."""
    records: list[Record] = [
        CALL,
        SessionRecord("s1", 1, labels=("a",)),
        EventRecord("e1", "s1", "note", 1),
        LinkRecord("t", "s", None, 1),
    ]
    kept = KeptRecords(Redactor)
    assert all(new is old for new, old in zip(kept(records), records, strict=True))


def test_each_name_loses_its_secret() -> None:
    """Whatever names something; numbers and ids of ours stay."""
    record = CALL._replace(
        user_id=SECRET,
        tags=(("team", SECRET), (SECRET, "blue")),
        request_model=f"gpt {SECRET}",
        agent_path=("planner", SECRET),
        usage={"share": 0.5, "prompt_tokens": 3, "details": {"n": 1, "notes": [SECRET]}},
        price_context={"service_tier": SECRET},
        finish_reasons=("stop", SECRET),
    )
    (kept,) = keep(Redactor, record)
    assert SECRET not in str(kept)
    assert (kept.call_id, kept.session_id, kept.start_ns) == ("c1", "s1", 1)
    assert kept.usage["prompt_tokens"] == 3
    assert kept.tags[0][0] == "team"
    assert kept.agent_path[0] == "planner"
    assert kept.finish_reasons[0] == "stop"
    (session,) = keep(Redactor, SessionRecord(SECRET, 1, parent_id=SECRET, user_id="u"))
    assert SECRET not in str(session)
    assert session.session_id == session.parent_id


def test_names_of_fields_of_a_usage_object_lose_their_secrets() -> None:
    """A program may record any mapping; what is counted by it stays."""
    (kept,) = keep(Redactor, CALL._replace(usage={"prompt_tokens": 3, SECRET: 2}))
    assert SECRET not in str(kept)
    assert kept.usage["prompt_tokens"] == 3


def test_the_id_of_an_inferred_tool_has_no_secret_of_those_that_it_is_made_of() -> None:
    """Its session's or its tool call's; rows of two tool calls stay two, and those of one stay one."""

    def inferred(session_id: str, tool_call_id: str) -> CallRecord:
        made = inferred_id(session_id, tool_call_id)
        return CALL._replace(
            call_id=made, session_id=session_id, kind="tool", tool_call_id=tool_call_id, inferred=True
        )

    batch = [inferred(SECRET, "call_1"), inferred(SECRET, "call_2"), inferred("s1", SECRET)]
    batch += [inferred("s1", "call_1"), inferred(SECRET, "call_1")]
    kept = keep(Redactor, *batch)
    assert SECRET not in str(kept)
    assert len({one.call_id for one in kept}) == 4
    assert kept[0].call_id == kept[4].call_id
    assert kept[3] is batch[3]
    withheld = keep(_Raising, *batch)
    assert SECRET not in str(withheld)
    assert len({one.call_id for one in withheld}) == 4


def test_equal_names_stay_equal() -> None:
    """A user or session is one and the same in all records of a process."""
    call, session = keep(Redactor, CALL._replace(session_id=SECRET), SessionRecord(SECRET, 1))
    assert call.session_id == session.session_id


def test_a_word_that_becomes_known_later_goes_from_then_on() -> None:
    """What was found clean before is looked at again."""
    redactor = Redactor()
    kept = KeptRecords(lambda: redactor)
    record = CALL._replace(user_id="amber-birch-991177")
    assert kept([record])[0] is record
    register_literal("amber-birch-991177")
    assert "birch" not in str(kept([record])[0])


@pytest.mark.parametrize("redactor", [None, PlainRedactor()])
def test_redact_false_keeps_everything(redactor: Any) -> None:
    """A user who turns redaction off gets the ledger as it is."""
    batch = [CALL._replace(user_id=SECRET)]
    assert KeptRecords(lambda: redactor)(batch) is batch


class _Raising(Redactor):
    def text(self, text: str, key: str | None = None) -> str:
        raise RuntimeError(text)

    def value(self, value: Any, key: str | None = None) -> Any:
        raise RuntimeError(str(value))


def test_a_redactor_that_raises_withholds_the_names_and_keeps_the_sums() -> None:
    """Sessions can still be told from one another, and the usage is what it was."""
    one, other = keep(_Raising, CALL._replace(call_id="0" * 32), CALL._replace(session_id="s2"))
    assert one.session_id != other.session_id
    assert (one.user_id, one.tags, one.agent_path) == ("[REDACTED:error]", (), ())
    assert one.usage == CALL.usage
    assert one.price_context == {}
    assert one.call_id == "0" * 32
    assert other.call_id.startswith("withheld-")
    assert guard.failures["api.kept_record", "RuntimeError"]


def test_a_redactor_that_withholds_all_leaves_sessions_apart() -> None:
    """Where no rule can be had, each session still has an id of its own."""

    class Closed(Redactor):
        def text(self, text: str, key: str | None = None) -> str:
            return "[REDACTED:error]"

    one, same, other = keep(Closed, CALL, CALL, CALL._replace(session_id="s2"))
    assert one.session_id == same.session_id != other.session_id
    assert "s1" not in one.session_id


def test_call_that_an_event_is_of_loses_its_secret() -> None:
    """A program says which call it judges, in whatever words; ids of ours stay, so that the row is found."""

    def noisy(key: str | None, value: str, where: str) -> str:
        return f"{value}!"

    event = EventRecord("e1", "", "gen_ai.evaluation.result", 1, call_id=f"call {SECRET}")
    (kept,) = keep(Redactor, event)
    assert SECRET not in repr(kept)
    for own in ("0" * 32, f"given-{'a' * 32}", f"{'1' * 32}-{'2' * 16}"):
        (kept,) = keep(lambda: Redactor([noisy]), event._replace(call_id=own))
        assert own == kept.call_id


def test_ids_that_others_gave_lose_their_secrets_alike() -> None:
    """A foreign span or a file may say any text; what hangs beneath a call still does."""
    odd = f"call {SECRET}"
    above, beneath, event = keep(
        Redactor,
        CALL._replace(call_id=odd, run_id=odd),
        CALL._replace(call_id="c2", parent_call_id=odd),
        EventRecord(f"event {SECRET}", "s1", "note", 1, call_id=odd),
    )
    assert SECRET not in repr((above, beneath, event))
    assert above.call_id == above.run_id == beneath.parent_call_id == event.call_id
