"""What can make the automaton of a pattern slow: loops that take one text in several ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from spantally.redaction.pattern_tree import Automaton, TooComplicatedError

MOST_STEPS: Final = 400_000
"""Most steps of one question; a pattern that needs more is too complicated."""


def components(follow: Sequence[Counter[int]]) -> list[list[int]]:
    """The loops: sets of places that lead to each other, in the order in which a text meets them."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    inside: set[int] = set()
    found: list[list[int]] = []
    for root in range(len(follow)):
        if root in order:
            continue
        work = [(root, iter(follow[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        inside.add(root)
        while work:
            place, nexts = work[-1]
            for near in nexts:
                if near not in order:
                    order[near] = low[near] = len(order)
                    stack.append(near)
                    inside.add(near)
                    work.append((near, iter(follow[near])))
                    break
                if near in inside:
                    low[place] = min(low[place], order[near])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[place])
                if low[place] == order[place]:
                    group: list[int] = []
                    while not group or group[-1] != place:
                        group.append(stack.pop())
                        inside.discard(group[-1])
                    if len(group) > 1 or follow[place][place]:
                        found.append(group)
    return found[::-1]


def doubled(made: Automaton, group: list[int]) -> int | None:
    """A place of a loop that can be come back to in two ways by one text; None if there is none."""
    members = set(group)
    nexts = {place: [near for near in made.follow[place] if near in members] for place in group}
    for place in group:
        if any(made.follow[place][near] > 1 for near in nexts[place]):
            return place
    edges: dict[tuple[int, int], set[tuple[int, int]]] = {}
    seen = {(place, place) for place in group}
    work = list(seen)
    steps = 0
    while work:
        pair = work.pop()
        for one in nexts[pair[0]]:
            for other in nexts[pair[1]]:
                steps += 1
                if made.bits[one] & made.bits[other]:
                    near = (min(one, other), max(one, other))
                    edges.setdefault(near, set()).add(pair)
                    if near not in seen:
                        seen.add(near)
                        work.append(near)
        if steps > MOST_STEPS:
            raise TooComplicatedError
    # Back from where both ways meet: whatever pair is met on the way from and to such a place is two ways.
    back = {(place, place) for place in group}
    work = list(back)
    while work:
        for before in edges.get(work.pop(), ()):
            if before not in back:
                back.add(before)
                if before[0] != before[1]:
                    return before[0]
                work.append(before)
    return None


def degree_of(made: Automaton, groups: list[list[int]]) -> list[int]:
    """The most loops that can share one run of characters, a place of each, the search among them."""
    safe = made.final - made.guarded
    chains: list[list[int]] = [[group[0]] for group in groups]
    best: list[int] = []
    for later, group in enumerate(groups):
        for earlier in range(later):
            if len(chains[earlier]) >= len(chains[later]) and _share(made, groups[earlier], group):
                chains[later] = [*chains[earlier], group[0]]
        # Behind a loop that may end at any time nothing can fail, so that nobody comes back to it.
        if len(chains[later]) > len(best) and not safe.issuperset(group):
            best = chains[later]
    return best


def _share(made: Automaton, earlier: list[int], later: list[int]) -> bool:
    """Whether some text keeps the one loop busy, leads from it to the other, and keeps that busy."""
    first, last = set(earlier), set(later)
    bits, follow = made.bits, made.follow
    steps = 0
    for home in earlier:
        for goal in later:
            begin = (home, home, goal)
            seen = {begin}
            work = [begin]
            while work:
                x, y, z = work.pop()
                for nx in follow[x]:
                    if nx not in first:
                        continue
                    for nz in follow[z]:
                        both = bits[nx] & bits[nz]
                        if nz not in last or not both:
                            continue
                        for ny in follow[y]:
                            steps += 1
                            near = (nx, ny, nz)
                            if not bits[ny] & both or near in seen:
                                continue
                            if near == (home, goal, goal):
                                return True
                            seen.add(near)
                            work.append(near)
                if steps > MOST_STEPS:
                    raise TooComplicatedError
    return False


def most_ways(made: Automaton, groups: list[list[int]], limit: int, *, behind_loops: bool) -> int | None:
    """A place that a run of one character reaches in more than ``limit`` ways; None if there is none.

    Args:
        made: the automaton.
        groups: its loops.
        limit: most ways; a loop counts as one.
        behind_loops: count only the ways that begin in a loop; else a run may begin anywhere.
    """
    within = {place: number for number, group in enumerate(groups) for place in group}
    order = _order(made, within)
    by_bit: dict[int, list[int]] = {}
    for place in order:
        bits = made.bits[place]
        while bits:
            lowest = bits & -bits
            by_bit.setdefault(lowest, []).append(place)
            bits ^= lowest
    columns = dict.fromkeys(map(tuple, by_bit.values()))
    steps = 0
    for places in columns:
        taken = set(places)
        ways = {place: int(not behind_loops or place in within) for place in places}
        for place in places:
            if ways[place] > limit:
                return place
            for near, times in made.follow[place].items():
                steps += 1
                if near in taken and (place not in within or within[place] != within.get(near)):
                    ways[near] += ways[place] * times
            if steps > MOST_STEPS * 10:
                raise TooComplicatedError
    return None


def _order(made: Automaton, within: dict[int, int]) -> list[int]:
    """All places but the search, each behind those that lead to it, loops left out of account."""
    count = len(made.bits)
    waits = [0] * count
    for place in range(count):
        for near in made.follow[place]:
            if place not in within or within[place] != within.get(near):
                waits[near] += 1
    ready = [place for place in range(count) if not waits[place]]
    order: list[int] = []
    while ready:
        place = ready.pop()
        if place:
            order.append(place)
        for near in made.follow[place]:
            if place not in within or within[place] != within.get(near):
                waits[near] -= 1
                if not waits[near]:
                    ready.append(near)
    return order
