"""Live spans of calls that the conventions' attributes would have priced otherwise, into another ledger."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

import spantally
from export_kit import command
from otlp_files_kit import as_file_json, lines
from spantally.calls.price_basis import MAX_BASIS, basis_in
from spantally.ground import semconv
from spantally.instrumentors.openai import background
from spantally.otel.dialects import facts_of
from spantally.pricing.rates import load
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes

CLAUDE = "claude-sonnet-4-5-20250929"
ADVISED = [
    {"type": "message", "input_tokens": 180, "output_tokens": 8},
    {"type": "advisor_message", "model": "claude-opus-4-6", "input_tokens": 1000, "output_tokens": 100},
]
TOKENS = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


def message(model: str = CLAUDE, **usage: Any) -> dict[str, Any]:
    return {
        "id": f"msg_{json.dumps(usage)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "x"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1000, "output_tokens": 100, **usage},
    }


def chat(usage: Any, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    return {"id": f"c-{json.dumps(usage)}", "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "choices": [choice], "usage": usage, **more}  # fmt: skip


def searched() -> dict[str, Any]:
    call = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search"}}
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o",
            "tools": [{"type": "web_search_preview"}], "output": [call], "usage": usage}  # fmt: skip


CASES: dict[str, tuple[dict[str, Any], int | None, str]] = {
    "fast": (message("claude-opus-4-8", speed="fast"), 1000 * 10_000 + 100 * 50_000, "priced"),
    "fast without a rate": (message(speed="fast"), None, "partial:speed"),
    "in the US": (message("claude-opus-4-6", inference_geo="us"), 1000 * 5_500 + 100 * 27_500, "priced"),
    "advised": (
        message(input_tokens=180, output_tokens=8, iterations=ADVISED),
        180 * 3_000 + 8 * 15_000 + 1000 * 5_000 + 100 * 25_000,
        "priced",
    ),
    "ran code": (
        message(server_tool_use={"code_execution_requests": 1}),
        4_500_000,
        "partial:code_execution",
    ),
    "impossible": (chat({"prompt_tokens": -5, "completion_tokens": 10}), None, "bad_usage"),
    "reported": (chat({**TOKENS, "cost": 0.5}), 500_000_000, "provider_reported"),
    "searched": (searched(), 3_500_000 + 25_000_000, "priced"),
    "plain": (chat(TOKENS), 3_500_000, "priced"),
    "plain, of Anthropic": (message(inference_geo="global", speed="standard"), 4_500_000, "priced"),
}


def ask(body: dict[str, Any], url: str) -> None:
    if body.get("type") == "message":
        with anthropic.Anthropic(api_key="x", base_url=url.removesuffix("/v1"), max_retries=0) as theirs:
            theirs.messages.create(
                model=body["model"], max_tokens=9, messages=[{"role": "user", "content": "x"}]
            )
        return
    with openai.OpenAI(api_key="x", base_url=url, max_retries=0) as client:
        if body["object"] == "response":
            client.responses.create(model="gpt-4o", input="x")
        else:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])


def sums(ledger: Path) -> Any:
    return json.loads(command(ledger, "cost", "--by", "session", "--json").stdout)


def without(payload: dict[str, Any], unwanted: Callable[[str], bool]) -> dict[str, Any]:
    """The same spans without some attributes."""
    for resource in payload["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span["attributes"] = [one for one in span["attributes"] if not unwanted(one["key"])]
    return payload


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_was_metered_is_what_is_ingested(tmp_path: Path) -> None:
    """Sums by session are the same, also where the spans were sent before the prices were there; and a
    reprice changes none of them."""
    assert load() is not None
    home = tmp_path / "home.db"
    watched = Watched(ledger=home)
    try:
        for name, (body, _, _) in CASES.items():
            server = ScriptedServer([Reply(body=json.dumps(body).encode())])
            with server, spantally.session(name):
                ask(body, server.base_url)
        assert spantally.flush()
        payloads = watched.exporter.payloads
        told = [attributes(span) for span in watched.spans]
        assert {one["session.id"] for one in told if semconv.COST_BASIS not in one} == {
            "plain",
            "plain, of Anthropic",
        }
        (advised,) = (one for one in told if one["session.id"] == "advised")
        tokens = (advised["gen_ai.usage.input_tokens"], advised["gen_ai.usage.output_tokens"])
        assert tokens == (1180, 108)  # of all passes, as in the row
    finally:
        watched.close()
    mine = sums(home)
    found = {row["session"]: row["cost_nano_usd"] for row in mine}
    assert found == {name: nano for name, (_, nano, _) in CASES.items()}
    kinds: tuple[Callable[[str], bool], ...] = (
        lambda key: False,
        lambda key: key.startswith("spantally.cost.") and key != semconv.COST_BASIS,
    )
    for number, unwanted in enumerate(kinds):
        wire, team = tmp_path / f"{number}.jsonl", tmp_path / f"{number}.db"
        wire.write_bytes(lines(without(as_file_json(one), unwanted) for one in payloads))
        command(team, "ingest", str(wire))
        assert sums(team) == mine
        rows = json.loads(command(team, "calls", "--json").stdout)
        assert {row["session_id"]: row["cost_status"] for row in rows} == {
            name: status for name, (_, _, status) in CASES.items()
        }
        command(team, "reprice")
        assert sums(team) == mine


ENDS: dict[str, tuple[list[Reply], int, bool]] = {
    "refused and made again": ([Reply(status=429), Reply(status=429), Reply()], 3, False),
    "lost and made again": ([Reply(drop_after_chunks=0), Reply()], 2, True),
    "failed": ([Reply(status=503)] * 3, 3, True),
    "lost for good": ([Reply(drop_after_chunks=0)] * 3, 3, True),
    "answered": ([Reply()], 1, False),
}


def test_attempts_and_what_may_be_billed_are_ingested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How often a call was sent, and that it may have been billed without a usage, is on its span."""
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr(openai._base_client, "MAX_RETRY_DELAY", 0.001)
    assert load() is not None
    home, team, wire = tmp_path / "home.db", tmp_path / "team.db", tmp_path / "wire.jsonl"
    watched = Watched(ledger=home)
    try:
        for name, (script, _, _) in ENDS.items():
            with ScriptedServer(list(script)) as server, spantally.session(name):
                client = openai.OpenAI(api_key="x", base_url=server.base_url, max_retries=2)
                with client, contextlib.suppress(openai.APIError):
                    client.chat.completions.create(
                        model="gpt-4o", messages=[{"role": "user", "content": "x"}]
                    )
        assert spantally.flush()
        told = {one["session.id"]: one for one in map(attributes, watched.spans)}
        wire.write_bytes(lines(as_file_json(one) for one in watched.exporter.payloads))
    finally:
        watched.close()
    for name, (_, attempts, billed) in ENDS.items():
        assert told[name].get("spantally.call.attempts", 1) == attempts
        assert told[name].get("spantally.call.possibly_billed", False) is billed
    assert "spantally.call.attempts" not in told["answered"]
    command(team, "ingest", str(wire))
    assert sums(team) == sums(home)
    rows = json.loads(command(team, "calls", "--json").stdout)
    assert {row["session_id"]: (row["attempts"], row["possibly_billed"]) for row in rows} == {
        name: (attempts, billed) for name, (_, attempts, billed) in ENDS.items()
    }


