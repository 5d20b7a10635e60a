"""gateway.yaml and agent.yaml: no token, no entry; and what was taken survives the end of each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector_kit import Collector, plain_provider, post, spans_of, until
from program_kit import free_port

pytestmark = [pytest.mark.collector, pytest.mark.slow]

TOKEN = "made-up-token"


def send(endpoint: str, *names: str) -> set[str]:
    """Send a span of each name and wait for the answer; their ids."""
    provider = plain_provider(endpoint)
    tracer = provider.get_tracer("test")
    spans = [tracer.start_span(name) for name in names]
    for span in spans:
        span.end()
    assert provider.force_flush()
    provider.shutdown()
    return {f"{span.get_span_context().span_id:016x}" for span in spans}


def test_the_gateway_asks_for_its_token(tmp_path: Path) -> None:
    """Without the token and with a wrong one the answer is 401, with the right one 200."""
    values = {"GATEWAY_TOKEN": TOKEN, "COLLECTOR_QUEUE_DIR": str(tmp_path / "queue")}
    with Collector("gateway.yaml", tmp_path, BACKEND_OTLP=f"http://127.0.0.1:{free_port()}", **values) as one:
        url = f"{one.http}/v1/traces"
        assert post(url, {"resourceSpans": []}) == 401
        assert post(url, {"resourceSpans": []}, Authorization="Bearer wrong") == 401
        assert post(url, {"resourceSpans": []}, Authorization=f"Bearer {TOKEN}") == 200
    assert (tmp_path / "queue").stat().st_mode & 0o077 == 0


def test_what_was_taken_survives_killed_agents_and_gateways(tmp_path: Path) -> None:
    """Backend away, gateway killed, gateway away, agent killed: every span arrives when all are back."""
    file = tmp_path / "otlp" / "traces.jsonl"
    backend = Collector("file.yaml", tmp_path / "backend", OTLP_DIR=str(file.parent))
    gateway = Collector("gateway.yaml", tmp_path / "gateway", GATEWAY_TOKEN=TOKEN, BACKEND_OTLP=backend.http)
    agent = Collector("agent.yaml", tmp_path / "agent", GATEWAY_TOKEN=TOKEN, GATEWAY_OTLP=gateway.http)
    try:
        gateway.start()
        agent.start()
        sent = send(agent.http, "taken by the gateway")
        until(lambda: gateway.log, lambda log: "Exporting failed" in log)
        gateway.kill()
        sent |= send(agent.http, "taken by the agent")
        until(lambda: agent.log, lambda log: "Exporting failed" in log)
        agent.kill()
        backend.start()
        assert spans_of(file) == []
        gateway.start()
        agent.start()
        found = until(
            lambda: {span.span_id for span in spans_of(file)}, lambda found: found >= sent, limit=60
        )
        assert found == sent
    finally:
        for one in (agent, gateway, backend):
            one.kill()
