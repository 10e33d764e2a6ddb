#!/usr/bin/env python3
"""Runs the commands of one section of a page and compares what they print with what the page says they print.

usage: doc_answers.py PAGE HEADING [--rewrite]

Below HEADING, each block fenced by ```sh is a script, and the block fenced by ``` behind it what it prints (both
streams). In an answer … stands for whatever is there: times, keys, ids. Blanks may differ in number.
--rewrite puts what was printed into the page, to be read as a diff.
"""
import pathlib
import re
import subprocess
import sys


def blocks(lines, heading):
    """(first line, line behind the last, language) of each fenced block of the section."""
    at, end = lines.index(heading), len(lines)
    for i in range(at + 1, len(lines)):
        if lines[i].startswith("## "):
            end = i
            break
    begun = None
    for i in range(at, end):
        if not lines[i].startswith("```"):
            continue
        if begun is None:
            begun = (i + 1, lines[i][3:])
        else:
            yield begun[0], i, begun[1]
            begun = None


def fits(said, printed):
    def pattern(line):
        words = [".*".join(re.escape(part) for part in word.split("…")) for word in line.split()]
        return r"\s*" + r"\s+".join(words) + r"\s*"

    return len(said) == len(printed) and all(re.fullmatch(pattern(s), p) for s, p in zip(said, printed))


def main():
    rewrite = "--rewrite" in sys.argv
    page, heading = pathlib.Path(sys.argv[1]), sys.argv[2]
    lines = page.read_text().splitlines()
    script, wrong, out, copied = None, 0, [], 0
    for first, end, language in list(blocks(lines, heading)):
        if language == "sh":
            script = "\n".join(lines[first:end])
            continue
        if script is None:
            continue
        ran = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=60, check=False)
        printed = [line.rstrip() for line in ran.stdout.splitlines()]
        if fits(lines[first:end], printed):
            print(f"  ok    {script.splitlines()[0][:100]}")
        else:
            wrong += 1
            print(f"  FAIL  {script}\n        the page says:")
            print("".join(f"        | {line}\n" for line in lines[first:end]) + "        it printed:")
            print("".join(f"        | {line}\n" for line in printed), end="")
        out += lines[copied:first] + (lines[first:end] if fits(lines[first:end], printed) else printed)
        copied = end
        script = None
    if rewrite:
        page.write_text("\n".join(out + lines[copied:]) + "\n")
    return 0 if wrong == 0 and copied != 0 else 1


if __name__ == "__main__":
    sys.exit(main())
