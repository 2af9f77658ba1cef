#!/usr/bin/env python3
"""Every public function is documented, and says what it allocates, blocks on, and who may call it.

Run from anywhere: tests/check_headers.py. Prints every declaration that lacks something; exit 1
when any does.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

LAST_LINE = re.compile(r"Allocates: \S.*\. Blocks: \S.*\. Thread: \S.*\.$", re.DOTALL)
DECLARATION = re.compile(r"^(?=\w)(?:DPC_NODISCARD |_Noreturn |const |extern )*[\w ]+[\s*]+(dpc_\w+)\(")
FORBIDDEN_NAMES = re.compile(r"utils?|common|helpers?|manager")


def check_header(path):
    """Yield (line number, problem) for one header, and count its functions in check_header.count."""
    lines = (ROOT / path).read_text().splitlines()
    if not lines or not lines[0].startswith("///"):
        yield 1, "the header does not begin with what it is for"
    if "#pragma once" not in lines:
        yield 1, "no #pragma once"
    comment = []
    for number, line in enumerate(lines, 1):
        if line.startswith("///"):
            comment.append(line[3:].strip())
            continue
        found = DECLARATION.match(line)
        if found is not None and not line.startswith(("typedef", "static", "#")):
            check_header.count += 1
            if not comment:
                yield number, f"{found[1]} has no /// comment"
            elif LAST_LINE.search("\n".join(comment).replace("\n", " ")) is None:
                yield number, f"{found[1]}: its comment does not end with Allocates, Blocks, Thread"
        comment = []


def main():
    check_header.count = wrong = 0
    for folder in ("policy", "proto", "runtime", "sim", "tools"):
        for file in sorted((ROOT / folder).rglob("*.[ch]")):
            path = file.relative_to(ROOT)
            if FORBIDDEN_NAMES.search(path.stem):
                wrong += 1
                print(f"{path}: a name that says nothing")
            if path.suffix != ".h":
                continue
            for number, problem in check_header(path):
                wrong += 1
                print(f"{path}:{number}: {problem}")
    print(f"{check_header.count} public functions, {wrong} problems")
    return 1 if wrong or check_header.count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
