import subprocess
import sys

from scapy.layers.l2 import GRE

from hsadc.lab.decode import describe, pick
from tests.unit.lab.frames import frame, tcp

GET = b"GET /bytes/20 HTTP/1.1\r\nHost: 192.168.131.2:8087\r\nUser-Agent: hsadc-lab\r\n\r\n"
POST = b"POST /bytes/64 HTTP/1.1\r\nHost: 192.168.131.2:8087\r\nContent-Length: 1\r\n\r\nc"
ANSWER = b"HTTP/1.1 200 OK\r\nx-real-server: rs34\r\ncontent-length: 2\r\n\r\nrs"


def test_the_first_of_each_kind_is_picked_in_the_order_of_arrival():
    syn, get, answer, post = frame(tcp(flags="S")), frame(tcp(GET)), frame(tcp(ANSWER, up=False)), frame(tcp(POST))
    again = frame(tcp(GET, ip_id=9))
    assert pick([b"", syn, get, again, answer, again, post, again]) == (get, answer, post)
    assert pick([answer, get]) == (answer, get)
    assert pick([]) == ()


def test_a_request_is_described_header_by_header():
    assert describe(frame(tcp(GET, seq=7, ip_id=3))) == (
        "IP    192.168.131.2 > 192.168.141.2  ttl 63  protocol 47  139 bytes",
        "GRE   version 0  carries 0x0800",
        "IP    192.168.131.1 > 192.168.131.2  ttl 64  protocol 6  115 bytes",
        "TCP   40000 > 8087  flags PA  seq 7  ack 1  75 bytes of data",
        "HTTP  GET /bytes/20 HTTP/1.1  Host: 192.168.131.2:8087",
    )


def test_a_response_is_described_with_who_gave_it():
    lines = describe(frame(tcp(ANSWER, up=False), gre=GRE(proto=0x0800, key_present=1, key=142)))
    assert lines[1] == "GRE   version 0  carries 0x0800  key 142"
    assert lines[-1] == "HTTP  HTTP/1.1 200 OK  X-Real-Server: rs34"


def test_scapy_is_not_imported_before_it_is_needed():
    code = "import sys, hsadc.lab.demo; sys.exit('scapy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
