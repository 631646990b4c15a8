import socket
import ssl
from threading import Thread

import pytest

from hsadc.lab.certificates import CLIENTS_AUTHORITY, ORIGIN, ORIGIN_IDENTITY, SITE, authority, issue, make_files
from hsadc.lab.client import Request, converse
from hsadc.lab.server import RealServer


@pytest.fixture
def files(tmp_path):
    make_files(tmp_path / "pki", tmp_path)
    return tmp_path


def handshake(certificate, key, believed, name):
    """What a client sees that believes those authorities and asks for that name."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=believed)
    server.load_cert_chain(certificate, key)
    near, far = socket.socketpair()
    with near, far:
        serving = Thread(target=lambda: server.wrap_socket(far, server_side=True).close())
        serving.start()
        try:
            with client.wrap_socket(near, server_hostname=name) as link:
                return link.version()
        finally:
            near.close()
            serving.join()


@pytest.mark.parametrize("name", [SITE, "192.168.131.2"])
def test_clients_believe_the_virtual_server(files, name):
    assert handshake(files / "pki/www.pem", files / "pki/www.key", files / CLIENTS_AUTHORITY, name) == "TLSv1.3"


def test_the_device_believes_the_real_servers(files):
    assert handshake(files / ORIGIN_IDENTITY, None, files / "pki/origin-ca.pem", ORIGIN) == "TLSv1.3"


def test_the_key_is_for_the_device_alone(files):
    assert (files / "pki/www.key").stat().st_mode & 0o777 == 0o600
    assert (files / "pki").stat().st_mode & 0o777 == 0o700


def test_a_conversation_inside_tls_is_recorded_in_clear(tmp_path):
    root = authority("Test CA")
    identity = issue(root, "127.0.0.1")
    (tmp_path / "server.pem").write_text(identity.certificate_pem + identity.key_pem)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.pem")
    with RealServer("rs33", "127.0.0.1", 0, tls) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        heard = converse(
            server.server_address, (Request("GET", "/bytes/20", 0),), ssl.create_default_context(cadata=root.certificate_pem)
        )
        refused = converse(server.server_address, (Request("GET", "/bytes/20", 0),), ssl.create_default_context())
        server.shutdown()
        thread.join()
    assert heard.exchanges[0].server == "rs33"
    assert heard.sent.startswith(b"GET /bytes/20 HTTP/1.1")
    assert refused.port == 0
    assert "certificate verify failed" in refused.exchanges[0].error
