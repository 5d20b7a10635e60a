"""Server-sent events in raw bytes, however they are cut, ended and encoded."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import sys
import time
import zlib
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spantally.instrumentors.stainless.wire.encoding import Decoder
from spantally.instrumentors.stainless.wire.sse import SseScanner

EVENTS: list[dict[str, Any]] = [{"n": 1, "text": "grün ☃ 🎈"}, {"n": 2}, {"n": 3, "type": "x"}]
ALL = [*EVENTS, {"n": 4}]


def _wire(end: str = "\n") -> bytes:
    lines = [": comment", "id: 7", "retry: 5", ""]
    for event in EVENTS:
        lines += [f"data: {json.dumps(event, ensure_ascii=False)}", ""]
    lines += ['data: {"n":', "data: 4}", ""]  # a CR and an LF cut apart must not end the event between them
    return end.join([*lines, "data: [DONE]", "", ""]).encode()


def _read(pieces: list[bytes], **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    scanner = SseScanner(found.append, **options)
    for piece in pieces:
        scanner.feed(piece)
    return found


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_any_line_end_and_any_cut_gives_the_same_events(end: str, size: int) -> None:
    """Also where a character or a CRLF is cut in two."""
    wire = _wire(end)
    assert _read([wire[at : at + size] for at in range(0, len(wire), size)]) == ALL


@given(st.lists(st.integers(1, 300), max_size=8), st.sampled_from(["\n", "\r", "\r\n"]))
def test_random_cuts_give_the_same_events(cuts: list[int], end: str) -> None:
    """A property over cut positions."""
    wire = _wire(end)
    at = sorted({0, len(wire), *(cut % len(wire) for cut in cuts)})
    assert _read([wire[a:b] for a, b in itertools.pairwise(at)]) == ALL


@given(st.lists(st.binary(max_size=60), max_size=12), st.sampled_from([None, "gzip", "deflate", "br"]))
def test_garbage_never_raises(pieces: list[bytes], encoding: str | None) -> None:
    """Whatever bytes come."""
    scanner = SseScanner(lambda event: None, content_encoding=encoding)
    for piece in pieces:
        scanner.feed(piece)
    scanner.close()


def test_data_of_many_lines_is_one_event_and_its_name_is_its_type() -> None:
    """As the specification has it; a type in the data wins."""
    found = _read([b'\xef\xbb\xbfevent: error\ndata: {"a":\ndata:1}\n\nevent: e\ndata:{"type":"t"}\n\n'])
    assert found == [{"a": 1, "type": "error"}, {"type": "t"}]


def test_broken_events_are_counted_and_the_next_is_read() -> None:
    """Truncated JSON and data that is no object."""
    found: list[dict[str, Any]] = []
    scanner = SseScanner(found.append)
    scanner.feed(b'data: {"a": \n\ndata: [1]\n\ndata: "x"\n\ndata: {"b": 1}\n\n')
    assert found == [{"b": 1}]
    assert scanner.malformed == 3


def test_the_last_event_may_lack_its_blank_line() -> None:
    """At the end of the body a whole event counts, half a one does not."""
    found: list[dict[str, Any]] = []
    scanner = SseScanner(found.append)
    scanner.feed(b'data: {"usage": 1}')
    assert found == []
    scanner.close()
    scanner.close()
    assert found == [{"usage": 1}]
    scanner.feed(b'data: {"usage"')
    scanner.close()
    assert found == [{"usage": 1}]
    assert scanner.malformed == 0


@pytest.mark.parametrize("size", [50, 100_000])
def test_an_event_over_the_limit_is_dropped_and_the_next_is_read(size: int) -> None:
    """In one line or in many, in one piece or in many."""
    long = json.dumps({"x": "y" * 5000}).encode()
    many = b"data: {\n" + b'data: "k": 1,\n' * 200 + b"\n"
    wire = b"data: " + long + b"\n\n" + many + b'data: {"ok": 1}\n\n'
    found: list[dict[str, Any]] = []
    scanner = SseScanner(found.append, max_event_bytes=1000)
    for at in range(0, len(wire), size):
        scanner.feed(wire[at : at + size])
        assert scanner._rest_size <= 1000 + size
        assert sum(map(len, scanner._rest)) <= 1000 + 2 * size
    assert found == [{"ok": 1}]
    assert scanner.dropped == 2


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "deflate", "raw", "br", "zstd", "GZIP ", "identity", ""])
def test_encodings_are_undone_piece_by_piece(name: str) -> None:
    """gzip and zstd in several members, deflate with and without its header, brotli."""
    wire = _wire()
    if name == "br":
        body = brotli.compress(wire)
    elif name == "zstd":
        body = zstd(wire[:100]) + zstd(wire[100:])
    elif "gzip" in name.lower():
        body = gzip.compress(wire[:100]) + gzip.compress(wire[100:])
    elif name == "deflate":
        body = zlib.compress(wire)
    elif name == "raw":
        deflate = zlib.compressobj(wbits=-15)
        body = deflate.compress(wire) + deflate.flush()
    else:
        body = wire
    encoding = "deflate" if name == "raw" else name
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)]
    assert _read(pieces, content_encoding=encoding) == ALL


def zstd(data: bytes) -> bytes:
    """Packed by zstd."""
    made: bytes = pytest.importorskip("zstandard").ZstdCompressor().compress(data)
    return made


def test_an_unknown_or_broken_encoding_is_not_readable() -> None:
    """The scanner then stays silent."""
    pytest.importorskip("zstandard")
    scanner = SseScanner(lambda event: None, content_encoding="compress")
    assert not scanner.readable
    for encoding in ("gzip", "br", "zstd"):
        broken = SseScanner(lambda event: None, content_encoding=encoding)
        assert broken.readable
        broken.feed(b"\xffthis is neither")
        assert not broken.readable


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_no_package_of_our_own_is_asked_for(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the HTTP library uses is used; without it the bytes are unreadable."""
    for name in ("brotli", "brotlicffi", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert not SseScanner(lambda event: None, content_encoding=encoding).readable


def test_the_work_grows_with_the_bytes_only() -> None:
    """A long line that comes byte by byte is not copied again with each."""
    line = b"data: " + json.dumps({"x": "y" * 200_000}).encode() + b"\n\n"
    pieces = [line[at : at + 1] for at in range(len(line))]
    began = time.process_time()
    assert len(_read(pieces)) == 1
    assert time.process_time() - began < 5.0


def test_what_the_callback_raises_passes_and_the_scanner_goes_on() -> None:
    """Its state is whole again at the next piece."""
    found: list[dict[str, Any]] = []

    def callback(event: dict[str, Any]) -> None:
        if event == {"n": 1}:
            raise RuntimeError("callback")
        found.append(event)

    scanner = SseScanner(callback)
    with pytest.raises(RuntimeError, match="callback"):
        scanner.feed(b'data: {"n": 1}\n\n')
    scanner.feed(b'data: {"n": 2}\n\n')
    assert found == [{"n": 2}]


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_compressed_bomb_is_read_in_small_pieces(encoding: str) -> None:
    """Memory stays bounded, whatever it blows up to."""
    wire = b"data: " + b"a" * 20_000_000 + b"\n\n" + b'data: {"ok": 1}\n\n'
    packs: Any = {"gzip": gzip.compress, "br": lambda data: brotli.compress(data, quality=3), "zstd": zstd}
    body = packs[encoding](wire)
    assert max(len(piece) for piece in Decoder(encoding).feed(body)) < 1 << 18
    found: list[dict[str, Any]] = []
    scanner = SseScanner(found.append, content_encoding=encoding, max_event_bytes=100_000)
    scanner.feed(body)
    assert found == [{"ok": 1}]
    assert scanner.dropped == 1


def test_random_noise_between_events_harms_none() -> None:
    """Unknown fields and comments are passed over."""
    noise = random.Random(1)
    wire = b""
    for event in EVENTS:
        wire += b": " + bytes(noise.choices(b"abc:{} ", k=50)) + b"\nfoo: bar\ndatax: 1\n"
        wire += b"data: " + json.dumps(event).encode() + b"\n\n"
    assert _read([wire]) == EVENTS
