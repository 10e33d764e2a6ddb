"""What wg_corners_e2e.sh needs beside `wg`, `ip` and ping.
Usage: wg_corners.py echo PORT                    serves TCP on all addresses: what comes in goes back
       wg_corners.py carry ADDRESS PORT BYTES     sends random bytes there and wants the same back
       wg_corners.py peers N FIRST_PORT           a configuration with N peers, each tenth with a preshared key
       wg_corners.py dump                         that configuration (standard input) as `wg show dump` lists peers
       wg_corners.py slowly INTERFACE SECONDS     get=1, read over so many seconds; prints the size and the last line
       wg_corners.py leave INTERFACE TIMES        get=1, and away after 10,000 bytes
       wg_corners.py greedy INTERFACE TIMES SECS  get=1 so often at once, and nothing is read for so long; then all"""
import base64
import hashlib
import random
import socket
import sys
import threading
import time


def echo(port):
    with socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        print("listening", flush=True)
        while True:
            threading.Thread(target=give_back, args=(server.accept()[0],), daemon=True).start()


def give_back(connection):
    with connection:
        while piece := connection.recv(65536):
            connection.sendall(piece)


def carry(address, port, size):
    data = random.randbytes(int(size))
    back = hashlib.sha256()
    count = 0
    with socket.create_connection((address, int(port)), timeout=20) as connection:
        sender = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        while piece := connection.recv(65536):
            back.update(piece)
            count += len(piece)
        sender.join()
    if back.digest() != hashlib.sha256(data).digest():
        sys.exit(f"{count} of {len(data)} bytes came back, or not the same")


def peers(count, first_port):
    draw = random.Random(int(count))
    for i in range(1, int(count) + 1):
        print("[Peer]")
        print(f"PublicKey = {key(draw)}")
        if i % 10 == 0:
            print(f"PresharedKey = {key(draw)}")
        print(f"AllowedIPs = 10.{100 + i // 65536}.{i // 256 % 256}.{i % 256}/32, fd88::{i:x}/128")
        print(f"Endpoint = 192.0.2.2:{int(first_port) + i % 1000}")


def key(draw):
    return base64.b64encode(draw.randbytes(32)).decode()


def dump():
    for section in sys.stdin.read().split("[Peer]\n")[1:]:
        said = dict(line.split(" = ", 1) for line in section.splitlines() if " = " in line)
        print(said["PublicKey"], said.get("PresharedKey", "(none)"), said["Endpoint"],
              said["AllowedIPs"].replace(" ", ""), sep="\t")


def ask(interface, times=1):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(30)
    s.connect(f"/var/run/wireguard/{interface}.sock")
    s.sendall(b"get=1\n\n" * int(times))
    return s


def slowly(interface, seconds):
    answer = bytearray()
    begun = time.monotonic()
    with ask(interface) as s:
        while not answer.endswith(b"\n\n"):
            piece = s.recv(65536)
            if not piece:
                break
            answer += piece
            # A typical answer has three megabytes.
            time.sleep(max(0.0, begun + float(seconds) * len(answer) / 3e6 - time.monotonic()))
    print(len(answer), answer.decode().strip().splitlines()[-1], flush=True)


def leave(interface, times):
    for _ in range(int(times)):
        with ask(interface) as s:
            s.recv(10000)


def greedy(interface, times, seconds):
    with ask(interface, times) as s:
        print("asked", flush=True)
        time.sleep(float(seconds))
        seen = 0
        tail = b""
        while seen < int(times):
            piece = s.recv(1 << 20)
            if not piece:
                sys.exit(f"{seen} of {times} answers")
            seen += (tail + piece).count(b"errno=0\n\n")
            tail = piece[-8:]


commands = {f.__name__: f for f in (echo, carry, peers, dump, slowly, leave, greedy)}
commands[sys.argv[1]](*sys.argv[2:])
