"""Keys whose middle was left out, as validators shorten the values that they quote: both ends are hidden."""

from __future__ import annotations

import random
import string

import pydantic
import pytest

from spantally.redaction import Redactor

PREFIXES = ("sk-proj-", "sk-ant-api03-", "ghp_", "hf_", "gsk_", "xai-")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("ends", [(8, 23), (17, 23), (10, 9)])
def test_both_ends_go(prefix: str, ends: tuple[int, int]) -> None:
    """However much was left of the key, nearly always; what cannot be told from names is left."""
    made = random.Random(repr((prefix, ends)))
    redactor, missed = Redactor(), 0
    for _ in range(200):
        body = "".join(made.choices(string.ascii_letters + string.digits, k=48))
        front, back = body[: ends[0]], body[-ends[1] :]
        text = f"[type=url, input_value='{prefix}{front}...{back}', input_type=str]"
        told = redactor.text(text)
        if front in told or back in told:
            missed += 1
        else:
            assert told.startswith("[type=url, input_value='[REDACTED:")
            assert told.endswith("', input_type=str]")
        assert redactor.text(told) == told
    assert missed <= (4 if sum(ends) > 20 else 20)


def test_what_a_validator_says() -> None:
    """The message of a real one."""
    key = "sk-proj-" + "nDCk7ufBjAqW2eR5tYB9aV3tqZuvXMoJULjgViTvRx8Kd72"

    class Wanted(pydantic.BaseModel):
        number: int

    with pytest.raises(pydantic.ValidationError) as raised:
        Wanted.model_validate({"number": key})
    said = str(raised.value)
    assert "..." in said
    told = Redactor().text(said)
    assert "nDCk7uf" not in told
    assert key[-10:] not in told
    assert "unable to parse string as an integer" in told


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abc...xyz",
        "use sk-... or rk_live_... here",
        "sk-your-key...goes-here-now",
        "sk-1234567890...abcdefghij",
        "sk-learn...pipeline-version-2",
        "npm_config_registry...npm_config_cache",
    ],
)
def test_stand_ins_stay(text: str) -> None:
    """Words, and keys that nobody has."""
    assert Redactor().text(text) == text
