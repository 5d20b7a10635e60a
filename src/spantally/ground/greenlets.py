"""Whether greenlets stand in the place of threads, as gevent makes them.

A fork takes greenlets along, so that nobody needs to end before it; and a wait in one of its hooks lets
others run while locks of the interpreter's own modules are held, which then hold up all of them for ever.
"""

from __future__ import annotations

import _thread


def are_threads() -> bool:
    """True once gevent (or its like) has put its own locks, and so its threads, in the place of Python's."""
    return type(_thread.allocate_lock()).__module__ != "_thread"
