"""Floods a WireGuard device with handshake initiations that have a right mac1 and nothing else right.
Usage: wg_flood.py ADDRESS PORT PUBLIC_KEY_BASE64 SECONDS. Says "under load" at the first cookie reply; ends
after SECONDS or on SIGTERM, and prints what came back; exit 1 if it was anything but cookies."""
import base64
import hashlib
import os
import signal
import socket
import sys
import time

address, port, key, seconds = sys.argv[1], int(sys.argv[2]), base64.b64decode(sys.argv[3]), float(sys.argv[4])
mac1_key = hashlib.blake2s(b"mac1----" + key).digest()
messages = []
for _ in range(512):
    body = b"\x01\0\0\0" + os.urandom(112)
    messages.append(body + hashlib.blake2s(body, key=mac1_key, digest_size=16).digest() + bytes(16))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setblocking(False)
sent = cookies = other = 0
end = time.monotonic() + seconds
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
while time.monotonic() < end and not stopped:
    for m in messages:
        try:
            s.sendto(m, (address, port))
            sent += 1
        except BlockingIOError:
            time.sleep(0.001)
    try:
        while True:
            reply = s.recv(2048)
            if len(reply) == 64 and reply[0] == 3:
                if cookies == 0:
                    print("under load", flush=True)
                cookies += 1
            else:
                other += 1
    except BlockingIOError:
        pass
print(f"sent {sent}, cookie replies {cookies}, anything else {other}")
sys.exit(0 if other == 0 else 1)
