#!/usr/bin/env python3
"""The calls by which a traced program changes what is on the disk under DIR, as strace can be told to strike at them.

  fault_points.py TRACE DIR     TRACE: strace -f -y -s 0 of CALLS
  fault_points.py --calls       what to trace
Prints "CALL FILE N": the N-th CALL on FILE (below DIR) of its thread, which is how strace counts for -P FILE and
when=N. A name that two threads use in the same way is one line for each: the lines are distinct all the same, because
whichever comes first is struck."""
import re
import sys

CALLS = ("write pwrite64 writev pwritev fsync fdatasync msync ftruncate truncate fallocate rename renameat renameat2 "
         "unlink unlinkat mkdir mkdirat rmdir link linkat symlink symlinkat openat open creat fchmod chmod "
         "copy_file_range").split()
LINE = re.compile(r"^(\d+) +(\w+)\((.*)")


def path_of(call, rest):
    """The file that it is about: that of the descriptor, or the first quoted name."""
    if not call.startswith(("open", "creat", "rename", "unlink", "mkdir", "rmdir", "link", "symlink", "chmod")):
        match = re.match(r"-?\d+<([^>]*)>", rest)
        return match.group(1) if match else None
    match = re.search(r'"([^"]*)"', rest)
    return match.group(1) if match else None


def main(trace, top):
    counts, seen = {}, set()
    for line in open(trace, encoding="utf-8"):
        match = LINE.match(line)
        if not match:
            continue
        thread, call, rest = match.groups()
        path = path_of(call, rest)
        if path is None or not (path + "/").startswith(top + "/"):
            continue
        key = (thread, call, path)
        counts[key] = counts.get(key, 0) + 1
        if call.startswith("open") and "O_CREAT" not in rest and "O_TRUNC" not in rest:
            continue  # it changes nothing, and counts all the same
        point = f"{call} {path[len(top) + 1:] or '.'} {counts[key]}"
        if point not in seen:
            seen.add(point)
            print(point)


if sys.argv[1:] == ["--calls"]:
    print(",".join(CALLS))
else:
    main(sys.argv[1], sys.argv[2].rstrip("/"))
