"""A program whose every call, session and event holds a secret; the tests run it, and so do other processes.

As a program of its own (``python leak_program.py SHAPE URL``) it also sends spans, log records and metrics of
foreign tracers, loggers and meters, by the global providers. Its secrets depend on their places alone, so
that whoever starts it knows them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from typing import Any

import openai
from opentelemetry import _logs, baggage, metrics, trace
from opentelemetry import context as otel_context

import spantally
from leak_kit import Planter, literal, plant_lines, plant_logs, plant_metrics, plant_span
from spantally.testing import Reply, Request, ScriptedServer, ToolCall

CLIENT = literal("client.key").needles[0]
"""The key of the client, which only the wrapper of the SDK can know."""


def script(planter: Planter) -> Any:
    """A provider that answers with secrets, and quotes the key where it refuses."""

    def reply(request: Request) -> Reply:
        text = request.all_text
        if "refuse" in text:
            sent = request.headers.get("authorization", "").removeprefix("Bearer ")
            return Reply(
                status=401,
                error={
                    "message": f"Incorrect API key provided: {sent} for {planter('error.message')}",
                    "type": short(planter, "error.type"),
                    "code": short(planter, "error.code"),
                },
            )
        if "tool please" in text:
            arguments = {"query": planter("answer.arguments"), planter("answer.argument.name"): 1}
            return Reply(tool_calls=[ToolCall("lookup", arguments)])
        return Reply(text=f"It is {planter('answer')}", response_id=f"id {short(planter, 'answer.id')}")

    return reply


def short(planter: Planter, place: str) -> str:
    """A secret in one line, for what takes no other."""
    return planter(place).replace("\n", " ")


@spantally.tool
def lookup(query: str, **more: Any) -> Any:
    """Find something."""
    if "fail" in more:
        raise LookupError(f"nothing for {query}")
    return {"found": [query, more]}


def calls(planter: Planter, url: str) -> None:
    """Chat, tools, responses, embeddings and a refusal, beneath an agent in a session."""
    p = planter
    client = openai.OpenAI(base_url=url, api_key=CLIENT, max_retries=0)
    system: Any = {"role": "system", "content": f"You know {p('system')}"}
    definition: Any = {
        "type": "function",
        "function": {
            "name": "lookup",
            "description": f"finds {p('tool.description')}",
            "parameters": {"type": "object", "properties": {p("tool.parameter"): {"type": "string"}}},
        },
    }
    with client:
        client.chat.completions.create(
            model=f"gpt-4o {short(p, 'model')}",
            messages=[system, {"role": "user", "content": f"What of {p('prompt')}"}],
            stop=[short(p, "stop")],
            user=short(p, "request.user"),
            metadata={"note": short(p, "request.metadata")},
        )
        asked: list[Any] = [system, {"role": "user", "content": f"tool please {p('prompt.tool')}"}]
        answer = client.chat.completions.create(model="gpt-4o", messages=asked, tools=[definition])
        said: Any = answer.choices[0].message
        call: Any = (answer.choices[0].message.tool_calls or [])[0]
        lookup(**json.loads(call.function.arguments))
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": p("tool.message")}
        client.chat.completions.create(
            model="gpt-4o", messages=[*asked, said, result, {"role": "user", "content": "go on"}]
        )
        client.responses.create(model="gpt-4o", input=p("responses.input"), instructions=p("instructions"))
        for _ in client.responses.create(model="gpt-4o", input=p("responses.streamed"), stream=True):
            pass
        client.embeddings.create(model="text-embedding-3-small", input=[p("embeddings.input")])
        with contextlib.suppress(openai.AuthenticationError):
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": f"refuse {p('prompt.refused')}"}]
            )


def work(planter: Planter, url: str) -> None:
    """A session with everything that a program can say in one."""
    p = planter
    token = otel_context.attach(baggage.set_baggage("note", short(p, "baggage")))
    try:
        with (
            spantally.session(
                user=short(p, "session.user"),
                entity=("shop", short(p, "session.entity")),
                tags={"team": short(p, "session.tag")},
                title=short(p, "session.title"),
                metadata={"note": p("session.metadata"), short(p, "session.metadata.key")[:64]: 1},
                labels=[short(p, "session.label")[:64]],
                conversation=short(p, "session.conversation"),
            ) as session,
            spantally.workflow(f"flow {short(p, 'workflow.name')}"),
            spantally.agent(f"agent {short(p, 'agent.name')}", description=p("agent.description")),
        ):
            calls(p, url)
            lookup(p("tool.argument"))
            with contextlib.suppress(LookupError):
                lookup(p("tool.error"), fail=True)
            spantally.decision(
                p("decision"), alternatives=[p("decision.other")], choice=p("decision.choice"), confidence=0.5
            )
            spantally.evaluation(
                f"quality {short(p, 'evaluation.name')}",
                0.5,
                label=short(p, "evaluation.label"),
                explanation=p("evaluation"),
            )
            session.finish(success=False, reason=p("session.reason"))
    finally:
        otel_context.detach(token)


def threads(planter: Planter) -> None:
    """A failure within a thread, with its traceback."""

    def run() -> None:
        with contextlib.suppress(ValueError), spantally.agent("threaded"):
            raise ValueError(f"failed for {planter('thread.error')}")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def main(shape: str) -> None:
    """The whole of it, on the global providers of this process."""
    if os.environ.get("LEAK_REDACT") == "off":
        spantally.instrument(redact=False)
    planter = Planter(shape)
    with ScriptedServer(script(planter)) as server:
        work(planter, server.base_url)
    threads(planter)
    plant_span(trace.get_tracer_provider(), planter)
    plant_logs(_logs.get_logger_provider(), planter)
    logging.getLogger("app").addHandler(logging.NullHandler())  # this program prints no line itself
    plant_lines(planter)
    plant_metrics(metrics.get_meter_provider(), planter)
    spantally.flush()
    sys.stdout.write(json.dumps(sorted(planter.markers)))


if __name__ == "__main__":
    main(sys.argv[1])
