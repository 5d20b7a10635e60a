"""One of two services, each a process of its own; its arguments are its port and the URL of the next.

With a next one it asks that for half of the work, inside a session; without it asks a model itself.
"""

from __future__ import annotations

import os
import sys

import openai
import requests
import uvicorn
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor

import spantally

spantally.instrument()
RequestsInstrumentor().instrument()
app = FastAPI()
FastAPIInstrumentor.instrument_app(app)
client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="sk-made-up", max_retries=0)


def ask(text: str) -> str:
    """Ask the model."""
    made = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])
    return made.choices[0].message.content or ""


@app.get("/front")
def front() -> str:
    """Whoever comes from outside: the session begins here."""
    with (
        spantally.session("two-services", user="alice", tags={"feature": "search"}),
        spantally.agent("planner"),
    ):
        ask("plan")
        return requests.get(sys.argv[2] + "/back", timeout=30).text


@app.get("/back")
def back() -> str:
    """What the other service asks."""
    with spantally.agent("researcher"):
        return ask("research")


@app.get("/bare")
def bare() -> str:
    """The same for somebody without a session."""
    return ask("nothing")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", ws="none")
