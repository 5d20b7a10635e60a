"""Getting beneath wrappers that others have put on the same function, and out of them again.

Whoever wraps a method of a base class on a subclass has taken the function from the base: a wrapper put on
the base later is never reached through it. So a patch that must see every call goes innermost, into each
place that holds the original: the classes, the wrappers, and where others keep what they mean to put back.
Things then are as if we had come first, and every such place is given its original back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CellType, FunctionType
from typing import Any, Final, NamedTuple

import wrapt

from spantally.ground.guard import swallowed

MAX_LOOKS: Final = 200
"""How many things are looked at around one function at most."""

_FUNCTIONS: Final = (FunctionType, wrapt.FunctionWrapper, wrapt.BoundFunctionWrapper)

keepers: Final[list[Callable[[], Iterator[tuple[Any, str]]]]] = []
"""Tell the objects and attributes where other instrumentors keep what they found in the SDK."""


class Place(NamedTuple):
    """Where a function is held."""

    value: Any
    put: Callable[[Any], None]
    is_descriptor: bool
    """True where attribute access binds what is put there; else it is called with the instance first."""


def innermost(function: Any, package: str) -> Any:
    """The function beneath the wrappers of others, as far as they say what they wrap.

    Args:
        function: what is found at the place.
        package: whose function it is; its own decorators are part of it.
    """
    for _ in range(MAX_LOOKS):
        if not _is_function(function) or _module_of(function).partition(".")[0] == package:
            break
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            break
        function = inner
    return function


def _is_function(value: Any) -> bool:
    """True for functions and wrapt's wrappers, by type: other objects of the program are not even asked."""
    return issubclass(type(value), _FUNCTIONS)


def put_beneath(owner: type, name: str, original: Any, wrapper: Any) -> bool:
    """Put a wrapper into every place that holds the original.

    Args:
        owner: the class that defines the function.
        name: of the function.
        original: the function itself.
        wrapper: ours around it, a descriptor.

    Returns:
        Whether calls of the class itself reach it now; if not, nothing has changed.
    """
    if all(place.value is not original for place in _own_places(owner, name)):
        return False
    _replace(
        (place for place in _places(owner, name) if place.value is original),
        wrapper,
        wrapper.__get__(None, owner),
    )
    return True


def take_out(owner: type, name: str, original: Any, wrapper: Any) -> None:
    """Put the original back into every place that holds our wrapper.

    Args:
        owner: the class that defines the function.
        name: of the function.
        original: the function itself.
        wrapper: ours around it.
    """
    _replace((place for place in _places(owner, name) if _is_ours(place.value, wrapper)), original, original)


def modules_around(owner: type, name: str, wrapper: Any) -> list[str]:
    """Modules of the wrappers that others have around ours, on the class and on its subclasses.

    Args:
        owner: the class that defines the function.
        name: of the function.
        wrapper: ours around it.
    """
    found: dict[str, None] = {}
    for cls in _with_subclasses(owner):
        value = vars(cls).get(name)
        for _ in range(MAX_LOOKS):
            if value is None or _is_ours(value, wrapper):
                break
            if any(_is_ours(place.value, wrapper) for place in _inside(value, set())):
                found[_module_of(value)] = None
            value = getattr(value, "__wrapped__", None)
    return list(found)


def _module_of(wrapper: Any) -> str:
    """The module whose code a wrapper runs; what ``functools.wraps`` copied onto it is not asked."""
    code = getattr(wrapper, "_self_wrapper", wrapper)
    names = getattr(code, "__globals__", None)
    return str(type(code).__module__ if names is None else names.get("__name__"))


def _is_ours(value: Any, wrapper: Any) -> bool:
    return value is wrapper or (_is_function(value) and getattr(value, "_self_parent", None) is wrapper)


def _replace(places: Iterator[Place], plain: Any, bound: Any) -> None:
    for place in tuple(places):
        try:
            place.put(plain if place.is_descriptor else bound)
        except Exception as error:
            swallowed("patching.beneath", error)


def _own_places(owner: type, name: str) -> Iterator[Place]:
    """The class's attribute, and what is inside it."""
    yield Place(vars(owner).get(name), _setter(owner, name), True)
    yield from _inside(vars(owner).get(name), set())


def _places(owner: type, name: str) -> Iterator[Place]:
    """Every place around a method: of its class and its subclasses, of the wrappers there, of keepers."""
    seen: set[int] = set()
    for cls in _with_subclasses(owner):
        for attribute, value in tuple(vars(cls).items()):
            if attribute == name:
                yield Place(value, _setter(cls, attribute), True)
                yield from _inside(value, seen)
            elif _is_function(value):
                yield Place(value, _setter(cls, attribute), False)
    for holder, attribute in _kept():
        yield Place(getattr(holder, attribute, None), _setter(holder, attribute), False)


def _kept() -> list[tuple[Any, str]]:
    found: list[tuple[Any, str]] = []
    for tell in keepers:
        try:
            found.extend(tell())
        except Exception as error:
            swallowed("patching.beneath", error)
    return found


def _with_subclasses(owner: type) -> Iterator[type]:
    found: set[type] = set()
    waiting = [owner]
    while waiting and len(found) < MAX_LOOKS:
        cls = waiting.pop()
        if cls not in found:
            found.add(cls)
            yield cls
            waiting.extend(cls.__subclasses__())


def _inside(value: Any, seen: set[int]) -> Iterator[Place]:
    """The places inside a wrapper: what it wraps, and what its closure holds."""
    waiting = [value]
    while waiting and len(seen) < MAX_LOOKS:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        for place in (*_wrapped(one), *_cells(one)):
            yield place
            if _is_function(place.value):
                waiting.append(place.value)


def _wrapped(one: Any) -> Iterator[Place]:
    if not _is_function(one):
        return
    if isinstance(one, wrapt.BoundFunctionWrapper):
        one = getattr(one, "_self_parent", None)  # what it wraps is asked of that one at each call
    inner = getattr(one, "__wrapped__", None)
    if inner is not None:
        yield Place(inner, _setter(one, "__wrapped__"), isinstance(one, wrapt.FunctionWrapper))


def _cells(one: Any) -> Iterator[Place]:
    if type(one) is FunctionType:
        for cell in one.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                continue  # empty
            if _is_function(content):
                yield Place(content, _cell_setter(cell), False)


def _setter(holder: Any, attribute: str) -> Callable[[Any], None]:
    return lambda value: setattr(holder, attribute, value)


def _cell_setter(cell: CellType) -> Callable[[Any], None]:
    def put(value: Any) -> None:
        cell.cell_contents = value

    return put
