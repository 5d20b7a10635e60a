"""A row of the table ``call`` and back: which column holds which field of a record."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

from spantally.ground.money import Rating, UsageParts
from spantally.ground.records import CallRecord, SessionRecord
from spantally.ledger.merge import Facts
from spantally.ledger.tally import Row, path_text, tags_text


class PoisonError(ValueError):
    """A record that cannot be stored; the text says why, without any of its content."""


_JSON: Final = ("tags", "usage", "price_context", "agent_path", "finish_reasons", "content", "attributes")
_INTEGERS: Final = ("start_ns", "end_ns", "precedence", "first_chunk_ns", "attempts", "server_port")
_FLAGS: Final = ("implicit_session", "abandoned", "possibly_billed", "estimated", "turn", "inferred")

RECORD_COLUMNS: Final = CallRecord._fields
STATE_COLUMNS: Final = (
    "ranks",
    "counted",
    "hidden",
    "cost_nano_usd",
    "cost_status",
    "cost_source",
    "price_id",
    "list_nano_usd",
    "input_tokens",
    "output_tokens",
    *UsageParts._fields,
    "cache_saving_nano_usd",
    "cache_premium_nano_usd",
    "cache_reported",
)
COLUMNS: Final = (*RECORD_COLUMNS, *STATE_COLUMNS)
SELECT: Final = ", ".join(f"call.{name}" for name in COLUMNS)
_UNSHOWN: Final = {
    "usage": "CASE WHEN call.usage IS NOT NULL THEN '{}' END",
    "price_context": "CASE WHEN call.possibly_billed THEN call.price_context END",
    "attributes": "NULL",
    "ranks": "NULL",
}
SELECT_SHOWN: Final = ", ".join(_UNSHOWN.get(name, f"call.{name}") for name in COLUMNS)
"""The same without what no reader of a list is shown: of usage only whether there is any, as ``{}``; facts of
the price where they may tell of lost attempts. Their JSON takes most of the time of a long list."""


@lru_cache(maxsize=64)
def _upsert(rows: int, empty: tuple[int, ...]) -> str:
    """The statement for so many rows that have nothing in the columns at these places."""
    values = f"({', '.join('NULL' if place in empty else '?' for place in range(len(COLUMNS)))})"
    return (
        f"INSERT INTO call ({', '.join(COLUMNS)}) VALUES {', '.join((values,) * rows)} "
        "ON CONFLICT (call_id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "call_id")
    )


_TOGETHER: Final = (48, 12)
"""Rows of one statement; SQLite before 3.32 takes no more than 999 values at once."""

_empty: tuple[int, ...] = tuple(range(len(COLUMNS)))
"""Places of the columns in which nothing was written by this process yet: half of them, in most programs."""

_changes = 0
_MOST_CHANGES: Final = 6
"""How often these become fewer before all columns are bound: each time statements are compiled anew, which
are kept (a third of a megabyte for that of the most rows)."""


@lru_cache(maxsize=64)
def _filled_of(empty: tuple[int, ...]) -> Callable[[Sequence[tuple[Any, ...]]], tuple[tuple[Any, ...], ...]]:
    """Gives the other columns; there are several in each row."""
    return itemgetter(*(place for place in range(len(COLUMNS)) if place not in empty))


_PLACE: Final = {name: place for place, name in enumerate(RECORD_COLUMNS)}
_JSON_PLACES: Final = tuple(_PLACE[name] for name in _JSON)
_USAGE_PLACE: Final = _PLACE["usage"]
_CONTEXT_PLACE: Final = _PLACE["price_context"]
_CONTENT_PLACE: Final = _PLACE["content"]
_ATTRIBUTES_PLACE: Final = _PLACE["attributes"]
_BODY_PLACES: Final = (_USAGE_PLACE, _CONTEXT_PLACE, _CONTENT_PLACE, _ATTRIBUTES_PLACE)
_bodies_of: Final = itemgetter(*_BODY_PLACES)
_INTEGER_PLACES: Final = tuple(_PLACE[name] for name in _INTEGERS)
_FLAG_PLACES: Final = tuple(_PLACE[name] for name in _FLAGS)
_INTEGER_SET: Final = frozenset(_INTEGER_PLACES)
_FLAG_SET: Final = frozenset(_FLAG_PLACES)
_NEEDED_PLACES: Final = tuple(
    _PLACE[name] for name in ("call_id", "session_id", "kind", "operation", "status", "start_ns")
)
_needed_of: Final = itemgetter(*_NEEDED_PLACES)
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
_PATH_PLACE: Final = _PLACE["agent_path"]
_REASONS_PLACE: Final = _PLACE["finish_reasons"]
_TAGS_PLACE: Final = _PLACE["tags"]
_TUPLE_PLACES: Final = (_TAGS_PLACE, _PATH_PLACE, _REASONS_PLACE)
_TEXT_PLACES: Final = tuple(
    place for name, place in _PLACE.items() if name not in {*_JSON, *_INTEGERS, *_FLAGS}
)
_WIDTH: Final = len(RECORD_COLUMNS)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, Decimal):
        return str(value)
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else str(value)


_encode_any: Final = json.JSONEncoder(
    default=_plain, separators=(",", ":"), check_circular=False, allow_nan=False
).encode
_encode_loose: Final = json.JSONEncoder(default=_plain, separators=(",", ":"), check_circular=False).encode
"""Writes NaN and infinities, too, which are no JSON: SQLite would call the whole ledger malformed for one."""


def _compiled_encoder() -> Callable[[object], str]:
    """The same encoder with its compiled part made once.

    ``encode`` makes that part anew at each call, which takes longer than the encoding of a usage object. It
    is private to the ``json`` package, so it is tried first.
    """
    try:
        compiled: Any = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, _plain, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False
        )
        probe = {"a": [1, 2.5, None, True, "\u00e9\n"], "b": {"c": Decimal(1)}}
        if "".join(compiled(probe, 0)) == _encode_any(probe):
            return lambda value: "".join(compiled(value, 0))
    except Exception:
        pass
    return _encode_any


_encode: Final = _compiled_encoder()


def to_json(value: object) -> str | None:
    """Compact ASCII JSON; None for None and for what is empty and means nothing (no tags, no agents).

    NaN and infinities are null in it.

    Raises:
        PoisonError: if there is no such text.
    """
    if value is None or value == ():
        return None
    try:
        try:
            return _encode(value)
        except ValueError:  # of NaN and infinities as well
            return _encode(json.loads(_encode_loose(value), parse_constant=_no_number))
    except (TypeError, ValueError, RecursionError) as error:
        raise PoisonError(f"a value has no JSON form ({type(error).__name__})") from error


def normalise(record: CallRecord) -> CallRecord:
    """The record in the plain types that come back from the store, so that both compare equal.

    Returns:
        The record itself where it is plain already, as those of our own calls are.

    Raises:
        PoisonError: naming the field whose value cannot be stored.
    """
    kinds = tuple(map(type, record))
    form = _forms.get(kinds) or _form_of(kinds)
    if form.is_plain:
        numbers = form.numbers(record)
        if (
            min(numbers) >= _LEAST
            and max(numbers) <= _MOST
            and all(_needed_of(record))
            and _are_texts(record.agent_path)
            and _are_texts(record.finish_reasons)
            and (not record.tags or _are_plain(record.tags))
            and all(map(_is_plain_dict, form.bodies(record)))
        ):
            return record
    return _in_plain_types(record, form.odd)


def _in_plain_types(record: CallRecord, odd: tuple[int, ...]) -> CallRecord:
    values: list[Any] | None = None
    for place in odd:
        values = list(record) if values is None else values
        value = values[place]
        if place in _FLAG_SET:
            values[place] = bool(value)
        elif place in _INTEGER_SET:
            if not isinstance(value, int):
                raise PoisonError(f"{RECORD_COLUMNS[place]} is not a 64-bit integer")
            values[place] = int(value)
        elif not isinstance(value, str):
            raise PoisonError(f"{RECORD_COLUMNS[place]} is a {type(value).__name__}, not a text")
        else:
            values[place] = str(value)
    seen: Any = record if values is None else values
    for place in _INTEGER_PLACES:
        value = seen[place]
        if value is not None and not _LEAST <= value <= _MOST:
            raise PoisonError(f"{RECORD_COLUMNS[place]} is not a 64-bit integer")
    for place in _JSON_PLACES:
        value = seen[place]
        if value is None or value == () or _is_plain(place, value):
            continue
        values = list(record) if values is None else values
        values[place] = _READERS.get(place, _from_json)(to_json(value))
        seen = values
    if not all(_needed_of(seen)):
        name = next(RECORD_COLUMNS[place] for place in _NEEDED_PLACES if seen[place] in (None, "", 0))
        if name != "start_ns" or seen[_PLACE["start_ns"]] is None:
            raise PoisonError(f"{name} is missing")
    return record if values is None else CallRecord(*values)


class _Form(NamedTuple):
    """What the types of a record's fields say of it."""

    odd: tuple[int, ...]
    """Places whose value is not plain yet."""
    is_plain: bool
    """Whether nothing but the values themselves can be odd."""
    numbers: Callable[[CallRecord], tuple[int, ...]]
    """The integers."""
    bodies: Callable[[CallRecord], tuple[dict[Any, Any], ...]]
    """The dicts."""


