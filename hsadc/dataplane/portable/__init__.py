"""The mirror without BPF: pure Python on frames, as docs/mirror.md says; for machines without BPF, and for capture files."""
