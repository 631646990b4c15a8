"""The mirror without BPF: packets are read from AF_PACKET sockets, and copies are made and sent by this process."""
