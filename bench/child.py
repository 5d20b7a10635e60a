"""One measurement in a process of its own; prints one line of JSON.

Rounds with and without the instrumentor alternate in the same process. Times are CPU times: of the calling
thread, and of the whole process with all that was put off to other threads.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from traffic import STREAM_CHUNKS, chunk_bodies, client, request

WARM_UP = 100
"""Calls before a round of many: where methods were put in or taken out, the interpreter learns anew over some
fifty calls what it looks up where."""


def _round(call: Callable[[], None], calls: int, settle: Callable[[], None]) -> tuple[float, float]:
    """Microseconds per call: of this thread, of the process."""
    gc.collect()
    process, thread = time.process_time(), time.thread_time()
    for _ in range(calls):
        call()
    thread = time.thread_time() - thread
    settle()
    process = time.process_time() - process
    return thread / calls * 1e6, process / calls * 1e6


def measure(side: Any, call: Callable[[], None], calls: int, rounds: int) -> dict[str, Any]:
    """Alternate rounds; the added time is the difference of the fastest ones."""
    off: list[tuple[float, float]] = []
    on: list[tuple[float, float]] = []
    before = WARM_UP if calls >= WARM_UP else 2
    for _ in range(WARM_UP):
        call()
    for number in range(rounds + 1):
        for _ in range(before):
            call()
        plain = _round(call, calls, lambda: None)
        side.on()
        for _ in range(before):
            call()
        side.settle()
        loaded = _round(call, calls, side.settle)
        side.off()
        if number:  # the first round warms up
            off.append(plain)
            on.append(loaded)
    base_thread, base_process = min(one[0] for one in off), min(one[1] for one in off)
    return {
        "base_us": base_thread,
        "thread_us": min(one[0] for one in on) - base_thread,
        "process_us": min(one[1] for one in on) - base_process,
    }


def chat(side: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Chat completions, one after the other."""
    completions = client(options.url).chat.completions
    asked = request()
    return measure(side, lambda: completions.create(**asked), options.calls, options.rounds)


def stream(side: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Whole streams through the SDK; the times are per chunk."""
    completions = client(options.url).chat.completions
    asked = request(stream=True)

    def call() -> None:
        for _ in completions.create(**asked):
            pass

    found = measure(side, call, options.calls, options.rounds)
    return {name: value / (STREAM_CHUNKS + 2) for name, value in found.items()}


def chunks(side: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The hot loop alone: the SDK's stream object yields chunks that are made already."""
    import openai
    from openai.types.chat import ChatCompletionChunk

    made = [ChatCompletionChunk.model_validate(body) for body in chunk_bodies(options.chunks)]

    def prepared(self: Any) -> Any:
        yield from made
        self.response.close()

    openai.Stream.__stream__ = prepared  # type: ignore[method-assign]
    completions = client(None).chat.completions
    asked = request(stream=True)

    def per_chunk() -> float:
        stream = iter(completions.create(**asked))
        next(stream)
        began = time.thread_time()
        for _ in stream:
            pass
        return (time.thread_time() - began) / (len(made) - 1) * 1e6

    off: list[float] = []
    on: list[float] = []
    for _ in range(options.rounds):
        off.append(min(per_chunk() for _ in range(3)))
        side.on()
        on.append(min(per_chunk() for _ in range(3)))
        side.settle()
        side.off()
    base = min(off)
    return {"base_us": base, "thread_us": min(on) - base, "process_us": min(on) - base}


def sparse(side: Any, options: argparse.Namespace) -> dict[str, Any]:
    """One call per 200 ms: each may cost a wake-up and a transaction of its own."""
    completions = client(options.url).chat.completions
    asked = request()

    def call() -> None:
        completions.create(**asked)
        time.sleep(0.2)

    return measure(side, call, options.calls, options.rounds)


def start(side_name: str) -> dict[str, Any]:
    """Time and memory of importing the instrumentor and switching it on, over the SDKs already there."""
    import resource

    import openai  # noqa: F401
    import opentelemetry.instrumentation.instrumentor  # noqa: F401
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: F401
    from sides import SIDES

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    side = SIDES[side_name](content=False, sampled=True)
    side.on()
    found = {
        "wall_ms": (time.perf_counter() - began) * 1e3,
        "cpu_ms": (time.process_time() - cpu) * 1e3,
        "memory_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory,
    }
    side.off()
    return found


def main() -> int:
    """Measure one case of one side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side")
    parser.add_argument("case", choices=["chat", "stream", "chunks", "sparse", "start"])
    parser.add_argument("--url")
    parser.add_argument("--content", action="store_true")
    parser.add_argument("--unsampled", action="store_true")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunks", type=int, default=20_000)
    options = parser.parse_args()
    if options.case == "start":
        print(json.dumps(start(options.side)))
        return 0
    from sides import SIDES

    side = SIDES[options.side](content=options.content, sampled=not options.unsampled)
    cases = {"chat": chat, "stream": stream, "chunks": chunks, "sparse": sparse}
    found = cases[options.case](side, options)
    found["spans"] = side.exporter.spans
    if options.side == "spantally" and (failures := side.failures()):
        print(f"spantally swallowed {failures}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
