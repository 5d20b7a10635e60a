"""The life of a session: ids that follow from what is known, silence, what the program says of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry import context as otel_context

import spantally
from cli_ledger import invoke
from program_kit import Programs, finish, ok
from spantally.api import keeping, session_ids
from spantally.ground.scope import SCOPE_KEY, Scope, with_values
from spantally.ground.session_state import SessionState, forget_sessions, remember_session
from spantally.ground.worker import worker
from spantally.testing import ScriptedServer
from watching import Watched

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    session_ids.forget_use()
    forget_sessions()
    yield
    session_ids.forget_use()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Path]:
    """spantally with a ledger in a file that keeps what is handed to our API."""
    path = tmp_path / "life.db"
    spantally.uninstrument()
    spantally.instrument(ledger=str(path), ledger_content="explicit")
    yield path
    spantally.uninstrument()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])


def row(path: Path, session_id: str) -> Any:
    assert spantally.flush(10)
    with spantally.open_ledger(path) as found:
        made = found.session(session_id)
        assert made is not None
        return made


# -- what is said of it ----------------------------------------------------------------------------------


def test_what_a_program_says_of_a_session_is_kept(ledger: Path) -> None:
    """Title, metadata, labels, metrics, input and output: redacted, in the ledger, in rows and JSON."""
    made = spantally.session(
        "s",
        title=f"Ask about {KEY}",
        metadata={"ticket": 7, "deep": {"api_key": KEY}},
        labels=["b", "a", "a"],
    )
    made.begin()
    made.finish(
        success=False,
        reason="no answer",
        metrics={"score": 0.5, "steps": 3},
        input={"question": f"why {KEY}"},
        output=["x", 1],
    )
    found = row(ledger, "s")
    assert found.title.startswith("Ask about [REDACTED:")
    assert found.metadata["ticket"] == 7
    assert found.labels == ("a", "b")
    assert found.metrics == {"score": 0.5, "steps": 3}
    assert found.input["question"].startswith("why [REDACTED:")
    assert found.output == ["x", 1]
    assert (found.status, found.reason) == ("failed", "no answer")
    assert found.duration_ms is not None
    assert KEY[8:30].encode() not in ledger.read_bytes() + Path(f"{ledger}-wal").read_bytes()
    (told,) = json.loads(invoke("--ledger", str(ledger), "sessions", "--json").stdout)
    assert (told["labels"], told["metrics"]) == (["a", "b"], {"score": 0.5, "steps": 3})
    shown = invoke("--ledger", str(ledger), "show", "s").stdout
    assert "score=0.5, steps=3" in shown
    assert "Ask about [REDACTED:" in shown


def test_input_and_output_follow_the_content_policy(tmp_path: Path) -> None:
    """Where the ledger keeps no content they are not kept, and metrics are."""
    spantally.uninstrument()
    spantally.instrument(ledger=str(tmp_path / "life.db"), ledger_content="never")
    try:
        with spantally.session("s") as made:
            made.finish(metrics={"n": 1}, input="in", output="out", reason="because")
        found = row(tmp_path / "life.db", "s")
    finally:
        spantally.uninstrument()
    assert (found.input, found.output, found.reason, found.metrics) == (None, None, None, {"n": 1})


def test_finish_inside_a_block_is_the_end(ledger: Path) -> None:
    """What finish() said stays when the block ends after it."""
    with spantally.session("s") as made:
        made.finish(success=False, metrics={"n": 1})
    found = row(ledger, "s")
    assert (found.status, found.metrics) == ("failed", {"n": 1})
    assert otel_context.get_current().get("spantally-scope") is None


def test_a_value_that_cannot_be_kept_hurts_nobody(ledger: Path) -> None:
    """Cycles, odd objects and a redactor that fails: the session ends as it should."""
    loop: list[Any] = []
    loop.append(loop)
    with spantally.session("s") as made:
        made.finish(input=loop, output=object())
    assert row(ledger, "s").status == "succeeded"


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": 7},
        {"metadata": [1]},
        {"metadata": {"a": object()}},
        {"metadata": {"a": float("nan")}},
        {"metadata": {"a": "x" * 70_000}},
        {"labels": "a"},
        {"labels": [1]},
        {"labels": ["x" * 65]},
        {"parent": 7},
        {"parent": ""},
        {"idle_timeout": 0},
        {"idle_timeout": "5"},
        {"idle_timeout": True},
        {"id": "{user}{"},
        {"id": "{user}{0!r}"},
        {"id": "{user}{}"},
    ],
)
def test_a_wrong_argument_is_refused(watched: Watched, wrong: dict[str, Any]) -> None:
    """session() raises a ValueError that names it, before any effect."""
    with pytest.raises(ValueError):
        spantally.session(**wrong)
    assert watched.sessions == []


@pytest.mark.parametrize(
    "wrong", [{"a": "1"}, {"a": True}, {"a": float("inf")}, {1: 1}, [1], {"": 1}, {"a": 10**400}]
)
def test_a_wrong_metric_is_refused(watched: Watched, wrong: Any) -> None:
    """finish() raises a ValueError and leaves the session open."""
    with spantally.session("s") as made:
        with pytest.raises(ValueError, match="metrics"):
            made.finish(metrics=wrong)
        made.finish(metrics={"a": 1})
    assert watched.sessions[-1].metrics == {"a": 1}


# -- ids -------------------------------------------------------------------------------------------------


def test_a_template_is_filled_from_what_is_known(watched: Watched) -> None:
    """From conversation, user, entity type and tags, given or in force around."""
    with spantally.session(
        "{customer}:{conversation}", conversation="c-7", entity=("customer", "acme")
    ) as first:
        assert first.id == "acme:c-7"
    with spantally.session("outer", user="alice", tags={"shop": "s1"}):
        inner = spantally.session("{user}/{shop}/{{x}}")
        with inner as second:
            assert second.id == "alice/s1/{x}"
    assert {record.session_id for record in watched.sessions} == {"acme:c-7", "outer", "alice/s1/{x}"}
    (told,) = {one.conversation_id for one in watched.sessions if one.session_id == "acme:c-7"}
    assert told == "c-7"


def test_an_id_with_braces_of_its_own(watched: Watched) -> None:
    """A GUID in braces is an id like any other."""
    for given in ("{3F25-04E0}", "{", "a{}b"):
        with spantally.session(given) as made:
            assert made.id == given


def test_different_values_give_different_ids(watched: Watched) -> None:
    """What separates the values is encoded where a value has it; a letter of the template, too."""
    ids = set()
    for conversation, user in (("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a:", "b:c")):
        with spantally.session("{conversation}:{user}", conversation=conversation, user=user) as made:
            ids.add(made.id)
    assert ids == {"a%3Ab:c", "a:b%3Ac", "a%253Ab:c", "a%3A:b%3Ac"}
    with spantally.session("chat of {conversation} - {user}", conversation="a - b", user="chat") as made:
        assert made.id == "chat of a%20-%20b - chat"
    with spantally.session("{conversation}u{user}", conversation="ü%", user="uu") as made:
        assert made.id == "ü%25u%75%75"
    with spantally.session("chat-{user}", user="a-b:c") as made:
        assert made.id == "chat-a-b:c"  # one value cannot be taken for another
    with pytest.raises(ValueError, match="separator"):
        spantally.session("{conversation}{user}")


def test_a_template_with_an_unknown_name(watched: Watched) -> None:
    """Entering raises a ValueError that names it and what is known; nothing was begun."""
    with (
        pytest.raises(ValueError, match=r"\{customer\}; known here: user"),
        spantally.session("{customer}", user="alice"),
    ):
        pass
    assert watched.sessions == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{customer:{conversation}", "is no template (unmatched '{'"),
        ("{user}:{part!r}", "{part!r} is no name"),
        ("{user}:{part:>8}", "{part:>8} is no name"),
        ("{user}{conversation}", "{conversation} touches the name before it"),
    ],
)
def test_a_broken_template_names_itself_and_what_is_wrong(given: str, said: str) -> None:
    """As it is written, before anything begins."""
    with pytest.raises(ValueError, match="session id=") as raised:
        spantally.session(given, user="alice", conversation="c")
    assert repr(given) in str(raised.value)
    assert said in str(raised.value)


def test_silence_begins_a_new_session(watched: Watched, client: openai.OpenAI) -> None:
    """After the time-out the id means <id>~2, ~3; the conversation stays and each names the one before."""
    ids = []
    for pause in (0.0, 0.0, 0.3, 0.3):
        time.sleep(pause)
        with spantally.session("chat", idle_timeout=0.2) as made:
            ids.append(made.id)
            ask(client)
            with spantally.session("chat", idle_timeout=0.2) as again:
                assert again.id == made.id
    assert ids == ["chat", "chat", "chat~2", "chat~3"]
    last = {record.session_id: record for record in watched.sessions}
    assert [last[one].previous_id for one in ("chat", "chat~2", "chat~3")] == [None, "chat", "chat~2"]
    assert {record.conversation_id for record in watched.sessions} == {"chat"}
    assert {call.conversation_id for call in watched.of("inference")} == {"chat"}


def test_an_open_session_is_not_silent(watched: Watched) -> None:
    """While somebody is in it, it goes on, however long."""
    with spantally.session("chat", idle_timeout=dt.timedelta(seconds=0.05)):
        time.sleep(0.1)
        with spantally.session("chat", idle_timeout=0.05) as inner:
            assert inner.id == "chat"


def test_silence_is_measured_over_processes(ledger: Path, client: openai.OpenAI) -> None:
    """What another process did in the session is in the ledger."""
    with spantally.session("chat", idle_timeout=60):
        ask(client)
    session_ids.forget_use()  # as another process
    forget_sessions()
    assert spantally.flush(10)
    with spantally.session("chat", idle_timeout=60) as made:
        assert made.id == "chat"
    session_ids.forget_use()
    forget_sessions()
    time.sleep(0.2)
    assert spantally.flush(10)
    with spantally.session("chat", idle_timeout=0.1) as made:
        assert made.id == "chat~2"
    session_ids.forget_use()
    forget_sessions()
    assert spantally.flush(10)
    with spantally.session("chat", idle_timeout=60) as made:
        assert made.id == "chat~2"
    assert row(ledger, "chat~2").previous_id == "chat"


def test_an_event_loop_does_not_read_the_ledger(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``async with`` looks in a thread and knows what another process did; ``with`` goes by this process."""
    with spantally.session("chat", idle_timeout=60):
        pass
    assert spantally.flush(10)
    time.sleep(0.15)
    looked: list[str] = []
    look = session_ids._in_ledger

    def noted(given: str) -> tuple[int, int]:
        looked.append(threading.current_thread().name)
        return look(given)

    monkeypatch.setattr(session_ids, "_in_ledger", noted)

    def forget() -> None:
        session_ids.forget_use()  # as another process
        forget_sessions()

    async def main() -> None:
        forget()
        with spantally.session("chat", idle_timeout=0.1) as made:
            assert made.id == "chat"
        await asyncio.to_thread(spantally.flush, 10)
        await asyncio.sleep(0.15)
        forget()
        async with spantally.session("{user}", user="chat", idle_timeout=0.1) as made:
            assert made.id == "chat~2"
        forget()
        with pytest.raises(ValueError, match="known"):
            async with spantally.session("{nobody}", idle_timeout=0.1):
                pass

    asyncio.run(main())
    assert looked
    assert "MainThread" not in looked


