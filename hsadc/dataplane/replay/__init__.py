"""The mirror on capture files: what would the analyzer get (`hsadc replay`).

    capture file --pcap, pcapng--> batches of frames --fast, or MirrorCore--> records --output--> pcapng file

Only this package imports NumPy, which takes a tenth of a second.
"""
