#!/usr/bin/env python3
"""Makes the vector files of this folder from what others published: one case a line, hexadecimal, "-" for empty.
Usage: trim.py WYCHEPROOF_JSON_DIR CACOPHONY_TXT OUT_DIR (see README.md for where the two come from)."""
import hashlib
import hmac
import json
import pathlib
import sys

WYCHEPROOF = {  # our file: theirs, fields
    "x25519": ("x25519_test", ("public", "private", "shared")),
    "chacha20_poly1305": ("chacha20_poly1305_test", ("key", "iv", "aad", "msg", "ct", "tag")),
    "xchacha20_poly1305": ("xchacha20_poly1305_test", ("key", "iv", "aad", "msg", "ct", "tag")),
    "ed25519": ("ed25519_test", ("pk", "msg", "sig")),
    "siphash_2_4": ("siphash_2_4_test", ("key", "msg", "tag")),
    "siphashx_2_4": ("siphashx_2_4_test", ("key", "msg", "tag")),
}
SUITE = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"


def write(path, head, rows):
    lines = [f"# {line}" for line in head] + [" ".join(x or "-" for x in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def wycheproof(source, out):
    for ours, (theirs, fields) in WYCHEPROOF.items():
        data = json.loads((source / f"{theirs}.json").read_text())
        rows = []
        for group in data["testGroups"]:
            outer = {"pk": group.get("publicKey", {}).get("pk", "")}
            for case in group["tests"]:
                flags = ",".join(case["flags"])
                rows.append([str(case["tcId"]), case["result"], flags] + [(outer | case)[f] for f in fields])
        head = [f"Wycheproof {theirs}.json, Apache-2.0: see README.md. {len(rows)} cases.",
                " ".join(("tcId", "result", "flags") + fields)]
        write(out / "wycheproof" / f"{ours}.txt", head, rows)


def cacophony(source, out):
    for case in json.loads(source.read_text())["vectors"]:
        if case["protocol_name"] != SUITE:
            continue
        rows = [[name, case[name]] for name in ("init_prologue", "init_static", "init_ephemeral", "init_remote_static",
                                                "resp_static", "resp_ephemeral", "handshake_hash")]
        rows.insert(1, ["psk", case["init_psks"][0]])
        rows += [["message", m["payload"], m["ciphertext"]] for m in case["messages"]]
        write(out / "noise_ikpsk2.txt", [f"cacophony's vector for {SUITE}: see README.md",
                                         "name value, and for a message payload and ciphertext"], rows)


def blake2s(out):
    rows = []
    for size in list(range(0, 130)) + [148, 255, 256, 1024]:
        data = bytes(i & 0xff for i in range(size))
        key = bytes(range(1 + size % 32))
        rows.append([data.hex(), key.hex(), hashlib.blake2s(data).hexdigest(),
                     hashlib.blake2s(data, key=key, digest_size=16).hexdigest(),
                     hmac.new(key, data, hashlib.blake2s).hexdigest()])
    write(out / "blake2s.txt", ["BLAKE2s as CPython's hashlib and hmac compute it: see README.md",
                                "data key hash32 keyed16 hmac32"], rows)


if __name__ == "__main__":
    json_dir, noise, target = (pathlib.Path(a) for a in sys.argv[1:4])
    wycheproof(json_dir, target)
    cacophony(noise, target)
    blake2s(target)
