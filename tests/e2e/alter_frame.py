"""Holds one governed frame back, then delivers it by hand: first as it is, then another with its tag altered.

alter_frame.py TAG FROM TO FROM4 TO4 PCAP, inside the namespace of the bridge. Exits 0 only if the untouched
frame arrived on the receiver's TUN and the altered one did not. The receiver drops frames of the length in
question whose TTL is 64, so only what this program sends (TTL 63) can arrive.
"""
import socket
import struct
import subprocess
import sys
import time

tag, sender, receiver, from4, to4, pcap = sys.argv[1:7]


def on(host, *command, **kw):
    return subprocess.run(["ip", "netns", "exec", f"{tag}-{host}", *command], capture_output=True, text=True, **kw)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def seen(size):
    out = subprocess.run(["tcpdump", "-r", pcap, "-n", f"icmp[icmptype] = icmp-echo and src {from4}"], capture_output=True, text=True)
    return sum(1 for line in out.stdout.splitlines() if f"length {size + 8}" in line)


def one(size, alter):
    """Sends one ping of `size`, catches its frame on the bridge, delivers it by hand; did it arrive?"""
    inner = (28 + size + 15) // 16 * 16
    udp = 8 + 16 + 16 + inner + 16
    on(receiver, "nft", "add", "table", "inet", "held")
    on(receiver, "nft", "add", "chain", "inet", "held", "in", "{ type filter hook input priority 0 ; }")
    on(receiver, "nft", "add", "rule", "inet", "held", "in", "ip", "ttl", "64", "udp", "length", str(udp), "drop")
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    tap.bind((f"p-{sender}", 0))
    tap.settimeout(5)
    before = seen(size)
    ping = subprocess.Popen(["ip", "netns", "exec", f"{tag}-{sender}", "ping", "-c", "1", "-W", "1", "-s", str(size), to4],
                            stdout=subprocess.DEVNULL)
    caught = None
    end = time.time() + 5
    while time.time() < end and caught is None:
        frame = bytearray(tap.recv(4096))
        if len(frame) >= 14 + 20 + udp and frame[12:14] == b"\x08\x00" and frame[23] == 17 and \
                struct.unpack("!H", frame[38:40])[0] == udp and frame[42] == 0xA4:
            caught = frame[: 14 + 20 + udp]
    ping.wait()
    held = seen(size) == before
    if caught is None or not held:
        print("the frame was not caught" if caught is None else "the frame was not held back")
        return None
    caught[22] = 63
    caught[24:26] = b"\0\0"
    caught[24:26] = struct.pack("!H", checksum(bytes(caught[14:34])))
    caught[40:42] = b"\0\0"  # UDP over IPv4 may go without a checksum
    if alter:
        caught[42 + 8] ^= 1
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((f"p-{receiver}", 0))
    out.send(bytes(caught))
    time.sleep(0.8)
    on(receiver, "nft", "delete", "table", "inet", "held")
    return seen(size) > before


whole = one(333, False)
altered = one(555, True)
print(f"untouched arrived: {whole}, altered arrived: {altered}")
sys.exit(0 if whole is True and altered is False else 1)