def test_what_a_poll_told_is_ingested(tmp_path: Path) -> None:
    """The span of a call that went on has no usage: that of the poll which saw its end tells it, once."""
    assert load() is not None
    background.forget()
    home, team, wire = tmp_path / "home.db", tmp_path / "team.db", tmp_path / "wire.jsonl"
    watched = Watched(ledger=home)
    try:
        with (
            ScriptedServer() as server,
            spantally.session("polled"),
            openai.OpenAI(api_key="x", base_url=server.base_url) as client,
        ):
            made = client.responses.create(model="gpt-4o", input="x", background=True)
            for _ in range(3):
                client.responses.retrieve(made.id)
        assert spantally.flush()
        wire.write_bytes(lines(as_file_json(one) for one in watched.exporter.payloads))
    finally:
        watched.close()
    command(team, "ingest", str(wire))
    assert sums(team) == sums(home)
    (row,) = sums(team)
    assert (row["calls"], row["possibly_billed_calls"]) == (1, 0)
    assert row["cost_nano_usd"]
    for ledger in (team, home):
        command(ledger, "ingest", str(wire))
        assert sums(ledger) == [row]


@pytest.mark.parametrize("rates", ["asked for", "kept"])
def test_what_a_later_reading_told_is_ingested(rates: str, tmp_path: Path) -> None:
    """A background response whose stream was lost counts by the request that took it up again."""
    assert load() is not None
    if rates == "kept":  # from the second call on the short way rates
        before = Watched()
        with (
            ScriptedServer(Reply()) as server,
            openai.OpenAI(api_key="x", base_url=server.base_url) as client,
        ):
            client.responses.retrieve(client.responses.create(model="gpt-4o", input="x", background=True).id)
            for _ in range(2):
                client.responses.create(model="gpt-4o", input="x")
        before.close()
    background.forget()  # every scripted server counts its responses from one
    home, team, wire = tmp_path / "home.db", tmp_path / "team.db", tmp_path / "wire.jsonl"
    watched = Watched(ledger=home)
    try:
        server = ScriptedServer([Reply(text="one two three", drop_after_chunks=3)])
        with (
            server,
            spantally.session("later"),
            openai.OpenAI(api_key="x", base_url=server.base_url, max_retries=0) as client,
        ):
            stream = client.responses.create(model="gpt-4o", input="x", background=True, stream=True)
            response_id = next(stream).response.id  # type: ignore[union-attr]
            with pytest.raises(Exception, match="onnection"):  # of httpx, with openai 2.x
                list(stream)
            list(client.responses.retrieve(response_id, stream=True))
        assert spantally.flush()
        wire.write_bytes(lines(as_file_json(one) for one in watched.exporter.payloads))
    finally:
        watched.close()
    command(team, "ingest", str(wire))
    assert sums(team) == sums(home)
    (row,) = sums(team)
    assert row["calls"] == 1
    assert row["cost_nano_usd"]
    command(team, "ingest", str(wire))
    assert sums(team) == sums(home)


