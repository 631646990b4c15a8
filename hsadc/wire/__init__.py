"""Bytes of the encapsulations; pure."""
