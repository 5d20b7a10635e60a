"""Pools that are made inside a session: what lives on in them serves everybody."""

from __future__ import annotations

import multiprocessing
import queue
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool
from typing import Any

import pytest

import spantally
from boundary_kit import here
from boundary_probe import probe
from watching import Watched


@pytest.fixture(autouse=True)
def _forks(watched: Watched) -> Iterator[None]:
    """A fork keeps the memory of its parent, so it is the case that could leak; threads run meanwhile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _forking() -> Any:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no fork here")
    return multiprocessing.get_context("fork")


def _threads() -> Executor:
    return ThreadPoolExecutor(1)


def _processes() -> Executor:
    return ProcessPoolExecutor(1, mp_context=_forking())


@pytest.mark.parametrize("make", [_threads, _processes])
def test_executor_made_in_a_session(make: Callable[[], Executor]) -> None:
    """Its workers, made by the first task, are in no session between tasks, nor are its callbacks."""
    called: queue.Queue[str | None] = queue.Queue()
    with spantally.session("first"), spantally.agent("planner"):
        pool = make()
        assert pool.submit(probe).result(60)[:2] == ("first", ("planner",))
    with pool:
        outside = pool.submit(probe)
        outside.add_done_callback(lambda _: called.put(here()))
        assert outside.result(60).session not in ("first", None)
        assert outside.result(60).spans == ()
        assert called.get(timeout=60) is None
        with spantally.session("second"):
            assert pool.submit(probe).result(60).session == "second"


def _thread_pool() -> Pool:
    return ThreadPool(1)


def _process_pool() -> Pool:
    made: Pool = _forking().Pool(1)
    return made


@pytest.mark.parametrize("make", [_thread_pool, _process_pool])
def test_pool_of_multiprocessing_made_in_a_session(make: Callable[[], Pool]) -> None:
    """The same for the pools of multiprocessing, whose handlers are threads of their own."""
    called: queue.Queue[str | None] = queue.Queue()
    with spantally.session("first"), spantally.agent("planner"):
        pool = make()
        assert pool.apply(probe)[:2] == ("first", ("planner",))
    with pool:
        outside = pool.apply_async(probe, callback=lambda _: called.put(here())).get(60)
        assert outside.session not in ("first", None)
        assert outside.spans == ()
        assert called.get(timeout=60) is None
        with spantally.session("second"):
            assert pool.map(probe, [1])[0].session == "second"
