"""Budgets of the settings file: per user, entity, tag, session, day and month, for every session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import spantally
from budgets_kit import COST, answer, ask, client
from spantally.budgets import file
from spantally.budgets.file import read_rules
from spantally.ground.places import config_path
from spantally.testing import ScriptedServer
from watching import Watched


@pytest.fixture
def billing() -> Iterator[ScriptedServer]:
    """A provider whose every answer costs the same."""
    with ScriptedServer(answer) as running:
        yield running


@pytest.fixture
def with_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watched]]:
    """Writes a settings file and brings spantally up with it."""
    made: list[Watched] = []

    def start(text: str, **arguments: Any) -> Watched:
        path = tmp_path / "spantally.toml"
        path.write_text(text)
        monkeypatch.setenv("SPANTALLY_CONFIG", str(path))
        made.append(Watched(**arguments))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_budget_of_each_user(billing: ScriptedServer, with_file: Callable[..., Watched]) -> None:
    """``user = "*"`` gives every user one of their own, over all their sessions; nobody's calls are free."""
    with_file('[[budget]]\nuser = "*"\ncalls = 2\non_exceed = "hard"\n')
    with client(billing) as made:
        for user in ("alice", "bob"):
            for _ in range(2):
                with spantally.session(user=user):
                    ask(made)
            with spantally.session(user=user), pytest.raises(spantally.BudgetExceeded, match=f"user {user}"):
                ask(made)
        for _ in range(3):
            ask(made)
    assert len(billing.requests) == 7


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('user = "*"', 'user = "*"'),
        ('name = "x"\nuser = "*"', 'name = "x"\nuser = "alice"'),
        ('name = "x"\ntag = "a=b"', 'name = "x"\ntag = "a=*"'),
        ("", ""),
    ],
)
def test_budgets_of_the_same_calls_all_hold(
    first: str, second: str, billing: ScriptedServer, with_file: Callable[..., Watched]
) -> None:
    """One that warns stands in the way of none that refuses, whatever their names, and each counts once."""
    with_file(f'[[budget]]\n{first}\ncalls = 1\n[[budget]]\n{second}\ncalls = 4\non_exceed = "hard"\n')
    with client(billing) as made, spantally.session(user="alice", tags={"a": "b"}):
        for _ in range(4):
            ask(made)
        with pytest.raises(spantally.BudgetExceeded, match=r"\(2\)"):
            ask(made)
    assert len(billing.requests) == 4


def test_names_that_no_call_could_mix_up_stay(tmp_path: Path) -> None:
    """Budgets of one name keep it where their calls, periods or zones differ."""
    others = ('tag = "t=a"', 'tag = "t=b"', 'tag = "u=a"', 'user = "*"', 'per = "month"', 'tz = "UTC"', "")
    path = tmp_path / "spantally.toml"
    path.write_text("".join(f'[[budget]]\nname = "x"\n{other}\ncalls = 1\n' for other in others))
    rules, wrong = read_rules(path)
    assert ([rule.name for rule in rules], wrong) == (["x"] * len(others), [])


@pytest.mark.parametrize(
    ("line", "inside", "outside"),
    [
        ('user = "alice"', {"user": "alice"}, {"user": "bob"}),
        ('entity = "customer:acme"', {"entity": "customer:acme"}, {"entity": "customer:other"}),
        ('entity = "customer:*"', {"entity": "customer:acme"}, {"entity": "team:acme"}),
        ('tag = "feature=search"', {"tags": {"feature": "search"}}, {"tags": {"feature": "chat"}}),
        ('tag = "feature=*"', {"tags": {"feature": "search"}}, {"tags": {"other": "search"}}),
    ],
)
def test_whom_a_budget_is_for(
    line: str, inside: Any, outside: Any, billing: ScriptedServer, with_file: Callable[..., Watched]
) -> None:
    """Calls of whom it names are limited, others are not."""
    with_file(f'[[budget]]\n{line}\ncalls = 1\non_exceed = "hard"\n')
    with client(billing) as made:
        with spantally.session(**inside):
            ask(made)
            with pytest.raises(spantally.BudgetExceeded):
                ask(made)
        with spantally.session(**outside):
            ask(made)
            ask(made)


def test_budget_of_everybody_holds_outside_sessions(
    billing: ScriptedServer, with_file: Callable[..., Watched]
) -> None:
    """A budget that names nobody holds for every call of the process, and for agents."""
    with_file(
        '[[budget]]\nname = "all"\ncalls = 1\non_exceed = "hard"\n'
        '[[budget]]\nname = "turns"\ncalls = 1\non_exceed = "soft"\n'
    )
    with client(billing) as made:
        ask(made)
        with pytest.raises(spantally.BudgetExceeded, match="all"):
            ask(made)
        with pytest.raises(spantally.BudgetExceeded, match="turns"), spantally.agent("planner"):
            pass


