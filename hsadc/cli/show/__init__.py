"""The show commands, one file per feature."""
