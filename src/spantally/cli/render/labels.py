"""Labels of attributes: names without what they share, as long as no two of a row are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def labels_of(names: Iterable[str]) -> dict[str, str]:
    """The shortest endings of dotted names by which they differ, by name.

    ``gen_ai.agent.name`` is ``name`` where no other ends so, and ``agent.name`` beside
    ``gen_ai.operation.name``.
    """
    found: dict[str, str] = {}
    parts = {name: name.split(".") for name in names}
    longest = max(map(len, parts.values()), default=0)
    for length in range(1, longest + 1):
        endings = {name: ".".join(split[-length:]) for name, split in parts.items() if name not in found}
        count = Counter(endings.values())
        found.update({name: ending for name, ending in endings.items() if count[ending] == 1})
    return found
