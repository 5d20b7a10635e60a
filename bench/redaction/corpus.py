"""The corpus: secrets in contexts and hard negatives, the same for the same seed; and reading others."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random
from typing import NamedTuple
from zlib import crc32

from . import negatives_beside, negatives_text, structures_files  # noqa: F401 -- they enter their makers into the tables
from .contexts import BARE, NAMED, PASSWORD_PROSE, write
from .nameless import NAMELESS, UNKNOWN_SOURCE, nameless_value, unknown_vendor
from .negatives import KEYED, NEGATIVES
from .scoring import survives
from .structures import STRUCTURES
from .surrounds import surround
from .values import chars, fill, password
from .vendors import VENDORS
from .vendors_services import SERVICES

UNIQUE = (*VENDORS, *SERVICES)
ATTRIBUTES = (
    "http.request.header.authorization http.request.header.x-api-key db.password app.api_key client_secret "
    "http.request.header.cookie tool.args.password accessToken "
    "x-auth-token user.passwd webhook.signing_secret"
).split()
SHARES = {"unique": 0.37, "contextual": 0.30, "structural": 0.26, "unknown": 0.07}


class Row(NamedTuple):
    """One text; ``secret`` is empty in a negative."""

    id: str
    text: str
    secret: str
    kind: str
    family: str
    context: str
    source: str
    key: str = ""


def families() -> set[str]:
    """The names of all families of secrets."""
    return {one.name for one in (*UNIQUE, *NAMELESS, *STRUCTURES)} | {"unknown-vendor"}


def aside(row: Row) -> bool:
    """True for a third of the families and contexts: their misses count, but are listed only on demand.

    Whoever mends the redactor by the list of misses can so see whether the rest has become better, too.
    """
    name = row.context.partition("/")[0] if row.kind == "contextual" else row.family
    return crc32(name.encode()) % 3 == 0


def _truncate(rng: Random, text: str, secret: str) -> tuple[str, str]:
    """Cut off somewhere in the second half of the secret, as limits of length do."""
    cut = secret[: max(12, round(len(secret) * rng.uniform(0.55, 0.9)))]
    return text[: text.index(secret)] + cut + rng.choice(["", "…", "..."]), cut


def _placed(rng: Random, form: str, name: str, value: str) -> tuple[str, str, str]:
    """The value in a form, in a surround, and sometimes cut."""
    label, text, secret = surround(rng, write(rng, form, name, value), value)
    if len(secret) >= 24 and rng.random() < 0.04:
        text, secret = _truncate(rng, text, secret)
        label += "+cut"
    return label, text, secret


def _unique(rng: Random, number: int) -> Row:
    family = UNIQUE[number % len(UNIQUE)]
    value = fill(rng, family.template)
    forms = BARE if rng.random() < 0.4 else NAMED
    form = rng.choice(list(forms))
    label, text, secret = _placed(rng, forms[form], rng.choice(family.names.split()), value)
    return Row("", text, secret, "unique", family.name, f"{form}/{label}", family.source)


def _contextual(rng: Random, number: int) -> Row:
    if rng.random() < 0.06:
        value = rng.choice([password(rng), chars(rng, "a", 32), chars(rng, "h", 40)])
        return Row(
            "", value, value, "contextual", "attribute", "attribute", UNKNOWN_SOURCE, rng.choice(ATTRIBUTES)
        )
    if rng.random() < 0.16:
        form = rng.choice(list(PASSWORD_PROSE))
        label, text, secret = _placed(rng, PASSWORD_PROSE[form], "password", password(rng))
        return Row("", text, secret, "contextual", "prose-password", f"{form}/{label}", UNKNOWN_SOURCE)
    family = NAMELESS[number % len(NAMELESS)]
    form = rng.choice(list(NAMED))
    label, text, secret = _placed(
        rng, NAMED[form], rng.choice(family.names.split()), nameless_value(rng, family)
    )
    return Row("", text, secret, "contextual", family.name, f"{form}/{label}", family.source)


def _structural(rng: Random, number: int) -> Row:
    form = STRUCTURES[number % len(STRUCTURES)]
    label, text, secret = surround(rng, *form.make(rng))
    return Row("", text, secret, "structural", form.name, label, form.source)


def _unknown(rng: Random, number: int) -> Row:
    value, name = unknown_vendor(rng)
    forms = BARE if number % 2 else NAMED
    form = rng.choice(list(forms))
    label, text, secret = _placed(rng, forms[form], name, value)
    return Row("", text, secret, "unique", "unknown-vendor", f"{form}/{label}", UNKNOWN_SOURCE)


def _negative(rng: Random, number: int) -> Row:
    if number % 12 == 11:
        key, make = rng.choice(KEYED)
        return Row("", make(rng), "", "negative", "attribute", key, "", key)
    names = list(NEGATIVES)
    name = names[number % len(names)]
    label, text, _ = surround(rng, NEGATIVES[name](rng), "")
    return Row("", text, "", "negative", name, label, "")


_MAKERS = {"unique": _unique, "contextual": _contextual, "structural": _structural, "unknown": _unknown}


def generate(seed: int, rows: int) -> list[Row]:
    """``rows`` rows, three secrets to two negatives."""
    found: list[Row] = []
    secrets = rows * 3 // 5
    for group, share in SHARES.items():
        rng = Random(f"{seed}-{group}")
        found += [_checked(rng, group, number) for number in range(round(secrets * share))]
    rng = Random(f"{seed}-negative")
    found += [_negative(rng, number) for number in range(rows - len(found))]
    return [row._replace(id=f"{row.kind[:1]}{number:05}") for number, row in enumerate(found)]


def _checked(rng: Random, group: str, number: int) -> Row:
    """A row whose secret stands in its text once, so that whatever is left of it is a leak."""
    while True:
        row = _MAKERS[group](rng, number)
        rest = row.text.replace(row.secret, "\0", 1)
        if row.secret in row.text and not survives(rest, row.secret):
            return row


def load(path: Path) -> list[Row]:
    """Rows of a file of JSON lines, packed by gzip or not."""
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode().split("\n")
    return [_read(json.loads(line), number) for number, line in enumerate(lines) if line.strip()]


def _read(raw: dict[str, object], number: int) -> Row:
    def cell(*names: str) -> str:
        return next((str(raw[name]) for name in names if raw.get(name)), "")

    secret = cell("secret")
    kind = cell("kind", "cat") if secret else "negative"
    return Row(
        cell("id") or str(number),
        cell("text"),
        secret,
        kind,
        cell("rule", "family"),
        cell("cat", "context"),
        cell("source"),
        cell("key"),
    )


def dump(rows: list[Row], path: Path) -> None:
    """Write rows so that ``load`` reads them: for trying a change on the very same texts."""
    with gzip.open(path, "wt", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps({**row._asdict(), "rule": row.family, "cat": row.context}) + "\n")
