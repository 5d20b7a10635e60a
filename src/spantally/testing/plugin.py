"""The pytest plugin: a test that asks for it has a ledger of its own, limits, and a row in a table of costs.

It is opt-in: ``pytest_plugins = ["spantally.testing.plugin"]`` in the top ``conftest.py``, or
``pytest -p spantally.testing.plugin``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from spantally.ground.errors import ArgumentError
from spantally.queries.checking import Limits, amount_text, count_of, judge, nano_usd_of, spent
from spantally.queries.ledger import Ledger

if TYPE_CHECKING:
    from spantally.api.session import Session
    from spantally.ledger.contract import Store

FLUSH_SECONDS: Final = 5.0
MARK: Final = "cost"
_ATTRIBUTE: Final = "spantally_costs"
"""Of a report: crosses from the workers of pytest-xdist to their controller."""


class Costs(NamedTuple):
    """One row of the table."""

    calls: int
    tokens: int
    nano_usd: int | None
    unpriced: int


class TestLedger(Ledger):
    """The ledger of one test: all that is asked of it includes the calls made so far.

    Attributes:
        path: of its file, for ``spantally --ledger PATH show last``.
    """

    __test__ = False

    def __init__(self, path: Path, store: Store) -> None:
        super().__init__(store)
        self.path = path

    def _settled(self) -> Store:
        from spantally.api.runtime import flush

        flush(FLUSH_SECONDS)
        return super()._settled()


_ledger_key: Final = pytest.StashKey[TestLedger]()
_costs_key: Final = pytest.StashKey[Costs]()
_failed_key: Final = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of the table is shown."""
    parser.getgroup("spantally").addoption(
        "--spantally-costs",
        metavar="N|all|off",
        default="10",
        help="Rows of the table of costs: the N costliest tests (default: 10), all of them, or off.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and check the option."""
    config.addinivalue_line(
        "markers",
        "cost(max_usd=None, max_calls=None, max_tokens=None): what the model calls of this test may come to; "
        "it fails after its run where that is exceeded, or not known",
    )
    shown = str(config.getoption("--spantally-costs"))
    if shown not in ("all", "off") and not shown.isdecimal():
        raise pytest.UsageError(f"--spantally-costs={shown}: use a number, all or off")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Table(shown), "spantally-costs")


def limits_of(item: pytest.Item) -> Limits | None:
    """The limits of a test, the closest mark first for each; None where it has no mark.

    Raises:
        ArgumentError: naming the wrong argument and what is allowed.
    """
    marks = list(item.iter_markers(MARK))
    given: dict[str, Any] = {}
    for mark in marks:
        if mark.args:
            raise ArgumentError(f"cost{mark.args!r}: name its arguments: max_usd=, max_calls=, max_tokens=")
        unknown = sorted(set(mark.kwargs) - {"max_usd", "max_calls", "max_tokens"})
        if unknown:
            raise ArgumentError(
                f"cost() knows no {', '.join(unknown)}; its arguments are max_usd=, max_calls=, max_tokens="
            )
        for name, value in mark.kwargs.items():
            field = "max_nano_usd" if name == "max_usd" else name
            read = nano_usd_of if name == "max_usd" else count_of
            if value is not None:
                given.setdefault(field, read(f"cost({name})", value))
    return Limits(**given) if marks else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A wrong mark is said before any test runs; a worker of pytest-xdist cannot, there its test fails."""
    if hasattr(config, "workerinput"):
        return
    for item in items:
        try:
            limits_of(item)
        except ArgumentError as error:
            raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.{error}") from error


# -- fixtures -----------------------------------------------------------------------------------------


@pytest.fixture
def spantally_ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestLedger]:
    """A ledger of this test's own, which all its calls go to; what was watched before is restored."""
    import spantally
    from spantally.api import runtime
    from spantally.ledger.opening import open_store

    path = tmp_path_factory.mktemp("spantally") / "ledger.db"
    before = runtime.ledger_consumer()
    watched = runtime.current is not None
    monkeypatch.setenv("SPANTALLY_LEDGER", str(path))  # of the processes that it starts
    spantally.instrument(ledger=str(path))
    if runtime.current is None:
        pytest.fail("spantally is switched off (SPANTALLY_DISABLED), so nothing can be measured", False)
    ledger = TestLedger(path, open_store(str(path)))
    request.node.stash[_ledger_key] = ledger
    try:
        yield ledger
    finally:
        if _is_ours(ledger):
            request.node.stash[_costs_key] = _costs(ledger)
        ledger.close()
        if not watched:
            spantally.uninstrument()
        else:
            spantally.instrument(ledger=False if before is None else before.target)


@pytest.fixture
def spantally_session(request: pytest.FixtureRequest, spantally_ledger: TestLedger) -> Iterator[Session]:
    """A session named after the test, around it; failed where the test failed."""
    import spantally

    name = "".join(one if one.isprintable() else "?" for one in request.node.name.partition("[")[0])
    session = spantally.session(name=name[:100].strip() or "test", title=request.node.nodeid).begin()
    request.node.stash[_failed_key] = False  # a test may be run again
    before = None if session.id is None else _enter_in_coroutine(request.node, session.id)
    try:
        yield session
    finally:
        if before is not None:
            request.node.obj = before
        session.finish(success=not request.node.stash.get(_failed_key, False))


