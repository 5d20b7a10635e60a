#!/usr/bin/env python3
"""Write the rules of collector-config/redact.yaml from those of the package (RE2, as the collector reads it).

    python tools/redact_rules.py            writes the file anew
    python tools/redact_rules.py --check    ends with 1 where the file is not what it would write

The file's own text stays; what stands between the lines `# rules of NAME` and `# end` is written here.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

from spantally.redaction import names
from spantally.redaction.table import CLASSES, ROWS

CONFIG = Path(__file__).resolve().parents[1] / "collector-config" / "redact.yaml"

# Words before `key` or `token` that make it a secret, beyond those that the package lists for keys.
_BEFORE_TOKEN = ("id", "refresh", "session", "xsrf", "csrf")


def words(listed: object) -> str:
    """An alternation of words."""
    return "|".join(sorted(map(re.escape, set(listed))))  # type: ignore[call-overload]


def secret_names() -> str:
    """The end of a name whose value is a secret: password, client_secret, apiKey, ACCESS_TOKEN."""
    plain = words((*names._PASSWORD, *names._SECRET, *names._TOKEN))
    before = words((*names._BEFORE_KEY, *_BEFORE_TOKEN))
    # No plural of `token` but of these: `cache_read_tokens` is a number.
    return (
        rf"(?:{plain}|(?:{before})[_.-]?(?:key|token)|(?:api|access|auth|secret)[_.-]?(?:keys|tokens)|_auth)"
    )


def key_patterns() -> list[str]:
    """Names of attributes whose value is masked whole."""
    return [
        rf"(?i){secret_names()}(?:[_.-]?(?:value|plaintext))?$",
        r"(?i)(?:^|[._-])(?:pw|pswd|pass|token|(?:proxy-)?authorization|(?:set-)?cookie)$",
    ]


def value_patterns() -> list[str]:
    """Credentials in values, whatever the attribute is called."""
    by_shape: dict[tuple[str, int], list[str]] = defaultdict(list)
    for row in ROWS:
        by_shape[row.shape, row.least].append(row.prefix)
    known = [
        rf"\b(?:{'|'.join(map(literal, sorted(prefixes)))})[{CLASSES[shape]}]{{{least},}}"
        for (shape, least), prefixes in sorted(by_shape.items())
    ]
    others = [
        r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
        r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----)?",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]+",
        r"/api/webhooks/[0-9]+/[A-Za-z0-9_-]+",
        r"webhook\.office\.com/[A-Za-z0-9@/_-]+",
        r"api\.telegram\.org/bot[0-9]+:[A-Za-z0-9_-]+",
    ]
    return known + others


def text_patterns() -> list[tuple[str, str]]:
    """What is hidden within a text, with what stays of it: pairs of pattern and replacement.

    None matches what it has put there itself: a value never begins with a star.
    """
    gap = r"""[\\"']*\s*[:=]\s*[\\"']*"""
    return [
        (r"(://[^/\s:@]*:)[^/\s@*][^/\s@]*@", "$1****@"),
        (rf"""(?i)((?:authorization|cookie){gap})[^\s"'\\*][^"'\\\r\n]*""", "$1****"),
        (r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", "$1****"),
        (rf"""(?i)({secret_names()}{gap})[^\s"'\\,;&}}\]*][^\s"'\\,;&}}\]]*""", "$1****"),
        (r"""(?i)([?&](?:sig|signature|x-amz-signature|x-goog-signature)=)[^&\s"'*][^&\s"']*""", "$1****"),
    ]


def literal(prefix: str) -> str:
    """A prefix as a pattern, without escapes that need none."""
    return re.sub(r"([.+])", r"\\\1", prefix)


def quoted(pattern: str) -> str:
    """A YAML text in single quotes. A $ is doubled, since the collector expands $ in all values."""
    return "'" + pattern.replace("$", "$$").replace("'", "''") + "'"


def statement(target: str, pattern: str, replacement: str) -> str:
    """A statement of the transform processor, as a YAML text."""
    inner = pattern.replace("\\", "\\\\").replace('"', '\\"')
    if target.endswith(".attributes"):
        call = f'replace_all_patterns({target}, "value", "{inner}", "{replacement}")'
    else:
        call = f'replace_pattern({target}, "{inner}", "{replacement}")'
    return quoted(call + (" where IsString(log.body)" if target == "log.body" else ""))


def blocks() -> dict[str, list[str]]:
    """The lines of each block, without their indentation."""
    texts = text_patterns()
    # The redaction processor looks at attributes and bodies: names and messages need its rules here.
    all_rules = [*texts, *((pattern, "****") for pattern in value_patterns())]
    found = {
        "keys": [f"- {quoted(pattern)}" for pattern in key_patterns()],
        # Those of texts as well, for arrays, which the transform processor does not look into.
        "values": [f"- {quoted(pattern)}" for pattern in (*value_patterns(), *(rule for rule, _ in texts))],
    }
    for block, targets, rules in (
        ("resources", ("resource.attributes",), texts),
        ("spans", ("span.attributes",), texts),
        ("names", ("span.name", "span.status.message"), all_rules),
        ("events", ("spanevent.attributes",), texts),
        ("event names", ("spanevent.name",), all_rules),
        ("logs", ("log.attributes", "log.body"), texts),
        ("points", ("datapoint.attributes",), texts),
    ):
        found[block] = [f"- {statement(target, *rule)}" for target in targets for rule in rules]
    return found


def written(text: str) -> str:
    """The file with all blocks as they should be."""
    for block, lines in blocks().items():
        pattern = re.compile(rf"^( *)# rules of {block}\n.*?^ *# end\n", re.MULTILINE | re.DOTALL)

        def fill(found: re.Match[str], block: str = block, lines: list[str] = lines) -> str:
            return "".join(f"{found[1]}{line}\n" for line in (f"# rules of {block}", *lines, "# end"))

        text, times = pattern.subn(fill, text)
        if not times:
            raise SystemExit(f"{CONFIG.name}: no line `# rules of {block}`")
    return text


def main() -> int:
    """Write the file, or compare."""
    before = CONFIG.read_text(encoding="utf-8")
    after = written(before)
    if "--check" in sys.argv[1:]:
        return int(before != after)
    CONFIG.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
