"""Patching by table, by name, late; unpatching is derived from the same table.

A patch is applied when its module is imported, by a post-import callback of ours that looks at an enabled
flag: nothing of ours raises out of the host's ``import``, and a pending hook honours ``uninstrument()``.
A module that is imported again has new functions, and they are patched, too (``again.py``).
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple, TypeAlias

import wrapt

from spantally.ground.guard import say_once, swallowed
from spantally.instrumentors import again, beneath

Wrapper: TypeAlias = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""``(wrapped, instance, args, kwargs)``, the one signature of every wrapper."""


INHERITED: Final = object()
"""In the place of an original that the class had from a base: taking back is taking the attribute out."""


class Patch(NamedTuple):
    """One place to wrap.

    Attributes:
        module: imported name of the module that holds it.
        path: attribute path within the module, ``Class.method``.
        wrapper: what wraps it, called at each call; or
        load: what gives that wrapper once the module is there, so that its imports wait until then; or
        factory: what makes the replacement from the original, once; it sets ``__wrapped__``.
        innermost: True where it must see every call, also those that come through the wrappers of others.
        required: False where a version of the SDK may lack the place; then only ``doctor`` says so.
    """

    module: str
    path: str
    wrapper: Wrapper | None = None
    load: Callable[[], Wrapper] | None = None
    factory: Callable[[Any], Any] | None = None
    required: bool = True
    innermost: bool = False


class PatchSet:
    """The patches of one instrumentor: enabled and disabled as one, each applied at most once."""

    def __init__(self, owner: str, patches: Sequence[Patch]) -> None:
        self.owner = owner
        self.patches = tuple(patches)
        self.enabled = False
        self.generation = 0
        """How often the patches were taken out: a wrapper that somebody has kept since is out of force."""
        self.applied: dict[Patch, tuple[Any, str, Any, Any]] = {}
        self.missing: list[Patch] = []
        self._hooked: set[str] = set()
        self._former: list[tuple[weakref.ref[Any], str, weakref.ref[Any], bool]] = []
        """Patches in what a module held before it was imported again: somebody may still have it."""
        self._lock = threading.RLock()

    def enable(self) -> None:
        """Patch what is imported already, and what will be when it is; doing it twice is once."""
        with self._lock:
            self.enabled = True
            for module in dict.fromkeys(patch.module for patch in self.patches):
                if module == "__main__":
                    continue  # its definitions have not run yet: apply() is called for it later
                if module in sys.modules and not _initializing(sys.modules[module]):
                    self._apply_module(module, sys.modules[module])
                    self._watch(module)
                elif module not in self._hooked:
                    self._hooked.add(module)
                    try:
                        wrapt.register_post_import_hook(functools.partial(self._imported, module), module)
                    except Exception as error:
                        swallowed(f"{self.owner}.hook", error)

    def disable(self) -> None:
        """Put back everything that was patched; pending import hooks find the flag down."""
        with self._lock:
            self.enabled = False
            again.forget(self)
            self.generation += 1
            self._restore_former()
            for patch, (parent, name, wrapper, original) in reversed(tuple(self.applied.items())):
                try:
                    _restore(parent, name, wrapper, original)
                    if patch.innermost:
                        beneath.take_out(parent, name, original, wrapper)
                except Exception as error:
                    swallowed(f"{self.owner}.restore", error)
            self.applied.clear()
            self.missing.clear()

    def apply(self, module: str) -> None:
        """Patch a module that is there, now."""
        with self._lock:
            if self.enabled and module in sys.modules:
                self._apply_module(module, sys.modules[module])
                if module != "__main__":
                    self._watch(module)

    def _watch(self, name: str) -> None:
        again.watch(self, name, self._imported)

    def _imported(self, name: str, module: ModuleType) -> None:
        try:
            with self._lock:
                self._hooked.discard(name)
                self._watch(name)
                if self.enabled:
                    self._apply_module(name, module, anew=True)
        except Exception as error:
            swallowed(f"{self.owner}.import", error)

    def _apply_module(self, name: str, module: ModuleType, *, anew: bool = False) -> None:
        for patch in self.patches:
            if patch.module != name or (patch in self.applied and not anew):
                continue
            try:
                parent, attribute, original = wrapt.resolve_path(module, patch.path)
                if patch in self.applied and not self._is_new(patch, parent, original):
                    continue
                if patch in self.missing:
                    self.missing.remove(patch)
                innermost = self._apply_innermost(patch, parent, attribute)
                if innermost is not None:
                    self.applied[patch] = innermost
                    continue
                inherited = attribute not in getattr(parent, "__dict__", {attribute: None})
                wrapper = self._wrap(patch, original)
                wrapt.apply_patch(parent, attribute, wrapper)
                self.applied[patch] = (parent, attribute, wrapper, INHERITED if inherited else original)
            except AttributeError:
                self.missing.append(patch)
                if patch.required:
                    say_once(
                        f"missing:{patch.module}:{patch.path}",
                        "spantally: %s:%s is not there in this version; its calls are not seen "
                        "(spantally doctor lists missing taps)",
                        patch.module,
                        patch.path,
                    )
            except Exception as error:
                self.missing.append(patch)
                swallowed(f"{self.owner}.patch", error)

    def _is_new(self, patch: Patch, parent: Any, value: Any) -> bool:
        """Whether a place that was patched is another one since its module was imported again."""
        before, name, wrapper, original = self.applied[patch]
        if parent is before:
            return not isinstance(parent, type) and not _is_around(value, wrapper)
        self._former.append((weakref.ref(before), name, weakref.ref(wrapper), original is INHERITED))
        self._former = [one for one in self._former if one[0]() is not None]
        return True

    def _restore_former(self) -> None:
        former, self._former = self._former, []
        for held, name, kept, inherited in former:
            parent, wrapper = held(), kept()
            if parent is None or wrapper is None:
                continue
            try:
                _restore(parent, name, wrapper, INHERITED if inherited else wrapper.__wrapped__)
            except Exception as error:
                swallowed(f"{self.owner}.restore", error)

    def _apply_innermost(self, patch: Patch, parent: Any, name: str) -> tuple[Any, str, Any, Any] | None:
        """Patch beneath the wrappers of others; None where not asked for, or not possible."""
        try:
            if not patch.innermost or not isinstance(parent, type) or name not in vars(parent):
                return None
            original = beneath.innermost(vars(parent)[name], patch.module.partition(".")[0])
            wrapper = self._wrap(patch, original)
            if beneath.put_beneath(parent, name, original, wrapper):
                return parent, name, wrapper, original
        except Exception as error:
            swallowed(f"{self.owner}.innermost", error)
        return None

    def _wrap(self, patch: Patch, original: Any) -> Any:
        if patch.factory is not None:
            return patch.factory(original)
        wrapper = patch.wrapper if patch.load is None else patch.load()
        assert wrapper is not None
        return wrapt.FunctionWrapper(original, _guarded_by(self, wrapper))


