"""Typed: passwords that a program types into a field that it names, as agents with a browser do.

``page.getByLabel("Password").fill("...")``, ``find_element(By.ID, "password").send_keys("...")``,
``cy.get("#password").type("...")``, ``{"element": "Password field", "ref": "e7", "text": "..."}``.
Read from behind the name on, anchored and bounded.
"""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.commands import is_chosen
from spantally.redaction.spans import PAIR, Span

REACH: Final = 320
"""Characters behind the name in which the value may stand."""
_QUOTE: Final = r"""(?:\\{0,16}["'`])"""
_VALUE: Final = rf"""(?P<quote>{_QUOTE})(?P<value>[^"'`\\\s]{{4,128}})(?=(?P=quote)|\Z)"""
_REST: Final = r"""[^"'`\\\n()]{0,40}+"""
"""What the name of a field goes on with: ``Password field``, ``password]``, ``/i``."""
_DOES: Final = (
    r"(?:fill|fill_in|type|typeText|type_text|pressSequentially|press_sequentially|send_keys|sendKeys|SendKeys"
    r"|setValue|set_value|addValue|enter_text|enterText|typeSecret|val|replaceText|input_text|keys|insertText|set)"
)
_CALLED: Final = re.compile(
    rf"""(?x)
    {_REST} (?: [\s)\]}}] | {_QUOTE} ){{1,8}}+ (?: , [^"'`\\\n()]{{0,60}}+ \) )?
    (?: \.\w{{1,32}} (?: \( [^()"'`\n]{{0,40}}+ \) )? ){{0,4}}?
    \s{{0,12}} \. {_DOES} \( \s{{0,8}} {_VALUE}
    """
)
_FIELDS: Final = re.compile(
    rf"""(?x)
    {_REST} {_QUOTE} \s{{0,4}}
    (?: , \s{{0,12}} {_QUOTE}? \w{{1,24}}+ {_QUOTE}? \s{{0,4}} [:=] \s{{0,4}}
        (?: {_QUOTE} [^"'`\\\n]{{0,80}}+ {_QUOTE} | [\w.-]{{1,24}}+ ) \s{{0,4}} ){{0,4}}?
    , \s{{0,12}} {_QUOTE}? (?:text|value|keys|input|content|with|string) {_QUOTE}? \s{{0,4}} [:=] \s{{0,4}}
    {_VALUE}
    """
)
_MATCHED: Final = re.compile(rf"/[a-z]{{0,3}}\)\s?,\s{{0,8}}{_VALUE}")
"""``type(getByLabelText(/password/i), "...")``."""
_PARTS: Final = ("field", "input", "box", "textbox")


def kind_of_field(name: str) -> int:
    """What the name of a field says beside that it is one: ``password-field``, ``passwordInput``."""
    lower = name.lower()
    for part in _PARTS:
        if lower.endswith(part):
            return names.classify(name[: -len(part)].rstrip("-_"))
    return names.NONE


def find_typed(text: str, name_end: int, taken: list[Span]) -> None:
    """Append a span for what is typed into the field whose name ends at ``name_end``."""
    for pattern in (_CALLED, _FIELDS, _MATCHED):
        hit = pattern.match(text, name_end, name_end + REACH)
        if hit is not None:
            value = hit["value"]
            if is_chosen(value) and not shapes.is_provider_id(value):
                taken.append(Span(*hit.span("value"), PAIR, names.TYPES[names.PASSWORD]))
            return
