"""Record the traffic of a llama.cpp server: what it was sent and what it answered, byte for byte.

    python examples/llama_server.py MODEL.gguf -- python tests/recordings/record_llama.py

(``make demo-real`` installs the server and the model.) It writes ``llama.yaml`` beside itself. Answers are
kept short; of the head only what says how to read the body.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.parse
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

MODEL = "smollm2-135m-instruct"
MESSAGES = [{"role": "user", "content": "Say hello."}]
SHORT: dict[str, Any] = {"model": MODEL, "max_tokens": 6, "seed": 1, "temperature": 0}
CHAT = {**SHORT, "messages": MESSAGES}
RESPONSE = {"model": MODEL, "input": "Say hello.", "max_output_tokens": 6, "temperature": 0}
ASKED = {"include_usage": True}

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("chat/completions", CHAT),
    ("chat/completions", CHAT),  # again: the prompt is cached now
    ("chat/completions", {**CHAT, "n": 2}),
    ("chat/completions", {**CHAT, "stream": True}),
    ("chat/completions", {**CHAT, "stream": True, "stream_options": ASKED}),
    ("chat/completions", {**CHAT, "messages": [{"role": "user", "content": "a " * 9000}]}),  # too long
    ("chat/completions", {**CHAT, "messages": "no list"}),
    (
        "chat/completions",
        {**CHAT, "stream": True, "messages": [{"role": "user", "content": [{"type": "nonsense"}]}]},
    ),
    ("responses", RESPONSE),
    ("responses", {**RESPONSE, "stream": True}),
    ("completions", {**SHORT, "prompt": "Once"}),
    ("completions", {**SHORT, "prompt": "Once", "stream": True, "stream_options": ASKED}),
    ("embeddings", {"model": MODEL, "input": "hello"}),
]


def main() -> None:
    base = urllib.parse.urlsplit(os.environ["OPENAI_BASE_URL"])
    interactions = []
    for endpoint, body in REQUESTS:
        sent = json.dumps(body)
        connection = http.client.HTTPConnection(base.hostname or "127.0.0.1", base.port, timeout=120)
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
        }
        connection.request("POST", f"{base.path}/{endpoint}", sent, headers)
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        if len(sent) > 2000:
            sent = json.dumps({**body, "messages": MESSAGES})  # what made it too long is of no use here
        interactions.append(
            {
                "request": {"method": "POST", "uri": f"http://127.0.0.1:8080/v1/{endpoint}", "body": sent},
                "response": {
                    "status": {"code": answer.status},
                    "headers": {"content-type": [answer.headers["content-type"]]},
                    "body": {"string": content},
                },
            }
        )
    text = yaml.safe_dump(
        {"interactions": interactions, "version": 1}, sort_keys=False, allow_unicode=True, width=200
    )
    Path(__file__).with_name("llama.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