@pytest.fixture(autouse=True)
def _spantally_cost(request: pytest.FixtureRequest) -> None:
    """A marked test is watched, whether it asks for the fixtures or not."""
    try:
        limits_of(request.node)
    except ArgumentError as error:
        pytest.fail(f"@pytest.mark.{error}", pytrace=False)
    if request.node.get_closest_marker(MARK) is not None:
        request.getfixturevalue("spantally_session")


def _enter_in_coroutine(item: Any, session_id: str) -> Any:
    """The task of an asynchronous test does not always see what was set in a fixture: it enters again.

    Returns:
        The function of the test as it was; None where nothing was done.
    """
    function = getattr(item, "obj", None)
    if not inspect.iscoroutinefunction(function) or hasattr(function, "hypothesis"):
        return None

    @functools.wraps(function)
    async def inside(*args: Any, **kwargs: Any) -> Any:
        import spantally

        with spantally.session(session_id):
            return await function(*args, **kwargs)

    item.obj = inside
    return function


# -- limits -------------------------------------------------------------------------------------------


def _is_ours(ledger: TestLedger) -> bool:
    """Whether the calls of this process still go to the test's ledger."""
    from spantally.api import runtime

    consumer = runtime.ledger_consumer()
    return consumer is not None and str(consumer.target) == str(ledger.path)


def _costs(ledger: TestLedger) -> Costs:
    found = spent((), ledger.calls())
    sums = found.figures
    return Costs(
        sums.calls, sums.input_tokens + sums.output_tokens, sums.cost_nano_usd, len(found.unknown_cost)
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The test, and then its limits; a test that has failed by itself says only that."""
    try:
        done = yield
    except BaseException:
        item.stash[_failed_key] = True
        raise
    ledger = item.stash.get(_ledger_key, None)
    limits = None if ledger is None else limits_of(item)
    if ledger is None or limits is None or not limits.given:
        return done
    broken = _broken(ledger, limits)
    if broken:
        item.stash[_failed_key] = True
        where = f"the calls of this test: spantally --ledger {ledger.path} calls"
        pytest.fail("\n".join([*broken, where]), pytrace=False)
    return done


def _broken(ledger: TestLedger, limits: Limits) -> list[str]:
    """Each limit that does not hold, in words."""
    if not _is_ours(ledger):
        return ["cost: the test took spantally down or moved its ledger, so what it spent is not known"]
    lines = []
    for one in judge(limits, spent((), ledger.calls())):
        if not one.passed:
            figure = amount_text(one.unit, one.figure, known=not one.unknown_calls)
            why = "" if one.reason is None else f": {one.reason}"
            lines.append(f"cost: {figure}, {one.rule} is {amount_text(one.unit, one.limit)}{why}")
    return lines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The last report of a test carries what it spent."""
    report = yield
    costs = item.stash.get(_costs_key, None)
    if costs is not None and report.when == "teardown":
        setattr(report, _ATTRIBUTE, list(costs))
        del item.stash[_costs_key]  # a test that is run again has another
    return report


# -- the table ----------------------------------------------------------------------------------------


class _Table:
    """Collects what tests spent, on the controller, and shows it."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.rows: dict[str, Costs] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test spent; each further run of it adds up."""
        values = getattr(report, _ATTRIBUTE, None)
        if values is not None:
            found, seen = Costs(*values), self.rows.get(report.nodeid)
            self.rows[report.nodeid] = found if seen is None else _sum([seen, found])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the costliest tests, and the sum of all."""
        if self.shown == "off" or not self.rows:
            return
        ordered = sorted(self.rows.items(), key=lambda row: (-(row[1].nano_usd or 0), -row[1].calls))
        picked = ordered if self.shown == "all" else ordered[: int(self.shown)]
        total = _sum(list(self.rows.values()))
        cells = [("CALLS", "TOKENS", "COST", "UNPRICED", "TEST")]
        cells += [(*_texts(costs), name) for name, costs in picked]
        cells.append((*_texts(total), f"total of {len(self.rows):,} tests, {len(picked):,} shown"))
        widths = [max(len(row[at]) for row in cells) for at in range(4)]
        terminalreporter.section("spantally costs")
        for row in cells:
            left = "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=False))
            terminalreporter.write_line(f"{left}  {row[4]}")


def _texts(costs: Costs) -> tuple[str, str, str, str]:
    cost = "-" if costs.nano_usd is None else amount_text("nano_usd", costs.nano_usd)
    return f"{costs.calls:,}", f"{costs.tokens:,}", cost, f"{costs.unpriced:,}" if costs.unpriced else ""


def _sum(rows: list[Costs]) -> Costs:
    known = [row.nano_usd for row in rows if row.nano_usd is not None]
    return Costs(
        sum(row.calls for row in rows),
        sum(row.tokens for row in rows),
        sum(known) if known else None,
        sum(row.unpriced for row in rows),
    )
