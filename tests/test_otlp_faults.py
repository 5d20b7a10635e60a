"""Receivers of OTLP that are not what an address says, or refuse: a clear line, and the program goes on."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import spantally
from export_kit import command
from otlp_grpc_kit import GrpcCollector
from program_kit import environment
from spantally.cli import otlp_probe
from spantally.cli.otlp_target import parse_target
from spantally.ground import guard

PROGRAM = """
import spantally
with spantally.session("s1") as session, spantally.agent("planner"):
    session.record_call(provider="openai", model="gpt-4o", input_tokens=10, output_tokens=5)
print("done")
"""


class Receiver:
    """Answers OTLP over HTTP with one status after the other, the last one for ever."""

    def __init__(self, *statuses: int, port: int = 0, certificate: Path | None = None) -> None:
        self.taken: list[str] = []
        self.asked: list[float] = []
        left = list(statuses)
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                self.rfile.read(length)
                status = 200 if not length else left[0] if len(left) == 1 else left.pop(0)
                if length:
                    receiver.asked.append(time.monotonic())
                    if status == 200:
                        receiver.taken.append(self.path)
                self.send_response(status)
                if status in (429, 503):
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
            self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.at = f"127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def receiving(*statuses: int, certificate: Path | None = None) -> Iterator[Receiver]:
    """A receiver while the block runs."""
    made = Receiver(*statuses, certificate=certificate)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


@contextmanager
def grpc_at() -> Iterator[tuple[GrpcCollector, str]]:
    """A collector that speaks gRPC alone."""
    with receiving(200) as free:
        port = int(free.at.rpartition(":")[2])
    made = GrpcCollector(port)
    try:
        yield made, f"127.0.0.1:{port}"
    finally:
        made.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody else trusts, made anew; its key lies beside it."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("openssl is not here to make a certificate")
    made = tmp_path_factory.mktemp("tls") / "own.pem"
    subprocess.run(
        [
            *(tool, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-out", str(made)),
            *("-keyout", str(made.with_suffix(".key"))),
        ],
        check=True,
        capture_output=True,
    )
    return made


def run(folder: Path, *words: str, **values: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """A program under `spantally run`, and how long it took in seconds."""
    (folder / "agent.py").write_text(PROGRAM)
    clean = environment(HOME=str(folder), SPANTALLY_LEDGER=str(folder / "l.db"), **values)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests lets them win over OpenTelemetry's own
        clean.pop(name, None)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", "run", *words, "--", sys.executable, "agent.py"],
        capture_output=True,
        text=True,
        env=clean,
        cwd=folder,
        timeout=100,
        check=False,
    )
    return done, time.monotonic() - began


def unharmed(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    """The program printed and ended as it would, and its call is in the ledger."""
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    with spantally.open_ledger(folder / "l.db") as ledger:
        assert [row.cost_nano_usd for row in ledger.calls(kind="inference")] == [75_000]


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_to_wait_is_asked_again_when_it_said(tmp_path: Path, status: int) -> None:
    """Retry-After is kept to, and then everything arrives."""
    with receiving(status, 200) as receiver:
        done, _ = run(tmp_path, "--otlp", f"http://{receiver.at}")
    unharmed(tmp_path, done)
    assert {"/v1/traces", "/v1/metrics"} <= set(receiver.taken)
    assert receiver.asked[-1] - receiver.asked[0] >= 0.9


def test_a_request_that_is_too_large_is_not_sent_again(tmp_path: Path) -> None:
    """413 is final: one request a signal, no waiting, one line for each."""
    with receiving(413) as receiver:
        done, took = run(tmp_path, "--otlp", f"http://{receiver.at}")
    unharmed(tmp_path, done)
    assert len(receiver.asked) <= 3
    assert took < 15
    assert "413" in done.stderr


@pytest.mark.slow
def test_a_receiver_that_never_recovers_bounds_the_end(tmp_path: Path) -> None:
    """503 for ever holds the end of a program no longer than the exporters' time-out; the tally is whole."""
    with receiving(503) as receiver:
        done, took = run(tmp_path, "--otlp", f"http://{receiver.at}", OTEL_EXPORTER_OTLP_TIMEOUT="3")
    unharmed(tmp_path, done)
    assert took < 30
    assert "Service Unavailable" in done.stderr
    assert len(receiver.asked) < 30


def test_tls_with_an_authority_of_ones_own(tmp_path: Path, certificate: Path) -> None:
    """Where OTEL_EXPORTER_OTLP_CERTIFICATE names it, spans arrive over TLS and nothing is said."""
    with receiving(200, certificate=certificate) as receiver:
        done, _ = run(
            tmp_path, "--otlp", f"https://{receiver.at}", OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate)
        )
    unharmed(tmp_path, done)
    assert "/v1/traces" in receiver.taken
    assert "will not arrive" not in done.stderr


def test_a_wrong_address_is_told_before_the_program_runs(tmp_path: Path) -> None:
    """gRPC to a port that speaks HTTP: one line with what to write, and the program runs all the same."""
    with receiving(200) as receiver:
        done, _ = run(tmp_path, "--otlp", f"grpc://{receiver.at}", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    unharmed(tmp_path, done)
    first = done.stderr.splitlines()[0]
    assert f"{receiver.at} speaks HTTP and no gRPC; write http://{receiver.at}" in first


def told(address: str, **environ: str) -> str | None:
    """What the probe says of an address."""
    return otlp_probe.mismatch(parse_target(address), environ)


def test_what_each_mismatch_is_called(certificate: Path) -> None:
    """TLS and plain, HTTP and gRPC, each the wrong way round; what fits is met with silence."""
    with receiving(200) as plain, receiving(200, certificate=certificate) as secure, grpc_at() as (_, grpc):
        own = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate)}
        assert told(f"http://{plain.at}") is None
        assert told(f"grpc://{grpc}") is None
        assert told(f"https://{secure.at}", **own) is None
        assert told(f"grpc://{plain.at}") == f"{plain.at} speaks HTTP and no gRPC; write http://{plain.at}"
        assert told(f"http://{grpc}") == f"{grpc} speaks gRPC; write grpc://{grpc}"
        assert told(f"https://{plain.at}") == f"{plain.at} does not speak TLS; write http://{plain.at}"
        assert told(f"grpcs://{grpc}") == f"{grpc} does not speak TLS; write grpc://{grpc}"
        assert told(f"http://{secure.at}") == f"{secure.at} speaks TLS; write https://{secure.at}"
        assert told(f"grpc://{secure.at}") == f"{secure.at} speaks TLS; write grpcs://{secure.at}"
        untrusted = told(f"https://{secure.at}")
        assert untrusted is not None
        assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in untrusted
        assert plain.taken == []  # asking has sent nothing that counts


def test_a_probe_that_fails_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ours alone: whatever goes wrong in it, the program is run."""

    def broken(*_: object) -> None:
        raise RuntimeError("made to fail")

    monkeypatch.setattr(otlp_probe, "_told", broken)
    assert told("http://127.0.0.1:4318") is None
    assert ("cli.otlp_probe", "RuntimeError") in guard.failures


def test_export_refuses_a_wrong_address_and_says_what_to_write(tmp_path: Path) -> None:
    """`spantally export` ends with 1 before anything is sent."""
    done, _ = run(tmp_path)
    unharmed(tmp_path, done)
    with grpc_at() as (collector, grpc):
        said = command(tmp_path / "l.db", "export", "s1", "--otlp", f"http://{grpc}", code=1).stderr
    assert f"nothing was exported: {grpc} speaks gRPC; write grpc://{grpc}" in said
    assert collector.names == []
