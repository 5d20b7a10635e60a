"""What operations of one shape say at their start: worked out once, redacted once, used by all of them.

Most of what a call says of itself repeats with every call: operation, model, host, temperature. A plan holds
it with its redacted form, which is good for as long as the redactor would give the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import SpanKind

from spantally.calls.own_spans import revision_of, safe_of, without_genai
from spantally.ground import semconv

LONGEST_KEPT: Final = 256
"""Longest text of a plan that is kept, in characters."""


class Plan:
    """The start of an operation: immutable by convention, shared by all operations of its shape.

    Attributes:
        kind: a :class:`~spantally.ground.records.Kind`.
        operation: ``gen_ai.operation.name``.
        subject: what follows the operation in the span's name: model, agent or tool.
        span_kind: CLIENT for a remote model.
        attributes: raw attributes known at the start (samplers see their redacted form).
        paid: whether it is a tool that the program says the cost of.
    """

    __slots__ = ("attributes", "kind", "made", "operation", "paid", "span_kind", "subject")

    def __init__(
        self,
        kind: str,
        operation: str,
        *,
        subject: str | None = None,
        span_kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        paid: bool = False,
    ) -> None:
        self.kind = kind
        self.operation = operation
        self.subject = subject
        self.span_kind = span_kind
        self.attributes: Mapping[str, Any] = attributes or {}
        self.paid = paid
        self.made: tuple[Any, Any, Any, str, dict[str, Any], bool] | None = None
        """What :meth:`ready` gave, behind the redactor, revision and spellings that it is good for."""

    def ready(
        self, redactor: Any, revision: Any, renames: Mapping[str, str | None]
    ) -> tuple[str, dict[str, Any], bool]:
        """The redacted name and attributes of the span, and whether they are of GenAI.

        The attributes are not to be changed. Who calls it often looks at :attr:`made` first.

        Args:
            redactor: takes secrets out.
            revision: the redactor's; None where its answers are not kept.
            renames: spellings of the profile.
        """
        title = self.operation
        if self.subject:
            title = redactor.text(f"{title} {self.subject}")
        values = {semconv.OPERATION_NAME: self.operation, **self.attributes}
        safe = safe_of(redactor, renames, values)
        # Where redaction failed, texts are missing: the next call tries again.
        whole = bool(renames) or len(safe) == len(values)
        genai = semconv.is_operation(self.operation, renames)
        if not genai:
            safe = without_genai(safe)
        if revision is not None and whole:
            self.made = (redactor, revision, renames, title, safe, genai)
        return title, safe, genai

    def may_be_kept(self, redactor: Any) -> bool:
        """True if nothing in it is a secret and all of it is short: else it would keep raw texts in memory.

        Args:
            redactor: what judges it.
        """
        if revision_of(redactor) is None or len(self.subject or "") > LONGEST_KEPT:
            return False
        values = self.attributes
        return (
            all(_is_short(value) for value in values.values())
            and safe_of(redactor, {}, values) == values
            and (not self.subject or redactor.text(self.subject) == self.subject)
        )


def _is_short(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return len(value) <= LONGEST_KEPT
    return kind is not tuple or sum(map(len, map(str, value))) <= LONGEST_KEPT
