"""How fast a capture file is mirrored to another, beside programs that rewrite or copy capture files.

    python benchmarks/replay.py

Files of 200,000 packets of 64, 512 and 1400 bytes, of 2,000,000 of 64 bytes, and one of 1 GB. Each run is a process of its own
from its start to its end, of which Python, NumPy and the grammar take half a second: that is what the small files show. The best
of three (the large files: one run); processor time tells more than seconds where others use the machine as well. The ratio is to
tcprewrite in the same run, which changes a field of each packet. editcap copies the file. Scapy and dpkt get a hundredth of the
packets, and put GRE in front of each in a loop that does nothing else: no rules, no counters.
"""

from __future__ import annotations

import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKETS, SIZES, LARGE_BYTES = 200_000, (64, 512, 1400), 1 << 30
RUNS = 3
CONFIG = """
interface ethernet0/0
  ip address 10.9.0.1/24
exit
tunnel gre "analyzer"
  source interface ethernet0/0
  destination 10.9.0.2
  oversize fragment
exit
interface tunnel1
  tunnel gre "analyzer"
exit
interface ethernet0/1
  mirror-traffic interface tunnel1
exit
"""
SCAPY = """
import sys
from scapy.all import GRE, IP, Ether, PcapReader, PcapWriter
outer = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.9.0.1", dst="10.9.0.2") / GRE()
with PcapReader(sys.argv[1]) as packets, PcapWriter(sys.argv[2]) as out:
    for packet in packets:
        out.write(outer / packet[IP])
"""
DPKT = """
import sys
import dpkt
a, b = b"\\x0a\\x09\\0\\1", b"\\x0a\\x09\\0\\2"
with open(sys.argv[1], "rb") as file, open(sys.argv[2], "wb") as out:
    writer = dpkt.pcap.Writer(out)
    for stamp, data in dpkt.pcap.Reader(file):
        inner = data[14:]
        outer = dpkt.ip.IP(src=a, dst=b, p=47, len=24 + len(inner), data=b"\\0\\0\\x08\\0" + inner)
        writer.writepkt(bytes(dpkt.ethernet.Ethernet(data=outer)), stamp)
"""


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mirror.cfg"
        config.write_text(CONFIG)
        for size in SIZES:
            source = Path(folder) / "in.pcap"
            write_capture(source, size, PACKETS)
            report(f"{PACKETS:,} packets of {size} bytes", source, config, PACKETS, RUNS, slow=PACKETS // 100)
            if size == SIZES[0]:
                write_capture(source, size, 10 * PACKETS)
                report(f"{10 * PACKETS:,} packets of {size} bytes", source, config, 10 * PACKETS, 1, slow=0)
        number = LARGE_BYTES // (16 + 800)
        write_capture(source, 800, number)
        report(f"1 GB, {number:,} packets of 800 bytes", source, config, number, 1, slow=0)


def write_capture(path: Path, size: int, number: int) -> None:
    """A capture of TCP packets of 256 flows, built a block at a time."""
    block = []
    for n in range(256):
        tcp = struct.pack("!HHIIBBHHH", 1024 + n, 80, 1, 1, 0x50, 0x18, 8192, 0, 0) + bytes(size - 54)
        ip = struct.pack("!BBHHHBBHII", 0x45, 0, size - 14, n, 0, 64, 6, 0, 0x0A000100 + n, 0x0A000001)
        frame = bytes.fromhex("0200000000aa0200000000bb0800") + ip + tcp
        block.append(struct.pack("<II", size, size) + frame)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for n in range(number):
            file.write(struct.pack("<II", 1_700_000_000 + n // 1_000_000, n % 1_000_000) + block[n % 256])


def report(title: str, source: Path, config: Path, number: int, runs: int, slow: int) -> None:
    """Measure all on one file and print a table; Scapy and dpkt get `slow` packets of it, 0: they are left out."""
    print(f"\n{title:36} {'seconds':>8} {'packets/s':>10} {'MB/s':>6} {'x tcprewrite':>13} {'CPU s':>6} {'MB':>5}")
    target = source.with_name("out.pcap")
    part = source.with_name("part.pcap")
    rows = [
        ("tcprewrite", ["tcprewrite", "--enet-dmac=02:00:00:00:00:02", "-i", source, "-o", target], number),
        ("editcap", ["editcap", source, target], number),
        ("hsadc replay", [sys.executable, "-m", "hsadc", "replay", config, "-r", source, "-w", target], number),
    ]
    if slow:
        size = source.stat().st_size
        os.truncate(shutil.copyfile(source, part), 24 + (size - 24) // number * slow)
        rows += [(name, [sys.executable, "-c", code, part, target], slow) for name, code in (("scapy", SCAPY), ("dpkt", DPKT))]
    base = 0.0
    for name, command, packets in rows:
        found = measure(command, runs, target)
        if isinstance(found, str):
            print(f"{name:36} {found}")
            continue
        seconds, cpu, megabytes = found
        rate = packets / seconds
        base = base or rate
        bytes_a_second = source.stat().st_size / number * rate / 1e6
        print(f"{name:36} {seconds:8.2f} {rate:10,.0f} {bytes_a_second:6,.0f} {rate / base:13.2f} {cpu:6.2f} {megabytes:5.0f}")


def measure(command: list[str | Path], runs: int, target: Path) -> tuple[float, float, float] | str:
    """Seconds of the best run, least seconds of processor time, most megabytes of memory; or why there is nothing to measure."""
    if shutil.which(command[0]) is None:
        return "not installed (Debian packages tcpreplay and wireshark-common)"
    best, least, memory = float("inf"), float("inf"), 0.0
    for _ in range(runs):
        target.unlink(missing_ok=True)
        # A process in between, as the memory of children is told for all of them together.
        done = subprocess.run([sys.executable, __file__, "run", *command], capture_output=True, text=True)
        if "ModuleNotFoundError" in done.stderr:
            return "not installed (pip install '.[bench]')"
        done.check_returncode()
        seconds, cpu, megabytes = map(float, done.stdout.split())
        best, least, memory = min(best, seconds), min(least, cpu), max(memory, megabytes)
    return best, least, memory


def run(command: list[str]) -> None:
    """In a process of its own: run a command and print seconds, seconds of processor time and megabytes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:])
    else:
        main()
