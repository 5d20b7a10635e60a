"""Looking for secrets in what is stored already: ledgers, exported spans, logs; and taking them out.

The rules are those of :mod:`spantally.redaction` and nothing else: what a redactor would replace is found. No
secret ever enters a finding, only its type and the keyed digits of its tag.
"""

from spantally.audit.findings import Finding, Findings, Places
from spantally.audit.fix import Fixed, fix_ledger
from spantally.audit.inputs import InputError, audit_path, audit_stream
from spantally.audit.ledger import audit_ledger
from spantally.audit.sieve import Sieve
from spantally.audit.stream import redact_stream

__all__ = [
    "Finding",
    "Findings",
    "Fixed",
    "InputError",
    "Places",
    "Sieve",
    "audit_ledger",
    "audit_path",
    "audit_stream",
    "fix_ledger",
    "redact_stream",
]
