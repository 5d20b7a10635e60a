"""Recorded provider traffic: finding it in files of several forms, as exchanges of one request and answer.

VCR cassettes (YAML, of either generation), cassettes of a test agent (one exchange in a JSON or YAML file)
and HAR archives. A recorder may have stored a body decoded and left the header of its encoding; the header
goes where the bytes are not what it says.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

KEPT_HEADERS = re.compile(
    r"content-type|content-encoding|x-request-id|request-id|retry-after|openai-.*|(x-)?ratelimit-.*|x-ms-.*"
)
"""What of a recorded answer's head is served; lengths and connections are those of the replay."""

_ENDPOINT = re.compile(
    r"^(?P<base>.*?)/(?P<endpoint>"
    r"(?:chat/completions|completions|responses|embeddings|images/(?:generations|edits|variations)"
    r"|audio/(?:speech|transcriptions|translations)|moderations|files|batches|vector_stores|conversations"
    r"|threads|assistants|models|uploads|containers|fine_tuning|videos)(?:/.*)?)$"
)
_EVERYWHERE = ("chat/completions", "completions", "responses", "embeddings")
"""Endpoints that hosts other than OpenAI's own and Azure serve in OpenAI's form."""

_EVENTS = (b"data:", b"event:", b": ")
"""How a body of events begins."""

FOREIGN = ("api.anthropic.com", "bedrock-runtime", "aiplatform.googleapis.com", "api.cohere.com")
"""Hosts whose paths may end alike and mean something else."""


class Exchange(NamedTuple):
    """One recorded request and its answer."""

    source: str
    """File and number within it."""
    method: str
    url: str
    request_headers: Mapping[str, str]
    request: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes
    """As it came over the wire, encoded where the headers say so."""

    @property
    def place(self) -> tuple[str, str, str]:
        """The origin and base path, the endpoint below it, and the query."""
        scheme, _, rest = self.url.partition("://")
        whole, _, query = rest.partition("?")
        host, _, path = whole.partition("/")
        found = _ENDPOINT.match("/" + path)
        if found is None:
            return f"{scheme}://{host}", path, query
        return f"{scheme}://{host}{found['base']}", found["endpoint"], query

    @property
    def host(self) -> str:
        """Host of the URL, with its port if it has one."""
        return self.url.partition("://")[2].partition("/")[0]

    @property
    def is_compatible(self) -> bool:
        """True where the request is one of OpenAI's API, whoever answered it."""
        _, endpoint, _ = self.place
        if any(part in self.host for part in FOREIGN) or not _ENDPOINT.match(f"/{endpoint}"):
            return False
        if "openai.com" in self.host or "openai.azure.com" in self.host:
            return True
        return self.method == "POST" and endpoint in _EVERYWHERE and self.json_request is not None

    @property
    def json_request(self) -> dict[str, Any] | None:
        """The request's body, if it is a JSON object."""
        try:
            found = json.loads(self.request)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Every exchange in the recordings beneath a folder, of whatever host."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _READERS and path.is_file():
            name = str(path.relative_to(folder))
            for number, raw in enumerate(_entries(path)):
                made = _exchange(f"{name}#{number}", raw)
                if made is not None:
                    yield made


def _entries(path: Path) -> list[Any]:
    """What a file holds, one entry for each exchange; nothing for a file of another kind."""
    try:
        document = _READERS[path.suffix.lower()](path.read_bytes())
    except ValueError:
        return []
    if not isinstance(document, dict):
        return []
    if isinstance(document.get("log"), dict):
        return [_of_har(entry) for entry in document["log"].get("entries") or ()]
    if "request" in document and "response" in document:
        return [document]
    found = document.get("interactions")
    return list(found) if isinstance(found, list) else []


