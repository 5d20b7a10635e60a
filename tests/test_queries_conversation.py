"""The conversation of a session: each message once, whoever told it, and found by its words."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import spantally
from cli_ledger import invoke
from ledger_kit import SECOND, T0, chat, rate, session
from spantally.ground.errors import ArgumentError
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Ledger, transcripts
from spantally.queries.conversation import Message
from watching import Watched


def said(role: str, text: str) -> dict[str, Any]:
    """A message as calls keep it."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def ledger_of(*calls: tuple[list[Any], list[Any]], **given: Any) -> Ledger:
    """A session "s" with calls of these inputs and outputs, a second apart."""
    store = SQLiteStore(":memory:")
    records: list[Any] = [session("s", end_ns=T0 + 100 * SECOND, status="succeeded", **given)]
    for number, (sent, got) in enumerate(calls):
        start = T0 + number * SECOND
        content = {"input": sent, "output": got}
        records.append(chat(f"c{number}", "s", start_ns=start, end_ns=start + SECOND // 2, content=content))
    store.write(records, rate)
    return Ledger(store)


def lines(ledger: Ledger) -> list[str]:
    """Role and text of each message."""
    return [f"{one.role}: {one.content}" for one in ledger.conversation("s")]


def test_a_history_that_grows_is_told_once() -> None:
    """Each call brings what is behind the last answer; what it repeats is known."""
    first = [said("system", "Be brief."), said("user", "yes")]
    second = [*first, said("assistant", "no"), said("user", "yes")]
    found = ledger_of((first, [said("assistant", "no")]), (second, [said("assistant", "no")]))
    assert lines(found) == ["system: Be brief.", "user: yes", "assistant: no", "user: yes", "assistant: no"]


def test_calls_without_history_are_told_each() -> None:
    """The same question asked twice was asked twice; the instructions stand once."""
    call = ([said("system", "Be brief."), said("user", "Time?")], [said("assistant", "Noon.")])
    assert lines(ledger_of(call, call)) == [
        "system: Be brief.",
        "user: Time?",
        "assistant: Noon.",
        "user: Time?",
        "assistant: Noon.",
    ]


def test_a_history_from_before_is_told_too() -> None:
    """What was said before the first call that is kept is in its history."""
    sent = [said("user", "One?"), said("assistant", "1"), said("user", "Two?")]
    assert lines(ledger_of((sent, [said("assistant", "2")]))) == [
        "user: One?",
        "assistant: 1",
        "user: Two?",
        "assistant: 2",
    ]


def test_what_was_asked_twice_is_in_a_later_history_twice() -> None:
    """A history of both is known, each of them."""
    call = ([said("user", "Time?")], [said("assistant", "Noon.")])
    history = [*call[0], *call[1], *call[0], *call[1], said("user", "Thanks.")]
    found = lines(ledger_of(call, call, (history, [said("assistant", "Welcome.")])))
    assert found == ["user: Time?", "assistant: Noon."] * 2 + ["user: Thanks.", "assistant: Welcome."]


@pytest.mark.parametrize("odd", [None, 7, "text", [None], [[]], [{}], {"role": 3}, [{"parts": 5}]])
def test_odd_content_does_no_harm(odd: Any) -> None:
    """Whatever a call kept, the others are told."""
    good = ([said("user", "fine")], [said("assistant", "good")])
    found = lines(ledger_of((odd, odd), good))
    assert found[-2:] == ["user: fine", "assistant: good"]


def test_what_is_recorded_and_metered_is_one_message(tmp_path: Path) -> None:
    """A program that records what its calls say anyway does not double it, and child sessions are in it."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path, ledger_content="all")
    try:
        with spantally.session("outer") as outer:
            outer.record_message("user", "Hello?", tokens=2)
            outer.record_call(model="m", input="Hello?", output="Hi!")
            outer.record_call(model="m", input="Hello?", output="Hi again!")
            with spantally.session("inner") as inner:
                inner.record_message("user", "I am a child with sk-proj-" + "A1b2C3d4E5f6" * 4)
        assert spantally.flush(10)
    finally:
        seen.close()
    with spantally.open_ledger(path) as ledger:
        found = ledger.conversation("outer")
        assert [one.content for one in found[:4]] == ["Hello?", "Hi!", "Hello?", "Hi again!"]
        assert found[0].tokens == 2
        assert "[REDACTED:" in found[4].content
        assert [one.session_id for one in ledger.conversation("outer", children=False)] == ["outer"] * 4
        assert ledger.conversation("nobody") == []


def test_words_are_found_in_any_order_and_case() -> None:
    """Literally, accents and all: signs of SQL have no meaning."""
    found = ledger_of(([said("user", 'Das CAFÉ hat 100% Äpfel_saft "heute"')], []))
    for text in ("café", "CAFÉ", "cafe\u0301", "saft das", "100%", "Äpfel_", '"heute"', "HEUTE"):
        assert len(found.search(text)) == 1, text
    assert len(ledger_of(([said("user", "cafe\u0301")], [])).search("CAF\u00c9")) == 1
    for text in ("cafe", "0_%", "aft_", "morgen", "das morgen"):
        assert found.search(text) == [], text


@pytest.mark.parametrize(
    ("said_so", "text"),
    [
        ("Hauptstraße", "STRASSE"),
        ("HAUPTSTRASSE", "straße"),
        ("o\ufb03ce", "office"),
        ("\ufb02aw", "flaw"),
        ("fir\ufb06", "first"),
        ("\u017feas", "seas"),
        ("300 \u212a", "k"),
        ("why\u037e", "why;"),
    ],
)
def test_what_is_one_in_either_case_is_found(said_so: str, text: str) -> None:
    """A letter beyond ASCII may be several of ASCII in the other case, and is found by these."""
    assert len(ledger_of(([said("user", said_so)], [])).search(text)) == 1


def test_search_takes_filters_and_a_limit() -> None:
    """Sessions are chosen as elsewhere, and a wrong argument is an error before anything is read."""
    call: tuple[list[Any], list[Any]] = ([said("user", "Time?")], [])
    found = ledger_of(call, call, call, user_id="alice")
    assert len(found.search("time", limit=2)) == 2
    assert len(found.search("time", limit=None, user="alice")) == 3
    assert found.search("time", user="bob") == []
    for wrong in ({"text": " "}, {"text": 3}, {"text": "a", "limit": -1}, {"text": "a", "user": ""}):
        with pytest.raises(ArgumentError):
            found.search(**wrong)


def test_a_wrong_command_line_is_refused(tmp_path: Path) -> None:
    """Session and filters, two forms, and no word to look for."""
    path = tmp_path / "ledger.db"
    SQLiteStore(path).write([session("s")], rate)
    for words in (
        ("messages", "s", "--user", "alice"),
        ("messages", "s", "--json", "--format", "csv"),
        ("search", " "),
    ):
        done = invoke("--ledger", str(path), *words)
        assert (done.exit_code, done.stdout) == (2, ""), words
    nothing = invoke("--ledger", str(path), "messages", "s")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "SPANTALLY_LEDGER_CONTENT=all" in nothing.stderr
    assert json.loads(invoke("--ledger", str(path), "search", "word", "--json").stdout) == []


def test_whatever_a_message_holds_is_one_row_of_the_table() -> None:
    """Line ends of every kind are within a cell, so that none begins with what a spreadsheet would run."""
    texts = ["a\r=1+1", "a\r\nb", "a\nb", 'say "x", y', "\r", "=1", "é", ""]
    found = [Message(session_id="s", role="user", content=text, time_ns=T0, agent_path=()) for text in texts]
    heading, *rows = csv.reader(io.StringIO(transcripts.table(found), newline=""))
    assert [row[heading.index("content")] for row in rows] == [*texts[:4], "'\r", "'=1", "é", ""]


def test_tool_calls_become_examples_to_train_with(tmp_path: Path) -> None:
    """Tool calls and results keep their ids and JSON in lines for training."""
    call = {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "1", "name": "w", "arguments": {"c": 1}}],
    }
    result = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "wet"}]}
    first = [said("user", "Rain?")]
    found = ledger_of((first, [call]), ([*first, call, result], [said("assistant", "Yes.")]))
    from spantally.queries import transcripts

    (made,) = transcripts.chats(found.conversation("s"))
    assert made["messages"] == [
        {"role": "user", "content": "Rain?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "w", "arguments": '{"c": 1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "wet"},
        {"role": "assistant", "content": "Yes."},
    ]
