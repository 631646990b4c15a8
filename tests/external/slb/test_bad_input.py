"""Bad input: one line that names the object and says what would be right, nothing is changed, and traffic goes on."""

from __future__ import annotations

import re
import socket

import pytest

from tests import pki
from tests.external.slb.client import Load
from tests.external.slb.device import pool, real_servers, virtual
from tests.external.slb.identity import SITE
from tests.external.slb.network import address

pytestmark = pytest.mark.netns

VIP = address("adc")
SERVED = real_servers() + pool() + virtual("http", port=80)
TLS = virtual("https", "auto-snat\nssl-profile clients", port=443, name="w", number=2)


@pytest.fixture
def served(site):
    """A virtual server under load; its requests must all be answered, and the configuration must stay."""
    site.device.configure(SERVED)
    before = site.device.say("show running-config")
    with Load(site.client, VIP, 80) as load:
        load.goes_on()
        yield site
        load.goes_on()
    assert load.failed == {}
    assert site.device.say("show running-config") == before


def domain(site, certificate: str, key: str) -> str:
    """A trust domain of these two, and a profile and a virtual server that need it."""
    files = f"certificate file {site.identities.file('bad.pem', certificate)}\nkey file {site.identities.file('bad.key', key)}"
    return f'pki trust-domain "bad"\n{files}\nexit\nssl-profile "clients"\ntrust-domain "bad"\nexit\n' + TLS


def test_an_expired_certificate(served):
    old = pki.expired(SITE)
    assert re.search(r'pki trust-domain "bad": .*expired', served.device.refuses(SERVED + domain(served, old.pem, old.key_pem)))


def test_a_key_that_is_not_the_certificates(served):
    one, other = pki.self_signed(SITE), pki.self_signed(SITE)
    line = served.device.refuses(SERVED + domain(served, one.pem, other.key_pem))
    assert re.search(r'pki trust-domain "bad": .*key.* does not belong to', line)


def test_a_key_that_is_encrypted(served):
    pair = pki.self_signed(SITE)
    line = served.device.refuses(SERVED + domain(served, pair.pem, pair.encrypted("secret")))
    assert re.search(r'pki trust-domain "bad": .*(encrypted|passphrase)', line)


def test_a_key_that_others_may_read(served):
    pair = pki.self_signed(SITE)
    text = domain(served, pair.pem, pair.key_pem)
    served.identities.file("bad.key", pair.key_pem).chmod(0o644)
    assert re.search(r'pki trust-domain "bad": .*\.key', served.device.refuses(SERVED + text))


def test_a_file_that_is_not_there(served):
    text = f'pki trust-domain "bad"\ncertificate file /nowhere.pem\nkey file /nowhere.key\nexit\n{TLS}'
    line = served.device.refuses(f'{SERVED}{text}ssl-profile "clients"\ntrust-domain "bad"\nexit\n')
    assert "/nowhere.pem" in line


def test_a_profile_without_a_certificate(served):
    line = served.device.refuses(f'{SERVED}ssl-profile "clients"\nexit\n{TLS}')
    assert re.search(r'ssl-profile "clients": .*(trust-domain|certificate)', line)


def test_an_import_with_the_wrong_passphrase(served):
    served.device.put("some.key", pki.self_signed(SITE).encrypted("right"))
    with pytest.raises(AssertionError, match=r"some\.key.*passphrase"):
        served.device.say("import pki key some.key passphrase wrong")


def test_a_pool_without_servers(served):
    text = 'slb server-pool "empty"\nexit\n' + virtual("http", port=81, name="w", number=2, serves="empty")
    assert 'its slb server-pool "empty" has no real-server' in served.device.refuses(SERVED + text)


def test_a_port_that_another_program_has(served):
    taken = served.network.inside("adc", socket.socket)
    with taken:
        taken.bind((VIP, 82))
        taken.listen()
        line = served.device.refuses(SERVED + virtual("http", port=82, name="w", number=2))
    assert 'slb virtual-server "w"' in line
    assert f"{VIP}:82" in line or f"{VIP} port 82" in line


def test_one_address_and_port_twice(served):
    line = served.device.refuses(SERVED + virtual("tcp", port=80, name="w", number=2))
    assert f'{VIP} port 80 is slb virtual-server "v" already' in line


def test_a_sorry_page_that_is_not_there(served):
    text = pool("sorry-page file nothing.html", name="p") + virtual("http", port=83, name="w", number=2, serves="p")
    assert 'slb server-pool "p": its sorry-page "nothing.html" is not among' in served.device.refuses(SERVED + text)


def test_a_virtual_server_that_speaks_tls_without_a_profile_is_not_in_force(site):
    """As long as the lines are not complete, which come one by one."""
    site.device.configure(SERVED + virtual("https", port=443, name="w", number=2))
    state = {row["name"]: (row["state"], row["reason"]) for row in site.device.show("slb virtual-server")["virtual_servers"]}
    assert state["w"] == ("down", "it has no ssl-profile")
    assert site.client.curl(f"https://{VIP}/", "-k").exit == 7
    assert site.client.get(f"http://{VIP}/").status == 200
