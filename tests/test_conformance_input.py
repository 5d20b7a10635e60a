"""What the conformance check reads: lines and documents, plain and packed, and damage that stays local."""

from __future__ import annotations

import base64
import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantally.conformance import PROFILES, check
from spantally.otlp import read_document, read_file

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def span(**changes: Any) -> dict[str, Any]:
    """A span in OTLP JSON."""
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat m",
        "kind": 3,
        "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}],
        "status": {},
        **changes,
    }


def request(*spans: Any, **scoped: Any) -> dict[str, Any]:
    """An export request in OTLP JSON."""
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "lib"}, **scoped, "spans": list(spans)}]}]}


def read(data: bytes | str) -> Any:
    """Read bytes as a file."""
    return read_file(io.BytesIO(data.encode() if isinstance(data, str) else data))


LINES = "".join(json.dumps(request(span(name=name))) + "\n" for name in ("a", "b"))


@pytest.mark.parametrize(
    "data",
    [
        LINES.encode(),
        LINES.replace("\n", "\r\n\r\n").encode(),
        LINES.rstrip("\n").encode(),
        gzip.compress(LINES.encode()),
        gzip.compress(LINES[: LINES.index("\n") + 1].encode())
        + gzip.compress(LINES[LINES.index("\n") + 1 :].encode()),
        json.dumps(request(span(name="a"), span(name="b")), indent=2).encode(),
        json.dumps([request(span(name="a")), request(span(name="b"))], indent=1).encode(),
        json.dumps([request(span(name="a")), request(span(name="b"))]).encode(),
    ],
    ids=["lines", "blank lines", "no end of line", "gzip", "gzip members", "document", "list", "short list"],
)
def test_every_layout_is_read(data: bytes) -> None:
    """Lines, one document and a list of documents give the same spans, packed or not."""
    batch = read(data)
    assert [one.name for one in batch.spans] == ["a", "b"]
    assert batch.unusable == []


def test_ids_are_read_in_hex_and_base64() -> None:
    """An id is the same, spelled as OTLP JSON or as plain protobuf JSON spells it."""
    packed = span(
        traceId=base64.b64encode(bytes.fromhex(TRACE)).decode(),
        spanId=base64.b64encode(bytes.fromhex(SPAN)).decode(),
    )
    batch = read_document(request(span(), packed, span(traceId=TRACE.upper())))
    assert {(one.trace_id, one.span_id) for one in batch.spans} == {(TRACE, SPAN)}
    assert len(batch.spans) == 3


@pytest.mark.parametrize(
    ("kind", "status"),
    [(3, {"code": 2}), ("SPAN_KIND_CLIENT", {"code": "STATUS_CODE_ERROR"}), ("3", {"code": "2"})],
)
def test_enums_are_read_by_number_and_by_name(kind: Any, status: Any) -> None:
    """Kind and status may be numbers or names."""
    (one,) = read_document(request(span(kind=kind, status=status))).spans
    assert (one.kind, one.status) == ("CLIENT", "ERROR")


def test_snake_case_is_read() -> None:
    """Fields in snake case, as some writers keep them, are the same fields."""
    snake = {
        "resource_spans": [
            {
                "scope_spans": [
                    {
                        "schema_url": "u",
                        "spans": [
                            {
                                "trace_id": TRACE,
                                "span_id": SPAN,
                                "name": "n",
                                "attributes": [{"key": "k", "value": {"string_value": "v"}}],
                            }
                        ],
                    }
                ]
            }
        ]
    }
    (one,) = read_document(snake).spans
    assert (one.trace_id, one.attributes, one.scope.schema_url) == (TRACE, {"k": "v"}, "u")


def test_values_keep_their_types() -> None:
    """Each kind of OTLP value becomes the Python value of that type."""
    values: dict[str, Any] = {
        "text": {"stringValue": ""},
        "int": {"intValue": "7"},
        "number": {"intValue": 7},
        "double": {"doubleValue": 1},
        "yes": {"boolValue": False},
        "list": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 1}]}},
        "empty list": {"arrayValue": {}},
        "map": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}},
        "bytes": {"bytesValue": "AAE="},
        "none": {},
    }
    pairs = [{"key": key, "value": value} for key, value in values.items()]
    (one,) = read_document(request(span(attributes=pairs))).spans
    expected = {
        "text": "",
        "int": 7,
        "number": 7,
        "double": 1.0,
        "yes": False,
        "list": ["a", 1],
        "empty list": [],
        "map": {"k": True},
        "bytes": b"\x00\x01",
        "none": None,
    }
    assert one.attributes == expected
    assert {key: type(value) for key, value in one.attributes.items()} == {
        key: type(value) for key, value in expected.items()
    }


def test_scope_and_schema_url_are_read() -> None:
    """The schema URL is that of the scope, else that of the resource."""
    own = request(span(), scope={"name": "lib", "version": "2"}, schemaUrl="mine")
    (one,) = read_document(own).spans
    assert one.scope == ("lib", "2", "mine")
    inherited = request(span())
    inherited["resourceSpans"][0]["schemaUrl"] = "theirs"
    assert read_document(inherited).spans[0].scope.schema_url == "theirs"


def test_events_of_spans_and_logs_are_read() -> None:
    """Events on spans, and log records that have an event name, old style or new."""
    record = {"severityNumber": "SEVERITY_NUMBER_WARN2", "traceId": TRACE, "spanId": SPAN}
    named = {**record, "eventName": "gen_ai.client.operation.exception"}
    old = {"attributes": [{"key": "event.name", "value": {"stringValue": "gen_ai.choice"}}]}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [named, old, record]}]}]}
    batch = read_document(logs)
    assert [one.name for one in batch.events] == ["gen_ai.client.operation.exception", "gen_ai.choice"]
    assert (batch.events[0].severity_number, batch.events[0].trace_id) == (14, TRACE)
    (one,) = read_document(request(span(events=[{"name": "exception"}]))).spans
    assert (one.events[0].name, one.events[0].span_name) == ("exception", "chat m")


