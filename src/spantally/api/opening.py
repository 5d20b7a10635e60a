"""``session()``: the arguments of a session, checked before any effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from spantally.api.session import Session
from spantally.api.session_ids import check_template, is_template, parse_idle
from spantally.api.session_said import parse_labels, parse_metadata, parse_title
from spantally.calls.capturing import Capture, parse_capture
from spantally.ground.errors import ArgumentError
from spantally.ground.setting_values import parse_console, parse_entity, parse_id, parse_tags

if TYPE_CHECKING:
    from datetime import timedelta

    from spantally.budgets.budget import Budget
    from spantally.budgets.loops import LoopGuard

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def session(id: _F, /) -> _F: ...
@overload
def session(
    id: str | None = None,
    *,
    conversation: str | None = None,
    user: str | None = None,
    entity: tuple[str, str] | str | None = None,
    tags: Mapping[str, str] | str | None = None,
    name: str | None = None,
    title: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    labels: Iterable[str] | None = None,
    parent: str | Session | None = None,
    idle_timeout: float | timedelta | None = None,
    budget: Budget | None = None,
    loop_guard: LoopGuard | None = None,
    console: bool | str | None = None,
    capture: Capture = "auto",
) -> Session: ...
def session(
    id: str | Callable[..., Any] | None = None,  # noqa: A002 - the name that users type
    *,
    conversation: str | None = None,
    user: str | None = None,
    entity: tuple[str, str] | str | None = None,
    tags: Mapping[str, str] | str | None = None,
    name: str | None = None,
    title: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    labels: Iterable[str] | None = None,
    parent: str | Session | None = None,
    idle_timeout: float | timedelta | None = None,
    budget: Budget | None = None,
    loop_guard: LoopGuard | None = None,
    console: bool | str | None = None,
    capture: Capture = "auto",
) -> Any:
    """A session: everything that happens inside belongs to it, nested agents, tools and threads too.

    Use it as ``with session(...)``, ``async with session(...)``, as a decorator (``@session`` or
    ``@session(...)``), or by :meth:`Session.begin` and :meth:`Session.finish`. The same id inside itself
    enters the session again; another id, or none, makes a child whose spending rolls up. User and entity
    are inherited, tags are merged, the inner value wins.

    Args:
        id: of the session; a UUID version 7 by default. A given id is the conversation's id as well. A
            template, as ``"{customer}:{conversation}"``, is filled in from conversation, user, the entity by
            its type, and tags, given here or in force around.
        conversation: id of the conversation (``gen_ai.conversation.id``) where it is another.
        user: id of the user (``user.id``).
        entity: whom the work is for: ``("customer", "acme")`` or ``"customer:acme"``.
        tags: text to text, on every span and row beneath.
        name: what kind of session it is, of low cardinality.
        title: free text for people; like metadata and labels redacted, and for the ledger only.
        metadata: any JSON.
        labels: texts that stand for themselves.
        parent: the session that this one is part of, where that is not the one in force: its id, or itself.
        idle_timeout: seconds (or a timedelta) after which the given id begins a new session: ``<id>~2``,
            ``~3``; the conversation's id stays, and ``previous_id`` names the one before.
        budget: what it may use, with all that runs beneath; a :class:`Budget`.
        loop_guard: notices a tool that is called alike again and again; a :class:`LoopGuard`.
        console: show the session on stderr as it happens, as ``instrument(console=...)`` does for all; False
            leaves it out where all are shown.
        capture: of a decorated function, what becomes input and output of the session where the ledger keeps
            all content; as for :func:`agent`.

    Returns:
        A :class:`Session`.

    Raises:
        SettingsError: (a ValueError) naming value and allowed range, before any effect.
        ArgumentError: likewise; for a template whose names nothing is known for, when it is entered.
    """
    if callable(id):
        return session()(id)
    said = {
        "title": parse_title(title),
        "metadata": parse_metadata(metadata),
        "labels": parse_labels(labels),
    }
    given = None if id is None else parse_id("session id", id)
    if budget is not None or loop_guard is not None:
        from spantally.api.limits import check

        check(budget, loop_guard)
    return Session(
        check_template(given) if given is not None and is_template(given) else given,
        conversation=None if conversation is None else parse_id("conversation", conversation),
        user=None if user is None else parse_id("user", user),
        entity=None if entity is None else parse_entity("entity", entity),
        tags=() if tags is None else parse_tags("tags", tags),
        name=None if name is None else parse_id("session name", name),
        parent=_parse_parent(parent),
        idle_seconds=parse_idle(idle_timeout),
        said=said if any(said.values()) else None,
        budget=budget,
        loop_guard=loop_guard,
        console=None if console is None else parse_console("session(console)", console),
        capture=parse_capture("session(capture", capture),
    )


def _parse_parent(value: str | Session | None) -> str | Session | None:
    if not isinstance(value, Session):
        return None if value is None else parse_id("parent", value)
    if value.id is None:
        raise ArgumentError("session(parent=...): enter the parent first, or pass its id")
    return value
