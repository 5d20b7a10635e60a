"""Secrets in coloured text: logs and listings for terminals."""

from __future__ import annotations

import pytest

from spantally.redaction import Redactor

KEY = "sk-proj-" + "aB3dE5gH7jK9mN1pQ3sT5vX7"
WORD = "hunter2" + "X9zQ"
ESCAPES = ["\x1b", "\\u001b"]
SPELLED = ["\\x1b", "\\033", "\\e", "\\x1B"]


@pytest.mark.parametrize("escape", ESCAPES + SPELLED)
def test_a_key_behind_a_colour_goes_and_the_colours_stay(escape: str) -> None:
    """The letter that ends a colour is no part of the word behind it."""
    redactor = Redactor()
    answer = redactor.text(f"using {escape}[1;32m{KEY}{escape}[0m now")
    assert KEY[-8:] not in answer
    assert answer.startswith(f"using {escape}[1;32m[REDACTED:openai-key:")
    assert answer.endswith(f"]{escape}[0m now")
    assert redactor.text(answer) == answer


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_colour_between_a_name_and_its_value_hides_nothing(escape: str) -> None:
    """As loggers for terminals write ``name=value``."""
    text = f"{escape}[36mpassword{escape}[0m={escape}[35m{WORD}{escape}[0m {escape}[36mhost{escape}[0m=db"
    answer = Redactor().text(text)
    assert WORD not in answer
    assert answer.endswith(f"]{escape}[0m {escape}[36mhost{escape}[0m=db")


def test_a_key_of_which_a_part_is_marked_goes_whole() -> None:
    """As ``grep --color`` shows what it found."""
    answer = Redactor().text(f"{KEY[:10]}\x1b[01;31m{KEY[10:16]}\x1b[m{KEY[16:]}")
    assert not any(part in answer for part in (KEY[:10], KEY[10:16], KEY[16:]))


def test_coloured_text_without_a_secret_stays() -> None:
    """Colours alone change nothing."""
    text = "\x1b[32m12 passed\x1b[0m, \x1b[33m1 warning\x1b[0m in 0.12s key=\x1b[1mname\x1b[0m"
    assert Redactor().text(text) is text