def test_days_begin_in_the_zone_that_is_named(
    billing: ScriptedServer, with_file: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At midnight there the day's budget begins anew; a month's goes on."""
    zone = ZoneInfo("Asia/Kolkata")
    now = [int(datetime(2026, 3, 1, 23, 59, 59, tzinfo=zone).timestamp()) * 10**9]

    class _Clock:
        def time_ns(self) -> int:
            return now[0]

    monkeypatch.setattr(file, "time", _Clock())
    with_file(
        '[[budget]]\nper = "day"\ntz = "Asia/Kolkata"\ncalls = 1\non_exceed = "hard"\n'
        '[[budget]]\nper = "month"\ntz = "Asia/Kolkata"\ncalls = 2\non_exceed = "hard"\n'
    )
    with client(billing) as made:
        ask(made)
        with pytest.raises(spantally.BudgetExceeded, match="2026-03-01 Asia/Kolkata"):
            ask(made)
        now[0] += 10**9
        ask(made)
        now[0] += 86_400 * 10**9
        with pytest.raises(spantally.BudgetExceeded, match="2026-03 Asia/Kolkata"):
            ask(made)
    assert len(billing.requests) == 2


def test_budget_of_each_session(billing: ScriptedServer, with_file: Callable[..., Watched]) -> None:
    """``per = "session"`` limits each outermost session with what is beneath it."""
    with_file('[[budget]]\nper = "session"\ncalls = 2\non_exceed = "hard"\n')
    with client(billing) as made:
        for name in ("one", "two"):
            with spantally.session(name):
                ask(made)
                with spantally.session():
                    ask(made)
                    with pytest.raises(spantally.BudgetExceeded, match=f"session {name}"):
                        ask(made)


@pytest.mark.parametrize(
    "whose",
    [{"user": "new"}, {"entity": "customer:new"}, {"tags": {"feature": "new"}}],
    ids=["user", "entity", "tag"],
)
def test_a_part_of_a_session_has_used_what_was_for_it(
    whose: dict[str, Any], billing: ScriptedServer, with_file: Callable[..., Watched], tmp_path: Path
) -> None:
    """What others used within the session is theirs; what was for it in a session beneath counts."""
    (kind, value), *_ = whose.items()
    rule = f'tag = "feature={value["feature"]}"' if kind == "tags" else f'{kind} = "{value}"'
    text = f'[[budget]]\n{rule}\nper = "session"\ncalls = 2\non_exceed = "hard"\n'
    ledger = tmp_path / "ledger.db"
    before = Watched(ledger=ledger)
    with client(billing) as made:
        with spantally.session("shared", user="other", entity="customer:other", tags={"feature": "x"}):
            for _ in range(3):
                ask(made)
            with spantally.session("beneath", **whose):
                ask(made)
        before.close()
        with_file(text, ledger=ledger)
        with spantally.session("shared"), spantally.attribute(**whose):
            ask(made)
            with pytest.raises(spantally.BudgetExceeded, match="spent 2 calls"):
                ask(made)


def test_what_the_ledger_has_of_the_day_counts(
    billing: ScriptedServer, with_file: Callable[..., Watched], tmp_path: Path
) -> None:
    """A budget that is new counts what was spent before it, by whom it names."""
    ledger = tmp_path / "ledger.db"
    before = Watched(ledger=ledger)
    with client(billing) as made:
        for user in ("alice", "bob", "alice"):
            with spantally.session(user=user):
                ask(made)
        before.close()
        with_file(
            f'[[budget]]\nuser = "alice"\nusd = {3 * COST / 10**9}\non_exceed = "hard"\n', ledger=ledger
        )
        with spantally.session(user="alice"):
            ask(made)
            with pytest.raises(spantally.BudgetExceeded) as caught:
                ask(made)
    assert caught.value.spent == 3 * COST


def test_both_the_sessions_own_and_the_files_hold(
    billing: ScriptedServer, with_file: Callable[..., Watched]
) -> None:
    """A session's own budget stands beside those of the file."""
    with_file('[[budget]]\nname = "house"\ncalls = 2\non_exceed = "hard"\n')
    with client(billing) as made:
        with spantally.session("s", budget=spantally.Budget(calls=1, on_exceed="hard")):
            ask(made)
            with pytest.raises(spantally.BudgetExceeded, match="session s"):
                ask(made)
        with spantally.session("t", budget=spantally.Budget(calls=5, on_exceed="hard")):
            ask(made)
            with pytest.raises(spantally.BudgetExceeded, match="house"):
                ask(made)


def test_uninstrument_takes_the_files_budgets_back(
    billing: ScriptedServer, with_file: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards nothing is refused."""
    with_file('[[budget]]\ncalls = 0\non_exceed = "hard"\n').close()
    monkeypatch.delenv("SPANTALLY_CONFIG")
    again = Watched()
    try:
        with client(billing) as made:
            ask(made)
    finally:
        again.close()


def test_wrong_file_is_said_and_ends_nobody(
    billing: ScriptedServer, with_file: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is no TOML gives one line; the program runs without its budgets."""
    with caplog.at_level(logging.WARNING, "spantally"):
        with_file("[[budget\n")
    assert "no budget of it is in force" in caplog.text
    with client(billing) as made:
        ask(made)


def test_missing_file_that_was_named_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SPANTALLY_CONFIG with the name of no file is a mistake, and no budget would be in force."""
    monkeypatch.setenv("SPANTALLY_CONFIG", str(tmp_path / "nowhere.toml"))
    with caplog.at_level(logging.WARNING, "spantally"):
        Watched().close()
    assert "nowhere.toml" in caplog.text


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ('calls = 1\ncolour = "red"', "colour"),
        ("", "give a limit"),
        ('calls = 1\nper = "hour"', "session, day, month, total"),
        ('calls = 1\ntz = "Mars/Base"', "IANA"),
        ("calls = 1\nuser = 7", "user=7"),
        ('calls = 1\nentity = "acme"', "type:id"),
        ('calls = 1\ntag = "search"', "key=value"),
        ('calls = 1\non_exceed = "stop"', "warn, soft, hard"),
        ('calls = 1\nwebhook = "ftp://x"', "http://"),
    ],
)
def test_wrong_budget_is_left_out_and_the_others_hold(text: str, piece: str, tmp_path: Path) -> None:
    """One line tells which budget and what is allowed; the budgets beside it are in force."""
    path = tmp_path / "spantally.toml"
    path.write_text(f"[[budget]]\n{text}\n\n[[budget]]\ncalls = 5\n")
    rules, wrong = read_rules(path)
    assert [rule.budget.calls for rule in rules] == [5]
    (line,) = wrong
    assert "budget 1" in line
    assert piece in line


def test_a_single_table_is_named(tmp_path: Path) -> None:
    """``[budget]`` is not a list of budgets."""
    path = tmp_path / "spantally.toml"
    path.write_text("[budget]\ncalls = 5\n")
    assert "two brackets" in read_rules(path)[1][0]


def test_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable wins over the configuration directory of the user."""
    import platformdirs

    monkeypatch.delenv("XDG_CONFIG_HOME")
    by_default = Path(platformdirs.user_config_dir("spantally", appauthor=False)) / "spantally.toml"
    assert config_path() == by_default
    monkeypatch.setenv("SPANTALLY_CONFIG", str(tmp_path / "mine.toml"))
    assert config_path() == tmp_path / "mine.toml"


@pytest.mark.parametrize(
    ("per", "begin", "end"),
    [("day", (2026, 3, 29), (2026, 3, 30)), ("month", (2026, 3, 1), (2026, 4, 1))],
)
def test_periods_are_those_of_the_zone(
    per: str, begin: tuple[int, int, int], end: tuple[int, int, int], tmp_path: Path
) -> None:
    """A day of 23 hours and a month that has it begin and end at midnight there."""
    path = tmp_path / "spantally.toml"
    path.write_text(f'[[budget]]\ncalls = 1\nper = "{per}"\ntz = "Europe/Berlin"\n')
    zone = ZoneInfo("Europe/Berlin")
    now = int(datetime(2026, 3, 29, 12, tzinfo=zone).timestamp()) * 10**9
    found = file._period_of(read_rules(path)[0][0], now)
    assert found[2] == int(datetime(*begin, tzinfo=zone).timestamp()) * 10**9
    assert found[0] == int(datetime(*end, tzinfo=zone).timestamp()) * 10**9


def test_a_day_begins_at_the_first_of_two_midnights(tmp_path: Path) -> None:
    """Where clocks go back from 1 to 0 o'clock, the first hour is of the day in the second one, too."""
    path = tmp_path / "spantally.toml"
    path.write_text('[[budget]]\ncalls = 1\nper = "day"\ntz = "America/Havana"\n')
    zone = ZoneInfo("America/Havana")
    begin = int(datetime(2026, 11, 1, tzinfo=zone).timestamp())
    assert begin != int(datetime(2026, 11, 1, fold=1, tzinfo=zone).timestamp())
    (rule,), _ = read_rules(path)
    for hours in (0.5, 1.5, 2.5, 24.5):
        found = file._period_of(rule, int((begin + hours * 3600) * 10**9))
        assert (found[2], found[0]) == (begin * 10**9, (begin + 25 * 3600) * 10**9)
