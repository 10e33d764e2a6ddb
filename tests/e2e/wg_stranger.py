"""Says to a WireGuard device whatever a stranger might: each type in each wrong size, reserved bits, initiations
with a right mac1 from keys that it does not know, responses and data for sessions that do not exist.
Usage: wg_stranger.py ADDRESS PORT PUBLIC_KEY_BASE64. Exit 1 if anything at all comes back within a second."""
import base64
import hashlib
import os
import socket
import struct
import sys

address, port, key = sys.argv[1], int(sys.argv[2]), base64.b64decode(sys.argv[3])
mac1_key = hashlib.blake2s(b"mac1----" + key).digest()


def with_mac1(body):
    return body + hashlib.blake2s(body, key=mac1_key, digest_size=16).digest() + bytes(16)


messages = [b"", b"\0", b"\x01", os.urandom(1400)]
for kind in range(0, 8):
    for size in (4, 31, 32, 63, 64, 65, 91, 92, 93, 147, 148, 149, 1280):
        messages.append(struct.pack("<I", kind) + os.urandom(size - 4))
for size in (148, 92, 64, 32):
    messages.append(b"\x01\0\0\x01" + os.urandom(size - 4))  # a reserved bit is set
for _ in range(10):
    messages.append(with_mac1(struct.pack("<I", 1) + os.urandom(112)))
    messages.append(with_mac1(struct.pack("<I", 2) + os.urandom(56)))

s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
for m in messages:
    s.sendto(m, (address, port))
s.settimeout(1)
try:
    reply = s.recv(2048)
    print(f"answered with {len(reply)} bytes of type {reply[0] if reply else '-'}")
    sys.exit(1)
except TimeoutError:
    print(f"{len(messages)} messages, no answer")
