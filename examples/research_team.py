"""A planner agent, two researcher agents in threads, and their tools: one session, one true total.

    python examples/research_team.py            # a scripted model on loopback: no key, no network
    python examples/research_team.py --live     # the real API, with OPENAI_API_KEY

With OPENAI_BASE_URL set it talks to that server instead. The program also plants made-up secrets, and makes
the provider quote one in an error, so that it can be seen that none of them leaves the process.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
from opentelemetry import trace

import spantally
from spantally.testing import demo

# RESEARCH_MODEL names the one model of a server that has no others (`make demo-real`).
PLANNER = os.environ.get("RESEARCH_MODEL", "gpt-4o")
RESEARCHER = os.environ.get("RESEARCH_MODEL", "gpt-4o-mini")
EMBEDDER = "text-embedding-3-small"
TOPICS = ("batteries", "motors")
LIMIT = 120  # tokens of an answer


def function(name: str, *parameters: str) -> Any:
    """The definition of a tool whose parameters are all texts."""
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": [parameters[0]]}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


@spantally.tool
def search(query: str, api_key: str = "") -> str:
    """Look something up."""
    return f"Found: three papers on {query}."


@spantally.tool
def fetch(url: str) -> str:
    """Read a page. The span stands for the one that an instrumented HTTP client would make."""
    attributes = {"http.request.method": "GET", "url.full": url}
    tracer = trace.get_tracer("research_team.http")
    with tracer.start_as_current_span("GET", kind=trace.SpanKind.CLIENT, attributes=attributes):
        return "Found: axial-flux motors at half the weight."


TOOLS: dict[str, Callable[..., str]] = {"search": search, "fetch": fetch}


def use_tools(message: Any) -> list[Any]:
    """Run the tools that a message asks for; the messages that go back to the model."""
    answers: list[Any] = [message.model_dump(exclude_none=True)]
    for call in message.tool_calls or []:
        result = TOOLS[call.function.name](**json.loads(call.function.arguments))
        answers.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return answers if message.tool_calls else []


@spantally.agent
def researcher(client: openai.OpenAI, topic: str) -> str:
    """Use the tools on a topic, then write a note; the note is streamed."""
    messages: list[Any] = [
        {"role": "system", "content": f"You research {topic}. Answer in one sentence."},
        {"role": "user", "content": f"What is new in {topic}? Our key is {demo.PLANTED['prompt']}"},
    ]
    tools = [function("search", "query", "api_key"), function("fetch", "url")]
    first = client.chat.completions.create(model=RESEARCHER, messages=messages, tools=tools, max_tokens=LIMIT)
    messages += use_tools(first.choices[0].message)
    note = ""
    with client.chat.completions.create(
        model=RESEARCHER,
        messages=messages,
        max_tokens=LIMIT,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            note += chunk.choices[0].delta.content or "" if chunk.choices else ""
    return note


@spantally.agent
def planner(client: openai.OpenAI, question: str) -> str:
    """Split the question, let two researchers work at once, and report."""
    plan = client.chat.completions.create(
        model=PLANNER,
        messages=[
            {"role": "system", "content": f"{demo.PLAN}. Assign a researcher to each topic."},
            {"role": "user", "content": question},
        ],
        tools=[function("assign", "topic")],
        max_tokens=LIMIT,
    )
    calls = [call for call in plan.choices[0].message.tool_calls or [] if call.type == "function"]
    topics = [json.loads(call.function.arguments)["topic"] for call in calls] or TOPICS
    with ThreadPoolExecutor(max_workers=2) as pool:
        notes = list(pool.map(lambda topic: researcher(client, topic), topics))
    try:
        client.embeddings.create(model=EMBEDDER, input=notes)
    except openai.APIStatusError as error:  # not every local server can embed
        print(f"no embeddings here ({error.status_code}), going on without", file=sys.stderr)
    report = client.responses.create(
        model=PLANNER,
        instructions=f"{demo.PLAN}. Report what was found.",
        input="\n".join(notes),
        max_output_tokens=LIMIT,
    )
    return report.output_text


def probe(client: openai.OpenAI) -> None:
    """Ask with a wrong key: the provider's error text quotes it."""
    wrong = client.with_options(api_key=demo.PLANTED["provider_error"], max_retries=0)
    try:
        wrong.chat.completions.create(
            model=RESEARCHER, messages=[{"role": "user", "content": demo.PROBE}], max_tokens=20
        )
    except openai.AuthenticationError as error:
        print(f"the provider refused a wrong key, as it should ({error.status_code})")


def main() -> None:
    with (
        demo.provider(live="--live" in sys.argv[1:]) as options,
        openai.OpenAI(**options) as client,  # type: ignore[arg-type]
        spantally.session(
            f"research-{uuid.uuid4().hex[:8]}",
            user="alice",
            entity=("customer", "acme"),
            tags={"feature": "research"},
            name="research",
        ),
    ):
        probe(client)
        print(planner(client, "How will electric aircraft get lighter?"))


if __name__ == "__main__":
    main()
