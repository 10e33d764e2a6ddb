#!/usr/bin/env python3
"""Suite 2 once more, by another hand: written from spec/suites.md and RFC 9496 with integers alone, sharing nothing
with core/crypto.

  schnorr.py         questions on stdin, one line on stdout for each

Bytes are in hex, "-" is none.
  sign SEED MESSAGE           answers: KEY SIGNATURE
  verify KEY MESSAGE SIG      answers: yes | no
  element BYTES               answers: yes | no: the encoding of an element that is not the identity
"""
import hashlib
import sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def negative(x):
    return x % P & 1


def absolute(x):
    return -x % P if negative(x) else x % P


def sqrt_ratio(u, v):  # RFC 9496, section 4.2
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    correct, flipped, flipped_i = check == u % P, check == -u % P, check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, absolute(r)


INVSQRT_A_MINUS_D = sqrt_ratio(1, -1 - D)[1]


def decode(b):  # section 4.3.1: x, y, z, t or None
    s = int.from_bytes(b, "little")
    if len(b) != 32 or s >= P or negative(s):
        return None
    ss = s * s % P
    u1, u2 = (1 - ss) % P, (1 + ss) % P
    u2_sqr = u2 * u2 % P
    v = (-(D * u1 * u1) - u2_sqr) % P
    was_square, invsqrt = sqrt_ratio(1, v * u2_sqr)
    den_x = invsqrt * u2 % P
    den_y = invsqrt * den_x * v % P
    x = absolute(2 * s * den_x)
    y = u1 * den_y % P
    t = x * y % P
    if not was_square or negative(t) or y == 0:
        return None
    return x, y, 1, t


def encode(point):  # section 4.3.2
    x0, y0, z0, t0 = point
    u1, u2 = (z0 + y0) * (z0 - y0) % P, x0 * y0 % P
    _, invsqrt = sqrt_ratio(1, u1 * u2 * u2)
    den1, den2 = invsqrt * u1 % P, invsqrt * u2 % P
    z_inv = den1 * den2 * t0 % P
    rotate = negative(t0 * z_inv)
    x, y, den_inv = x0, y0, den2
    if rotate:
        x, y, den_inv = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    if negative(x * z_inv):
        y = -y % P
    return absolute(den_inv * (z0 - y)).to_bytes(32, "little")


def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    k = (y1 - x1) * (y2 - x2) % P
    m = (y1 + x1) * (y2 + x2) % P
    c, d = 2 * D * t1 * t2 % P, 2 * z1 * z2 % P
    e, f, g, h = m - k, d - c, d + c, m + k
    return e * f % P, g * h % P, f * g % P, e * h % P


IDENTITY = (0, 1, 1, 0)


def times(n, point):
    out = IDENTITY
    while n:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


BASE_BYTES = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
BASE = decode(BASE_BYTES)


def self_check():  # appendix A.1: what the group is, said by its own document
    multiples = [
        "00" * 32,
        BASE_BYTES.hex(),
        "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
        "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    ]
    for n, want in enumerate(multiples):
        assert encode(times(n, BASE)).hex() == want, n
    assert encode(times(L, BASE)) == bytes(32)


def scalar(label, *parts):
    return int.from_bytes(hashlib.blake2b(label + b"".join(parts)).digest(), "little") % L


def secret(seed):
    return scalar(b"aqmesh/1/ristretto-key", seed)


def challenge(r, key, message):
    return scalar(b"aqmesh/1/schnorr", r, key, message)


def sign(seed, message):
    x = secret(seed)
    key = encode(times(x, BASE))
    k = scalar(b"aqmesh/1/ristretto-nonce", seed, message)
    r = encode(times(k, BASE))
    s = (k + challenge(r, key, message) * x) % L
    return key, r + s.to_bytes(32, "little")


def element(b):
    return None if b == bytes(32) else decode(b)


def verify(key, message, sig):
    if len(sig) != 64:
        return False
    s = int.from_bytes(sig[32:], "little")
    a, r = element(key), element(sig[:32])
    if a is None or r is None or not 1 <= s < L:
        return False
    c = challenge(sig[:32], key, message)
    return c != 0 and encode(add(times(s, BASE), times(L - c, a))) == sig[:32]


def main():
    self_check()
    for line in sys.stdin:
        what, *words = line.split()
        given = [bytes.fromhex(w if w != "-" else "") for w in words]
        if what == "sign":
            print(*(b.hex() for b in sign(*given)))
        elif what == "verify":
            print("yes" if verify(*given) else "no")
        elif what == "element":
            print("yes" if element(*given) else "no")
        else:
            sys.exit(f"what is {what}?")


if __name__ == "__main__":
    main()
