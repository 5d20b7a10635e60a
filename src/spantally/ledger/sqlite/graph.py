"""The rows around changed rows: loaded in bulk, level by level, so that counting sees all it needs."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from spantally.ground.ids import foreign_call_id
from spantally.ground.records import is_mark
from spantally.ledger.counting import (
    COMMON_RESPONSE,
    Node,
    ResponseKey,
    SpanKey,
    ToolKey,
)
from spantally.ledger.tally import Row

_NODE: Final = (
    "call.call_id, call.kind, call.precedence, call.session_id, call.parent_call_id, call.trace_id, "
    "call.span_id, call.parent_span_id, call.provider, call.response_id, call.scope_name, call.start_ns, "
    "call.inferred, call.tool_call_id, "
    "CASE WHEN call.usage IS NULL THEN 0 WHEN call.estimated THEN 1 ELSE 2 END, call.end_ns, "
    "call.server_address || ':' || COALESCE(call.server_port, ''), "
    "2 * (call.server_address IS NOT NULL AND COALESCE(call.provider, '') = 'openai') "
    "+ (COALESCE(call.usage_format, 'semconv') <> 'semconv'), "
    "call.counted, call.hidden, call.process IS NOT NULL AND call.status = 'running'"
)
# CROSS JOIN keeps the wanted keys outermost: each is one look-up in an index.
_BY_ID: Final = f"SELECT {_NODE} FROM json_each(?) AS w CROSS JOIN call ON call.call_id = w.value"
_PAIR: Final = (
    "SELECT {columns} FROM json_each(?) AS w CROSS JOIN {table} ON {table}.trace_id = "
    "json_extract(w.value, '$[0]') AND {table}.{column} = json_extract(w.value, '$[1]')"
)
_BY_SPAN: Final = _PAIR.format(columns=_NODE, table="call", column="span_id")
_CHILDREN_BY_SPAN: Final = _PAIR.format(columns=_NODE, table="call", column="parent_span_id")
_CHILDREN_BY_ID: Final = (
    f"SELECT {_NODE} FROM json_each(?) AS w CROSS JOIN call ON call.parent_call_id = w.value"
)
_LINKS: Final = _PAIR.format(
    columns="link.trace_id, link.span_id, link.parent_span_id", table="link", column="span_id"
)
_LINK_CHILDREN: Final = _PAIR.format(
    columns="link.trace_id, link.parent_span_id, link.span_id", table="link", column="parent_span_id"
)
_RESPONSE_COUNT: Final = (
    "SELECT json_extract(w.value, '$[0]') AS provider, json_extract(w.value, '$[1]') AS response, "
    "EXISTS (SELECT 1 FROM common_response WHERE provider = json_extract(w.value, '$[0]') "
    "AND response_id = json_extract(w.value, '$[1]')), "
    "(SELECT COUNT(*) FROM (SELECT 1 FROM call WHERE call.response_id = json_extract(w.value, '$[1]') "
    "AND COALESCE(call.provider, '') = json_extract(w.value, '$[0]') LIMIT ?)) FROM json_each(?) AS w"
)
_BY_RESPONSE: Final = (
    f"SELECT {_NODE} FROM json_each(?) AS w CROSS JOIN call ON call.response_id = "
    "json_extract(w.value, '$[1]') AND COALESCE(call.provider, '') = json_extract(w.value, '$[0]')"
)
_BY_TOOL: Final = (
    f"SELECT {_NODE} FROM json_each(?) AS w CROSS JOIN call ON call.tool_call_id = "
    "json_extract(w.value, '$[1]') AND call.session_id = json_extract(w.value, '$[0]')"
)


_OTHER: Final = "EXISTS (SELECT 1 FROM call AS o WHERE o.{0} AND o.rowid <> call.rowid)"
_LONELY: Final = " ".join(
    (
        # One row for all of them: each step of a statement gives up the interpreter lock (see codec.upsert).
        "SELECT json_group_array(call.call_id) FROM json_each(?) AS w",
        "CROSS JOIN call ON call.call_id = w.value WHERE NOT",
        _OTHER.format("parent_call_id = call.call_id"),
        "AND (call.parent_call_id IS NULL OR NOT",
        _OTHER.format("call_id = call.parent_call_id"),
        ") AND (call.trace_id IS NULL OR (NOT",
        _OTHER.format("trace_id = call.trace_id AND o.span_id = call.span_id"),
        "AND NOT",
        _OTHER.format("trace_id = call.trace_id AND o.parent_span_id = call.span_id"),
        "AND NOT",
        _OTHER.format("parent_call_id = call.trace_id || '-' || call.span_id"),
        "AND NOT EXISTS (SELECT 1 FROM link WHERE link.trace_id = call.trace_id",
        "AND link.parent_span_id = call.span_id)",
        "AND (call.parent_span_id IS NULL OR NOT",
        _OTHER.format("trace_id = call.trace_id AND o.span_id = call.parent_span_id"),
        "AND NOT EXISTS (SELECT 1 FROM link WHERE link.trace_id = call.trace_id",
        "AND link.span_id = call.parent_span_id))",
        ")) AND (call.response_id IS NULL OR NOT",
        _OTHER.format("response_id = call.response_id"),
        ") AND (call.tool_call_id IS NULL OR NOT",
        _OTHER.format("tool_call_id = call.tool_call_id"),
        ")",
    )
)


def lonely(db: sqlite3.Connection, call_ids: Iterable[str]) -> set[str]:
    """Those of the rows that have no neighbour at all: nobody above, below or beside them.

    Most rows arrive so (a call before its agent), and their standing needs no working out.
    """
    (found,) = db.execute(_LONELY, (json.dumps(list(call_ids)),)).fetchone()
    return set(json.loads(found))


def node_of(row: Row) -> Node:
    """The node of a row in memory."""
    record = row.record
    return Node(
        record.call_id,
        record.kind,
        record.precedence,
        record.session_id,
        record.parent_call_id,
        record.trace_id,
        record.span_id,
        record.parent_span_id,
        record.provider,
        record.response_id,
        record.scope_name,
        record.start_ns,
        int(record.inferred),
        record.tool_call_id,
        0 if record.usage is None else 1 if record.estimated else 2,
        record.end_ns,
        None if record.server_address is None else f"{record.server_address}:{record.server_port or ''}",
        2 * (record.server_address is not None and record.provider == "openai")
        + ((record.usage_format or "semconv") != "semconv"),
        int(row.counted),
        int(row.hidden),
        int(is_mark(record)),
    )


class Graph:
    """Rows around changed rows, as the database has them inside the open transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.nodes: dict[str, Node] = {}
        self._asked_ids: set[str] = set()
        self._spans: dict[SpanKey, list[str]] = {}
        self._links: dict[SpanKey, SpanKey | None] = {}
        self._link_children: dict[SpanKey, list[SpanKey]] = {}
        self._responses: dict[ResponseKey, list[str]] = {}
        self._tools: dict[ToolKey, list[str]] = {}
        self._children_by_id: dict[str, list[str]] = {}
        self._children_by_span: dict[SpanKey, list[str]] = {}
        self.newly_common: list[str] = []
        """Rows of response ids that have just become too common to identify anything."""

    # -- what counting asks (see counting.Neighbours) -----------------------------------------------

    def get(self, call_id: str) -> Node | None:
        """A loaded row."""
        return self.nodes.get(call_id)

    def by_span(self, key: SpanKey) -> Sequence[Node]:
        """Loaded rows of a span."""
        return [self.nodes[one] for one in self._spans.get(key, ())]

    def by_response(self, key: ResponseKey) -> Sequence[Node]:
        """Loaded rows of a response id."""
        return [self.nodes[one] for one in self._responses.get(key, ())]

    def by_tool(self, key: ToolKey) -> Sequence[Node]:
        """Loaded tool rows of a tool call."""
        return [self.nodes[one] for one in self._tools.get(key, ())]

    # -- loading ------------------------------------------------------------------------------------

    def _add(self, values: Iterable[Any]) -> Node:
        node = Node(*values)
        self._asked_ids.add(node.call_id)
        return self.nodes.setdefault(node.call_id, node)

    def load_ids(self, call_ids: Iterable[str]) -> None:
        """Load rows by id."""
        wanted = [one for one in set(call_ids) if one not in self._asked_ids]
        if wanted:
            self._asked_ids.update(wanted)
            for values in self._db.execute(_BY_ID, (json.dumps(wanted),)):
                self._add(values)

    def load_spans(self, keys: Iterable[SpanKey]) -> None:
        """Load rows by span."""
        wanted = [key for key in set(keys) if key not in self._spans]
        if wanted:
            for key in wanted:
                self._spans[key] = []
            for values in self._db.execute(_BY_SPAN, (json.dumps(wanted),)):
                node = self._add(values)
                assert node.span is not None
                self._spans[node.span].append(node.call_id)

    def load_links(self, keys: Iterable[SpanKey]) -> None:
        """Load the links that stand for spans which are no operation."""
        wanted = [key for key in set(keys) if key not in self._links]
        if wanted:
            for key in wanted:
                self._links[key] = None
            for trace, span, parent in self._db.execute(_LINKS, (json.dumps(wanted),)):
                self._links[(trace, span)] = (trace, parent) if parent and parent != span else None

    def link(self, key: SpanKey) -> SpanKey | None:
        """The span around a loaded link, if it is one."""
        return self._links.get(key)

    def load_responses(self, keys: Iterable[ResponseKey]) -> None:
        """Load rows by response id, unless the id is too common."""
        # A single row needs no loading when it is the one that asks: it is among the nodes already.
        wanted = [key for key in set(keys) if key not in self._responses]
        if not wanted:
            return
        for key in wanted:
            self._responses[key] = []
        counts = self._db.execute(_RESPONSE_COUNT, (COMMON_RESPONSE + 1, json.dumps(wanted))).fetchall()
        present = Counter(node.response for node in self.nodes.values())
        several = [
            (provider, response)
            for provider, response, common, n in counts
            if not common and n > (1 if present[(provider, response)] else 0)
        ]
        over = {(provider, response) for provider, response, common, n in counts if n > COMMON_RESPONSE}
        if not several:
            return
        for values in self._db.execute(_BY_RESPONSE, (json.dumps(several),)).fetchall():
            node = self._add(values)
            key = (node.provider or "", node.response_id or "")
            if key in over:
                self.newly_common.append(node.call_id)
            elif node.response is not None:
                self._responses[key].append(node.call_id)
        self._db.executemany(
            "INSERT OR IGNORE INTO common_response VALUES (?, ?)", [key for key in several if key in over]
        )
        # Who is hidden behind a twin is not eligible, and each may cover: both need the twins.
        self.load_twins(self.nodes[one] for key in several for one in self._responses[key])

    def load_tools(self, keys: Iterable[ToolKey]) -> None:
        """Load tool rows by session and tool call id."""
        wanted = [key for key in set(keys) if key not in self._tools]
        if wanted:
            for key in wanted:
                self._tools[key] = []
            for values in self._db.execute(_BY_TOOL, (json.dumps(wanted),)):
                node = self._add(values)
                if node.tool_key is not None:
                    self._tools[node.tool_key].append(node.call_id)

    def load_twins(self, nodes: Iterable[Node]) -> None:
        """Load the other rows of each row's span."""
        self.load_spans(node.span for node in nodes if node.span is not None)

    # -- ancestry -----------------------------------------------------------------------------------

    def rows_of_span(self, key: SpanKey) -> list[Node]:
        """The rows that a span leads to; none where several own rows claim the span.

        That happens under a remote parent without an SDK: every call then carries the parent's ids.
        """
        found = self.by_span(key)
        if len([node for node in found if not node.foreign]) > 1:
            return []
        return list(found)

    def ancestors(self, start: Iterable[Node], spans: Iterable[SpanKey] = ()) -> set[str]:
        """Ids of all rows above the given rows and spans, by call id and by span, through links."""
        found: set[str] = set()
        level = list(start)
        level_spans = set(spans)
        seen_spans: set[SpanKey] = set()
        while level or level_spans:
            ids = {node.parent_call_id for node in level if node.parent_call_id}
            level_spans |= {node.parent_span for node in level if node.parent_span is not None}
            level_spans -= seen_spans
            seen_spans |= level_spans
            self.load_ids(ids)
            # A row hidden behind its twin passes on to the twin, which has the same span.
            by_id = [self.nodes[one] for one in ids if one in self.nodes]
            twins = {node.span for node in by_id if node.span is not None and node.foreign}
            self.load_spans(level_spans | twins)
            self.load_links(level_spans)
            above = by_id + [node for key in level_spans | twins for node in self.rows_of_span(key)]
            level = []
            for node in above:
                if node.call_id not in found:
                    found.add(node.call_id)
                    level.append(node)
            level_spans = {
                parent for key in level_spans if (parent := self._links.get(key)) and parent not in seen_spans
            }
        return found

    def load_children(self, nodes: Iterable[Node], spans: Iterable[SpanKey]) -> None:
        """Load rows and links below rows and spans, one level."""
        ids: set[str] = set()
        keys: set[SpanKey] = set(spans)
        for node in nodes:
            ids.add(node.call_id)
            if node.span is not None:
                keys.add(node.span)
                ids.add(foreign_call_id(*node.span))
        wanted = [one for one in ids if one not in self._children_by_id]
        wanted_keys = [key for key in keys if key not in self._children_by_span]
        for one in wanted:
            self._children_by_id[one] = []
        if wanted:
            for values in self._db.execute(_CHILDREN_BY_ID, (json.dumps(wanted),)):
                node = self._add(values)
                self._children_by_id[node.parent_call_id or ""].append(node.call_id)
        if wanted_keys:
            for key in wanted_keys:
                self._children_by_span[key] = []
                self._link_children[key] = []
            text = json.dumps(wanted_keys)
            for values in self._db.execute(_CHILDREN_BY_SPAN, (text,)):
                node = self._add(values)
                if node.parent_span is not None:
                    self._children_by_span[node.parent_span].append(node.call_id)
            for trace, parent, span in self._db.execute(_LINK_CHILDREN, (text,)):
                if span != parent:
                    self._link_children[(trace, parent)].append((trace, span))
        self.load_spans(keys)

    def children(self, nodes: Iterable[Node], spans: Iterable[SpanKey]) -> tuple[set[str], set[SpanKey]]:
        """Loaded rows and links one level below."""
        rows: set[str] = set()
        links: set[SpanKey] = set()
        keys = set(spans)
        for node in nodes:
            rows.update(self._children_by_id.get(node.call_id, ()))
            if node.span is None:
                continue
            rows.update(self._children_by_id.get(foreign_call_id(*node.span), ()))
            if node in self.rows_of_span(node.span):
                keys.add(node.span)
        for key in keys:
            rows.update(self._children_by_span.get(key, ()))
            links.update(self._link_children.get(key, ()))
        return rows, links
