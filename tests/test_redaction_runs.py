"""What bytes say of a text is what patterns that read every character would say."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from spantally.redaction.logins import _PGPASS
from spantally.redaction.runs import Runs
from test_redaction_properties import PIECES

WORD = re.compile(r"[A-Za-z0-9_\-+/=.~%]{16,}")
CAPITALS = re.compile("[A-Z].?[A-Z]")
TEXTS = st.lists(
    st.one_of(
        PIECES,
        st.sampled_from([" ", "\n", "é", "plain_words_of_16", "fifteen_letters", "AbA", "AA", "7", "x" * 40]),
        st.from_regex(_PGPASS, fullmatch=True),
        st.text(":*019 AaZ_-", max_size=24),
    ),
    max_size=40,
).map("".join)


@given(text=TEXTS)
def test_long_words_are_those_of_a_pattern(text: str) -> None:
    """At the end of a text, beside others, with whatever is before them."""
    words = [(hit.start(), hit.end(), re.search("[0-9]", hit[0]) is not None) for hit in WORD.finditer(text)]
    assert Runs(text).long_words() == [
        (start, end, digit) for start, end, digit in words if digit or CAPITALS.search(text, start, end)
    ]


@given(text=TEXTS)
def test_a_line_of_a_password_file_is_never_passed_over(text: str) -> None:
    """What decides whether its pattern is asked may say yes in vain, never no."""
    assert _PGPASS.search(text) is None or Runs(text).may_hold_line()