def test_a_session_that_goes_on_after_its_end_reads_as_running(ledger: Path, client: openai.OpenAI) -> None:
    """Entered again in the same process: it runs until its next end, and keeps its beginning."""
    with spantally.session("s"):
        ask(client)
    ended = row(ledger, "s")
    assert ended.status == "succeeded"
    with spantally.session("s", title="more"):
        ask(client)
        again = row(ledger, "s")
        assert (again.status, again.ended_ns, again.started_ns) == ("running", None, ended.started_ns)
        assert again.title == "more"
    last = row(ledger, "s")
    assert (last.status, last.calls, last.started_ns) == ("succeeded", 2, ended.started_ns)
    assert last.ended_ns > ended.ended_ns


def test_tags_of_a_stranger_raise_nothing(watched: Watched, client: openai.OpenAI) -> None:
    """Inbound baggage may hold more tags than go with the program's own: those of the program stay."""
    state = remember_session(SessionState("inbound", start_ns=time.time_ns(), implicit=True))
    theirs = tuple((f"k{number:02}", "v") for number in range(48))
    token = otel_context.attach(
        with_values(otel_context.get_current(), {SCOPE_KEY: Scope(state, tags=theirs)})
    )
    try:
        with spantally.session("own", tags={"mine": "1"}):
            ask(client)
        with spantally.attribute(tags={"mine": "1"}):
            ask(client)
        ask(spantally.bind(client, tags={"mine": "1"}))
    finally:
        otel_context.detach(token)
    assert [dict(call.tags) for call in watched.of("inference")] == [{"mine": "1"}] * 3


