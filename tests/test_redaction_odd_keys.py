"""Keys that neither a prefix nor a digit gives away, and what only looks like one."""

from __future__ import annotations

import pytest

from spantally.redaction import Redactor


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("hf_" + "usyTPNARooQiuygeyMAZ" + "gokIGDVNChDKCV", "huggingface-token"),
        ("1,AS" + "IAUAVJVQFNFHIOUIFT,x", "aws-access-key"),
        ("snyk_uat." + "83ffa38f.OXqZUlXPkQy4vqKJ_8Y1f1mQsVOdqQDmr6vh", "snyk-token"),
        ("18aa372d315e54d0060ed7334ee0994e56d4" + "FFFFNRAL", "newrelic-key"),
        (
            "https://a.io/v1/MTAkbrfq1nM63tteqgHS5OQD5q" + ".36geMs.EtMK3gNF9_ZepLK1rD9H0hKlXxRbo_Vldsg5iE",
            "discord-token",
        ),
        ("b607e6679f15b1c3b1825f9b59c543b3." + "IIPvzWtHPcMA3dF2", "zhipu-key"),
        (
            "A" * 21 + "ef7NDIBwS70Gj8HOlexO" + "%3D1hfajkLNOuteedPQckL4r7yv3VrkSfEuC3RItkl3Kn",
            "twitter-token",
        ),
    ],
)
def test_keys_that_a_prefix_and_digits_do_not_give_away(text: str, rule: str) -> None:
    """Letters alone, an end instead of a beginning, a place within a URL."""
    assert f"[REDACTED:{rule}:" in Redactor().text(f"so I tried {text} and it failed")


def test_two_letters_in_an_image_are_no_prefix() -> None:
    """Base64 has every short prefix somewhere behind one of its signs."""
    body = "".join("QmZ0+Xa9/k" + str(i) for i in range(20))
    image = f"data:image/png;base64,{body}+hf_".replace("_", "x") + f"/AKIA{'Q7' * 8}+{body}"
    assert Redactor().text(image) == image


@pytest.mark.parametrize(
    "word", ["hf_getModelConfigFromHubRepositoryPath", "d41d8cd98f00b204e9800998ecf8427e.jpeg"]
)
def test_names_that_only_begin_alike_stay(word: str) -> None:
    """Camel case changes at its seams only; a hash may be the name of a file."""
    assert Redactor().text(f"see {word} there") == f"see {word} there"


def test_an_id_that_ends_like_a_name_is_none() -> None:
    """The id before it in a list may end in "pw"."""
    text = '["toolu_01Ywsye8CJf3Yk7YeYqPw", "run_ISCPCJdqmG4p49sKvdZsW1u5"]'
    assert Redactor().text(text) == text
    assert "run_" not in Redactor().text('["db_pw", "run_ISCPCJdqmG4p49sKvdZsW1u5"]')
