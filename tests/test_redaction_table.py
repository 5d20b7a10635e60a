"""Every credential of the vendors' table is found wherever it stands."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantally.redaction import Redactor, table, tags

REDACTOR = Redactor()

CONTEXTS = (
    "{}",
    "I used {}, which you pasted above.",
    "see ({})",
    "Incorrect API key provided: {}. You can find yours at the dashboard.",
    'x = "{}"\n',
    "X={}\nLANG=C\n",
    "https://example.com/v1?q=1&v={}&page=2",
    "https://{}@example.com/a.git",
    "| a | {} | b |",
    "<v>{}</v>",
    "line\\n{}\\nline",
    "a%3D{}%26b",
)


def survives(secret: str, text: str) -> bool:
    """Whether more than 40 percent of the secret is still in the text, in one run."""
    size = max(4, int(len(secret) * 0.4)) + 1
    return any(secret[at : at + size] in text for at in range(len(secret) - size + 1))


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_row_is_hidden_in_every_context(context: str) -> None:
    """A made-up credential of each row does not survive."""
    left = [
        row.prefix
        for row in table.ROWS
        for secret in [table.example(row)]
        if survives(secret, REDACTOR.text(context.format(secret)))
    ]
    assert left == []


@pytest.mark.parametrize("depth", range(5))
def test_every_row_is_hidden_in_escaped_json(depth: int) -> None:
    """JSON within JSON, as deep as tool arguments get, hides nothing from the rules."""
    left = []
    for row in table.ROWS:
        secret = table.example(row)
        text = secret
        for _ in range(depth):
            text = json.dumps({"note": "a\n" + text})
        if survives(secret, REDACTOR.text(text)):
            left.append(row.prefix)
    assert left == []


def _noise(seed: int) -> str:
    """Hex digits by chance: not such as a search for the simplest failure would find, which are no noise."""
    return "".join(random.Random(seed).choices("0123456789abcdef", k=100))


@settings(max_examples=150, deadline=None)
@given(
    row=st.sampled_from(table.ROWS),
    body=st.integers(0, 2**64 - 1).map(_noise),
    before=st.text(alphabet=" \n\t\"'(=:,<|é世", max_size=5),
    after=st.text(alphabet=" \n\t\"'),;<|é世", min_size=1, max_size=5),
)
def test_any_body_of_a_rows_shape_is_hidden(row: table.Row, body: str, before: str, after: str) -> None:
    """Not only the one example: noise of the row's shape goes between any neighbours."""
    noise = (body if row.shape != "u" else body.upper())[: row.least + 12]
    if len({*noise}) < 6 or noise.isdigit() or noise.isalpha() or sum(map(str.isdigit, noise)) < 3:
        return
    if sum(a.isdigit() != b.isdigit() for a, b in itertools.pairwise(noise)) < len(noise) / 3:
        return
    secret = row.prefix + noise
    assert not survives(secret, REDACTOR.text(before + secret + after))


def test_every_row_names_its_own_rule() -> None:
    """Of two vendors with one prefix each is told by the length of its keys."""
    named = {row: REDACTOR.text(f"a {table.example(row)} b") for row in table.ROWS}
    assert [row for row, text in named.items() if f"[REDACTED:{row.rule}:" not in text] == []
    assert len(table.ROWS) > len({row.prefix for row in table.ROWS})


def test_the_tag_names_the_rule_and_correlates() -> None:
    """Equal secrets give equal tags, others differ, and the type is the rule's."""
    row = next(row for row in table.ROWS if row.rule == "github-token")
    one, other = table.example(row), table.example(row, 36)[:-1] + "Z9"
    first = REDACTOR.text(f"a {one} b")
    assert first.startswith("a [REDACTED:github-token:")
    assert first.endswith("] b")
    assert REDACTOR.text(f"c {one}")[2:] == first[2:-2]
    assert REDACTOR.text(f"c {other}")[2:] != first[2:-2]


def test_every_rule_is_a_type_that_tags_may_have() -> None:
    """A tag of any rule is recognised again."""
    for row in table.ROWS:
        made = tags.tag(row.rule, "x")
        assert tags.find_tags(f"a{made}b") == [(1, 1 + len(made))]


def test_a_made_up_tag_does_not_shield_a_secret() -> None:
    """Text that only looks like a tag is read like any other."""
    secret = table.example(next(row for row in table.ROWS if row.prefix == "ghp_"))
    assert not survives(secret, REDACTOR.text(f"[REDACTED:{secret}:0123abcd]"))


@pytest.mark.parametrize(
    "text",
    [
        "the sk-learn pipeline and task-force-alpha-bravo-charlie",
        "key-value-store-with-many-words and api-reference-documentation-overview",
        "pat.sub(replacement_text_of_this_function)",
        "SKILLS AND ACCESSORIES, re_compile_the_expression_again",
    ],
)
def test_words_behind_a_prefix_stay(text: str) -> None:
    """A prefix alone is no credential."""
    assert REDACTOR.text(text) is text
