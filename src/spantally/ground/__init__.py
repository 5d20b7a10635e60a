"""The ground floor: plain values that every room above shares, and nothing that knows a room above."""
