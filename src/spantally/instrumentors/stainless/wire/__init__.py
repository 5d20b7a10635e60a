"""Reading what goes over any wire: fields of unknown things, events, encodings, errors, hosts.

Pure functions over plain data: no SDK, no OpenTelemetry, no I/O. Three rules hold throughout: nothing raises
on odd input, nothing is changed, and no iterator is ever consumed.
"""
