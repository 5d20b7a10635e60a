"""What goes over the wire of OpenAI and compatible APIs, read into plain facts.

Pure functions over plain data: no SDK, no OpenTelemetry, no I/O. Everything here reads by field access, so
that JSON, TypedDicts and the objects of any SDK version serve alike. Three rules hold throughout: nothing
raises on odd input, nothing is changed, and no iterator is ever consumed.
"""