def test_metrics_hold_nothing() -> None:
    """A request for metrics, which a file exporter may write into the same file, is passed over."""
    assert read_document({"resourceMetrics": []}) == ([], [], [])


def test_a_bad_line_is_named_and_the_rest_is_read() -> None:
    """What is no JSON, or no OTLP, is reported with its line; the other lines count."""
    good = json.dumps(request(span()))
    batch = read(f"{good}\n{good[:40]}\n\n[1, 2]\n42\n{good}\n")
    assert len(batch.spans) == 2
    assert [one.line for one in batch.unusable] == [2, 4, 4, 5]
    assert batch.spans[1].line == 6


def test_an_input_that_ends_early_says_so_wherever_it_ends() -> None:
    """Somebody may still be writing: no rest of a document is taken for a fault."""
    extra = '"é \\u00e9\\n": [true, false, null, -1.5e+10]'
    whole = f"{json.dumps(request(span()))[:-1]}, {extra}}}".encode()
    assert read(whole).unusable == []
    for end in range(1, len(whole)):
        for before in (b"", LINES.encode()):
            (told,) = read(before + whole[:end]).unusable
            assert told.unfinished, whole[:end][-20:]
            assert told.message == "the input ends in the middle of this line"


@pytest.mark.parametrize(
    "text",
    [
        b"{'resourceSpans': []}",
        b'{"resourceSpans": [],}',
        b'{"a": "\xe9"}',
        b"<html>",
        b"oops",
        b'{"a" 1}',
        b'{"resourceSpans": []} oops',
    ],
)
def test_a_last_line_that_no_rest_could_mend_is_no_json(text: bytes) -> None:
    """What is wrong is said, though no line end follows."""
    for before in (b"", LINES.encode()):
        (told,) = read(before + text).unusable
        assert told.message.startswith("is no JSON: ")
        assert not told.unfinished


def test_a_bad_first_line_is_named() -> None:
    """Lines are read as lines even if the first one is cut."""
    good = json.dumps(request(span()))
    batch = read(f"{good[:40]}\n{good}\n")
    assert [one.line for one in batch.unusable] == [1]
    assert [one.line for one in batch.spans] == [2]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"traceId": "xyz"}, "traceId"),
        ({"kind": 9}, "SPAN_KIND"),
        ({"status": {"code": "FINE"}}, "STATUS_CODE"),
        ({"name": 3}, "name is no text"),
        ({"attributes": {"a": 1}}, "attributes"),
        ({"attributes": [{"key": "a", "value": {"floatValue": 1}}]}, "has none of"),
        ({"attributes": [{"key": "a", "value": {"intValue": "x"}}]}, "intValue 'x' is no whole number"),
        ({"attributes": [{"key": "a", "value": {"doubleValue": "x"}}]}, "doubleValue 'x' is no number"),
        ({"attributes": [{"key": "a", "value": {"intValue": True}}]}, "whole number"),
    ],
)
def test_a_malformed_span_costs_only_itself(bad: dict[str, Any], says: str) -> None:
    """A span that cannot be read is reported by its place; its neighbours are read."""
    batch = read_document(request(span(), span(**bad), span()), 3)
    assert len(batch.spans) == 2
    (unusable,) = batch.unusable
    assert unusable.message.startswith("spans[1]")
    assert says in unusable.message
    assert unusable.line == 3


def test_damaged_gzip_gives_what_came_before() -> None:
    """A packed file that ends early is reported, and what could be unpacked is read."""
    names = [f"{index:032x}" for index in range(5000)]
    packed = gzip.compress("".join(json.dumps(request(span(name=name))) + "\n" for name in names).encode())
    batch = read(packed[: len(packed) // 2])
    assert 0 < len(batch.spans) < 5000
    assert "damaged" in batch.unusable[-1].message


def test_deep_nesting_is_refused_gently() -> None:
    """A value or a text nested without end is reported, not raised."""
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    batch = read_document(request(span(attributes=[{"key": "a", "value": value}])))
    assert "deeper" in batch.unusable[0].message
    assert read("[" * 100_000).unusable


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["key", "value", "values", "name", "stringValue", "arrayValue", "kvlistValue", "code"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_FIELDS = ["traceId", "spanId", "name", "kind", "attributes", "status", "events", "scope"]
_KEYS = sorted(PROFILES["latest"].types)


@settings(max_examples=300, deadline=None)
@given(
    odd=st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4),
    key=st.sampled_from(_KEYS),
    value=_JSON,
    scopes=_JSON,
)
def test_no_input_raises(odd: dict[str, Any], key: str, value: Any, scopes: Any) -> None:
    """Whatever JSON stands where OTLP should, reading and checking it raises nothing."""
    pairs = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": key, "value": value},
        {"key": key, "value": {"stringValue": json.dumps(value)}},
    ]
    for document in (
        request(span(**odd), span(attributes=pairs)),
        {"resourceSpans": [{"scopeSpans": scopes}]},
        {"resourceSpans": scopes, "resourceLogs": scopes},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{**odd, "eventName": "gen_ai.choice"}]}]}]},
        scopes,
    ):
        batch = read_document(document)
        for profile in PROFILES.values():
            check(batch, profile)
