"""Traffic for the mirror under stress: numbered datagrams that do not end, and many connections at once."""

import asyncio
import contextlib
import hashlib
import os
import random
import socket
import subprocess
import sys

from tests.netns.mirror_net import PORT, SERVER

_SEND = """
import select, socket, sys
family, address, port, size = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with socket.socket(family, socket.SOCK_DGRAM) as s:
    s.connect((address, port))
    number = 0
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        for number in range(number, number + 20):
            s.send(number.to_bytes(8, "big") + bytes(size - 8))
        if number < 20:
            print("begun", flush=True)
        number += 1
print(number)
"""


class Sent:
    """How many numbered datagrams were sent; known after the block."""

    number = 0


@contextlib.contextmanager
def datagrams(net, address=SERVER, port=PORT, size=60):
    """Numbered datagrams from client to ADC, 20 each millisecond at most; a socket there takes them and says nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with net.inside("adc"), socket.socket(family, socket.SOCK_DGRAM) as taker:
        taker.bind((address, port))
        command = ["ip", "netns", "exec", net.names["client"], sys.executable, "-c", _SEND]
        command += [str(int(family)), address, str(port), str(size)]
        sender, sent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True), Sent()
        try:
            sender.stdout.readline()
            yield sent
            told, _ = sender.communicate(timeout=20)  # closes its input
            sent.number = int(told)
        finally:
            sender.kill()
            sender.wait()
            sender.stdin.close()
            sender.stdout.close()


def numbers(packets):
    """The numbers of datagrams, by IPv4 packet, in order."""
    return sorted(int.from_bytes(packet[28:36]) for packet in packets)


def many_connections(net, count, size, mss):
    """So many connections from client to ADC at once, each of which carries a body of its own both ways.

    Returns:
        SHA-256 of the bodies of each direction, sorted; they arrived whole.
    """
    with net.inside("adc"):
        listener = socket.create_server((SERVER, PORT), backlog=count)
    clients = []
    with net.inside("client"):
        for _ in range(count):
            client = socket.socket()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
            clients.append(client)
    with listener:
        return asyncio.run(_exchange(listener, clients, size))


async def _exchange(listener, clients, size):
    up, down, received = [], [], []

    async def serve(reader, writer):
        received.append(hashlib.sha256(await reader.readexactly(size)).hexdigest())
        body = random.randbytes(size)
        down.append(hashlib.sha256(body).hexdigest())
        writer.write(body)
        await writer.drain()
        writer.close()

    async def connect(client):
        await asyncio.get_running_loop().sock_connect(client, (SERVER, PORT))
        return await asyncio.open_connection(sock=client)

    async def use(reader, writer):
        body = os.urandom(size)
        up.append(hashlib.sha256(body).hexdigest())
        writer.write(body)
        answer = hashlib.sha256(await reader.read(-1)).hexdigest()
        writer.close()
        return answer

    server = await asyncio.start_server(serve, sock=listener, backlog=len(clients))
    async with server:
        streams = await asyncio.gather(*map(connect, clients))
        answers = await asyncio.gather(*(use(*stream) for stream in streams))
    assert (sorted(received), sorted(answers)) == (sorted(up), sorted(down))
    return sorted(up), sorted(down)
