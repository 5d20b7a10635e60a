"""How good an answer was: told where it was given, or later, by whoever knows the id of what it is about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from spantally.api.recorded_events import About, given_id, note
from spantally.calls import implicit
from spantally.calls import telemetry as telemetry_module
from spantally.ground import ids, semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.guard import swallowed
from spantally.ground.scope import current_scope, is_hidden
from spantally.ground.setting_values import parse_id
from spantally.ground.settings import is_disabled

if TYPE_CHECKING:
    from spantally.api.session_recording import Moment


def evaluation(
    name: str,
    score: float | None = None,
    *,
    label: str | None = None,
    explanation: str | None = None,
    session: str | None = None,
    call: str | None = None,
    response_id: str | None = None,
    error_type: str | None = None,
    timestamp: Moment | None = None,
    id: str | None = None,  # noqa: A002 - the name that users type
) -> str:
    """Note the result of an evaluation: the event ``gen_ai.evaluation.result`` of the conventions.

    Call it where the evaluated span is current, or say later, in whatever process writes to the same ledger,
    what it is of: a session, a call or a response. A response or call is looked up where the event is stored;
    where its row is not in the ledger yet, the event waits for it (that of a response, told within a session,
    is of that session then).

    Args:
        name: of the metric: ``"relevance"``.
        score: a finite number.
        label: what the score means, of a few words: ``"relevant"``, ``"fail"``.
        explanation: why. Content.
        session: id of the session that was evaluated.
        call: id of the call, agent or tool that was: ``record_call()`` and `spantally calls` tell it.
        response_id: the provider's id of the response that was.
        error_type: why there is no result, as a class of errors.
        timestamp: when; now, by default.
        id: a name of its own: told again, of the same and in whatever process, it is stored once.

    Returns:
        The id of the event.

    Raises:
        ArgumentError: (a ValueError) for a wrong argument, where score, label and error_type are all
            missing, or where more than one thing is named; nothing is noted then.
    """
    attributes, content = checked("evaluation", name, score, label, explanation, error_type)
    return _tell(
        "evaluation", attributes, content, _about("evaluation", session, call, response_id), timestamp, id
    )


def feedback(
    score: float | None = None,
    *,
    label: str | None = None,
    comment: str | None = None,
    name: str = "feedback",
    session: str | None = None,
    call: str | None = None,
    response_id: str | None = None,
    timestamp: Moment | None = None,
    id: str | None = None,  # noqa: A002 - the name that users type
) -> str:
    """Note what somebody thought of an answer: an evaluation by the name of ``feedback``.

    Args:
        score: a finite number: 1 and 0 for a thumb up and down, stars, ...
        label: in a few words: ``"helpful"``.
        comment: in their own words. Content.
        name: of the metric.
        session: id of the session that it is about.
        call: id of the call, agent or tool that it is about.
        response_id: the provider's id of the response that it is about.
        timestamp: when; now, by default.
        id: a name of its own: told again, of the same and in whatever process, it is stored once.

    Returns:
        The id of the event.

    Raises:
        ArgumentError: (a ValueError) for a wrong argument, where score, label and comment are all missing,
            or where more than one thing is named; nothing is noted then.
    """
    attributes, content = checked("feedback", name, score, label, comment, None)
    return _tell(
        "feedback", attributes, content, _about("feedback", session, call, response_id), timestamp, id
    )


def checked(
    what: str,
    name: object,
    score: object,
    label: object,
    text: object,
    error_type: object,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attributes and content of an evaluation.

    Args:
        what: the function, for an error.
        name: of the metric.
        score: a number.
        label: a few words.
        text: explanation or comment.
        error_type: a class of errors.

    Raises:
        ArgumentError: for a wrong value, and where there is nothing to tell.
    """
    attributes: dict[str, Any] = {semconv.EVALUATION_NAME: parse_id(f"{what} name", name)}
    is_feedback = what == "feedback"
    if score is None and label is None and (text is None if is_feedback else error_type is None):
        third = "comment=" if is_feedback else "error_type="
        raise ArgumentError(f"{what}({shown(name)}): give score=, label= or {third}")
    if score is not None:
        attributes[semconv.EVALUATION_SCORE_VALUE] = number(f"{what}(score", score)
    for key, word, value in (
        (semconv.EVALUATION_SCORE_LABEL, "label", label),
        (semconv.ERROR_TYPE, "error_type", error_type),
    ):
        if value is not None:
            attributes[key] = parse_id(word, value)
    content = {}
    if text is not None:
        word = "comment" if is_feedback else "explanation"
        content[semconv.EVALUATION_EXPLANATION] = plain_text(f"{what}({word}", text)
    return attributes, content


def plain_text(what: str, value: object) -> str:
    """A text that is not empty.

    Raises:
        ArgumentError: for anything else.
    """
    if not isinstance(value, str) or not value:
        raise ArgumentError(f"{what}={shown(value)}): use a text that is not empty")
    return value


def number(what: str, value: object) -> float:
    """A finite number.

    Raises:
        ArgumentError: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"{what}={shown(value)}): use a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ArgumentError(f"{what}={shown(value)}): use a finite number")
    return found


def _about(what: str, session: object, call: object, response_id: object) -> About | None:
    """What is evaluated; None for what is current."""
    given = {"session": session, "call": call, "response_id": response_id}
    named = {key: parse_id(key, value) for key, value in given.items() if value is not None}
    if len(named) > 1:
        raise ArgumentError(
            f"{what}({'=, '.join(named)}=): name one of them; a response and a call have their session"
        )
    return About(named.get("session"), named.get("call"), named.get("response_id")) if named else None


def event_id_of(about: About | None, here: str, name: str, ident: str) -> str:
    """The id that an evaluation has by the name that a program gives it.

    Args:
        about: what is evaluated.
        here: the current session, where nothing else is named.
        name: of the metric.
        ident: as the program has it.
    """
    whose = here if about is None else "\0".join(f"{value or ''}" for value in about)
    return given_id(whose, f"evaluation.{name}", ident)


def _tell(
    what: str,
    attributes: dict[str, Any],
    content: dict[str, Any],
    about: About | None,
    timestamp: Moment | None,
    ident: str | None,
) -> str:
    """Keep and send an evaluation whose other arguments are in order."""
    from spantally.api.record_arguments import parse_moment

    time_ns = parse_moment(f"{what}(timestamp", timestamp)
    named = None if ident is None else parse_id(f"{what} id", ident)
    event_id = ids.new_call_id()
    try:
        context = otel_context.get_current()
        scope = None
        off = is_disabled() or is_hidden(context)
        if not off and about is None:
            telemetry = telemetry_module.active
            scope = current_scope(context) or implicit.implicit_scope(context, telemetry)
            implicit.record_session(scope, telemetry)
        elif not off and about is not None and about.response_id is not None:
            # Told within a session of the program it is of that one, but where the ledger knows better.
            around = current_scope(context)
            scope = None if around is None or around.session.implicit else around
        session_id = "" if scope is None else scope.session.session_id
        if named is not None:
            event_id = event_id_of(about, session_id, attributes[semconv.EVALUATION_NAME], named)
        if off:
            return event_id
        note(
            semconv.EVENT_EVALUATION_RESULT,
            attributes,
            content,
            context=context,
            scope=scope,
            session_id=session_id,
            time_ns=time_ns,
            event_id=event_id,
            about=about,
        )
    except Exception as error:
        swallowed("api.evaluation", error)
    return event_id
