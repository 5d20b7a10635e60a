"""An agent that calls tools until the model answers in words: all of it is one session."""

from __future__ import annotations

import json
from typing import Any

import openai

import spantally

spantally.instrument()
client = openai.OpenAI()

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DEFINITIONS: Any = [
    {"type": "function", "function": {"name": name, "parameters": CITY}} for name in ("weather", "trains")
]


def weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: rain"


def trains(city: str) -> str:
    """Trains to a city."""
    return f"{city}: every hour"


tools = spantally.wrap_tools({"weather": weather, "trains": trains})


@spantally.agent
def run_agent(task: str) -> str:
    """Ask, run the tools that the model wants, and ask again."""
    messages: list[Any] = [{"role": "user", "content": task}]
    while True:
        answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=DEFINITIONS)
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content or ""
        for call in message.tool_calls:
            if call.type == "function":
                result = tools[call.function.name](**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


with spantally.session("trip-1", entity=("customer", "acme-corp"), tags={"feature": "agent"}):
    print(run_agent("Do I need a coat in Oslo, and when do trains go?"))
