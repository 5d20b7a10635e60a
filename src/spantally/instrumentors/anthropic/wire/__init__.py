"""What goes over the wire of Anthropic's API and of the clouds that serve it, read into plain facts.

Pure functions over plain data, by the rules of :mod:`spantally.instrumentors.stainless.wire`.
"""
