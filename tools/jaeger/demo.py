#!/usr/bin/env python3
"""Run the examples against a Jaeger of its own, and say where and how their sessions are seen in it.

    make jaeger-demo                     Jaeger as `make jaeger` builds it; stays until Ctrl-C
    make jaeger-demo JAEGER=/path/to/it  another Jaeger 2, such as a released one, which carries its pages
    make jaeger-demo UI=/path/to/build   pages from a build of jaeger-ui
    make jaeger-demo ONCE=1              ends as soon as the sessions are there

The ledger of the examples is a temporary one, prompts and answers (redacted) are on the spans, and nothing
goes to anybody but this Jaeger.

Exit codes: 0 all went well, 1 Jaeger or an example failed, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples"
CONFIG: Final = ROOT / "collector-config" / "jaeger.yaml"
PROGRAMS: Final = {"research-team": "research_team.py", "buyer": "two_services.py"}
"""The examples, by the name of the service that each is."""

PORTS: Final = {
    "extensions::jaeger_query::http::endpoint": 16686,
    "extensions::jaeger_query::grpc::endpoint": 16685,
    "receivers::otlp::protocols::http::endpoint": 14318,
    "receivers::otlp::protocols::grpc::endpoint": 14317,
}
"""Where Jaeger listens, as jaeger.yaml says."""

# A process knows prices when its first calls have ended; this one does before: each span has its cost.
PRICED: Final = (
    "import runpy, sys, spantally; usage = {'prompt_tokens': 1, 'completion_tokens': 1};"
    "spantally.price({'model': 'gpt-4o', 'usage': usage}, provider='openai'); sys.path.insert(0, '.');"
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


class DemoError(Exception):
    """What went wrong, for people."""


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says and answer with the exit code."""
    parser = argparse.ArgumentParser(description="Run the examples against Jaeger, and say how to see them.")
    parser.add_argument("--jaeger", metavar="FILE", help="a Jaeger 2 to run; built here without it")
    parser.add_argument("--ui", metavar="DIR", help="a build of jaeger-ui: the folder with index.html")
    parser.add_argument("--once", action="store_true", help="end as soon as the sessions are in Jaeger")
    chosen = parser.parse_args(arguments)
    if chosen.ui and not (Path(chosen.ui) / "index.html").is_file():
        parser.error(f"--ui {chosen.ui}: there is no index.html; name the folder that the build made")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Jaeger is not to outlive us
    try:
        with (
            tempfile.TemporaryDirectory(prefix="jaeger-demo-") as folder,
            running(chosen.jaeger or obtain(), chosen.ui, Path(folder)) as ports,
        ):
            show(ports, Path(folder))
            if not chosen.once:
                wait()
    except DemoError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def obtain() -> str:
    """The Jaeger that is pinned here, built now if it was not before."""
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(ROOT / "tools" / "obtain.py"), "jaeger"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(
            "without Jaeger there is nothing to see; a released one will do: JAEGER=/path/to/jaeger"
        )
    return done.stdout.strip()


def free_ports() -> dict[str, int]:
    """The ports of jaeger.yaml, or others for those that are taken."""
    found = {}
    with contextlib.ExitStack() as held:
        for name, port in PORTS.items():
            for candidate in (port, 0):
                one = held.enter_context(socket.socket())
                # A port whose connections have just ended is free.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):
                    one.bind(("127.0.0.1", candidate))
                    found[name] = int(one.getsockname()[1])
                    break
    return found


@contextlib.contextmanager
def running(program: str, ui: str | None, folder: Path) -> Iterator[dict[str, int]]:
    """Jaeger with the shipped configuration, until it is no longer needed."""
    ports = free_ports()
    changed = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    if ui:
        changed["extensions::jaeger_query::ui::assets_path"] = str(Path(ui).resolve())
    words = [program, "--config", str(CONFIG)]
    for name, value in changed.items():
        words += ["--config", f"yaml:{name}: {value}"]
    log = folder / "jaeger.log"
    try:
        with log.open("wb") as file:
            # A group of its own: Ctrl-C is for us, and we end it.
            process = subprocess.Popen(  # noqa: S603 - Jaeger
                words, stdout=file, stderr=file, cwd=folder, start_new_session=True
            )
    except OSError as error:
        raise DemoError(f"{program}: {error.strerror or error}") from None
    try:
        wait_until_ready(ports, process, log)
        yield ports
    finally:
        process.kill()  # it would take 10 s to end in an orderly way, and keeps nothing
        process.wait()


