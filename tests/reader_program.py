"""Run by test_readers.py: two sessions whose spans go to somebody else's server, and whose rows stay here.

reader_program.py TRACES_URL LEDGER [HEADER=VALUE...]
"""

from __future__ import annotations

import sys
from typing import Any

from openai import OpenAI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import spantally
from spantally import pricing
from spantally.testing import Reply, ScriptedServer, Usage

USAGES = (
    Usage(1000, 200, cached=400, reasoning=50),
    Usage(2000, 100),
    Usage(1500, 300, reasoning=100),
    Usage(321, 45),
    Usage(90_000, 1200, cached=60_000, reasoning=700),
    Usage(50, 0),
    Usage(4000, 500),
)


@spantally.tool
def search(query: str) -> str:
    """A tool between two calls."""
    return f"found {query}"


def work(client: OpenAI) -> None:
    """Agents, tools, streams, responses, embeddings and a cheaper tier, in two sessions."""

    def chat(model: str, **more: Any) -> Any:
        return client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hello"}], **more
        )

    with spantally.session("chat-1", user="alice"):
        with spantally.agent("planner"):
            chat("gpt-4o")
            search("a thing")
            chat("gpt-4o-mini")
        list(chat("o3", stream=True, stream_options={"include_usage": True}))
    with spantally.session("chat-2", user="bob"):
        client.responses.create(model="gpt-4.1", input="hello")
        chat("gpt-4o")
        client.embeddings.create(model="text-embedding-3-small", input="some text")
        chat("gpt-5", service_tier="flex")


def main() -> None:
    """Do the work, and let every span arrive before the end."""
    url, ledger, *headers = sys.argv[1:]
    pricing.load()
    provider = TracerProvider()
    exporter = OTLPSpanExporter(url, headers=dict(header.split("=", 1) for header in headers), timeout=60)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    spantally.instrument(ledger=ledger)
    replies = [Reply(usage=usage) for usage in USAGES[:-1]]
    replies.append(Reply(usage=USAGES[-1], service_tier="flex"))
    with (
        ScriptedServer(replies) as server,
        OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as client,
    ):
        work(client)
    assert spantally.flush()
    assert provider.force_flush(120_000)


if __name__ == "__main__":
    main()
