"""The article's experiment on a machine without BPF: hsadc itself copies, and production does not notice."""

from __future__ import annotations

import json
import re
import time

import pytest

from hsadc.cli.remote import RemoteShell
from hsadc.lab.compare import compare
from hsadc.lab.equipment import run_client
from hsadc.lab.pcap import frames
from hsadc.lab.scenario import ARTICLE
from tests.external.conftest import SAMPLES, running_lab
from tests.external.load import Load
from tests.external.test_article import copies_while, leftovers, wait

pytestmark = pytest.mark.netns
WITHOUT_BPF = ("setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin")
"""CAP_SYS_ADMIN stands for CAP_BPF, too."""
PORTABLE = ("--dataplane", "portable")
OFF, ON = "no mirror-traffic", "mirror-traffic interface tunnel1"
SERVER = "slb virtual-server l7-http"
TUNNEL = (1, "tunnel1")


def said(lab, *lines) -> str:
    """What the device says; in this process, as to start another one takes longer than most commands."""
    with RemoteShell(lab.runtime.control_socket) as shell:
        answers = [shell.run(line) for line in lines]
    assert all(answer.ok for answer in answers), answers
    return "\n".join(line for answer in answers for line in answer.lines)


def show_json(lab, command):
    return json.loads(said(lab, f"{command} | json"))


def counted(lab) -> tuple[int, int, int]:
    """What the virtual server's packets became: matched, copies, sent."""
    counters = show_json(lab, "show mirror counters")
    (source,), (tunnel,) = counters["sources"], counters["tunnels"]
    return source["matched_packets"], tunnel["copies"], tunnel["sent_packets"]


def test_where_bpf_is_not_allowed_every_byte_reaches_the_analyzer_all_the_same():
    with running_lab(launcher=WITHOUT_BPF) as lab:
        capture = lab.capture()
        connections = run_client(lab.runtime, lab._interrupt, requests=200, concurrency=20)
        totals = capture.finish()
        found = compare(frames(capture.file.read_bytes()), connections, ARTICLE.route)
        assert found.problems == ()
        assert [e.error for c in connections for e in c.exchanges] == [None] * 200
        assert counted(lab) == (found.segments,) * 3 == (totals.captured,) * 3

        dataplane = show_json(lab, "show dataplane")
        assert (dataplane["dataplane"], dataplane["missing_for_bpf"]) == ("portable", "the capability CAP_BPF is missing")
        assert dataplane["lost"] == [{"device": "eth0", "packets": 0}]
        text = said(lab, "show dataplane")
        assert "hsadc itself copies packets, without BPF" in text
        assert "BPF programs cannot copy here: the capability CAP_BPF is missing" in text
        assert "Packets that came too fast and were not seen: none" in text
        session = said(lab, "show mirror session")
        assert re.search(r"^virtual-server l7-http > tunnel1: up$", session, re.MULTILINE)
        assert f"{found.segments} copies, {found.segments} packets sent, 0 dropped" in session

        capture = lab.capture()
        assert "1 packet of 58 bytes sent" in said(lab, "test mirror virtual-server l7-http send")
        assert capture.finish().captured == 1
        said(lab, "clear mirror counters")
        assert counted(lab) == (0, 0, 0)
        assert lab.device.stop() == 0
        assert lab.inside("adc", leftovers) == "lo eth0 [] [] []"


def test_changes_kills_and_restarts_under_load():
    with running_lab(PORTABLE) as lab, Load(lab.namespace("client"), 2) as load:
        said(lab, "configure", SERVER, OFF)
        assert copies_while(load, lab) == 0
        said(lab, "configure", SERVER, ON)
        assert copies_while(load, lab) > 200
        said(lab, "configure", SERVER, OFF, "save", ON)
        lab.kill_device()
        assert copies_while(load, lab) == 0  # the mirror ends with the daemon, what serves does not
        lab.start_device()
        assert copies_while(load, lab) == 0  # as saved
        said(lab, "configure", SERVER, ON)
        assert copies_while(load, lab) > 200
        assert said(lab, "show running-config") + "\n" == (SAMPLES / "article.cfg").read_text()
        load.stop()
        assert load.failed == {}
        assert lab.device.stop() == 0
        assert lab.inside("adc", leftovers) == "lo eth0 [] [] []"


def distinct(lab, load) -> tuple[int, int]:
    """How many copies reach the analyzer during some requests, and how many different ones."""
    capture, before = lab.capture(), load.answered
    wait(lambda: load.answered > before + 200, lab)
    capture.stop()
    copies = [frame[38:] for frame in frames(capture.file.read_bytes())]
    return len(copies), len(set(copies))


def test_from_bpf_to_portable_and_back_each_packet_is_copied_once():
    with running_lab() as lab, Load(lab.namespace("client"), 1) as load:
        for options in (PORTABLE, ()):
            lab.kill_device()
            lab.options = options
            lab.start_device()
            copies, different = distinct(lab, load)
            assert copies == different > 200
        load.stop()
    assert load.failed == {}


def test_sessions_are_answered_while_the_mirror_is_saturated():
    """The copying thread holds the interpreter for most of the time."""
    with running_lab(PORTABLE) as lab, RemoteShell(lab.runtime.control_socket) as shell:
        said(lab, "configure", "interface ethernet0/0", ON)
        answered_s = []
        with Load(lab.namespace("client"), 4, 1_000_000) as load:
            wait(lambda: any(entry["packets"] for entry in show_json(lab, "show dataplane")["lost"]), lab)
            for line in ("show version", "show mirror counters") * 50:
                before = time.monotonic()
                shell.run(line)
                answered_s.append(time.monotonic() - before)
        assert load.failed == {}
    assert sorted(answered_s)[98] < 1
