"""The instrumentors: each patches one SDK at its choke point and reads the wire."""
