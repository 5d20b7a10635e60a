"""Tools named from outside: whatever the program has there stays what it was to the program."""

from __future__ import annotations

import copy
import functools
import pickle
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

import spantally
from watching import Watched

SOURCE = """
import functools

@functools.lru_cache
def stock(item):
    return item

class Strategy:
    limit = 3
    def __call__(self, item):
        return item
    def other(self):
        return "other"

strategy = Strategy()
bound = functools.partial(Strategy.other, strategy)

class Catalog:
    price = Strategy()
    size = len
    @functools.lru_cache
    def kept(self, item):
        return item
    @classmethod
    def made(cls):
        return cls.__name__
    @functools.cached_property
    def count(self):
        return 5

class Smaller(Catalog):
    pass
"""

NAMES = ("stock", "strategy", "bound", "Strategy", "Catalog.price", "Catalog.size", "Catalog.kept",
         "Catalog.made", "Catalog.count")  # fmt: skip


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, imported with each of the names made a tool."""
    module: Any = types.ModuleType("odd_shop")
    monkeypatch.setitem(sys.modules, "odd_shop", module)
    exec(SOURCE, module.__dict__)
    watched = Watched(tools=[f"odd_shop:{name}" for name in NAMES])
    module.watched = watched
    try:
        yield module
    finally:
        watched.close()


def test_what_the_program_asks_of_it_beside_calling_is_there(shop: Any) -> None:
    """Methods and attributes, its class, and how a class binds it."""
    shop.stock.cache_clear()
    assert (shop.stock("a"), shop.stock.cache_info().misses) == ("a", 1)
    assert (shop.strategy("b"), shop.strategy.other(), shop.strategy.limit) == ("b", "other", 3)
    assert isinstance(shop.strategy, shop.Strategy)
    assert (shop.bound(), shop.bound.func) == ("other", shop.Strategy.other)
    catalog = shop.Catalog()
    assert (catalog.price("c"), shop.Catalog.price("c"), catalog.price.other()) == ("c", "c", "other")
    assert (catalog.size([1]), shop.Catalog.size([1])) == (1, 1)
    assert (catalog.kept("d"), shop.Smaller().kept("d"), shop.Catalog.kept.cache_info().misses) == (
        "d",
        "d",
        2,
    )
    assert (catalog.made(), shop.Smaller.made(), catalog.count) == ("Catalog", "Smaller", 5)
    assert [one.name for one in shop.watched.of("tool")] == [
        *("stock", "strategy", "bound", "price", "price", "size", "size", "kept", "kept", "made", "made")
    ]


def test_it_is_copied_and_pickled_as_before(shop: Any) -> None:
    """Workers of other processes get functions by name and objects by value."""
    assert pickle.loads(pickle.dumps(shop.stock)) is shop.stock
    assert type(pickle.loads(pickle.dumps(functools.partial(shop.stock, 1)))) is functools.partial
    assert copy.copy(shop.strategy).other() == "other"
    assert copy.deepcopy([shop.strategy])[0].limit == 3
    assert copy.deepcopy(shop.Catalog()).price("x") == "x"


def test_what_is_no_tool_is_named(caplog: pytest.LogCaptureFixture, shop: Any) -> None:
    """A class and a property stay as they are, and the log says which name it was."""
    again = Watched(tools=["odd_shop:Smaller", "odd_shop:Catalog.count"])
    again.close()
    told = [record.getMessage() for record in caplog.records if "is no tool" in record.getMessage()]
    assert [line.split()[1] for line in told] == ["odd_shop:Smaller", "odd_shop:Catalog.count"]
    assert isinstance(shop.Smaller, type)


def test_afterwards_the_program_has_its_own(shop: Any) -> None:
    """``uninstrument()`` takes everything back."""
    spantally.uninstrument()
    assert type(shop.strategy) is shop.Strategy
    assert type(vars(shop.Catalog)["price"]) is shop.Strategy
    assert vars(shop.Catalog)["size"] is len
