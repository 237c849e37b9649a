"""Time-series stores: one protocol, several implementations."""
