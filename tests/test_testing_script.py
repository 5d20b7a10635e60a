"""Which reply answers which request, and how a script is written down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from spantally.testing import Reply, Request, Rule, ScriptedServer, ScriptSource, Usage, load_script


def ask(script: ScriptSource, *texts: str, model: str = "gpt-4o", system: str | None = None) -> list[str]:
    """The answers to some questions, in order."""
    answers = []
    with (
        ScriptedServer(script) as server,
        openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client,
    ):
        for text in texts:
            messages = [{"role": "user", "content": text}]
            if system:
                messages.insert(0, {"role": "system", "content": system})
            answer = client.chat.completions.create(model=model, messages=messages)  # type: ignore[arg-type]
            answers.append(answer.choices[0].message.content or "")
    return answers


def test_bare_replies_answer_one_request_each() -> None:
    """A sequence of replies is used up in order, then the echo answers."""
    assert ask([Reply(text="a"), Reply(text="b")], "1", "2", "3") == ["a", "b", "You said: 3"]


def test_rules_match_on_model_and_texts() -> None:
    """The first rule whose conditions all hold answers."""
    script = [
        Rule(model="gpt-4o-mini", reply=Reply(text="mini")),
        Rule(contains="weather", mentions="pirate", reply=Reply(text="arr")),
        Rule(contains="weather", reply=Reply(text="sunny")),
        Rule(path="/embeddings", reply=Reply(status=500)),
    ]
    assert ask(script, "the weather?", "else") == ["sunny", "You said: else"]
    assert ask(script, "the weather?", system="you are a pirate") == ["arr"]
    assert ask(script, "the weather?", model="gpt-4o-mini") == ["mini"]


def test_nth_and_times() -> None:
    """`nth` answers one of the requests that fit, `times` the first so many."""
    script = [Rule(nth=2, contains="x", reply=Reply(text="second")), Rule(times=2, reply=Reply(text="early"))]
    assert ask(script, "x", "y", "x", "x") == ["early", "early", "second", "You said: x"]


def test_a_callable_decides_and_may_pass() -> None:
    """A function of the request decides; None means the echo."""

    def decide(request: Request) -> Reply | None:
        return Reply(text=f"no. {request.number}") if "count" in request.last_text else None

    assert ask(decide, "count", "x", "count") == ["no. 1", "You said: x", "no. 3"]


def test_a_script_that_raises_is_an_error_of_the_server_and_said() -> None:
    """A fault in the script is told to the client at once, without retries."""

    def decide(request: Request) -> Reply | None:
        raise KeyError("mistake")

    with (
        ScriptedServer(decide) as server,
        openai.OpenAI(base_url=server.base_url, api_key="unused") as client,
    ):
        with pytest.raises(openai.InternalServerError, match="the script raised KeyError: 'mistake'"):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
        assert len(server.requests) == 1


def test_a_script_in_a_file(tmp_path: Path) -> None:
    """Replies and rules read from JSON mean the same as in Python."""
    path = tmp_path / "script.json"
    path.write_text(
        json.dumps(
            [
                {"contains": "hi", "reply": {"text": "hello", "usage": {"input": 3, "output": 1}}},
                {"tool_calls": [{"name": "search", "arguments": {"q": 1}}], "body": "raw"},
            ]
        )
    )
    first, second = load_script(path)
    assert first == Rule(contains="hi", reply=Reply(text="hello", usage=Usage(input=3, output=1)))
    assert isinstance(second, Reply)
    assert second.tool_calls[0].json == '{"q": 1}'
    assert second.body == b"raw"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "a JSON list"),
        ('["x"]', "entry 1 is no object"),
        ('[{"txet": "x"}]', "entry 1: unknown field of a reply: txet"),
        ('[{"reply": {}, "whenever": 1}]', "entry 1: .*whenever"),
        ("[", "Expecting value"),
    ],
)
def test_a_wrong_script_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    """A script with a mistake raises a ValueError that says where."""
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        load_script(path)


def test_the_command_runs_a_program_against_a_script(tmp_path: Path) -> None:
    """`python -m spantally.testing --script FILE -- CMD` gives CMD the URLs and returns its exit code."""
    script = tmp_path / "script.json"
    script.write_text('[{"text": "from the file"}, {"text": "once more"}]')
    code = (
        "import openai, sys; c = openai.OpenAI();"
        "print(c.chat.completions.create(model='m', messages=[{'role': 'user', 'content': 'x'}])"
        ".choices[0].message.content); import anthropic; c = anthropic.Anthropic();"
        "print(c.messages.create(model='m', max_tokens=9, messages=[{'role': 'user', 'content': 'x'}])"
        ".content[0].text); sys.exit(7)"
    )
    command = [
        sys.executable,
        "-m",
        "spantally.testing",
        "--script",
        str(script),
        "--",
        sys.executable,
        "-c",
        code,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (7, "from the file\nonce more\n")


def test_the_command_prints_its_url_and_serves() -> None:
    """Alone the command prints the base URL first and serves until it is interrupted."""
    command = [sys.executable, "-m", "spantally.testing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with openai.OpenAI(base_url=url, api_key="unused") as client:
                assert client.models.list().data
        finally:
            process.terminate()


def test_nothing_of_an_sdk_is_imported() -> None:
    """The room needs the standard library alone: no SDK, no protobuf, no HTTP client."""
    code = (
        "import sys, spantally.testing;"
        "print([n for n in ('openai', 'httpx', 'httpx2', 'google.protobuf', 'yaml') if n in sys.modules])"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=env
    )
    assert done.stdout == "[]\n"


OPENAI_2 = os.environ.get("OPENAI2_PYTHON")


@pytest.mark.skipif(not OPENAI_2, reason="OPENAI2_PYTHON names no Python with openai 2.x")
def test_the_older_major_of_the_sdk_reads_the_same() -> None:
    """openai 2.x accepts every shape: whole, streamed, responses, embeddings, error."""
    code = """
import openai, json
c = openai.OpenAI(max_retries=0)
m = [{"role": "user", "content": "a b"}]
out = [openai.__version__.split(".")[0]]
out.append(c.chat.completions.create(model="m", messages=m).choices[0].message.content)
s = c.chat.completions.create(model="m", messages=m, stream=True, stream_options={"include_usage": True})
out.append([x.usage.total_tokens for x in s if x.usage])
out.append(c.responses.create(model="m", input="a b").output_text)
with c.responses.stream(model="m", input="a b") as s:
    out.append(s.get_final_response().usage.total_tokens)
out.append(len(c.embeddings.create(model="e", input="a b").data[0].embedding))
try:
    c.chat.completions.create(model="m", messages=[{"role": "user", "content": "limit"}])
except openai.RateLimitError as error:
    out.append(error.code)
print(json.dumps(out))
"""
    assert OPENAI_2 is not None
    with ScriptedServer([Rule(contains="limit", reply=Reply(status=429))]) as server:
        env = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "unused"}
        done = subprocess.run(
            [OPENAI_2, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=env
        )
    assert done.returncode == 0, done.stderr
    expected = ["2", "You said: a b", [10], "You said: a b", 7, 8, "rate_limit_exceeded"]
    assert json.loads(done.stdout) == expected
