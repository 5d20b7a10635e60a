"""The boundaries between processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from boundary_kit import Cross, boundary
from boundary_probe import Seen, probe_into

GROUP = "Other processes"
SCRIPT = Path(__file__).with_name("boundary_probe.py")


def _methods() -> list[str]:
    return [
        name for name in ("fork", "spawn", "forkserver") if name in multiprocessing.get_all_start_methods()
    ]


def _process(method: str) -> Callable[[], Iterator[Cross]]:
    def make() -> Iterator[Cross]:
        context: Any = multiprocessing.get_context(method)

        def cross(_: object) -> Seen:
            answers, mine = context.Pipe(duplex=False)
            child = context.Process(target=probe_into, args=(mine,))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads of the tests
                child.start()
            assert answers.poll(60)
            found: Seen = answers.recv()
            child.join()
            return found

        yield cross

    return make


def _executor(method: str) -> Callable[[], Iterator[Cross]]:
    def make() -> Iterator[Cross]:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:

            def cross(probe: Callable[..., Seen]) -> Seen:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    found = pool.submit(probe).result(60)
                    assert list(pool.map(probe, [1])) == [found]
                return found

            yield cross

    return make


def _pool(method: str) -> Callable[[], Iterator[Cross]]:
    def make() -> Iterator[Cross]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            with multiprocessing.get_context(method).Pool(1) as pool:

                def cross(probe: Callable[..., Seen]) -> Seen:
                    found = pool.apply(probe)
                    assert [*pool.map(probe, [1]), *pool.imap(probe, [1])] == [found, found]
                    return found

                yield cross

    return make


for _name in _methods():
    boundary(f"`multiprocessing.Process` by {_name}", group=GROUP)(_process(_name))
for _name in _methods():
    boundary(f"`ProcessPoolExecutor` by {_name}: `submit`, `map`", group=GROUP)(_executor(_name))
for _name in _methods():
    boundary(f"`multiprocessing.Pool` by {_name}", group=GROUP)(_pool(_name))


def _seen(text: str | bytes) -> Seen:
    session, path, spans = json.loads(text)
    return Seen(session, tuple(path), tuple(spans))


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}


@boundary("`subprocess`: `run`, `Popen`, `check_output`", group=GROUP)
def started() -> Iterator[Cross]:
    def cross(_: object) -> Seen:
        inherited = _seen(subprocess.check_output([sys.executable, SCRIPT]))
        given = subprocess.run([sys.executable, SCRIPT], env=_environment(), capture_output=True, check=True)
        assert _seen(given.stdout)[1:] == inherited[1:]
        return inherited

    yield cross


@boundary("`asyncio.create_subprocess_exec`", group=GROUP)
def started_async() -> Iterator[Cross]:
    import asyncio

    async def run() -> Seen:
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate()
        return _seen(out)

    yield lambda _: asyncio.run(run())
