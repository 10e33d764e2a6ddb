"""Watches a link for WireGuard messages, one line each, until killed or SECONDS have passed.
Usage: wg_wire.py INTERFACE SECONDS [PORT]     with PORT: only IPv4 from or to it, picked by the kernel
Line:  TIME SOURCE PORT DESTINATION PORT type=N len=N mac2=0|1 tos=0xNN   (len is the UDP payload's)"""
import array
import socket
import struct
import sys
import time

SO_ATTACH_FILTER = 26


def only_port(link, port):
    """Attaches a classic BPF program, so that a flood past us does not crowd out what we look for."""
    load, equal, give = 0x28, 0x15, 0x06
    program = [(load, 0, 0, 12), (equal, 0, 5, 0x0800), (load, 0, 0, 34), (equal, 2, 0, port), (load, 0, 0, 36),
               (equal, 0, 1, port), (give, 0, 0, 65535), (give, 0, 0, 0)]
    code = array.array("B", b"".join(struct.pack("HBBI", *i) for i in program))
    link.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), code.buffer_info()[0]))


def outer(frame):
    """(source, destination, tos, udp) of an Ethernet frame with a whole UDP datagram, else None."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    ip = frame[14:]
    if kind == 0x0800 and ip[9] == 17 and struct.unpack_from("!H", ip, 6)[0] & 0x3fff == 0:
        return (socket.inet_ntop(socket.AF_INET, ip[12:16]), socket.inet_ntop(socket.AF_INET, ip[16:20]), ip[1],
                ip[(ip[0] & 15) * 4:])
    if kind == 0x86dd and ip[6] == 17:
        return (socket.inet_ntop(socket.AF_INET6, ip[8:24]), socket.inet_ntop(socket.AF_INET6, ip[24:40]),
                (ip[0] & 15) << 4 | ip[1] >> 4, ip[40:])
    return None


def line(now, packet):
    source, destination, tos, udp = packet
    from_port, to_port, length = struct.unpack_from("!HHH", udp)
    message = udp[8:length]
    if len(message) < 4:
        return f"{now:.3f} {source} {from_port} {destination} {to_port} type=0 len={len(message)} mac2=0 tos={tos:#04x}"
    kind = struct.unpack_from("<I", message)[0]
    mac2 = kind in (1, 2) and any(message[-16:])
    return (f"{now:.3f} {source} {from_port} {destination} {to_port} type={kind} len={len(message)} "
            f"mac2={int(mac2)} tos={tos:#04x}")


def main():
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    if len(sys.argv) > 3:
        only_port(link, int(sys.argv[3]))
    link.bind((sys.argv[1], 0))
    end = time.monotonic() + float(sys.argv[2])
    print("watching", flush=True)
    while (left := end - time.monotonic()) > 0:
        link.settimeout(left)
        try:
            frame = link.recv(65535)
        except TimeoutError:
            break
        packet = outer(frame) if len(frame) >= 42 else None
        if packet:
            print(line(time.time(), packet), flush=True)


main()
