from dataclasses import replace

from hsadc.lab.report import render
from tests.unit.lab.frames import frame, tcp
from tests.unit.lab.test_decode import ANSWER, GET
from tests.unit.lab.test_verdict import FAILED, OK, connection, findings

ALL = findings(connection(40000, OK), connection(40001, OK))


def test_the_tables():
    assert (
        "\n".join(render(ALL, []))
        == """
Requests from 192.168.131.1 to http://192.168.131.2:8087/
  how                connections  sent  answered  failed
  one after another            2     2         2       0

Real servers
  server  requests  from address
  rs33           2  192.168.131.2

GRE packets at the analyzer 192.168.141.2
  outer addresses                ttl  packets
  192.168.131.2 > 192.168.141.2   63       12
  inside: 12 TCP packets; wrong checksums: 0 IP, 0 TCP
  copied twice: 0; retransmitted by TCP: 0; dropped by the capture: 0

Bytes of the TCP streams
  direction     client  mirror  missing  different  surplus
  client > ADC       4       4        0          0        0
  ADC > client       8       8        0          0        0

Everything is right: the analyzer got every byte, once, and nothing else."""
    )


def test_the_examples_stand_between_the_tables_and_the_verdict():
    lines = render(ALL, [frame(tcp(GET)), frame(tcp(ANSWER, up=False))])
    assert lines.index("Mirrored packet 1, as Scapy reads it") < lines.index("Mirrored packet 2, as Scapy reads it")
    assert "  HTTP  GET /bytes/20 HTTP/1.1  Host: 192.168.131.2:8087" in lines
    assert lines[-1].startswith("Everything is right")


def test_what_is_wrong_stands_last():
    lines = render(replace(findings(connection(40000, OK, FAILED), connection(40001, OK)), device_status=1), [])
    assert lines[-3:] == ("WRONG:", "  1 requests failed (one after another): timed out", "  hsadc ended with status 1")


def test_it_fits_100_columns_whatever_the_packets_carry():
    request = GET.replace(b"/bytes/20", b"/" + b"x" * 200)
    lines = render(ALL, [frame(tcp(request))])
    assert max(map(len, lines)) == 100
    assert any("GET /xxx" in line for line in lines)


def test_an_empty_capture_has_a_table_too():
    assert "  outer addresses  ttl  packets" in render(findings(), [])
