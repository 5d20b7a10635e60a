"""Adapters to OpenTelemetry: span and log processors, the hook, baggage, providers, exporters at exit."""