def _read_yaml(content: bytes) -> Any:
    import yaml  # type: ignore[import-untyped]

    loader = _Loaders.get(yaml)
    try:
        return yaml.load(content, loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


class _Loaders:
    """YAML loaders that read a foreign object as what it was made of."""

    made: Any = None

    @classmethod
    def get(cls, yaml: Any) -> Any:
        """The loader; made once."""
        if cls.made is None:
            base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            cls.made = type("Lenient", (base,), {})
            cls.made.add_multi_constructor("tag:yaml.org,2002:python/", cls._plain)
        return cls.made

    @staticmethod
    def _plain(loader: Any, tag: str, node: Any) -> Any:
        if node.id == "scalar":
            return loader.construct_scalar(node)
        if node.id == "mapping":
            return loader.construct_mapping(node, deep=True)
        parts = loader.construct_sequence(node, deep=True)
        # ``istr("Accept")`` is written as a list of its argument, and stands as a key.
        return parts[0] if len(parts) == 1 and tag.startswith("object/apply") else parts


_READERS: Mapping[str, Any] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": json.loads,
    ".har": json.loads,
}


def _of_har(entry: Any) -> dict[str, Any]:
    asked, told = entry["request"], entry["response"]
    content = told.get("content") or {}
    body: Any = content.get("text") or ""
    if content.get("encoding") == "base64":
        body = base64.b64decode(body)
    return {
        "request": {
            "method": asked["method"],
            "uri": asked["url"],
            "headers": {pair["name"]: pair["value"] for pair in asked.get("headers") or ()},
            "body": (asked.get("postData") or {}).get("text"),
        },
        "response": {
            "status": told["status"],
            "headers": {pair["name"]: pair["value"] for pair in told.get("headers") or ()},
            "body": body,
        },
    }


def _exchange(source: str, raw: Any) -> Exchange | None:
    try:
        asked, told = raw["request"], raw["response"]
        status = told.get("status", told.get("status_code"))
        if isinstance(status, Mapping):
            status = status.get("code")
        headers = _headers(told.get("headers"))
        body = _body_of(told)
        return Exchange(
            source,
            str(asked["method"]).upper(),
            str(asked.get("uri") or asked["url"]),
            _headers(asked.get("headers")),
            _body_of(asked),
            int(status),
            _served(headers, body),
            body,
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return None  # a message of a websocket, an object of another SDK


def _headers(given: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    pairs = given.items() if isinstance(given, Mapping) else given or ()
    for name, value in pairs:
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        found[str(name).lower()] = first.decode() if isinstance(first, bytes) else str(first)
    return found


def _body_of(side: Mapping[str, Any]) -> bytes:
    if "parsed_body" in side:
        return json.dumps(side["parsed_body"], ensure_ascii=False).encode()
    body: Any = side.get("body", side.get("content"))
    if isinstance(body, Mapping) and ("string" in body or "base64_string" in body):
        coded = body.get("base64_string")
        body = base64.b64decode(coded) if coded is not None else body["string"]
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")


def _served(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if KEPT_HEADERS.fullmatch(name)}
    encoding = kept.get("content-encoding")
    if encoding is not None and decoded(body, encoding) is None:
        del kept["content-encoding"]
    if body.startswith(_EVENTS):
        kept["content-type"] = "text/event-stream"  # some recorders lose it
    elif "content-type" not in kept and body[:1] == b"{":
        kept["content-type"] = "application/json"
    return {name: value.replace("\n", " ") for name, value in kept.items()}


def decoded(body: bytes, encoding: str | None) -> bytes | None:
    """The bytes without their content encoding; None where they are not of that encoding."""
    try:
        if encoding in (None, "", "identity"):
            return body
        if encoding == "gzip":
            return zlib.decompress(body, wbits=31)
        if encoding == "deflate":
            return zlib.decompress(body)
        if encoding == "br":
            import brotli  # type: ignore[import-not-found, import-untyped, unused-ignore]

            made: bytes = brotli.decompress(body)
            return made
    except Exception:  # of four libraries
        return None
    return None
