"""Drawing: money is exact, gaps are named, foreign text is harmless, nothing is cut on a pipe."""

from __future__ import annotations

import pytest

from spantally import Totals
from spantally.cli.render.ids import unique_prefixes
from spantally.cli.render.numbers import cost_text, money_text, safe
from spantally.cli.render.tables import Column, print_table
from spantally.cli.render.timeline import bar


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "-"),
        (0, "$0.00"),
        (80, "$0.00000008"),
        (1_920_000_000, "$1.92"),
        (-5_000_000, "-$0.005"),
    ],
)
def test_money_is_exact(nano: int | None, text: str) -> None:
    """The smallest cost is not shown as nothing, and nothing is rounded."""
    assert money_text(nano) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((1_920_000_000, 4, 1, 0, 0), "$1.92 + 4 unpriced + 1 pending"),
        ((1_920_000_000, 4, 0, 4, 0), "$1.92 + 4 possibly billed"),
        ((1_920_000_000, 4, 0, 4, 1), "$1.92 + 4 possibly billed + 1 unpriced"),
        ((None, 2, 0, 0, 0), "2 unpriced"),
        ((None, 0, 0, 0, 0), "-"),
        ((80, 0, 0, 3, 3), "$0.00000008 + 3 possibly billed"),
    ],
)
def test_gaps_of_a_sum_are_named(arguments: tuple[int | None, int, int, int, int], text: str) -> None:
    """A sum that does not cover every call says so, and an unknown one is not 0."""
    cost, unpriced, pending, billed, lost = arguments
    totals = Totals(
        unpriced_calls=unpriced,
        pending_calls=pending,
        possibly_billed_calls=billed,
        lost_attempt_calls=lost,
    )
    assert cost_text(cost, totals) == text


def test_foreign_text_cannot_steer_the_terminal() -> None:
    """Escape sequences and direction marks of a session's name are shown, not obeyed."""
    assert safe("a\x1b[2Jb\u202ec\r") == "a\\x1b[2Jb\\u202ec\\r"
    assert safe("Zürich 日本") == "Zürich 日本"
    assert safe("a\nb", lines=True) == "a\nb"
    assert safe("a\nb") == "a\\nb"


def test_prefixes_are_unique_and_usable() -> None:
    """A long id is cut to the shortest prefix that no other id shares; short ones stay whole."""
    one, two = "0198c5a2-1f3b-7abc-8def-0123456789ab", "0198c5a2-1f3b-7abc-9def-0123456789ab"
    found = unique_prefixes([one, "chat-42"], [one, two, "chat-42", "chat-421"])
    assert found == {one: "0198c5a2-1f3b-7abc-8", "chat-42": "chat-42"}


def test_prefix_of_another_id_is_not_cut() -> None:
    """An id that begins another one is shown whole: only the exact id names it."""
    one = "conversation-of-all-of-today"
    assert unique_prefixes([one], [one, one + "~2"]) == {one: one}


def test_piped_table_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """On a pipe a long value stands whole on one line, without escape sequences or trailing blanks."""
    long = "x" * 500
    print_table(
        [Column[str]("NAME", lambda row: row), Column[str]("N", lambda row: "1", number=True)], [long]
    )
    output = capsys.readouterr().out
    assert output == f"{'NAME'.ljust(500)}  N\n{long}  1\n"


def test_narrow_terminal_leaves_out_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a terminal is too narrow the column of lowest rank goes whole, and is named on stderr."""
    monkeypatch.setattr("spantally.cli.render.output.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    columns = [
        Column[str]("NAME", lambda row: row),
        Column[str]("EXTRA", lambda row: "y" * 30, keep=1),
        Column[str]("COST", lambda row: "$0.123456789"),
    ]
    print_table(columns, ["row"])
    caught = capsys.readouterr()
    assert caught.out == "NAME  COST\nrow   $0.123456789\n"
    assert "EXTRA" in caught.err


def test_last_resort_cuts_words_and_never_money(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing more can be left out, the widest text is cut with an ellipsis; costs stay whole."""
    monkeypatch.setattr("spantally.cli.render.tables.terminal_width", lambda: 30)
    columns = [
        Column[str]("NAME", lambda row: row),
        Column[str]("COST", lambda row: "$0.123456789", whole=True),
    ]
    print_table(columns, ["a name of forty characters, or nearly so", "日本語の名前はとても長いです"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "a name of forty…  $0.123456789"
    assert lines[2] == "日本語の名前は …  $0.123456789"


@pytest.mark.parametrize(
    ("start", "end", "drawn"),
    [
        (0, 100, "=========="),
        (50, 100, "     ====="),
        (0, 0, "=         "),
        (100, 100, "         ="),
        (30, 41, "   ==     "),
    ],
)
def test_bars_cover_their_time(start: int, end: int, drawn: str) -> None:
    """A bar lies where its time lies, is never empty and never leaves its field."""
    assert bar(start, end, 0, 100, 10, "=") == drawn
