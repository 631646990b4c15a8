"""Every side effect: kernel objects, BPF, HAProxy."""
