"""The real servers: nginx for HTTP and HTTPS on each, and beside it `app` for what nginx does not do."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from hsadc.lab.interrupt import Interrupt
from hsadc.lab.process import Process
from tests.external.slb import app
from tests.external.slb.network import SERVERS, Network
from tests.pki import Pair, authority

FULL = os.environ.get("HSADC_STRESS") == "1"
BIG_BYTES = 200_000_000 if FULL else 20_000_000
TEXT = "What is written here is compressed well. " * 500

_NGINX = """
daemon off; master_process off; error_log {folder}/error.log; pid {folder}/nginx.pid; worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off; default_type application/octet-stream; types {{ text/html html; }} sendfile on; tcp_nodelay on;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp; keepalive_requests 100000; large_client_header_buffers 4 32k;
  server {{
    listen 80 backlog=2048; listen [::]:80 backlog=2048;
    listen 443 ssl http2; listen [::]:443 ssl http2; ssl_certificate {pem}; ssl_certificate_key {pem};
    root {folder}/files;
    add_header X-Server {name} always;
    location = / {{ default_type application/json; return 200 '{answer}\\n'; }}
    location /who {{ default_type application/json; return 200 '{answer}\\n'; }}
    location = /500 {{ return 500; }}
    location /files/ {{ alias {folder}/files/; }}
  }}
}}
"""

_ANSWER = {
    "server": "NAME",
    "client": "$remote_addr",
    "port": "$remote_port",
    "host": "$http_host",
    "uri": "$request_uri",
    "forwarded_for": "$http_x_forwarded_for",
    "forwarded_proto": "$http_x_forwarded_proto",
    "scheme": "$scheme",
    "sni": "$ssl_server_name",
    "cookie": "$http_cookie",
}


@dataclass(frozen=True)
class Certificates:
    """What clients and the ADC believe, and what the real servers show."""

    authority: Pair
    server: Pair


def make_certificates() -> Certificates:
    """The real servers' certificate: for `origin.test`, and signed by an authority of their own."""
    root = authority("Origin CA")
    return Certificates(root, root.issue("origin.test", *(f"10.73.0.{host}" for host in SERVERS.values())))


class Servers:
    """Those of rs1, rs2 and rs3; they take connections once this is made. Whoever made it stops it.

    Attributes:
        network: where they are.
        certificates: what they show.
    """

    def __init__(self, network: Network, folder: Path, certificates: Certificates) -> None:
        self.network, self.certificates = network, certificates
        self._folder, self._interrupt = folder, Interrupt()
        self._nginx: dict[str, Process] = {}
        self._app: dict[str, Process] = {}
        self._pem = folder / "server.pem"
        self._pem.write_text(certificates.server.chain + certificates.server.key_pem)
        try:
            for name in SERVERS:
                self._write_files(name)
                self.start_nginx(name)
                self.start_app(name)
            for name in SERVERS:
                self._await(name)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End them; also right when they have ended."""
        for process in (*self._nginx.values(), *self._app.values()):
            process.stop(signal.SIGKILL)

    def start_nginx(self, name: str) -> None:
        """Start a server's nginx."""
        command = ["nginx", "-p", str(self._folder / name), "-c", str(self._folder / name / "nginx.conf")]
        self._nginx[name] = self._process(f"nginx {name}", command, name)

    def stop_nginx(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End it as a crash would."""
        self._nginx[name].stop(number)

    def restart_nginx(self, name: str) -> None:
        """Start it again, and wait until it serves."""
        self.start_nginx(name)
        self._await(name)

    def start_app(self, name: str) -> None:
        """Start a server's `app`."""
        self._app[name] = self._process(f"app {name}", [sys.executable, app.__file__, name, str(self._pem)], name)

    def stop_app(self, name: str) -> None:
        """End it as a crash would."""
        self._app[name].stop(signal.SIGKILL)

    def restart_app(self, name: str) -> None:
        """Start it again, and wait until it serves."""
        self.start_app(name)
        self._await(name)

    def is_healthy(self, name: str, healthy: bool) -> None:
        """Let a server's /files/health be there, or not (404)."""
        file = self._folder / name / "files" / "health"
        file.write_text("ok\n") if healthy else file.unlink(missing_ok=True)

    def _process(self, title: str, command: list[str], name: str) -> Process:
        log = self._folder / f"{title.replace(' ', '-')}.log"
        log.unlink(missing_ok=True)
        return Process(title, command, log=log, namespace=self.network.name(name))

    def _await(self, name: str) -> None:
        self._app[name].expect(lambda: app.READY in self._app[name].log.read_text(), self._interrupt)
        self._nginx[name].expect(lambda: self._listens(name), self._interrupt)

    def _listens(self, name: str) -> bool:
        return ":443 " in self.network.run(name, "ss", "-Hltn").stdout

    def _write_files(self, name: str) -> None:
        folder = self._folder / name
        (folder / "files").mkdir(parents=True)
        answer = json.dumps(_ANSWER).replace("NAME", name)
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, pem=self._pem, name=name, answer=answer))
        big = self._folder / "big"
        if not big.exists():
            big.write_bytes(os.urandom(BIG_BYTES))
        (folder / "files" / "big").hardlink_to(big)
        (folder / "files" / "1k").write_bytes(os.urandom(1024))
        (folder / "files" / "text.html").write_text(TEXT)
        self.is_healthy(name, True)
