"""An MCP server whose tools look around and ask a model, run with ``stdio`` or ``http PORT``."""

from __future__ import annotations

import json
import os
import sys

import openai
from mcp.server import MCPServer
from opentelemetry import baggage

import spantally
from boundary_probe import probe


def build() -> MCPServer:
    """The server, with its tools."""
    server = MCPServer("boundary")

    @server.tool()
    def where() -> str:
        """What is in force in a tool."""
        return json.dumps(probe())

    @server.tool()
    def carries() -> str:
        """What a request of a tool would carry."""
        return json.dumps(dict(baggage.get_all()))

    @server.tool()
    async def ask(text: str) -> str:
        """Ask a model."""
        async with openai.AsyncOpenAI(
            base_url=os.environ["BASE_URL"], api_key="sk-made-up", max_retries=0
        ) as client:
            made = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": text}]
            )
        return made.choices[0].message.content or ""

    return server


if __name__ == "__main__":
    spantally.instrument()
    if sys.argv[1] == "stdio":
        build().run("stdio")
    else:
        build().run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
