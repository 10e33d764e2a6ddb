#!/usr/bin/env python3
"""Folds a machine's log and compares what it says with what the machine does; or two readings of one log.

  fold_log.py world DIR [KID...]   DIR holds log.json (aqmesh lineage query --json), status.json, grants.jsonl
                                   (aqmesh grant show --json), addr.json, route4.json, route6.json (ip -j). Each KID is
                                   a machine that must not be in force. Silent and exit 0 if all of it agrees.
  fold_log.py prefix OLD NEW       every record of OLD stands in NEW, in its place.
  fold_log.py has LOG KIND KID     exit 0 if LOG has a record of that kind about that subject.
"""
import ipaddress
import json
import sys

NODE = 4  # class of a grant that names a machine
MESH4 = "100.64.0.0/10"


def records(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)["records"]


def fold(log):
    """What the records leave standing: is the interface up, and which peers are installed."""
    up, peers, newest, revoked = False, set(), {}, set()
    for r in log:
        kind, subject, action = r["kind"], r.get("subject"), r.get("action")
        if action == "add_route":
            if kind == "committed":
                up = r["intent_gen"] == 1
            elif kind == "rolled_back" and r.get("intent_gen", 1) == 1:
                up = False
        elif kind == "revoke_seen":
            revoked.add(subject)
            peers.discard(subject)
        elif action == "install_peer":
            if kind == "committed":
                newest[subject] = r["action_id"]
                if r.get("rung") == "ESCALATE":  # a joiner, or one that may only renew: no packets yet
                    continue
                peers.add(subject)
            elif kind == "decided" and r.get("rung") in ("REFUSE", "DEFER"):
                peers.discard(subject)
            elif kind == "rolled_back" and newest.get(subject) == r.get("action_id"):
                peers.discard(subject)
    return up, peers, revoked


def own_addresses(path, name):
    best = None
    with open(path, encoding="utf-8") as f:
        for line in f:
            g = json.loads(line)
            if g["class"] == NODE and g.get("name") == name:
                if best is None or g["not_before"] + g["ttl"] > best["not_before"] + best["ttl"]:
                    best = g
    return {str(ipaddress.ip_network(p).network_address) for p in best["prefixes"]} if best else set()


def load(path):
    with open(path, encoding="utf-8") as f:
        text = f.read().strip()
    return json.loads(text) if text else []


def compare_world(where, banned):
    wrong = []
    log, status = records(f"{where}/log.json"), load(f"{where}/status.json")
    up, peers, revoked = fold(log)
    links = load(f"{where}/addr.json")
    seen = {a["local"] for l in links for a in l["addr_info"] if a["scope"] != "link"}
    kernel_up = any("UP" in l["flags"] for l in links)
    routes = {r["dst"] for kind in ("route4", "route6") for r in load(f"{where}/{kind}.json") if r["protocol"] == "161"}
    addresses = own_addresses(f"{where}/grants.jsonl", status["name"]) if up else set()
    want_routes = set()
    for a in addresses:
        ip = ipaddress.ip_address(a)
        want_routes.add(MESH4 if ip.version == 4 else str(ipaddress.ip_network(a + "/48", strict=False)))

    def same(what, logged, real):
        if logged != real:
            wrong.append(f"{what}: the log says {sorted(logged)}, the machine has {sorted(real)}")

    if up != kernel_up:
        wrong.append(f"interface: the log says {'up' if up else 'down'}, the kernel {'up' if kernel_up else 'down'}")
    same("addresses", addresses, seen)
    same("routes", want_routes, routes)
    same("addresses in status", set(status["addresses"]), seen if up else set(status["addresses"]))
    real = {p["kid"] for p in status["peers"] if p["committed"] and p["rung"] not in ("ESCALATE", "DEFER", "REFUSE")}
    same("peers", peers, real)
    for kid in banned:
        if kid in peers:
            wrong.append(f"{kid} is in force in the log, though it was revoked")
        if kid not in revoked:
            wrong.append(f"the log knows of no revocation of {kid}")
    return wrong


def main(argv):
    if argv[1:2] == ["world"] and len(argv) >= 3:
        wrong = compare_world(argv[2], argv[3:])
    elif argv[1:2] == ["prefix"] and len(argv) == 4:
        old, new = records(argv[2]), records(argv[3])
        wrong = [f"record {o['seq']} {o['kind']} {o['id'][:8]} is not there any more"
                 for o, n in zip(old, new + [{"id": ""}] * len(old)) if o["id"] != n["id"]]
    elif argv[1:2] == ["has"] and len(argv) == 5:
        found = any(r["kind"] == argv[3] and r.get("subject") == argv[4] for r in records(argv[2]))
        wrong = [] if found else [f"no {argv[3]} of {argv[4]} in {argv[2]}"]
    else:
        sys.exit(__doc__)
    for w in wrong:
        print(w)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
