"""The research team once more, with asyncio: the researchers run under ``asyncio.gather``.

    python examples/research_team_async.py [--live]

The scripted server fixes the same usage as for ``research_team.py``, so the total must be the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from typing import Any

import openai
from research_team import EMBEDDER, LIMIT, PLANNER, RESEARCHER, TOPICS, function, use_tools

import spantally
from spantally.testing import demo


@spantally.agent
async def researcher(client: openai.AsyncOpenAI, topic: str) -> str:
    """Use the tools on a topic, then write a note; the note is streamed."""
    messages: list[Any] = [
        {"role": "system", "content": f"You research {topic}. Answer in one sentence."},
        {"role": "user", "content": f"What is new in {topic}? Our key is {demo.PLANTED['prompt']}"},
    ]
    tools = [function("search", "query", "api_key"), function("fetch", "url")]
    first = await client.chat.completions.create(
        model=RESEARCHER, messages=messages, tools=tools, max_tokens=LIMIT
    )
    messages += use_tools(first.choices[0].message)
    note = ""
    async with await client.chat.completions.create(
        model=RESEARCHER,
        messages=messages,
        max_tokens=LIMIT,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        async for chunk in stream:
            note += chunk.choices[0].delta.content or "" if chunk.choices else ""
    return note


@spantally.agent
async def planner(client: openai.AsyncOpenAI, question: str) -> str:
    """Split the question, let two researchers work at once, and report."""
    plan = await client.chat.completions.create(
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
    notes = await asyncio.gather(*(researcher(client, topic) for topic in topics))
    try:
        await client.embeddings.create(model=EMBEDDER, input=notes)
    except openai.APIStatusError as error:  # not every local server can embed
        print(f"no embeddings here ({error.status_code}), going on without", file=sys.stderr)
    report = await client.responses.create(
        model=PLANNER,
        instructions=f"{demo.PLAN}. Report what was found.",
        input="\n".join(notes),
        max_output_tokens=LIMIT,
    )
    return report.output_text


async def probe(client: openai.AsyncOpenAI) -> None:
    """Ask with a wrong key: the provider's error text quotes it."""
    wrong = client.with_options(api_key=demo.PLANTED["provider_error"], max_retries=0)
    try:
        await wrong.chat.completions.create(
            model=RESEARCHER, messages=[{"role": "user", "content": demo.PROBE}], max_tokens=20
        )
    except openai.AuthenticationError as error:
        print(f"the provider refused a wrong key, as it should ({error.status_code})")


async def main() -> None:
    with demo.provider(live="--live" in sys.argv[1:]) as options:
        async with (
            openai.AsyncOpenAI(**options) as client,  # type: ignore[arg-type]
            spantally.session(
                f"research-{uuid.uuid4().hex[:8]}",
                user="bob",
                entity=("customer", "acme"),
                tags={"feature": "research"},
                name="research",
            ),
        ):
            await probe(client)
            print(await planner(client, "How will electric aircraft get lighter?"))


if __name__ == "__main__":
    asyncio.run(main())