def wait_until_ready(ports: dict[str, int], process: subprocess.Popen[bytes], log: Path) -> None:
    """Until everything listens; an error with its last lines where it ends instead."""
    limit = time.monotonic() + 60
    for port in ports.values():
        while True:
            if process.poll() is not None or time.monotonic() > limit:
                told = "\n  ".join(log.read_text(errors="replace").splitlines()[-8:])
                raise DemoError(f"Jaeger does not start; it says:\n  {told}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.1)


def show(ports: dict[str, int], folder: Path) -> None:
    """Run the examples and say how their sessions are found."""
    query, otlp = (ports[name] for name in PORTS if name.endswith("http::endpoint"))
    pages = f"http://127.0.0.1:{query}"
    ledger = folder / "ledger.db"
    sessions = []
    for service, program in PROGRAMS.items():
        say(f"running examples/{program} as the service {service}")
        run(service, program, otlp, ledger)
        session_id = newest_session(ledger)
        sessions.append((service, session_id, *found(pages, service, session_id)))
    print(f"\nJaeger is at {pages}  (OTLP over HTTP at http://127.0.0.1:{otlp})\n")
    for service, session_id, spans, services, trace in sessions:
        print(f"  session {session_id}: {spans} spans of {' and '.join(services)}")
        print(f"    Search: Service {service}, Tags (newer pages: Attributes) session.id={session_id}")
        print(f"            {search_address(pages, service, session_id)}")
        print(f"    Trace:  {pages}/trace/{trace}")
    print(f"\n  System Architecture: {pages}/dependencies", flush=True)
    if not has_pages(pages):
        say(
            "this Jaeger was built without its pages and answers with a placeholder; its query API works. "
            "For the pages: UI=DIR with a build of jaeger-ui, or JAEGER=FILE with a released Jaeger "
            "(docs/viewing-traces.md)"
        )


def run(service: str, program: str, port: int, ledger: Path) -> None:
    """Run an example with the spans on their way to Jaeger and the tally in a file of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SPANTALLY_", "OTEL_", "OPENAI_"))
    }
    values = {
        "SPANTALLY_LEDGER": str(ledger),
        "OTEL_SERVICE_NAME": service,
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
        # The spelling whose written cache tokens Jaeger's pages know.
        "SPANTALLY_SEMCONV": "1.41",
    }
    done = subprocess.run(  # noqa: S603 - an example
        [sys.executable, "-m", "spantally.cli", "run", "--", sys.executable, "-c", PRICED, program],
        cwd=EXAMPLES,
        env=kept | values,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"examples/{program} ended with {done.returncode}")


def newest_session(ledger: Path) -> str:
    """The id of the session that has just ended."""
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", "show", "last", "--json"],
        env={**os.environ, "SPANTALLY_LEDGER": str(ledger)},
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)[0]["session_id"])


def found(pages: str, service: str, session_id: str) -> tuple[int, list[str], str]:
    """Spans that Jaeger has of a session once no more come, of which services, and the longest trace's id."""
    limit, last = time.monotonic() + 20, -1
    while True:
        traces = ask(f"{pages}/api/traces?{query_of(service, session_id)}&limit=100")["data"]
        spans = sum(len(trace["spans"]) for trace in traces)
        if spans and spans == last:
            break
        if time.monotonic() > limit:
            raise DemoError(f"the spans of {session_id} do not arrive in Jaeger")
        last = spans
        time.sleep(0.5)
    services = sorted({one["serviceName"] for trace in traces for one in trace["processes"].values()})
    return spans, services, str(max(traces, key=lambda trace: len(trace["spans"]))["traceID"])


def query_of(service: str, session_id: str) -> str:
    """The parameters of a search for a session."""
    return urllib.parse.urlencode(
        {"service": service, "tags": json.dumps({"session.id": session_id}), "lookback": "1h"}
    )


def search_address(pages: str, service: str, session_id: str) -> str:
    """The page that shows what such a search finds."""
    return f"{pages}/search?{query_of(service, session_id)}&limit=20"


def ask(address: str) -> Any:
    """The JSON of an answer."""
    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - Jaeger on loopback
        return json.load(answer)


def has_pages(pages: str) -> bool:
    """Whether Jaeger has more than its placeholder."""
    with urllib.request.urlopen(f"{pages}/search", timeout=20) as answer:  # noqa: S310 - Jaeger on loopback
        return b"<script" in answer.read()


def wait() -> None:
    """Until Ctrl-C."""
    say("Ctrl-C ends Jaeger and forgets what it has")
    while True:
        time.sleep(3600)


def say(text: str) -> None:
    """A line about what goes on, for people."""
    print(f"jaeger-demo: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
