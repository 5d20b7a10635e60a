"""LangChain, whose runs are seen by themselves; the handler is for the figures of some of them."""

from __future__ import annotations

from langchain_openai import ChatOpenAI

import spantally
from spantally.langchain import CallbackHandler

spantally.instrument()
handler = CallbackHandler(session="ticket-17")
model = ChatOpenAI(model="gpt-4o-mini")

for question in ("How do I reset my password?", "And my user name?"):
    model.invoke(question, config={"callbacks": [handler]})

print(f"Cost: ${handler.total_cost}")
print(f"Tokens: {handler.total_tokens}")
print(f"LLM calls: {handler.llm_calls}")
