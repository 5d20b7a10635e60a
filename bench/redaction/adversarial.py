"""Inputs of a megabyte that are meant to make a pattern or a scanner run long."""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random

_REPEATED = (
    "eyJ",
    "://",
    '"',
    "'",
    "-----BEGIN",
    "-----BEGIN PRIVATE KEY-----",
    "api_key=",
    "\\",
    "a_",
    " ",
    "a",
    "é",
    "密",
    "password: ",
    "Bearer ",
    "sk-",
    "key",
    "&sig=",
    '{"a":',
    "=",
    "%3a",
    "[REDACTED:",
    "\\u0041",
    "[",
    "(",
    "{",
    "| a | b |\n",
    "\n",
    "\r\n",
    "key: ",
    "token=a ",
    "a.b.",
    "eyJa.",
    "user:pass@",
    "https://a:",
    "Basic ",
    "Cookie: a=b; ",
    "--token ",
    "ABCDEFGHIJ0123456789",
    "a1B2",
    "AKIA",
    "ghp_",
    'secret":"',
    "'password', ",
    '\\\\\\"',
    "-",
    "_",
    "/",
    "é=",
    "password",
    "pass word ",
    'x="\\"',
    "<a>",
    "</",
    "::",
    ";;",
    "\t",
    "\0",
    "🔑",
    "secret is ",
    "-----END",
    "0",
    "f" * 31 + "-",
)
_STEMS = (
    "key",
    "tok",
    "pass",
    "sk-",
    "eyJ",
    "://",
    "Bea",
    "sec",
    "auth",
    "sig",
    "BEGIN",
    "cred",
    "pwd",
    "sess",
)
_MARKS = "=:\"'\\/-_.,;&?%@#$!|<>(){}[]+*~^` \n\taA0é"


def _random_repeats(seed: int, count: int) -> dict[str, str]:
    rng = Random(f"{seed}-repeats")
    found = {}
    while len(found) < count:
        length = rng.randint(1, 6)
        unit = "".join(
            rng.choice(_MARKS) if rng.random() < 0.7 else rng.choice(_STEMS) for _ in range(length)
        )
        if 1 <= len(unit) <= 12:
            found[f"repeat {unit!r}"] = unit
    return found


def inputs(seed: int, size: int = 1_000_000) -> dict[str, Callable[[], str]]:
    """Name to maker; a text is made when it is asked for."""
    units = {f"repeat {unit!r}": unit for unit in _REPEATED} | _random_repeats(seed, 40)
    made: dict[str, Callable[[], str]] = {
        name: lambda unit=unit: (unit * (size // len(unit) + 1))[:size]  # type: ignore[misc]
        for name, unit in units.items()
    }

    def noise() -> Random:
        return Random(f"{seed}-noise")

    made["base64 noise"] = lambda: base64.b64encode(noise().randbytes(size * 3 // 4)).decode()
    made["base64 lines"] = lambda: base64.encodebytes(noise().randbytes(size * 3 // 4)).decode()
    made["random bytes as latin-1"] = lambda: noise().randbytes(size).decode("latin-1")
    made["random letters and spaces"] = lambda: "".join(noise().choices("abcdefghij   ", k=size))
    made["random punctuation"] = lambda: "".join(noise().choices(_MARKS, k=size))
    made["random stems and marks"] = lambda: "".join(noise().choices((*_STEMS, *_MARKS), k=size))[:size]
    made["nested brackets"] = lambda: "[" * (size // 2) + "]" * (size // 2)
    made["nested objects"] = lambda: '{"a":' * (size // 6) + "1" + "}" * (size // 6)
    made["many short pairs"] = lambda: "".join(f"k{n}=v{n}&" for n in range(size // 6))[:size]
    made["many api_keys with values"] = lambda: "".join(f"api_key=v{n:06}Xy " for n in range(size // 16))[
        :size
    ]
    made["one long key value"] = lambda: "password=" + "aB3$" * (size // 4)
    made["one long url"] = lambda: "https://a.example/" + "a=b&" * (size // 4)
    made["escapes before quotes"] = lambda: '"key": ' + "\\" * (size // 2) + '"' * (size // 2)
    made["one long jwt"] = lambda: "eyJhbGciOiJIUzI1NiJ9." + "a" * size
    made["open pem"] = lambda: "-----BEGIN RSA PRIVATE KEY-----\n" + "QUJD" * (size // 4)
    return made
