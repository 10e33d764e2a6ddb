"""Sends one configuration request to a WireGuard interface and prints the answer.
Usage: wg_uapi.py INTERFACE LINE...   (LINE: set=1, private_key=..., get=1; the blank line is added)"""
import socket
import sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.settimeout(5)
s.connect(f"/var/run/wireguard/{sys.argv[1]}.sock")
s.sendall(("\n".join(sys.argv[2:]) + "\n\n").encode())
answer = b""
while not answer.endswith(b"\n\n"):
    piece = s.recv(65536)
    if not piece:
        break
    answer += piece
print(answer.decode().strip())
