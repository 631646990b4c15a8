from __future__ import annotations

import pytest

from hsadc.dataplane.haproxy_explain import explain
from hsadc.dataplane.haproxy_file import Machine, write_file
from tests.unit.dataplane.test_haproxy_file import SERVICES

TEXT = write_file(SERVICES, Machine(root=True, max_files=20000, threads=2)).text


def line_of(beginning: str) -> int:
    return next(n for n, line in enumerate(TEXT.split("\n"), start=1) if line.startswith(beginning))


BIND = f"[haproxy.cfg:{line_of('  bind 192')}]"
SERVER = f"[haproxy.cfg:{line_of('  server r')}]"
LISTED = f"parsing {BIND} : 'bind 192.0.2.1:80' in section 'frontend' : 'crt-list' : "
NOTICES = "[NOTICE]   (7) : haproxy version is 2.8.25\n"
BINDING = f"[ALERT]    (7) : Binding {BIND} for frontend vs1_:7f51::20:1: cannot bind socket ({{}}) for [{{}}]\n"
VIRTUAL = 'slb virtual-server "网 1"'
REAL = f'{VIRTUAL}, slb server-pool "web", real-server "r 1"'


def alert(words: str) -> str:
    return f"[ALERT]    (7) : config : {words}\n"


FATAL = alert("Fatal errors found in configuration.")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            NOTICES
            + BINDING.format("Address already in use", "192.0.2.1:80")
            + "[ALERT]    (7) : [/x/haproxy.main()] Some protocols failed to start their listeners! Exiting.\n",
            f"{VIRTUAL}: another program uses 192.0.2.1:80",
        ),
        (
            BINDING.format("Cannot assign requested address", "::1:80"),
            f"{VIRTUAL}: ::1:80 is not an address of this device",
        ),
        (
            NOTICES + alert(f"parsing {SERVER} : 'server pool1.1_web/r:20:1' : unknown keyword 'x'.") + FATAL,
            f"{REAL}: unknown keyword 'x'",
        ),
        (
            alert("Proxy 'vs1_:7f51::20:1': unable to find required default_backend: 'no'.") + alert("another.") + FATAL,
            f"{VIRTUAL}: unable to find required default_backend: 'no' (and 1 more)",
        ),
        (
            alert("Couldn't open the ca-file 'pki/p.ca' (No such file or directory).")
            + alert(f"parsing {BIND} : 'bind 192.0.2.1:80' in section 'frontend' : 'ca-file' : unable to load pki/p:20:x.ca"),
            f'{VIRTUAL}: the authorities of ssl-profile "p x" are none that OpenSSL reads (and 1 more)',
        ),
        (
            alert(f"Proxy 'vs1_:7f51::20:1': unable to set SSL cipher list to 'NO' for bind '192.0.2.1:80' at {BIND}.\nProxy"),
            f"{VIRTUAL}: OpenSSL knows no such ciphers: NO",
        ),
        (
            alert(f"Proxy 'vs1_:7f51::20:1': unable to set TLS 1.3 cipher suites to 'NO' for bind '192.0.2.1:80' at {BIND}."),
            f"{VIRTUAL}: OpenSSL knows no such cipher suites: NO",
        ),
        (
            alert(f"Proxy 'vs1_:7f51::20:1': all SSL/TLS versions are disabled for bind '192.0.2.1:80' at {BIND}."),
            f"{VIRTUAL}: its max-version is below its min-version",
        ),
        (
            alert(f"Proxy 'vs1_:7f51::20:1': no SSL certificate specified for bind '192.0.2.1:80' at {BIND} (use 'crt')."),
            f"{VIRTUAL}: no trust domain of its ssl-profile has a certificate",
        ),
        (
            alert(f"{LISTED}inconsistencies between private key and certificate loaded 'pki/www.pem'."),
            f'{VIRTUAL}: the key of pki trust-domain "www" is not its certificate\'s',
        ),
        (
            alert(f"{LISTED}No Private Key found in 'pki/w:20:w.pem.key'."),
            f'{VIRTUAL}: pki trust-domain "w w" has no key that OpenSSL reads',
        ),
        (
            alert(f"{LISTED}unable to load certificate from file 'pki/:ab12.pem': no start line."),
            f"{VIRTUAL}: the certificate of pki/:ab12.pem is none that OpenSSL reads",
        ),
        (
            alert(f"{SERVER} : 'server pool1.1_web/r:20:1' : No Private Key found in 'pki/www.pem.key'."),
            f'{REAL}: pki trust-domain "www" has no key that OpenSSL reads',
        ),
        (
            alert("Cannot open namespace 'hop'.")
            + alert(
                f"parsing {BIND} : 'bind 192.0.2.1:80' in section 'frontend' : error encountered while processing 'namespace'."
            ),
            f"{VIRTUAL}: error encountered while processing 'namespace' (and 1 more)",
        ),
        (alert("Cannot open namespace 'hop'."), "there is no network namespace hop"),
        (alert(f"parsing [haproxy.cfg:{line_of('  maxconn')}] : no."), "haproxy.cfg: no"),
        (
            "[ALERT]    (7) : [haproxy.main()] x\n[ALERT] (7) : Cannot raise FD limit to 9, limit is 8.\n",
            "9 open files are needed and 8 are allowed: raise the daemon's limit (ulimit -n)",
        ),
        ("one\n\n two \n\n", "two"),
        ("", "HAProxy said nothing"),
    ],
)
def test_haproxys_words_become_the_operators(words: str, line: str) -> None:
    assert explain(words, TEXT) == line
