"""The cost of a call on its span, where the price is known by then.

The look-up is of plain values in compiled rates and never waits: while the price data is not loaded the span
says nothing, and the ledger alone tells the cost. The same function prices the row, from the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spantally.calls.price_basis import basis_of
from spantally.ground import semconv
from spantally.ground.guard import swallowed

if TYPE_CHECKING:
    from spantally.calls.operation import Operation
    from spantally.ground.money import UsageParts

_BAD_USAGE: Final = "bad_usage"

PENDING: Final = "pending"
"""``CostStatus.PENDING``: the module of money is loaded with the first call, not with the program."""


def cost_of(operation: Operation, *, later: bool = False) -> dict[str, Any]:
    """Attributes that tell what an operation cost, or why that is not known. Never raises.

    Args:
        operation: of a kind that costs, with its usage; it has the fields of its record.
        later: they are for the span of a request that read its answer.

    Returns:
        ``spantally.cost.*``; empty where nobody prices. While the price data is not loaded, at most what
        the call will be rated by.
    """
    quote = operation.telemetry.quote
    if quote is None:
        return {}
    found: dict[str, Any] = {}
    try:
        rating = quote(operation)
        if rating is None:
            return {}
        # What nothing but counts had a say in needs no basis where the counts are told.
        if not (rating.plain and semconv.USAGE_INPUT_TOKENS in operation.end_attributes):
            basis = None
            if operation.usage is not None:
                needed = rating.status == _BAD_USAGE or _says_otherwise(
                    operation.end_attributes, rating.parts
                )
                basis = basis_of(operation, needed=needed, later=later)
            if basis is not None:
                found[semconv.COST_BASIS] = basis
        if rating.status == PENDING:
            return found
        found[semconv.COST_STATUS] = str(rating.status)
        if rating.nano_usd is not None:
            found[semconv.COST_NANO_USD] = rating.nano_usd
            found[semconv.COST_USD] = rating.nano_usd / 1e9
            if rating.source is not None:
                found[semconv.COST_SOURCE] = rating.source
    except Exception as error:
        swallowed("calls.cost", error)
        return {}
    return found


def _says_otherwise(said: Mapping[str, Any], parts: UsageParts | None) -> bool:
    """True where the attributes, which are the provider's counts, hold not all that it bills.

    Some count thoughts beside the output, or in the total alone; the span of a request that was told of an
    earlier call's usage has no counts of its own.
    """
    if semconv.USAGE in said:
        return False
    if parts is None:  # just what the usage says: where the span says that
        return semconv.USAGE_INPUT_TOKENS not in said and semconv.USAGE_OUTPUT_TOKENS not in said
    return (said.get(semconv.USAGE_OUTPUT_TOKENS) or 0) != parts.output_total or (
        (said.get(semconv.USAGE_INPUT_TOKENS) or 0) != parts.input_total
    )


def tell_cost(operation: Operation, span: Any) -> None:
    """Put the cost onto another instrumentor's span that stands for an operation. Never raises.

    Args:
        operation: has ended.
        span: still records, or is left alone.
    """
    try:
        if span.is_recording():
            found = cost_of(operation)
            if found:
                span.set_attributes(found)
    except Exception as error:
        swallowed("calls.cost", error)
