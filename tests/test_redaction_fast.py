"""The extra ``fast``: one pass over a text finds the places that looking for each mark finds."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantally.ground import guard
from spantally.redaction import Redactor, marks, names, table
from spantally.redaction.runs import Runs
from test_redaction_properties import PIECES

pytest.importorskip("ahocorasick_rs", reason="needs the extra fast")

ODD = st.sampled_from(
    ["é", "\ud800", "İ", "\u212a", "\u017f", "😀", "\x00", "passecret", "KEY", "-----begin ", "--USER"]
)
TEXTS = st.lists(st.one_of(PIECES, ODD, st.sampled_from(marks.OTHERS), st.text(max_size=8)), max_size=80)


def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_search", [None])


@settings(max_examples=400, deadline=None)
@given(pieces=TEXTS)
def test_places_are_the_same(pieces: list[str]) -> None:
    """Of every mark and stem, in any text."""
    lower = Runs("".join(pieces).ljust(marks.WORTH_A_PASS)).raw.lower()
    assert marks.is_fast()
    (fast, fast_stems), (plain, plain_stems) = marks.marks_of(lower) or marks.found([]), marks.looked(lower)
    assert fast == plain
    # A stem that begins within another one is read with it.
    assert set(plain_stems) <= set(fast_stems)
    assert fast_stems == sorted(fast_stems)


@pytest.mark.parametrize("stem", names.STEM_WORDS)
def test_stems_at_the_seam_of_two_steps_are_found_once(stem: str) -> None:
    """A text of megabytes is searched in steps."""
    for lead in range(len(stem) + 2):
        lower = b"." * (marks.STEP - lead) + stem.encode() + b"." * marks.STEP + stem.encode()
        assert marks.looked(lower)[1] == [marks.STEP - lead, 2 * marks.STEP - lead + len(stem)]


@pytest.mark.parametrize(
    "word",
    [
        *("keyword", "keywords", "author", "authors", "credit", "credits", "passed", "passing"),
        *("sign", "signs", "signed", "signal", "signals", "signing"),
    ],
)
def test_words_of_talk_are_passed_over_because_no_name_of_them_says_anything(word: str) -> None:
    """Whatever is before; a longer name of which they are a part is another matter."""
    assert not marks.looked(f"the {word} of it".encode())[1]
    for before in ("", "my_", "api-", "x.", "access_", "oauth2.", "two"):
        for spelled in (word, word.title(), word.upper()):
            assert names.classify(before + spelled) == names.NONE
    assert marks.looked(f"the {word}_key=".encode())[1]


@settings(max_examples=200, deadline=None)
@given(pieces=TEXTS)
def test_answers_are_the_same(pieces: list[str]) -> None:
    """What is redacted with the extra is redacted without it, to the letter."""
    text = "".join(pieces).ljust(marks.WORTH_A_PASS, "x")
    fast = Redactor().text(text)
    with pytest.MonkeyPatch.context() as patch:
        _plain(patch)
        assert Redactor().text(text) == fast


def test_every_row_of_the_table_is_found_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a long text, with names of all stems around."""
    filler = " ".join(names.STEM_WORDS) + " of a text. "
    texts = [f"{filler * 2} {table.example(row)} {filler * 2}" for row in table.ROWS]
    fast = [Redactor().text(text) for text in texts]
    _plain(monkeypatch)
    assert [Redactor().text(text) for text in texts] == fast
    assert all("[REDACTED:" in text for text in fast)


def test_a_wheel_that_fails_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that answers otherwise, or raises, leaves things as they are without it."""
    import ahocorasick_rs

    class Odd:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            pass

        def find_matches_as_indexes(self, *args: Any, **kwargs: Any) -> list[Any]:
            return []

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError

    secret = table.example(table.ROWS[0])
    for stand_in in (Odd, broken):
        monkeypatch.setattr(marks, "_search", [])
        monkeypatch.setattr(ahocorasick_rs, "BytesAhoCorasick", stand_in)
        assert not marks.is_fast()
        assert secret not in Redactor().text(f"password={secret} {'x ' * 400}")
    assert "redaction.fast" in {where for where, _ in guard.failures}


def test_importing_redaction_does_not_import_the_wheel() -> None:
    """It is imported with the first text that is worth it."""
    code = (
        "import sys, spantally.redaction as r; assert 'ahocorasick_rs' not in sys.modules; "
        "r.redact('key ' * 400); assert 'ahocorasick_rs' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
