"""A program that has never heard of spantally: a tool loop on the plain openai SDK.

Run it in this directory against the scripted server, and look at what it did:

    export SPANTALLY_TOOLS=shop_tools:stock,shop_tools:price
    spantally run -- python -m spantally.testing --script zero_code.json -- python zero_code.py
    spantally sessions                          # it is there under the name of its script

Or against the real API: set OPENAI_API_KEY and leave ``python -m spantally.testing ... --`` away.
"""

from __future__ import annotations

import json
from typing import Any

import openai
import shop_tools

MODEL = "gpt-4o-mini"
ITEM = {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": ITEM}} for name in ("stock", "price")
]


def answer(client: openai.OpenAI, question: str) -> str:
    """Let the model use the tools until it answers in words."""
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(5):
        message = (
            client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0].message
        )
        if not message.tool_calls:
            return message.content or ""
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            if call.type == "function":
                result = getattr(shop_tools, call.function.name)(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return "no answer"


def main() -> None:
    with openai.OpenAI() as client:
        for question in ("Do we have lamps?", "What does a lamp cost?"):
            print(answer(client, question))


if __name__ == "__main__":
    main()
