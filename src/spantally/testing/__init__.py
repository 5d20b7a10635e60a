"""Servers to test against, over real HTTP: a scripted OpenAI-compatible API and an OTLP receiver.

Nothing here imports a provider's SDK, and only the decoding of OTLP needs a package beyond the standard
library. A test of a program that calls a model needs no network and no key::

    with ScriptedServer([Reply(text="four", usage=Usage(input=9, output=1))]) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="unused")
        ...
        assert server.billed["gpt-4o-mini"].output == 1
"""

from __future__ import annotations

from spantally.testing.otlp import OtlpReceiver, OtlpRequest, ReceivedSpan
from spantally.testing.script import Reply, Request, Rule, ScriptSource, ToolCall, load_script
from spantally.testing.server import ScriptedServer
from spantally.testing.usage import Bill, Billed, Usage, count_tokens

__all__ = [
    "Bill",
    "Billed",
    "OtlpReceiver",
    "OtlpRequest",
    "ReceivedSpan",
    "Reply",
    "Request",
    "Rule",
    "ScriptSource",
    "ScriptedServer",
    "ToolCall",
    "Usage",
    "count_tokens",
    "load_script",
]
