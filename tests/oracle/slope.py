#!/usr/bin/env python3
"""The trust slope once more, by another hand: written from spec/trust.md, sharing nothing with trust/fold.cc.

  slope.py          cases on stdin, one state or reading a line on stdout
  slope.py tables   the decay tables, one line a half-life: its epochs, then T[h][0] .. T[h][19]

A line of a case is words separated by blanks, all numbers decimal:
  new A EPOCH GAP_CAP            a key of prior A, first known in EPOCH; GAP_CAP belongs to the readings
  step EPOCH R S U EQUIVOCATION  answers: a R_f S_f U R_s S_s J X kap last e_pos col
  read EPOCH                     answers: L_f L_s slope gap continuity L_adm negative promotable broken capped

Python's integers have no size, so nothing here can overflow, wrap or be rounded but where the spec says so.
"""
import decimal
import sys

ONE = 1 << 16
HALF_LIVES = {"R_f": 576, "U": 576, "R_s": 8064, "S_s": 32256, "J": 288}
S_F_BASE = 2304
EVERY_HALF_LIFE = [288, 576, 2304, 4608, 9216, 18432, 36864, 8064, 32256]


def floor_power(numerator, denominator):
    """floor(2^32 * 2^(-numerator/denominator)): a good guess, then made true by whole numbers alone."""
    while numerator % 2 == 0 and denominator % 2 == 0:
        numerator, denominator = numerator // 2, denominator // 2
    exponent = 32 * denominator - numerator  # the answer to the power of `denominator` is at most 2^exponent
    if exponent < 0:
        return 0
    with decimal.localcontext() as context:
        context.prec = 50
        guess = int(decimal.Decimal(2) ** (decimal.Decimal(exponent) / denominator))
    bound = 1 << exponent
    while guess**denominator > bound:
        guess -= 1
    while (guess + 1) ** denominator <= bound:
        guess += 1
    return guess


TABLES = {}


def table(half_life):
    if half_life not in TABLES:
        TABLES[half_life] = [floor_power(1 << i, half_life) for i in range(20)]
    return TABLES[half_life]


def decay(x, half_life, gap):
    if gap >= 1 << 20:
        return 0
    row = table(half_life)
    for i in range(20):
        if gap >> i & 1:
            x = x * row[i] >> 32
    return x


class Standing:
    def __init__(self, a, epoch):
        self.a, self.last, self.e_pos = a, epoch, epoch
        self.R_f = self.S_f = self.U = self.R_s = self.S_s = self.J = self.X = self.kap = self.col = 0

    def decayed(self, epoch):
        gap = max(0, epoch - self.last)
        levels = {name: decay(getattr(self, name), half, gap) for name, half in HALF_LIVES.items()}
        levels["S_f"] = decay(self.S_f, S_F_BASE * 2 ** min(self.kap, 4), gap)
        levels["X"] = max(0, self.X - 28 * gap)
        return levels

    def step(self, epoch, r, s, u, equivocation):
        assert epoch >= self.last
        for name, value in self.decayed(epoch).items():
            setattr(self, name, value)
        self.last = epoch
        self.U = min(ONE, self.U + min(u, ONE // 4))
        if self.col:
            return
        if equivocation:
            self.R_f = self.R_s = 0
            self.S_f = self.S_s = 4096 * ONE
            self.J, self.kap, self.col = ONE, min(15, self.kap + 4), 1
            return
        if r > 0:
            self.e_pos = epoch
        r = min(r, ONE // 4) >> self.kap
        self.R_f = min(8 * ONE, self.R_f + r)
        self.R_s = min(8 * ONE, self.R_s + (r >> 4))
        if s > 0:
            self.S_f = min(4096 * ONE, self.S_f + s)
            self.S_s = min(4096 * ONE, self.S_s + (s >> 2))
            self.J = min(ONE, self.J + (s >> 4))
            self.X += s
            n = 1 if s >= 4 * ONE else 0
            while self.X > 4 * ONE:
                self.X -= 4 * ONE
                n += 1
            self.kap = min(15, self.kap + n)

    def read(self, epoch, gap_cap):
        d = self.decayed(epoch)
        level_f = level(self.a, d["R_f"], d["S_f"] + d["U"])
        level_s = level(self.a, d["R_s"], d["S_s"])
        away = max(0, epoch - self.e_pos)
        gap = 0 if away <= 864 else min(gap_cap, ((away - 864) << 16) // 8064)
        continuity = ONE - min(ONE // 2, d["J"] + gap)
        l_adm = 0 if self.col else min(level_f, level_s) * continuity >> 16
        slope = level_f - level_s
        return [
            level_f, level_s, slope, gap, continuity, l_adm,
            int(d["S_f"] + d["S_s"] >= ONE // 4),
            int(slope >= -1311),
            int(slope <= -9830 and d["J"] >= 1024),
            int(self.kap >= 4),
        ]  # fmt: skip

    def state(self):
        return [self.a, self.R_f, self.S_f, self.U, self.R_s, self.S_s, self.J, self.X, self.kap, self.last,
                self.e_pos, self.col]  # fmt: skip


def level(a, r, s):
    return ((r + (a * 4 * ONE >> 16)) << 16) // (r + s + 4 * ONE)


def main():
    if sys.argv[1:] == ["tables"]:
        for half_life in EVERY_HALF_LIFE:
            print(half_life, *table(half_life))
        return
    standing, gap_cap, out = None, 0, []
    for line in sys.stdin:
        word, *numbers = line.split()
        numbers = [int(n) for n in numbers]
        if word == "new":
            a, epoch, gap_cap = numbers
            standing = Standing(a, epoch)
        elif word == "step":
            standing.step(*numbers)
            out.append(standing.state())
        elif word == "read":
            out.append(standing.read(numbers[0], gap_cap))
        else:
            sys.exit(f"slope.py: unknown word {word!r}")
    sys.stdout.write("".join(" ".join(map(str, row)) + "\n" for row in out))


if __name__ == "__main__":
    main()