_forms: Final[dict[tuple[type, ...], _Form]] = {}
"""By these types, of which few sets are met."""

_MOST_KINDS: Final = 512


def _form_of(kinds: tuple[type, ...]) -> _Form:
    none = type(None)
    plain: dict[int, tuple[type, ...]] = {
        **dict.fromkeys(_TEXT_PLACES, (str, none)),
        **dict.fromkeys(_INTEGER_PLACES, (int, none)),
        **dict.fromkeys(_FLAG_PLACES, (bool,)),
    }
    odd = tuple(place for place, allowed in plain.items() if kinds[place] not in allowed)
    structured = {
        **dict.fromkeys(_TUPLE_PLACES, (tuple,)),
        **dict.fromkeys(_BODY_PLACES, (dict, none)),
    }
    numbers = [place for place in _INTEGER_PLACES if kinds[place] is int]
    bodies = [place for place in _BODY_PLACES if kinds[place] is dict]
    right = not odd and all(kinds[place] in allowed for place, allowed in structured.items())
    form = _Form(odd, right and bool(numbers), _picker(numbers), _picker(bodies))
    if len(_forms) >= _MOST_KINDS:
        _forms.clear()
    _forms[kinds] = form
    return form


def _picker(places: Sequence[int]) -> Callable[[CallRecord], tuple[Any, ...]]:
    """Gives the values at some places as a tuple, which a getter of one place would not."""
    if len(places) > 1:
        return itemgetter(*places)
    first = places[0] if places else 0
    return itemgetter(slice(first, first + len(places)))


