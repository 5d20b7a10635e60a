"""Between OTLP and the ledger: spans of files to rows, and rows back to spans."""

from spantally.exchange.ingest import Ingest, Summary
from spantally.exchange.inputs import InputError, files_of

__all__ = ["Ingest", "InputError", "Summary", "files_of"]
