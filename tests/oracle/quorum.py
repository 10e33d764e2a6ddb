#!/usr/bin/env python3
"""Votes, charters and the book of votes once more, by another hand: written from spec/quorum.md, sharing nothing with
core/authority.

  quorum.py         cases on stdin, one line on stdout for each question

A line is words separated by blanks. Keys are small numbers, groups are letters, 0 for RIGHT is a wrong signature.
  case                                    forgets all
  rotate OLD NEW                          that key moved to this one
  charter WHICH RULE FLAGS QR QS QW       WHICH was or now; RULE a number or -; bit 0 of FLAGS is single_domain
  voter KEY WEIGHT GROUP NEXT             a row of the charter named last, in its order; NEXT 0: commits to nothing
  witness KEY WEIGHT GROUP NEXT
  shape                                   of the charter now; answers: right | wrong
  vote KEY SLOT TARGET RIGHT              SLOT 1: the one that is asked about; TARGET 0: the object that is asked about
  count SIGNER RIGHT KIND QUORUM KEY...   votes in a slot of KIND 1..4, by r, s or w of the charter now, KEYs not counted
                                          answers: have need certified, then the current keys in conflict
  force SIGNER RIGHT LINKS                the charter now after was, if there is one; LINKS: version, scope, prev fit
                                          answers: yes | no
  book                                    a new book
  take SLOT ID NUMBER TARGET TIME         ID: two bytes, eight times; TARGET: one byte, 32 times
                                          answers: sign TIME | again TIME | refuse
  bytes                                   answers: the book in hex
"""
import sys


def q(x):
    return 2 * x // 3 + 1


def f(x):
    return (x - 1) // 3


class Charter:
    def __init__(self, rule, flags, q_reg, q_sens, q_wit):
        self.rule = 0 if rule == "-" else int(rule)
        self.flags = int(flags)
        self.q = {"r": int(q_reg), "s": int(q_sens), "w": int(q_wit)}
        self.voters, self.witnesses = [], []

    def right(self):  # section 5, and what section 3 asks
        if self.rule not in (0, 1):
            return False
        sets = [(self.voters, "rs")] + ([(self.witnesses, "w")] if self.witnesses else [])
        for rows, quorums in sets:
            total = sum(row.weight for row in rows)
            for name in quorums:
                lowest, highest = q(total), (total if self.rule == 0 else q(total))
                if not lowest <= self.q[name] <= highest:
                    return False
            groups = {row.group for row in rows}
            if not self.flags & 1:
                if len(groups) < 4:
                    return False
                for group in groups:
                    if sum(row.weight for row in rows if row.group == group) > f(total):
                        return False
        return True


class Row:
    def __init__(self, key, weight, group, commits):
        self.key, self.weight, self.group, self.commits = int(key), int(weight), group, int(commits)

    def same(self, other):
        return vars(self) == vars(other)


class Case:
    def __init__(self):
        self.rotated, self.charters, self.votes, self.last = {}, {}, [], None

    # ---- lineages

    def newest(self, key):
        while key in self.rotated:
            key = self.rotated[key]
        return key

    def lineage(self, key):
        return self.newest(key)  # all keys of a lineage end in one

    # ---- section 2

    def heard(self, rows, signer, right, own_counts):
        """The lineages that voted for the object, and the current keys of those in conflict."""
        current = {self.newest(row.key) for row in rows}
        said = {}
        if own_counts and right and signer in current:
            said.setdefault(signer, set()).add(0)
        for key, slot, target, good in self.votes:
            if slot == 1 and good and key in current:
                said.setdefault(key, set()).add(target)
        behind = {key for key, targets in said.items() if 0 in targets}
        return behind, sorted(key for key, targets in said.items() if len(targets) > 1)

    # ---- section 3

    def count(self, charter, rows, quorum, behind, without):
        excluded = {self.lineage(key) for key in without}
        seen, counted = set(), []
        for row in rows:
            line = self.lineage(row.key)
            if line in seen:
                continue
            seen.add(line)
            if line not in excluded and self.newest(row.key) in behind:
                counted.append(row)
        if charter.rule == 0:
            return sum(row.weight for row in counted), charter.q[quorum]
        groups = {row.group for row in rows}
        have = 0
        for group in groups:
            n = sum(row.weight for row in rows if row.group == group)
            if sum(row.weight for row in counted if row.group == group) >= q(n):
                have += 1
        return have, q(len(groups))

    # ---- section 6

    def in_force(self, signer, right, links):
        now, was = self.charters["now"], self.charters.get("was")
        if not now.right() or not links or not right:
            return False
        proposers = set()
        for charter in (now, was):
            for row in charter.voters if charter else []:
                proposers |= {row.key, self.newest(row.key)}
        if signer not in proposers:
            return False
        behind, _ = self.heard(now.voters, signer, right, True)
        before = {self.lineage(row.key) for row in was.voters} if was else set()
        for row in now.voters:
            if self.lineage(row.key) not in before and self.newest(row.key) not in behind:
                return False
        have, need = self.count(now, now.voters, "r", behind, [])
        if have < need:
            return False
        if was is None:
            return True
        sensitive = (
            len(now.voters) != len(was.voters)
            or len(now.witnesses) != len(was.witnesses)
            or any(not a.same(b) for a, b in zip(now.voters, was.voters))
            or any(not a.same(b) for a, b in zip(now.witnesses, was.witnesses))
            or now.q != was.q
            or now.flags != was.flags
            or now.rule != was.rule
        )
        moved = []
        for row in was.voters:
            others = [other for other in now.voters if self.lineage(other.key) == self.lineage(row.key)]
            if not others or any(o.key == row.key and o.commits != row.commits for o in others):
                moved.append(row.key)
        behind, _ = self.heard(was.voters, signer, right, True)
        have, need = self.count(was, was.voters, "s" if sensitive else "r", behind, moved)
        return have >= need


