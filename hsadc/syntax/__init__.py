"""Text to model and back, all of it derived from the grammar."""
