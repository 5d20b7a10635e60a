"""OTLP as plain values: what its JSON, protobuf and files of either say, and how it is written."""

from spantally.otlp.model import Event, Scope, Span
from spantally.otlp.read import Batch, Unusable, empty_batch, read_document
from spantally.otlp.source import Input, read_batches, read_file

__all__ = [
    "Batch",
    "Event",
    "Input",
    "Scope",
    "Span",
    "Unusable",
    "empty_batch",
    "read_batches",
    "read_document",
    "read_file",
]