class Book:
    """Section 7."""

    IDS, NUMBERS = 1024, {1: 8, 2: 8, 3: 1, 4: 8}

    def __init__(self):
        self.ids = {}

    def take(self, slot, name, number, target, time):
        place = (slot, name)
        kept = self.ids.get(place)
        if kept and number in kept["votes"]:
            known_target, known_time = kept["votes"][number]
            return f"again {known_time}" if known_target == target else "refuse"
        if number == 0 or (kept and number <= kept["floor"]):
            return "refuse"
        if kept is None:
            if len(self.ids) == self.IDS:
                return "refuse"
            kept = self.ids[place] = {"floor": 0, "votes": {}}
        if len(kept["votes"]) == self.NUMBERS[slot]:
            lowest = min(kept["votes"])
            if number < lowest:
                return "refuse"
            del kept["votes"][lowest]
            kept["floor"] = lowest
        kept["votes"][number] = (target, time)
        return f"sign {time}"

    def hex(self):
        out = f"01{len(self.ids):04x}"
        for (slot, name), kept in sorted(self.ids.items()):
            out += f"{slot:02x}" + f"{name:04x}" * 8 + f"{kept['floor']:016x}{len(kept['votes']):02x}"
            for number, (target, time) in sorted(kept["votes"].items()):
                out += f"{number:016x}" + f"{target:02x}" * 32 + f"{time:016x}"
        return out


def main():
    case, book, out = Case(), Book(), []
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "case":
            case = Case()
        elif word == "rotate":
            case.rotated[int(rest[0])] = int(rest[1])
        elif word == "charter":
            case.last = case.charters[rest[0]] = Charter(*rest[1:])
        elif word == "voter":
            case.last.voters.append(Row(*rest))
        elif word == "witness":
            case.last.witnesses.append(Row(*rest))
        elif word == "shape":
            out.append("right" if case.charters["now"].right() else "wrong")
        elif word == "vote":
            key, slot, target, right = map(int, rest)
            case.votes.append((key, slot, target, right == 1))
        elif word == "count":
            signer, right, kind = map(int, rest[:3])
            charter = case.charters["now"]
            rows = charter.witnesses if rest[3] == "w" else charter.voters
            behind, conflicts = case.heard(rows, signer, right == 1, kind != 4)
            have, need = case.count(charter, rows, rest[3], behind, list(map(int, rest[4:])))
            out.append(" ".join(map(str, [have, need, int(have >= need), *conflicts])))
        elif word == "force":
            signer, right, links = map(int, rest)
            out.append("yes" if case.in_force(signer, right == 1, links == 1) else "no")
        elif word == "book":
            book = Book()
        elif word == "take":
            out.append(book.take(*map(int, rest)))
        elif word == "bytes":
            out.append(book.hex())
        else:
            sys.exit(f"quorum.py: unknown word {word!r}")
    sys.stdout.write("".join(line + "\n" for line in out))


if __name__ == "__main__":
    main()
