"""Rules about instrumentation scopes that make GenAI spans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spantally.conformance.model import Scope
from spantally.conformance.profiles import Profile
from spantally.conformance.rules.base import GENERAL, Rule, show, warning


def _missing(scope: Scope, profile: Profile) -> Iterator[str]:
    if not scope.schema_url:
        yield f"the scope has no schema URL; one that begins with {profile.schema_url} is expected"


def _other(scope: Scope, profile: Profile) -> Iterator[str]:
    if scope.schema_url and not scope.schema_url.startswith(profile.schema_url):
        wanted = profile.schema_url
        yield f"the schema URL is {show(scope.schema_url)}; one that begins with {wanted} is expected"


SCOPE_RULES: Final[tuple[Rule[Scope], ...]] = (
    warning("GENAI-SCHEMA-URL-MISSING", "A scope names the schema of its spans.", GENERAL, _missing),
    warning("GENAI-SCHEMA-URL", "The schema URL of a scope is that of its spans' names.", GENERAL, _other),
)
