"""Text as models and their programs write it, new for each seed: talk, markdown, code, tool calls, logs.

About one secret stands in every five kilobytes, since text with none at all would flatter a fast way out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from .contexts import NAMED, write
from .nameless import NAMELESS, nameless_value
from .values import PEOPLE, SERVICES, WORDS, chars, fill, host, uuid
from .vendors import VENDORS

_COMMON = (
    "the a of to and in is that it for on with as this be are by or from at which you can we not have an "
    "was will but when there use each one so if then all more also may than its into only other how they "
    "should new time value list name file line data call error result function return user model message "
    "server request response table test code query index step default option field type number point part "
    "case work way order change set read write run make need find give show keep start stop first last "
    "next between after before without under because however therefore instead usually often never always "
    "perhaps together during about several small large key token session note author pass sign credit "
    "access secret"
).split()


def _sentence(rng: Random) -> str:
    words = [rng.choice(_COMMON if rng.random() < 0.85 else WORDS) for _ in range(rng.randint(6, 22))]
    if rng.random() < 0.2:
        words.insert(rng.randrange(len(words)), str(rng.randint(1, 9999)))
    return " ".join(words).capitalize() + rng.choice([".", ".", ".", "?", ":", " (see below)."])


def _talk(rng: Random) -> str:
    return " ".join(_sentence(rng) for _ in range(rng.randint(2, 6)))


def _bullets(rng: Random) -> str:
    return "\n".join(f"- **{rng.choice(WORDS).title()}**: {_sentence(rng)}" for _ in range(rng.randint(3, 6)))


def _code(rng: Random) -> str:
    one, two = rng.choice(WORDS), rng.choice(_COMMON)
    return (
        f"```python\ndef {one}_{two}({two}: str, limit: int = {rng.randint(1, 500)}) -> dict[str, int]:\n"
        f'    """{_sentence(rng)}"""\n    found = {{}}\n    for key, value in load_{one}({two}).items():\n'
        f"        if value['{two}'] > limit:\n            found[key] = value['{two}'] * {rng.randint(2, 9)}\n"
        f"    return found\n\n\nprint({one}_{two}('{rng.choice(WORDS)}', limit={rng.randint(1, 99)}))\n```"
    )


def _tool(rng: Random) -> str:
    arguments = {
        "query": _sentence(rng),
        "limit": rng.randint(1, 50),
        "path": f"/srv/{rng.choice(SERVICES)}/{uuid(rng)}",
    }
    call = {
        "id": f"call_{chars(rng, 'a', 24)}",
        "type": "function",
        "function": {"name": f"search_{rng.choice(WORDS)}", "arguments": json.dumps(arguments)},
    }
    return json.dumps({"role": "assistant", "content": None, "tool_calls": [call]})


def _logs(rng: Random) -> str:
    return "\n".join(
        f"2026-03-0{rng.randint(1, 9)}T10:{rng.randint(10, 59)}:00Z INFO {rng.choice(SERVICES)} "
        f"user={rng.choice(PEOPLE)} path=/v1/{rng.choice(WORDS)} status={rng.choice([200, 201, 404, 500])} "
        f"ms={rng.randint(1, 900)} trace={chars(rng, 'h', 32)}"
        for _ in range(rng.randint(2, 5))
    )


def _table(rng: Random) -> str:
    rows = "\n".join(
        f"| {rng.choice(WORDS)} | {rng.randint(1, 9999)} | {rng.choice(_COMMON)} |" for _ in range(5)
    )
    return f"| name | count | {rng.choice(_COMMON)} |\n|---|---|---|\n{rows}"


def _link(rng: Random) -> str:
    page = (
        f"https://{host(rng)}/{rng.choice(WORDS)}/{rng.choice(_COMMON)}?page={rng.randint(1, 90)}&sort=name"
    )
    return f"See {page} for {_sentence(rng)}"


def _secret(rng: Random) -> str:
    nameless = rng.random() < 0.5
    family = rng.choice(NAMELESS if nameless else VENDORS)
    value = nameless_value(rng, family) if nameless else fill(rng, family.template)
    return write(rng, rng.choice(list(NAMED.values())), rng.choice(family.names.split()), value)


_PARTS: tuple[tuple[Callable[[Random], str], int], ...] = (
    (_talk, 44),
    (_bullets, 12),
    (_code, 12),
    (_tool, 12),
    (_logs, 8),
    (_table, 5),
    (_link, 5),
    (_secret, 8),
)


def text(seed: str, size: int) -> str:
    """``size`` characters of it."""
    rng = Random(seed)
    makers, weights = [one for one, _ in _PARTS], [weight for _, weight in _PARTS]
    parts: list[str] = []
    length = 0
    while length < size:
        part = rng.choices(makers, weights)[0](rng)
        parts.append(part)
        length += len(part) + 2
    return "\n\n".join(parts)[:size]
