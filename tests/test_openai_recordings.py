"""Recorded provider traffic through the SDK: span and row say what the bytes say, nothing changes.

A small set of our own is in the repository. SPANTALLY_RECORDINGS names a folder with more: VCR cassettes and
the like of other projects, which are tried the same way.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recordings_kit import Exchange, exchanges
from recordings_oracle import Told, told_by
from recordings_replay import MODES, Mode, Outcome, Seen, replay

OWN = Path(__file__).parent / "recordings"
ELSEWHERE = os.environ.get("SPANTALLY_RECORDINGS")

CHECKED = (
    "gen_ai.usage.",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.response.finish_reasons",
    "gen_ai.provider.name",
    "server.",
    "error.type",
)
"""Attributes that must be there if the bytes tell them, and must not if not."""


@pytest.mark.parametrize("mode", MODES)
def test_our_own_recordings_are_told_as_they_were_sent(mode: str, tmp_path: Path) -> None:
    """One span and one row for each, equal to the bytes; the program's outcome is that without us."""
    found = list(exchanges(OWN))
    assert len(found) >= 15
    assert all(told_by(one) is not None for one in found)
    assert not list(failures(found, MODES[mode], tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not ELSEWHERE, reason="SPANTALLY_RECORDINGS names no folder with recordings")
@pytest.mark.parametrize("mode", MODES)
def test_recordings_elsewhere_are_told_as_they_were_sent(mode: str, tmp_path: Path) -> None:
    """The same for whatever recordings of OpenAI's API the folder holds."""
    assert ELSEWHERE is not None
    found = [one for one in exchanges(Path(ELSEWHERE)) if one.is_compatible]
    assert found, f"no recording of OpenAI's API in {ELSEWHERE}"
    files = len({one.source.rpartition("#")[0] for one in found})
    told = sum(told_by(one) is not None for one in found)
    print(f"{len(found)} exchanges in {files} recordings, {told} of them of a model")
    wrong = list(failures(found, MODES[mode], tmp_path))
    kinds = Counter(text.partition(": ")[2].partition(" ")[0] for text in wrong)
    assert not wrong, f"{len(wrong)} failures {dict(kinds)}\n" + "\n".join(wrong[:60])


def failures(found: list[Exchange], mode: Mode, folder: Path) -> Iterator[str]:
    """What is not as it should be, a line each."""
    for exchange, (bare, ours, seen) in zip(found, replay(found, mode, folder), strict=True):
        for text in _unlike(bare, ours):
            yield f"{exchange.source}: {text}"
        told = told_by(exchange)
        if told is None:
            if len(seen.spans) > 1 or len(seen.records) > 1:
                yield f"{exchange.source}: count spans {len(seen.spans)}, records {len(seen.records)}"
            continue
        for text in _untrue(told, bare, seen, mode):
            yield f"{exchange.source}: {text}"


def _unlike(bare: Outcome, ours: Outcome) -> Iterator[str]:
    for name, one, other in zip(Outcome._fields, bare, ours, strict=True):
        if one != other:
            yield f"{name} differs: {str(one)[:300]} became {str(other)[:300]}"


def _untrue(told: Told, bare: Outcome, seen: Seen, mode: Mode) -> Iterator[str]:
    if (len(seen.records), len(seen.rows), len(seen.spans)) != (1, 1, int(mode.sampled)):
        yield f"count records {len(seen.records)}, rows {len(seen.rows)}, spans {len(seen.spans)}"
        return
    (record,), (row,) = seen.records, seen.rows
    raised = bare.result[0] == "raised"
    if record.status != ("error" if told.failed or raised else "ok") and not told.goes_on:
        yield f"status {record.status}, {'raised' if raised else 'returned'}"
    if record.operation != told.operation:
        yield f"operation {record.operation}"
    # The row of one that goes on is completed by a later exchange.
    if _told_part(record.usage, told.usage) != _without_nulls(told.usage) and not told.goes_on:
        yield f"usage {record.usage} is {told.usage}"
    if told.usage is not None:
        counted = row.input_tokens, row.output_tokens, row.cache_read
        tokens = (None, None, None) if told.contradicts_itself else told.tokens
        if any((one or 0) != (other or 0) for one, other in zip(counted, tokens, strict=True)):
            yield f"row-tokens {counted} are {told.tokens} of {told.usage}"
    for name in ("id", "model"):
        value = told.attributes.get(f"gen_ai.response.{name}")
        if getattr(record, f"response_{name}") != value:
            yield f"record-{name} {getattr(record, f'response_{name}')} is {value}"
    for span in seen.spans:
        expected = dict(told.attributes)
        if raised and not told.failed:
            expected["error.type"] = span.get("error.type")  # the SDK's own
        if (told.failed or raised) and told.operation != "embeddings":
            # A reason that was expected and did not come; one for each choice that was asked for.
            expected.setdefault("gen_ai.response.finish_reasons", ["error"] * told.choices)
        if (span[""] == 2) != (told.failed or raised) or span[""] == 1:
            yield f"span-status {span['']}"
        yield from _attributes(expected, span)


def _attributes(expected: dict[str, Any], span: dict[str, Any]) -> Iterator[str]:
    checked = {name for name in span if name.startswith(CHECKED)} | expected.keys()
    for name in sorted(checked):
        if span.get(name) != expected.get(name):
            yield f"{name} {span.get(name)!r} is {expected.get(name)!r}"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value


def _told_part(kept: Any, told: Any) -> Any:
    """What was kept of a usage object, without what was added to it under names that it does not have."""
    if isinstance(kept, dict) and isinstance(told, dict):
        return _without_nulls({name: value for name, value in kept.items() if name in told})
    return kept
