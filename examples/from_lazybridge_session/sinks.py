"""Sinks of every kind, one that fails among them; events of one's own, and work that shows nothing."""

from __future__ import annotations

import logging
from typing import Any

import spantally

logging.basicConfig(filename="program.log", level=logging.INFO, format="%(name)s: %(message)s")


def noisy(item: dict[str, Any]) -> None:
    """A sink that always fails: it is said once, and nobody else notices."""
    raise ConnectionError("nobody there")


def tell(item: dict[str, Any]) -> None:
    """A sink that is a function."""
    print("failed:", item["name"], item["error_type"])


def is_failure(item: dict[str, Any]) -> bool:
    """Which spans the function gets."""
    return bool(item["type"] == "span" and item["status"] == "error")


spantally.instrument(
    exporters=[
        spantally.CallbackExporter(noisy),
        spantally.JsonlExporter("spans.jsonl"),
        spantally.LoggingExporter(),
        spantally.FilterExporter(spantally.CallbackExporter(tell), is_failure),
    ]
)


@spantally.tool
def fetch(page: str) -> str:
    """A tool that fails at one page."""
    if page == "b":
        raise FileNotFoundError(page)
    return page


@spantally.agent
def shop(pages: str) -> None:
    """An agent that tells what happens."""
    for page in pages:
        try:
            fetch(page)
        except FileNotFoundError:
            session.event("page.missing", {"page": page, "token": "sk-proj-" + "A1b2C3d4E5f6" * 4})


@spantally.agent(track=False)
def secret_shopper() -> None:
    """An agent that shows nothing but what it costs."""
    session.record_call(provider="openai", model="gpt-4o-mini", input_tokens=1000, output_tokens=0)


with spantally.session("shop") as session:
    shop("abc")
    secret_shopper()
    spantally.evaluation("complete", 0.67, explanation="One page is missing.")
