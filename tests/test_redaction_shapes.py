"""The quick looks at a value say what the patterns say behind them."""

from __future__ import annotations

from random import Random

from spantally.redaction import shapes

PIECES = (
    *(
        "your",
        "my",
        "the",
        "some",
        "insert",
        "enter",
        "put",
        "add",
        "replace",
        "change",
        "fill",
        "paste",
        "set",
    ),
    *("set", "api", "secret", "token", "key", "pass", "here", "goes-here", "placeholder", "redacted"),
    *(
        "example",
        "filtered",
        "hidden",
        "masked",
        "scrubbed",
        "dummy",
        "fake",
        "sample",
        "env",
        "keyring",
        "ssm",
    ),
    *(
        "kv",
        "keyvault",
        "sm",
        "gcp",
        "aws",
        "file",
        "cmd",
        "same-origin",
        "include",
        "omit",
        "os.",
        "process.env",
    ),
    *("env[", "import.meta", "getenv", "secrets.", "vault:", "ref+", "op://", "arn:", "config["),
    *(
        "settings.",
        "self.",
        "this.",
        "args.",
        "options.",
        "params.",
        "kwargs",
        "request.",
        "data[",
        "st.secrets",
        "u003c",
    ),
    *(
        "Microsoft.KeyVault",
        "$",
        "$(",
        "${",
        "%",
        "%s",
        "<",
        ">",
        "{",
        "}",
        "(",
        "#{",
        "*",
        "***",
        ".",
        "...",
    ),
    *(
        "-",
        "_",
        "?",
        "\u2026",
        "\u2022\u2022\u2022",
        "x",
        "xxx",
        "xxxxxx",
        "!",
        "@",
        "\\",
        "[",
        ":",
        " ",
        "/",
    ),
    *("/", "a", "B", "7", "k9Qz", "hunter", "\u0130", "\u212a", "\u017f"),
)


def test_a_quick_look_never_overrules_the_pattern_of_stand_ins() -> None:
    """What the long pattern calls a stand-in, the look before it lets through to the pattern."""
    rng = Random(8)
    pattern = shapes._placeholder()
    seen = 0
    for _ in range(40_000):
        value = "".join(rng.choices(PIECES, k=rng.randint(1, 5)))
        value = rng.choice((value, value.upper(), value.capitalize()))
        if pattern.fullmatch(value, 0, 200) is not None:
            seen += 1
            assert shapes.may_be_placeholder(value.lower()), value
    assert seen > 5_000


def test_what_is_random_is_not_handed_to_the_long_pattern() -> None:
    """Random values, which are most of those that are judged, are settled by the quick look."""
    rng = Random(9)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    values = ["".join(rng.choices(letters, k=24)) for _ in range(1_000)]
    assert sum(shapes.may_be_placeholder(value.lower()) for value in values) < 50