def _initializing(module: ModuleType) -> bool:
    spec = getattr(module, "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _guarded_by(patches: PatchSet, wrapper: Wrapper) -> Wrapper:
    """A wrapper that somebody kept over ``uninstrument()`` passes calls straight through from then on.

    Also once patches are in force again: the call then meets the wrapper of these, too.
    """
    made_in = patches.generation

    def call(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if patches.generation != made_in:
            return wrapped(*args, **kwargs)
        return wrapper(wrapped, instance, args, kwargs)

    return call


def callable_with_self(original: Any) -> Any:
    """What can be called with the object first: somebody else's wrapper wants to be bound to it.

    Args:
        original: what stands in the place of a method.
    """
    if isinstance(original, FunctionType):
        return original

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        bind = getattr(type(original), "__get__", None)
        # What binds to nobody (a mock, a partial, a callable object) is called without the client.
        return (original if bind is None else bind(original, self, type(self)))(*args, **kwargs)

    return functools.update_wrapper(call, original, _told_of(original))


def _told_of(original: Any) -> tuple[str, ...]:
    """The names that a stand-in takes over: a mock gives whatever it is asked for, of whatever type."""
    return tuple(name for name in functools.WRAPPER_ASSIGNMENTS if name in dir(type(original)))


def _restore(parent: Any, name: str, wrapper: Any, original: Any) -> None:
    """Take one wrapper out, also from beneath wrappers that others put around it since."""
    current = parent.__dict__.get(name) if hasattr(parent, "__dict__") else getattr(parent, name, None)
    if current is wrapper:
        if original is INHERITED:
            delattr(parent, name)
        else:
            setattr(parent, name, original)
        return
    if original is INHERITED:
        original = wrapper.__wrapped__
    outer: Any = current
    for _ in range(_MAX_DEPTH):
        inner = getattr(outer, "__wrapped__", None)
        if inner is None:
            return
        if inner is wrapper:
            try:
                outer.__wrapped__ = original
            except (AttributeError, TypeError):
                pass  # it stays, and the flag lets calls pass straight through
            return
        outer = inner


def _is_around(value: Any, wrapper: Any) -> bool:
    """Whether a wrapper is still what is called at a place, perhaps beneath those of others."""
    for _ in range(_MAX_DEPTH):
        if value is wrapper or value is None:
            break
        value = getattr(value, "__wrapped__", None)
    return value is wrapper


_MAX_DEPTH: Final = 20
