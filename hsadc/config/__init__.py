"""The running-config, its file, and the transaction that changes it."""
