"""What counts as leaked, as touched and as lost.

A secret has leaked if a contiguous run of more than max(4, 40 %) of it is in the output. A negative is
touched if the output differs. Benign characters lost are those that are gone beside the secret: the length of
text and secret against what is left without the tags of the side.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .corpus import Row

TAGS = re.compile(
    r"\[REDACTED:[^\[\]\s]{1,80}\]|<redacted:[^<>]{1,40}>|\[Scrubbed due to [^\]]{0,200}\]|\[REDACTED\]"
)

_BY_FAMILY = ("structural", "negative")
"""Kinds in which the family, rather than the context, says where a row went wrong."""


def survives(output: str, secret: str) -> bool:
    """True if more than max(4, 40 %) of the secret stands in the output in one piece."""
    size = int(max(4, 0.4 * len(secret))) + 1
    if len(secret) < size:
        return secret in output
    return any(secret[at : at + size] in output for at in range(len(secret) - size + 1))


def lost(text: str, secret: str, output: str) -> int:
    """How many benign characters are gone."""
    if output == text:
        return 0
    return max(0, len(text) - len(secret) - len(TAGS.sub("", output)))


class Verdict(NamedTuple):
    """What became of one row."""

    row: Row
    leaked: bool
    touched: bool
    lost: int
    output: str

    @property
    def wrong(self) -> bool:
        """True for a secret that leaked and for a negative that was touched."""
        return self.leaked or (self.touched and not self.row.secret)


def judge(rows: Iterable[Row], redact: Callable[[str, str], str]) -> list[Verdict]:
    """Each row redacted and judged; ``redact`` takes text and key."""
    verdicts = []
    for row in rows:
        output = redact(row.text, row.key)
        leaked = bool(row.secret) and survives(output, row.secret)
        verdicts.append(Verdict(row, leaked, output != row.text, lost(row.text, row.secret, output), output))
    return verdicts


def _recall(verdicts: list[Verdict]) -> float:
    return 1 - sum(one.leaked for one in verdicts) / len(verdicts) if verdicts else float("nan")


def totals(verdicts: list[Verdict], set_aside: Container[str] = ()) -> dict[str, Any]:
    """The figures of one side; rows that are set aside by their ids count, and are not described."""
    secrets = [one for one in verdicts if one.row.secret]
    negatives = [one for one in verdicts if not one.row.secret]
    kinds = sorted({one.row.kind for one in secrets})
    hidden = [one for one in verdicts if one.row.id in set_aside]
    wrong = Counter(
        (one.row.kind, one.row.family if one.row.kind in _BY_FAMILY else one.row.context.partition("/")[0])
        for one in verdicts
        if one.wrong and one.row.id not in set_aside
    )
    benign = sum(len(one.row.text) - len(one.row.secret) for one in verdicts)
    touched = sum(one.touched for one in negatives)
    return {
        "rows": len(verdicts),
        "recall": _recall(secrets),
        "recall_by_kind": {kind: _recall([one for one in secrets if one.row.kind == kind]) for kind in kinds},
        "recall_aside": _recall([one for one in hidden if one.row.secret]),
        "recall_listed": _recall([one for one in secrets if one.row.id not in set_aside]),
        "missed": sum(one.leaked for one in secrets),
        "secrets": len(secrets),
        "negatives": len(negatives),
        "negatives_touched": touched / len(negatives) if negatives else 0.0,
        "negatives_touched_rows": touched,
        "wrong": [[f"{kind}: {what}", count] for (kind, what), count in wrong.most_common()],
        "benign_lost": sum(one.lost for one in verdicts) / benign if benign else 0.0,
    }