def test_a_failing_look_at_the_ledger(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session begins all the same."""

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr("spantally.queries.ledger.open_ledger", fail)
    monkeypatch.setattr("spantally.api.session.begun", fail)
    monkeypatch.setattr("spantally.api.session.learn_use", fail)
    with spantally.session("chat", idle_timeout=60, title="t") as made:
        assert made.id == "chat"

    async def main() -> None:
        async with spantally.session("chat", idle_timeout=60) as made:
            assert made.id == "chat"

    asyncio.run(main())


# -- parents and conversations -----------------------------------------------------------------------------


def test_a_named_parent_takes_the_sum(ledger: Path, client: openai.OpenAI) -> None:
    """By id or as itself, of another thread or of nobody here; the call counts in both."""
    with spantally.session("whole") as whole:

        def part() -> None:
            with spantally.session("part", parent=whole):
                ask(client)

        thread = threading.Thread(target=part)
        thread.start()
        thread.join()
        assert whole.totals.calls == 1
    with spantally.session("elsewhere", parent="gone-before"):
        ask(client)
    assert row(ledger, "part").parent_id == "whole"
    assert row(ledger, "whole").calls == 1
    assert row(ledger, "elsewhere").parent_id == "gone-before"


def test_sessions_of_one_conversation(ledger: Path, client: openai.OpenAI) -> None:
    """conversation= groups them: in the query, on the command line, and in the cost."""
    for number in range(3):
        with spantally.session(f"s{number}", conversation="c-1" if number < 2 else "c-2"):
            ask(client)
    assert spantally.flush(10)
    with spantally.open_ledger(ledger) as found:
        assert {one.session_id for one in found.sessions(conversation="c-1")} == {"s0", "s1"}
        assert {one.keys["conversation"]: one.calls for one in found.cost("conversation")} == {
            "c-1": 2,
            "c-2": 1,
        }
        assert [one.calls for one in found.cost("model", conversation="c-2")] == [1]
        assert len(found.calls(conversation="c-1", kind="inference")) == 2
    base = ("--ledger", str(ledger))
    told = json.loads(invoke(*base, "sessions", "--conversation", "c-1", "--json").stdout)
    assert {one["session_id"] for one in told} == {"s0", "s1"}
    costs = json.loads(invoke(*base, "cost", "--by", "conversation", "--json").stdout)
    assert sorted((one["conversation"], one["calls"]) for one in costs) == [("c-1", 2), ("c-2", 1)]


# -- two processes ---------------------------------------------------------------------------------------

WORK = """
with spantally.session("shared", user="alice"):
    for _ in range(4):
        ask(connection)
        print("asked", flush=True)
        sys.stdin.readline() if {waits} else None
"""


def test_one_session_of_two_processes_at_once(tmp_path: Path, server: ScriptedServer) -> None:
    """Both tally into it; it is one session with the sum of both."""
    programs = Programs(tmp_path, server.base_url)
    body = "connection = client()\n" + WORK.format(waits=False)
    running = [programs.start(body, name=f"p{number}.py") for number in range(2)]
    for one in running:
        _, err = one.communicate(timeout=60)
        assert one.returncode == 0, err
    (found,) = programs.sessions()
    assert (found.session_id, found.calls, found.status) == ("shared", 8, "succeeded")
    assert len(server.requests) == 8


def test_a_session_resumed_after_a_crash(tmp_path: Path, server: ScriptedServer) -> None:
    """One process dies in the middle; another goes on with the same id: one session, every call once."""
    programs = Programs(tmp_path, server.base_url)
    crash = """
    connection = client()
    with spantally.session("shared", user="alice"):
        ask(connection)
        ask(connection)
        spantally.flush(10)
        os.kill(os.getpid(), 9)
    """
    assert programs.run(crash).returncode == -9
    (found,) = programs.sessions()
    assert (found.calls, found.status) == (2, "abandoned")
    ok(programs.run("connection = client()\n" + WORK.format(waits=False), name="after.py"))
    (found,) = programs.sessions()
    assert (found.session_id, found.calls, found.status, found.user_id) == ("shared", 6, "succeeded", "alice")
    assert len(programs.calls()) == 6


MANY = """
import asyncio, gc, threading
from opentelemetry import context

def memory():
    gc.collect()
    spantally.flush(10)
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def nested(number):
    with spantally.session(user="u%d" % (number % 50)), spantally.agent("outer"):
        with spantally.session(), spantally.session(f"given-{number}"):
            with spantally.tool("t"):
                pass

async def concurrent(number):
    async with spantally.session(tags={"n": str(number % 20)}):
        await asyncio.sleep(0)
        with spantally.session():
            await asyncio.sleep(0)

def generator():
    with spantally.session():
        yield 1
        yield 2

async def many(start, count):
    for at in range(start, start + count, 50):
        await asyncio.gather(*(concurrent(n) for n in range(at, at + 50)))

def some(start, count):
    for number in range(start, start + count // 10):
        nested(number)  # three each
    asyncio.run(many(start, count * 3 // 10))  # two each
    for _ in range(count // 10):
        next(generator())

some(0, 2_000)
after_2000 = memory()
some(2_000, 8_000)
after_10000 = memory()
assert dict(context.get_current()) == {}, context.get_current()
print(after_2000, after_10000)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_ten_thousand_sessions_leave_nothing(tmp_path: Path, server: ScriptedServer) -> None:
    """Nested, concurrent and abandoned ones: memory is what it was after 2,000, the Context is empty."""
    done = ok(finish(Programs(tmp_path, server.base_url).start(MANY, limit=110), 110))
    early, late = map(int, done.stdout.split())
    assert late <= early * 1.05, (early, late)


def test_half_a_character_in_what_is_said_loses_nothing(ledger: Path) -> None:
    """Title and reason with half of a surrogate pair are kept without it, and the end is told."""
    with spantally.session("odd", title="half \ud800 of it") as made:
        made.set(title="another \udfff")
        made.finish(success=False, reason="no \ud83d")
    found = row(ledger, "odd")
    assert (found.status, found.title, found.reason) == ("failed", "another ?", "no ?")


def test_a_coroutine_without_asyncio_leaves_its_session(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another event loop than asyncio's is neither waited for nor complained of."""

    async def work() -> None:
        async with spantally.session("elsewhere"):
            pass

    complaints: list[str] = []
    monkeypatch.setattr(keeping, "swallowed", lambda where, error: complaints.append(where))
    with pytest.raises(StopIteration):
        work().send(None)
    assert row(ledger, "elsewhere").status == "succeeded"
    assert complaints == []


def test_a_loop_that_is_closed_before_the_ledger_has_its_session_is_no_fault(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker was slow, nobody waits any more: nothing is called a failure."""
    waiting: list[Callable[[], None]] = []
    monkeypatch.setattr(keeping, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(worker, "notify_when_drained", waiting.append)

    async def work() -> None:
        async with spantally.session("quick"):
            pass

    asyncio.run(work())
    for wake_up in waiting:
        wake_up()
    assert len(waiting) == 1
