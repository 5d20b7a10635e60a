"""A program with one of each: what Jaeger's pages tell apart, in one session named ``view``."""

from __future__ import annotations

import json
from typing import Any

import openai
from opentelemetry import trace

import spantally
from spantally.testing import Reply, Rule, ScriptedServer, ToolCall, Usage

tracer = trace.get_tracer("others")
WRITTEN = {
    "input_tokens": 70,
    "output_tokens": 5,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 30},
}
SCRIPT = [
    Rule(path="/embeddings", reply=Reply(usage=Usage(input=9))),
    Rule(path="/responses", reply=Reply(text="**done**", usage=WRITTEN, model="gpt-4o-mini-2024-07-18")),
    Rule(
        contains="search it",
        reply=Reply(
            tool_calls=(ToolCall("search", {"query": "cells"}),),
            usage=Usage(input=50, output=9, cached=20, reasoning=4),
        ),
    ),
    Rule(contains="plain", reply=Reply(text="**done**", usage=Usage(input=70, output=5))),
]


@spantally.tool
def search(query: str) -> dict[str, list[int]]:
    """Look something up, with the spans that instrumentations of HTTP clients and databases make."""
    http: dict[str, Any] = {
        "http.request.method": "GET",
        "url.full": "http://a.example/x",
        "http.response.status_code": 200,
    }
    with tracer.start_as_current_span("GET", kind=trace.SpanKind.CLIENT, attributes=http):
        pass
    database = {"db.system.name": "postgresql", "db.operation.name": "SELECT"}
    with tracer.start_as_current_span("SELECT", kind=trace.SpanKind.CLIENT, attributes=database):
        pass
    return {"found": [1, 2]}


@spantally.agent(description="Finds things out.")
def finder(client: openai.OpenAI) -> None:
    """A tool loop, then one call of each other kind."""
    asked: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "search it"}]
    message: Any = client.chat.completions.create(model="gpt-4o-mini", messages=asked).choices[0].message
    (call,) = message.tool_calls
    found = json.dumps(search(**json.loads(call.function.arguments)))
    told: list[Any] = [
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": found},
        {"role": "user", "content": "plain"},
    ]
    client.chat.completions.create(model="gpt-4o-mini", messages=told)
    client.embeddings.create(model="text-embedding-3-small", input="plain")
    client.responses.create(model="gpt-4o-mini", input="plain", instructions="Be brief.")
    client.completions.create(model="gpt-3.5-turbo-instruct", prompt="plain")
    client.vector_stores.search("vs_1", query="cells")


def main() -> None:
    """All of it beneath the request of somebody."""
    request = {"http.request.method": "POST", "http.route": "/ask"}
    with (
        ScriptedServer(SCRIPT) as server,
        openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client,
        tracer.start_as_current_span("POST /ask", kind=trace.SpanKind.SERVER, attributes=request),
        spantally.session("view", user="alice"),
        spantally.workflow("nightly"),
    ):
        finder(client)


if __name__ == "__main__":
    main()
