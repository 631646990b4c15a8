"""The real server: nginx, over HTTP and over TLS, with a small and a large file; and the certificate that all of them show."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from proxies.load import SIZES
from proxies.network import FRONT, SERVER, Network
from proxies.process import running

HTTP, HTTPS = 80, 443
_NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log error.log; user root;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600s;
  server {{
    listen {http} reuseport backlog=4096; listen {https} ssl reuseport backlog=4096; root files;
    ssl_certificate {pem}; ssl_certificate_key {pem}; ssl_protocols TLSv1.2 TLSv1.3;
  }}
}}
"""


@dataclass(frozen=True)
class Identity:
    """A certificate (EC P-256, signed by itself, an authority as well) and its key.

    Attributes:
        pem: the file with both.
        certificate: the file with the certificate alone.
        key: the file with the key alone.
    """

    pem: Path
    certificate: Path
    key: Path


def make_identity(folder: Path) -> Identity:
    """A new one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.test")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=90))
    names = [x509.DNSName("www.example.test"), *(x509.IPAddress(IPv4Address(a)) for a in (FRONT, SERVER))]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, *form)
    made = Identity(folder / "both.pem", folder / "certificate.pem", folder / "key.pem")
    for file, content in ((made.pem, certificate + private), (made.certificate, certificate), (made.key, private)):
        file.touch(mode=0o600)
        file.write_bytes(content)
    return made


@contextmanager
def real_server(network: Network, identity: Identity, folder: Path) -> Iterator[None]:
    """It serves on SERVER, ports HTTP and HTTPS, as long as the context lasts."""
    files = folder / "nginx" / "files"
    files.mkdir(parents=True)
    for path, size in SIZES.items():
        (files / path.lstrip("/")).write_bytes(bytes(range(256)) * (size // 256))
    configuration = folder / "nginx" / "nginx.conf"
    configuration.write_text(_NGINX.format(http=HTTP, https=HTTPS, pem=identity.pem))
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
    command = network.command("server", nginx, "-p", str(configuration.parent), "-c", str(configuration))
    with running(command, folder / "nginx" / "log") as process:
        process.wait(lambda: network.listens("server", HTTPS))
        yield