_SURE: Final = frozenset({str, int, bool, type(None)})
"""Types of whose values none is odd."""


def _is_plain(place: int, value: Any) -> bool:
    """True for what comes back from JSON as it went in, so that the way there and back can be saved."""
    if place == _TAGS_PLACE:
        return False
    if place in (_PATH_PLACE, _REASONS_PLACE):
        return type(value) is tuple and _are_texts(value)
    return type(value) is dict and _is_plain_dict(value)


def _are_texts(values: tuple[Any, ...]) -> bool:
    # A loop: compiled functions strung together (map, all) take longer here, and in usage objects four times.
    for value in values:  # noqa: SIM110
        if type(value) is not str:
            return False
    return True


def _are_plain(tags: tuple[Any, ...]) -> bool:
    """Whether tags are what is read back: pairs of texts, sorted."""
    return (
        all(type(pair) is tuple and _are_texts(pair) for pair in tags) and _tags_from(to_json(tags)) == tags
    )


def _is_plain_dict(value: dict[Any, Any]) -> bool:
    for key, inner in value.items():
        if type(key) is not str:
            return False
        kind = type(inner)
        if kind in _SURE:
            continue
        if kind is float:
            if inner * 0 != 0:
                return False  # NaN and infinities have no JSON
        elif kind is not dict or not _is_plain_dict(inner):
            return False
    return True


