"""Secrets in JSON within JSON: the arguments of a tool, a message that quotes them, a log of both."""

from __future__ import annotations

import json

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()
SECRET = "Tr0ubador&" + "3xyz9Q"
# ruff: noqa: RUF001
TEXTS = [
    "пароль: {}",
    "мой пароль — {}",
    "密码：{}",
    "密码是{}",
    "パスワードは{}です",
    "비밀번호는 {} 입니다",
    "contraseña: {}",
    "hasło to {}",
    "mật khẩu: {}",
    "सेवा का पासवर्ड: {}",
    "كلمة المرور: {}",
]


def nested(text: str, depth: int) -> str:
    """The text in so many layers of JSON, all of it in ASCII."""
    for _ in range(depth):
        text = json.dumps({"content": text})
    return text


@pytest.mark.parametrize("depth", range(5))
@pytest.mark.parametrize("text", TEXTS)
def test_names_in_other_scripts_are_read_at_any_depth_of_escaping(text: str, depth: int) -> None:
    """``json.dumps`` writes other scripts as escapes, and escapes those once more in the next layer."""
    shown = REDACTOR.text(nested(f"hi\n{text.format(SECRET)}\nthanks", depth))
    assert SECRET not in shown
    assert "[REDACTED:" in shown
    for _ in range(depth):
        shown = json.loads(shown)["content"]
    assert shown.startswith(f"hi\n{text[:2]}")


@pytest.mark.parametrize("depth", range(5))
def test_talk_in_other_scripts_stays(depth: int) -> None:
    """Escapes alone are no secret."""
    text = nested("Привет, 你好: 12 файлов «a1b2», путь C:\\users\\new1, \u00e9t\u00e9 2024", depth)
    assert REDACTOR.text(text) is text
