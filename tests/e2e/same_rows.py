#!/usr/bin/env python3
"""Two files of the same rows, each as it was written: .parquet (read here, by nothing but the format), .csv, .jsonl.
same_rows.py A B: exit 0 if each row of A is in B at the same place, column by column, and B has no more."""
import csv
import itertools
import json
import struct
import sys


class Thrift:
    """The compact protocol: structs as {field id: value}."""

    def __init__(self, data, at):
        self.data, self.at = data, at

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def varint(self):
        n, shift = 0, 0
        while True:
            b = self.byte()
            n |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return n

    def value(self, kind):
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self.byte()
        if kind in (4, 5, 6):
            n = self.varint()
            return (n >> 1) ^ -(n & 1)
        if kind == 8:
            n = self.varint()
            self.at += n
            return bytes(self.data[self.at - n:self.at])
        if kind == 9:
            head = self.byte()
            n = head >> 4 if head >> 4 != 15 else self.varint()
            return [self.value(head & 15) for _ in range(n)]
        assert kind == 12, kind
        out, field = {}, 0
        while head := self.byte():
            assert head >> 4, "a long field header, which no short struct needs"
            field += head >> 4
            out[field] = self.value(head & 15)
        return out


def levels_of(page, rows):
    """Definition levels of bit width 1: RLE runs and bit-packed ones."""
    size = struct.unpack_from("<I", page)[0]
    runs, out = Thrift(page, 4), []
    while runs.at < 4 + size:
        head = runs.varint()
        if head & 1:
            for _ in range(head >> 1):
                b = runs.byte()
                out += [b >> i & 1 for i in range(8)]
        else:
            out += [runs.byte()] * (head >> 1)
    assert len(out) >= rows
    return out[:rows], page[4 + size:]


def column_of(data, chunk, element):
    meta, rows = chunk[3], chunk[3][5]
    page = Thrift(data, meta[9])
    header = page.value(12)
    body = data[page.at:page.at + header[3]]
    assert header[1] == 0 and header[2] == header[3] and header[5][1] == rows and meta[4] == 0
    levels = [1] * rows
    if element[3] == 1:
        levels, body = levels_of(body, rows)
    unsigned, at, out = element.get(6) == 14, 0, []
    for level in levels:
        if not level:
            out.append(None)
        elif meta[1] == 6:
            n = struct.unpack_from("<I", body, at)[0]
            out.append(body[at + 4:at + 4 + n].decode("utf-8"))
            at += 4 + n
        else:
            out.append(struct.unpack_from("<Q" if unsigned else "<q", body, at)[0])
            at += 8
    assert at == len(body), "bytes behind the last value"
    return out


def parquet(path):
    with open(path, "rb") as f:
        data = f.read()
    assert data[:4] == data[-4:] == b"PAR1"
    size = struct.unpack("<I", data[-8:-4])[0]
    meta = Thrift(data, len(data) - 8 - size).value(12)
    elements = meta[2][1:]
    assert len(elements) == meta[2][0][5]
    names = [e[4].decode() for e in elements]
    count = 0
    for group in meta[4]:
        columns = [column_of(data, c, e) for c, e in zip(group[1], elements, strict=True)]
        for row in zip(*columns, strict=True):
            count += 1
            yield dict(zip(names, row))
    assert count == meta[3]


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            yield {k: v if v != "" else None for k, v in row.items()}


def read_jsonl(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            yield json.loads(line)


def rows_of(path):
    read = {"parquet": parquet, "csv": read_csv, "jsonl": read_jsonl}[path.rsplit(".", 1)[-1]]
    for row in read(path):
        # Engines spell 64 bits in quotes or without, and CSV has nothing but text.
        yield {k: None if v is None else str(v) for k, v in row.items()}


def main():
    count = 0
    for a, b in itertools.zip_longest(rows_of(sys.argv[1]), rows_of(sys.argv[2])):
        if a != b:
            differ = [k for k in (a or b) if not a or not b or a.get(k) != b.get(k)]
            sys.exit(f"row {count}: {differ}")
        count += 1
    assert count, "no rows"
    print(count, "rows")


main()