class Later(BaseHTTPRequestHandler):
    """A response and a run whose usage comes with the request that reads, cancels or goes on with them."""

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        """What begins an answer tells no usage."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer(told=self.path.endswith(("cancel", "submit_tool_outputs")))

    def do_GET(self) -> None:
        """Its end."""
        self._answer(told=True)

    def _answer(self, *, told: bool) -> None:
        more: dict[str, Any]
        if "threads" in self.path:
            more = {"id": "run_1", "object": "thread.run", "thread_id": "t", "assistant_id": "a"}
            usage, status = TOKENS, "completed" if told else "requires_action"
        else:
            more = {"id": "resp_1", "object": "response", "background": True, "output": []}
            usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
            status = ("cancelled" if self.path.endswith("cancel") else "completed") if told else "queued"
        text = json.dumps({**more, "created_at": 1, "model": "gpt-4o", "status": status, "tools": [],
                           "usage": usage if told else None}).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def read_later(client: openai.OpenAI, how: str, *, elsewhere: bool) -> None:
    """Begin an answer, here or in another process, and send the request that is told its usage."""
    runs = client.beta.threads.runs
    if how == "submit":
        runs.create("t", assistant_id="a", model="gpt-4o")
    else:
        client.responses.create(model="gpt-4o", input="x", background=True)
    if elsewhere:
        background.forget()
    if how == "submit":
        runs.submit_tool_outputs("run_1", thread_id="t", tool_outputs=[])
    else:
        (client.responses.cancel if how == "cancel" else client.responses.retrieve)("resp_1")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("how", ["poll", "cancel", "submit"])
@pytest.mark.parametrize("profile", ["latest", "1.41"])
def test_whatever_tells_it_later_is_ingested(profile: str, how: str, elsewhere: bool, tmp_path: Path) -> None:
    """Also where the request that was told the usage is no operation of the conventions: a plain span."""
    assert load() is not None
    background.forget()
    home, team, wire = tmp_path / "home.db", tmp_path / "team.db", tmp_path / "wire.jsonl"
    watched = Watched(ledger=home, semconv=profile)
    try:
        with (
            ThreadingHTTPServer(("127.0.0.1", 0), Later) as server,
            spantally.session("later"),
            openai.OpenAI(api_key="x", base_url=f"http://127.0.0.1:{server.server_port}/v1") as client,
        ):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            read_later(client, how, elsewhere=elsewhere)
            server.shutdown()
        assert spantally.flush()
        wire.write_bytes(lines(as_file_json(one) for one in watched.exporter.payloads))
    finally:
        watched.close()
    for _ in range(2):
        command(team, "ingest", str(wire))
        (row,) = sums(team)
        assert sums(home) == [row]
        assert (row["calls"], row["possibly_billed_calls"], row["cost_nano_usd"]) == (1, 0, 3_500_000)


GROK = {**TOKENS, "total_tokens": 1600, "completion_tokens_details": {"reasoning_tokens": 500}}
ELSEWHERE: dict[str, tuple[str, str, dict[str, Any], int, int | None]] = {
    "a gateway's": ("gateway.example.org", "gpt-4o", TOKENS, 100, None),
    "thoughts beside the output": ("api.x.ai", "grok-4", GROK, 600, 1000 * 3_000 + 600 * 15_000),
    "thoughts in the total": (
        "generativelanguage.googleapis.com",
        "gemini-2.5-pro",
        {**TOKENS, "total_tokens": 1900},
        900,
        1000 * 1_250 + 900 * 10_000,
    ),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_another_host_counts_is_ingested_as_it_is_billed(case: str, tmp_path: Path) -> None:
    """What is called gpt-4o behind a gateway is nobody's, in the ledger that ingests its span as well; and
    who leaves thoughts out of the output bills them there, which span and ledger say alike."""
    host, model, usage, output, nano = ELSEWHERE[case]
    assert load() is not None
    transports = pytest.importorskip(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
    reply = transports.MockTransport(lambda request: transports.Response(200, json=chat(usage, model=model)))
    home, team, wire = tmp_path / "home.db", tmp_path / "team.db", tmp_path / "wire.jsonl"
    watched = Watched(ledger=home)
    try:
        with spantally.session("elsewhere"):
            client = openai.OpenAI(
                api_key="x",
                base_url=f"https://{host}/v1",
                http_client=transports.Client(transport=reply),
            )
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}])
            client.close()
        assert spantally.flush()
        assert attributes(watched.spans[0])["gen_ai.usage.output_tokens"] == output
        wire.write_bytes(lines(as_file_json(one) for one in watched.exporter.payloads))
    finally:
        watched.close()
    command(team, "ingest", str(wire))
    assert sums(team) == sums(home)
    assert [(row["output_tokens"], row["cost_nano_usd"]) for row in sums(team)] == [(output, nano)]
    shutil.copy(team, tmp_path / "again.db")
    command(tmp_path / "again.db", "reprice")
    assert sums(tmp_path / "again.db") == sums(team)


@pytest.mark.parametrize(
    "text",
    [
        7,
        "",
        "no json",
        "[]",
        "{}",
        '{"usage":[],"format":"parts"}',
        '{"usage":{"output":1},"format":"nothing"}',
        "[" * 5_000,
        '{"usage":{"output":1},"format":"parts","x":"' + "y" * MAX_BASIS + '"}',
    ],
)
def test_a_basis_that_is_none_is_passed_over(text: Any) -> None:
    """Anybody may have written the attribute: the span then says what it says otherwise."""
    assert basis_in(text) is None
    facts = facts_of(
        {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5, semconv.COST_BASIS: text}, "chat"
    )
    assert facts is not None
    assert facts.usage == {"input_tokens": 5}


def test_of_a_basis_only_what_is_known_is_taken() -> None:
    """Values of other types, and keys that choose no rate, are left out."""
    told = {"provider": 7, "speed": "fast", "batch": "yes", "server_tools": {"x": "y"}, "other": 1}
    found = basis_in(json.dumps({"usage": {"output": 1}, "format": "parts", "context": told}))
    assert found == ({"output": 1}, "parts", {"speed": "fast"}, None)
    told = {
        "usage": {"output": 1},
        "format": "parts",
        "answer": {"response_id": "r", "provider": 7, "x": "y"},
    }
    found = basis_in(json.dumps(told))
    assert found is not None
    assert found.answer == {"response_id": "r"}
