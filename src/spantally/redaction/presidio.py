"""A rule that asks Presidio: personal data by language models and recognisers of another package."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from spantally.ground.errors import ArgumentError
from spantally.redaction.spans import GENERIC, Span, replaced, settle
from spantally.redaction.tags import find_tags

_KIND: Final = "pii"


def presidio_rule(
    analyzer: Any = None,
    *,
    entities: Iterable[str] | None = None,
    language: str = "en",
    score_threshold: float = 0.5,
) -> Callable[[str | None, str, str], str | None]:
    """A rule for :class:`Redactor` that hides what Presidio's analyzer finds, as ``[REDACTED:pii:hmac8]``.

    Presidio runs a language model over each text, on the thread that has the text: it costs milliseconds, and
    is best kept to programs that can wait.

    Args:
        analyzer: a ``presidio_analyzer.AnalyzerEngine``; by default one is made at the first text.
        entities: names of Presidio's entities, such as ``["PERSON", "LOCATION"]``; by default all.
        language: of the texts.
        score_threshold: how sure Presidio must be, from 0 to 1.

    Raises:
        ArgumentError: (a ValueError) where Presidio is not installed and no analyzer is given, or for an
            analyzer without ``analyze``.
    """
    if analyzer is None:
        from importlib.util import find_spec

        if find_spec("presidio_analyzer") is None:
            raise ArgumentError(
                "presidio_rule() needs Presidio, which is not installed: pip install presidio-analyzer "
                "(and a model of spaCy), or pass analyzer="
            )
    elif not callable(getattr(analyzer, "analyze", None)):
        raise ArgumentError(
            f"presidio_rule(analyzer={analyzer!r}): it has no analyze(); use an AnalyzerEngine of Presidio"
        )
    if isinstance(entities, str):
        raise ArgumentError(f"presidio_rule(entities={entities!r}): use a list, as in [{entities!r}]")
    wanted = None if entities is None else list(entities)
    made = [] if analyzer is None else [analyzer]
    lock = threading.Lock()

    def engine() -> Any:
        with lock:
            if not made:
                from presidio_analyzer import AnalyzerEngine  # type: ignore[import-not-found, unused-ignore]

                made.append(AnalyzerEngine())
            return made[0]

    def rule(key: str | None, value: str, where: str) -> str | None:
        if where == "key" or not value.strip():
            return None
        found = (made[0] if made else engine()).analyze(
            text=value, language=language, entities=wanted, score_threshold=score_threshold
        )
        spans = [Span(int(one.start), int(one.end), GENERIC, _KIND) for one in found]
        if not spans:
            return None
        return replaced(value, settle(spans, find_tags(value)))[0]

    return rule
