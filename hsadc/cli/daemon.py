"""`hsadc daemon`: the device as a process. It puts the parts together, serves until it is told to stop, and cleans up."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hsadc.cli import control
from hsadc.cli.log import RECENT
from hsadc.cli.logins import Logins
from hsadc.cli.remote import CONTROL_SOCKET
from hsadc.cli.session import Session
from hsadc.cli.shell import Login
from hsadc.config.commit import Device
from hsadc.config.files import RUNNING, STARTUP
from hsadc.errors import ApplyError, ConfigError
from hsadc.model.admin_user import AdminUser
from hsadc.syntax.grammar import load_grammar

REPAIR_INTERVAL_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How a daemon is started.

    Attributes:
        state_dir: where it keeps its files: control socket, host key, HAProxy's files, what it changed on the machine.
        startup_config: the file that it reads at start and `save` writes.
        ssh: `ADDRESS:PORT` where SSH listens, `[ADDRESS]:PORT` for IPv6, or `off`.
        dataplane: `auto`, `bpf`, `portable` or `none`.
    """

    state_dir: Path
    startup_config: Path
    ssh: str
    dataplane: str

    @property
    def control_socket(self) -> Path:
        """Where local shells connect."""
        return self.state_dir / CONTROL_SOCKET


def run_daemon(options: Options) -> None:
    """Run the device in the foreground until SIGTERM, SIGINT or, from a terminal that closes, SIGHUP.

    Raises:
        HsadcError: it cannot start; nothing is left behind.
    """
    import uvloop

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Many systems allow 1024 open files unless a program asks for more, and each session is one.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def foreground() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup wants it to stay ignored
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(options, stop, lambda: log.info("ready"))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # a pushed line costs a tenth less than on asyncio's own
        runner.run(foreground())


async def serve(options: Options, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Serve until `stop` is set; `ready` is called when clients can connect.

    Raises:
        HsadcError: it cannot start; nothing is left behind.
    """
    address = parse_ssh(options.ssh)
    RECENT.install()
    # This process and HAProxy hold private keys: neither leaves its memory on the disk when it crashes.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with _only_one(options.state_dir):
        device = await asyncio.to_thread(_open_device, options)
        with _only_one_here(options):
            await _serve(device, options, address, stop, ready)


async def _serve(
    device: Device, options: Options, address: tuple[str, int] | None, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """What can fail without the configuration comes first: it must not take down what an earlier run left in service."""
    started = False

    def users() -> Mapping[str, AdminUser]:
        # Before the configuration is read nobody can log in, not even by the default account, which an empty answer would allow.
        return device.running.admin_user if started else {"": AdminUser("")}

    logins = Logins(options.state_dir / "history")

    def login(who: Login) -> Session:
        return Session(device, who, logins)

    async with AsyncExitStack() as stack:
        if address is not None:
            from hsadc.cli import gate, ssh
            from hsadc.cli.sftp import Transfer

            host_key = options.state_dir / "ssh_host_key"
            device.files.prepare()
            transfer = partial(Transfer, files=device.files, shown=_shown_as_files(device))
            listening = ssh.listen(*address, host_key=host_key, users=users, shell=login, transfer=transfer)
            await stack.enter_async_context(listening)
        for warning in await asyncio.to_thread(device.start):
            log.warning(warning)
        stack.push_async_callback(_stop, device)
        if address is not None:
            gate.refuse_default_password(address[0], device.running.admin_user)
            log.info("SSH listens on %s port %d", *address)
        started = True
        # Last, because who waits for the device waits for this socket.
        await stack.enter_async_context(await control.listen(options.control_socket, login))
        repairs = asyncio.create_task(_repair_now_and_then(device))
        stack.callback(repairs.cancel)
        ready()
        await stop.wait()


def _shown_as_files(device: Device) -> Mapping[str, Callable[[], str]]:
    def startup() -> str:
        saved = device.archive.startup()
        return "" if saved is None else saved.text

    return {RUNNING: device.text, STARTUP: startup}


async def _repair_now_and_then(device: Device) -> None:
    while True:
        await asyncio.sleep(REPAIR_INTERVAL_S)
        try:
            await asyncio.to_thread(device.repair)
        except ApplyError as e:
            log.error("the machine is not as configured: %s", e)
        except Exception:  # or nothing would be repaired from now on
            log.exception("a bug: the machine could not be compared with the configuration")


async def _stop(device: Device) -> None:
    await asyncio.to_thread(device.stop)
    log.info("stopped, the machine is as it was found")


def _open_device(options: Options) -> Device:
    if options.dataplane == "none":
        return Device(load_grammar(), options.startup_config, options.state_dir, None)
    from hsadc.dataplane.dataplane import Dataplane

    return Device(load_grammar(), options.startup_config, options.state_dir, Dataplane(options.state_dir, options.dataplane))


def _only_one_here(options: Options) -> AbstractContextManager[None]:
    if options.dataplane == "none":
        return nullcontext()
    from hsadc.dataplane.claim import claim_network

    return claim_network()


def parse_ssh(text: str) -> tuple[str, int] | None:
    """The address and port of `--ssh`.

    Raises:
        ConfigError: it is not ADDRESS:PORT, [ADDRESS]:PORT or `off`.
    """
    if text == "off":
        return None
    address, _, port = text.rpartition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError("--ssh", f"'{text}' must be ADDRESS:PORT, such as 127.0.0.1:2222, or 'off'")
    return address.removeprefix("[").removesuffix("]"), int(port)


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Hold the state directory's lock; the kernel releases it however the process ends."""
    try:
        state_dir.mkdir(mode=0o711, parents=True, exist_ok=True)  # the group `hsadc` must get to the control socket
        lock = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise ApplyError(f"open state directory {state_dir}", e.strerror or str(e)) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConfigError("hsadc daemon", f"another one runs with the state directory {state_dir}") from None
    try:
        yield
    finally:
        os.close(lock)
