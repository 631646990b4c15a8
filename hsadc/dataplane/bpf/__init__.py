"""BPF programs, how they are compiled, and how they are loaded."""
