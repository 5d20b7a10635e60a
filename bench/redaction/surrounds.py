"""What stands around a piece of text in a program that talks to models: messages, arguments, logs, traces.

A surround takes text and secret and gives both back, since escaping changes the secret, too.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from random import Random
from urllib.parse import quote

from .values import SERVICES, WORDS, chars, uuid

Surround = Callable[[Random, str, str], tuple[str, str]]

_ASKS = (
    "I keep getting a 401 from this, can you see what is wrong?",
    "Please turn this into a small script with retries.",
    "Summarise what this deployment does in three sentences.",
    "Kannst du mir helfen, das zum Laufen zu bringen?",
    "¿Puedes revisar esta configuración, por favor?",
    "Peux-tu corriger cette configuration ?",
    "この設定を確認してください。",
    "why does the job fail only at night",
)
_ANSWERS = (
    "Sure, here is what I would change first.",
    "The request fails because the header is missing.",
    "I ran the command; it printed the following.",
    "Done. The file now looks like this:",
)


def _plain(rng: Random, text: str, secret: str) -> tuple[str, str]:
    return text, secret


def _asked(rng: Random, text: str, secret: str) -> tuple[str, str]:
    return f"{rng.choice(_ASKS)}\n\n{text}\n", secret


def _amid(rng: Random, text: str, secret: str) -> tuple[str, str]:
    return f"{rng.choice(_ANSWERS)} {text} {rng.choice(_ASKS)}", secret


def _fenced(rng: Random, text: str, secret: str) -> tuple[str, str]:
    mark = rng.choice(["", "bash", "python", "yaml", "json", "text"])
    return f"{rng.choice(_ANSWERS)}\n\n```{mark}\n{text}\n```\n\n{rng.choice(_ASKS)}", secret


def escape(text: str, *, unicode: bool = False) -> str:
    """As inside a JSON string."""
    return json.dumps(text, ensure_ascii=unicode)[1:-1]


def _once(rng: Random, text: str, secret: str) -> tuple[str, str]:
    key = rng.choice(["command", "content", "input", "code", "query", "body"])
    return f'{{"{key}": "{escape(text)}", "timeout": 30}}', escape(secret)


def _message(rng: Random, text: str, secret: str) -> tuple[str, str]:
    ascii_only = rng.random() < 0.5
    role = rng.choice(["user", "assistant", "tool", "system"])
    body = escape(text, unicode=ascii_only)
    return f'[{{"role": "{role}", "content": "{body}"}}]', escape(secret, unicode=ascii_only)


def _twice(rng: Random, text: str, secret: str) -> tuple[str, str]:
    inner, hidden = _once(rng, text, secret)
    function = f'{{"name": "run", "arguments": "{escape(inner)}"}}'
    call = f'{{"id": "call_{chars(rng, "a", 24)}", "type": "function", "function": {function}}}'
    return call, escape(hidden)


def _thrice(rng: Random, text: str, secret: str) -> tuple[str, str]:
    inner, hidden = _twice(rng, text, secret)
    return f'{{"event": "step", "payload": "{escape(inner)}"}}', escape(hidden)


def _go_json(rng: Random, text: str, secret: str) -> tuple[str, str]:
    def go(value: str) -> str:
        value = escape(value)
        for mark in "<>&":
            value = value.replace(mark, f"\\u{ord(mark):04x}")
        return value

    return f'{{"level":"info","ts":{rng.randint(10**9, 2 * 10**9)},"msg":"{go(text)}"}}', go(secret)


def _repr(rng: Random, text: str, secret: str) -> tuple[str, str]:
    quoted = repr(text)
    return f"{{'role': 'user', 'content': {quoted}}}", repr(secret)[1:-1] if secret != text else quoted[1:-1]


def _log(rng: Random, text: str, secret: str) -> tuple[str, str]:
    lead = rng.choice(
        [
            "2026-03-04 05:06:07,089 INFO app.tools: result ",
            "2026-03-04T05:06:07.089Z DEBUG [worker-3] ",
            "I0304 05:06:07.089012   12 main.go:88] ",
            f"[{chars(rng, 'h', 8)}] WARN  {rng.choice(SERVICES)} - ",
        ]
    )
    return lead + text, secret


def _trace(rng: Random, text: str, secret: str) -> tuple[str, str]:
    place = f'"/srv/app/{rng.choice(SERVICES)}.py", line {rng.randint(9, 400)}'
    frame = f"  File {place}, in run\n    call(request)\n"
    error = rng.choice(["RuntimeError", "httpx.HTTPStatusError", "ToolException", "KeyError"])
    return f"Traceback (most recent call last):\n{frame}{error}: {text}", secret


def _diff(rng: Random, text: str, secret: str) -> tuple[str, str]:
    if "\n" in secret:
        return text, secret
    body = "\n".join("+" + line for line in text.split("\n"))
    return f"diff --git a/{rng.choice(WORDS)} b/x\n@@ -1,2 +1,9 @@\n-old\n{body}", secret


def _html(rng: Random, text: str, secret: str) -> tuple[str, str]:
    return f"<pre>{html.escape(text)}</pre>", html.escape(secret)


def _percent(rng: Random, text: str, secret: str) -> tuple[str, str]:
    return f"channel=general&text={quote(text)}&id={uuid(rng)}", quote(secret)


SURROUNDS: dict[str, tuple[Surround, int]] = {
    "plain": (_plain, 24),
    "asked": (_asked, 10),
    "amid": (_amid, 8),
    "fenced": (_fenced, 9),
    "json": (_once, 10),
    "message": (_message, 8),
    "json-twice": (_twice, 9),
    "json-thrice": (_thrice, 4),
    "go-json": (_go_json, 3),
    "repr": (_repr, 4),
    "log": (_log, 6),
    "traceback": (_trace, 5),
    "diff": (_diff, 3),
    "html": (_html, 2),
    "percent": (_percent, 1),
}


def surround(rng: Random, text: str, secret: str) -> tuple[str, str, str]:
    """One of them by weight: its name, the text, the secret."""
    name = rng.choices(list(SURROUNDS), [weight for _, weight in SURROUNDS.values()])[0]
    return (name, *SURROUNDS[name][0](rng, text, secret))
