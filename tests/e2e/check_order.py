#!/usr/bin/env python3
"""Holds a trace of aqmeshd and aqmesh-net against the promise that a record is on the disk before its effect is out.

  check_order.py TRACE LOG      TRACE: strace -f -yy -xx -s 100000; LOG: aqmesh lineage query --json, taken afterwards

Three effects are looked for, and each must be there at least once:
  response   a datagram that begins a2 01 (WireGuard's response under aqmesh/1): all that was proposed since the one
             before was written to the log's WAL, and synced, before the datagram went
  netlink    RTM_NEWADDR or RTM_NEWROUTE: ARMED and the undo of that action were written and synced before
  answer     "aqmesh.revoke/1" to a client: the revocation was written and synced before
A write is known by the record's own digests in its bytes, a sync by the file that it is for.
"""
import json
import re
import sys

LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(.*)$")
FD = re.compile(r"^\((\d+)<([^>]*)>")
ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})*")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def raw(hexes):
    return bytes.fromhex(hexes.replace("\\x", ""))


class Call:
    """One call: `begun` and `ended` are places in the trace."""

    def __init__(self, name, text, begun):
        self.name, self.text, self.begun, self.ended = name, text, begun, None
        fd = FD.match(text)
        self.file = ""
        if fd:
            path = fd.group(2)
            escaped = ESCAPED.match(path).group(0)
            self.file = raw(escaped).decode(errors="replace") if escaped else path

    def bytes(self):
        return b"".join(raw(s) for s in STRING.findall(self.text))


def calls_of(lines):
    calls, open_calls = [], {}
    for at, line in enumerate(lines):
        m = LINE.match(line)
        if not m:
            continue
        pid, name, rest = m.groups()
        if rest.startswith(" resumed>"):
            call = open_calls.pop((pid, name), None)
            if call:
                call.text += rest
                call.ended = at
            continue
        call = Call(name, rest, at)
        calls.append(call)
        if "<unfinished ...>" in rest:
            open_calls[(pid, name)] = call
        else:
            call.ended = at
    return [c for c in calls if c.ended is not None]


class Disk:
    def __init__(self, calls):
        is_wal = re.compile(r"/store/db/\d+\.log$")
        self.writes = [c for c in calls if c.name in ("write", "pwrite64", "writev") and is_wal.search(c.file)]
        self.contents = [c.bytes() for c in self.writes]
        self.syncs = [c for c in calls if c.name in ("fdatasync", "fsync") and is_wal.search(c.file) and c.text.rstrip().endswith("= 0")]

    def written(self, needle):
        for write, content in zip(self.writes, self.contents):
            if needle in content:
                return write
        return None

    def synced_before(self, needle, at):
        """None if it was; else what is wrong."""
        write = self.written(needle)
        if write is None:
            return "was never written to the log's WAL"
        if write.begun > at:
            return "was written after it"
        if any(s.file == write.file and s.begun > write.ended and s.ended < at for s in self.syncs):
            return None
        return "was written, and not synced before it"


def check(trace, log):
    with open(trace, encoding="utf-8") as f:
        calls = calls_of(f.read().splitlines())
    with open(log, encoding="utf-8") as f:
        records = json.load(f)["records"]
    disk, wrong, seen = Disk(calls), [], {"response": 0, "netlink": 0, "answer": 0}

    def must(effect, call, what, needle):
        why = disk.synced_before(needle, call.begun)
        if why:
            wrong.append(f"{effect} at line {call.begun + 1}: {what} {why}")

    proposed = [(r, bytes.fromhex(r["authority"])) for r in records if r["kind"] == "proposed"]
    armed = [r for r in records if r["kind"] == "armed" and r.get("action") == "add_route"]
    revoked = [r for r in records if r["kind"] == "revoke_seen"]
    for call in calls:
        if call.name in ("sendmsg", "sendmmsg", "sendto") and "UDP" in call.file:
            for datagram in STRING.findall(call.text):
                if not raw(datagram[:8]).startswith(b"\xa2\x01"):
                    continue
                seen["response"] += 1
                # What it answers: proposed since the last one, as the trace shows the writes.
                due = [(r, d) for r, d in proposed if (w := disk.written(d)) is None or w.begun < call.begun]
                if not due:
                    wrong.append(f"response at line {call.begun + 1}: nothing was proposed before it")
                for r, digest in due:
                    must("response", call, f"proposed {r['id'][:8]}", digest)
                proposed = [p for p in proposed if p not in due]
                if proposed and disk.written(proposed[0][1]) is None:
                    wrong.append(f"proposed {proposed[0][0]['id'][:8]} was never written")
        elif call.name in ("sendmsg", "sendto") and "NETLINK" in call.file:
            if "RTM_NEWADDR" not in call.text and "RTM_NEWROUTE" not in call.text:
                continue
            seen["netlink"] += 1
            # The change that it belongs to is the newest one that the trace shows before it.
            before = [r for r in armed if (w := disk.written(bytes.fromhex(r["action_id"]))) and w.begun < call.begun]
            action = (before or armed)[-1]["action_id"]
            must("netlink", call, "ARMED", bytes.fromhex(action))
            must("netlink", call, "the undo", b"undo/" + action.encode())
        elif call.name in ("sendmsg", "sendto", "write") and b"aqmesh.revoke/1" in call.bytes():
            seen["answer"] += 1
            must("answer", call, "the revocation", bytes.fromhex(revoked[0]["evidence"]))
    wrong += [f"no {effect} in the trace" for effect, count in seen.items() if count == 0]
    return wrong, seen


def main(argv):
    if len(argv) != 3:
        sys.exit(__doc__)
    wrong, seen = check(argv[1], argv[2])
    for w in wrong:
        print(w)
    if not wrong:
        print(", ".join(f"{count} {effect}" for effect, count in seen.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