def _no_number(text: str) -> None:
    """What stands for NaN and infinities, which are no JSON and never equal themselves."""


_json: Final = json.JSONDecoder(parse_constant=_no_number).decode


def _from_json(text: str | None) -> Any:
    return None if text is None else _json(text)


@lru_cache(maxsize=256)  # they are those of a few agents and users
def _tags_from(text: str | None) -> tuple[tuple[str, str], ...]:
    if text is None:
        return ()
    value = _json(text)
    pairs = value.items() if isinstance(value, dict) else value
    return tuple(sorted((str(key), str(text)) for key, text in pairs))


@lru_cache(maxsize=256)
def _path_from(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(str(part) for part in _json(text))


_READERS: Final[Mapping[int, Callable[[str | None], Any]]] = {
    _TAGS_PLACE: _tags_from,
    _PATH_PLACE: _path_from,
    _REASONS_PLACE: _path_from,
}


def encode(row: Row) -> list[Any]:
    """The values of a row in the order of :data:`COLUMNS`; its record is normalised."""
    facts, rating, counted, hidden = row
    record = facts.record
    values: list[Any] = list(record)
    usage, context, content, attributes = _bodies_of(record)
    if usage is not None:
        values[_USAGE_PLACE] = to_json(usage)
    if context is not None:
        values[_CONTEXT_PLACE] = _context_text(context)
    if content is not None:
        values[_CONTENT_PLACE] = to_json(content)
    if attributes is not None:
        values[_ATTRIBUTES_PLACE] = to_json(attributes)
    values[_TAGS_PLACE] = tags_text(record.tags)
    values[_PATH_PLACE] = path_text(record.agent_path)
    values[_REASONS_PLACE] = path_text(record.finish_reasons)
    ranks = None if facts.ranks is None else _encode(dict(facts.ranks))
    if rating is None:
        values += (ranks, int(counted), int(hidden), *_UNRATED)
        return values
    nano, status, parts, source, price_id, list_nano, *cache = rating  # saving, premium, reported
    totals = _WITHOUT_PARTS if parts is None else (parts.input_total, parts.output_total, *parts)
    values += (ranks, int(counted), int(hidden), nano, str(status), source, price_id, list_nano)
    values += totals
    values += cache
    return values


def upsert(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Write rows, many with one statement.

    sqlite3 lets go of the interpreter lock at every step of a statement and takes it again. Where the program
    runs meanwhile, each of these is a change of threads that the *program's* thread pays for, dearer than the
    row: so a statement takes as many rows as is reasonable.

    It asks Python's adapters about every None and bool that it binds, for longer than it takes to write them,
    so bools are bound as the integers that they become, and columns that nobody uses are not bound.

    Args:
        db: inside an open transaction.
        rows: their records are normalised.
    """
    global _empty, _changes
    columns: list[tuple[Any, ...]] = [*zip(*map(encode, rows), strict=True)]
    if not columns:
        return
    for place in _TRUTH_PLACES:
        columns[place] = tuple(map(int, columns[place]))
    many = len(columns[0])
    empty = tuple(place for place in _empty if columns[place].count(None) == many)
    if empty != _empty:
        _changes += 1
        _empty = empty = empty if _changes < _MOST_CHANGES else ()
    values = [*zip(*_filled_of(empty)(columns), strict=True)]
    most = db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(values[0])
    done = 0
    for together in _TOGETHER:
        while together <= most and many - done >= together:
            db.execute(_upsert(together, empty), [*chain.from_iterable(values[done : done + together])])
            done += together
    db.executemany(_upsert(1, empty), values[done:])


_TRUTH_PLACES: Final = (*_FLAG_PLACES, COLUMNS.index("cache_reported"))

_UNRATED: Final = (*((None,) * (len(STATE_COLUMNS) - 4)), 0)
_PARTS_WIDTH: Final = len(UsageParts._fields)
_WITHOUT_PARTS: Final = (None,) * (2 + _PARTS_WIDTH)
_MOST_CONTEXTS: Final = 512
_contexts: Final[dict[Any, str | None]] = {}
"""Texts of price contexts, which repeat with every call of a program."""


def _context_text(value: Mapping[str, Any]) -> str | None:
    try:
        key = (*value.items(), *map(type, value.values()))  # 1 and True are equal, and other texts
        known = _contexts.get(key)
    except TypeError:
        return to_json(value)  # something in it has no hash
    if known is None:
        known = to_json(value)
        if len(_contexts) >= _MOST_CONTEXTS:
            _contexts.clear()
        _contexts[key] = known
    return known


def decode(found: tuple[Any, ...]) -> Row:
    """A row from the values that :data:`SELECT` gives."""
    values: list[Any] = list(found[:_WIDTH])
    for place in _BODY_PLACES:
        values[place] = _from_json(values[place])
    values[_TAGS_PLACE] = _tags_from(values[_TAGS_PLACE])
    values[_PATH_PLACE] = _path_from(values[_PATH_PLACE])
    values[_REASONS_PLACE] = _path_from(values[_REASONS_PLACE])
    for place in _FLAG_PLACES:
        values[place] = bool(values[place])
    ranks, counted, hidden, nano, status, source, price_id, list_nano = found[_WIDTH : _WIDTH + 8]
    numbers = found[_WIDTH + 10 :]
    rating = None
    if status is not None:
        parts = None if numbers[0] is None else UsageParts(*numbers[:_PARTS_WIDTH])
        saving, premium, reported = numbers[_PARTS_WIDTH:]
        rating = Rating(nano, status, parts, source, price_id, list_nano, saving, premium, bool(reported))
    facts = Facts(CallRecord(*values), None if ranks is None else json.loads(ranks))
    return Row(facts, rating, bool(counted), bool(hidden))


def load(db: sqlite3.Connection, call_ids: list[str]) -> dict[str, Row]:
    """Rows by id, those that exist."""
    if not call_ids:
        return {}
    # One statement text for any number of ids: it stays prepared.
    found = db.execute(
        f"SELECT {SELECT} FROM json_each(?) AS wanted CROSS JOIN call ON call.call_id = wanted.value",
        (json.dumps(call_ids),),
    )
    return {values[0]: decode(values) for values in found}


_SAID_JSON: Final = frozenset({"metadata", "metrics", "input", "output", "reported"})


def normalise_session(record: SessionRecord) -> SessionRecord:
    """The record of a session in plain types.

    Raises:
        PoisonError: naming the field whose value cannot be stored.
    """
    values: dict[str, Any] = record._asdict()
    for name, value in values.items():
        if name in ("start_ns", "end_ns"):
            if value is None and name == "end_ns":
                continue
            if not isinstance(value, int) or not -(2**63) <= value < 2**63:
                raise PoisonError(f"{name} is not a 64-bit integer")
        elif name == "tags":
            values[name] = tuple(sorted((str(key), str(text)) for key, text in dict(value).items()))
        elif name == "implicit":
            values[name] = bool(value)
        elif name == "labels":
            values[name] = tuple(sorted(str(one) for one in value))
        elif name in _SAID_JSON:
            text = to_json(value)
            values[name] = None if text is None else json.loads(text)
        elif value is not None:
            if not isinstance(value, str):
                raise PoisonError(f"{name} is a {type(value).__name__}, not a text")
            values[name] = str(value)
    if not values["session_id"]:
        raise PoisonError("session_id is missing")
    return SessionRecord(**values)
