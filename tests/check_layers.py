#!/usr/bin/env python3
"""Includes point downwards only, and each outside library has one door.

Run from anywhere: tests/check_layers.py. Prints every line that breaks a rule; exit 1 when any does.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What the files of a part may include of ours. A part is a folder, or a CMake target inside one.
MAY_INCLUDE = {
    "policy": {"policy"},
    "policy/train": {"policy", "policy/train"},
    "proto": {"policy", "proto"},
    "runtime": {"policy", "proto", "runtime"},
    "dpc_controller": {"policy", "runtime"},
    "sim": {"policy", "sim"},
    "tools": {"policy", "policy/train", "proto", "runtime", "sim", "tools"},
    "tests": {"policy", "policy/train", "proto", "runtime", "sim", "tools", "tests"},
}

# Outside headers and the only files that may include them.
DOORS = {
    r"cblas\.h|openblas": [r"policy/gemm\.c"],
    r"Random123/": [r"policy/rng\.c"],
    r"jansson\.h": [r"policy/metadata\.c", r"policy/safetensors\w*\.c", r"tools/json\.c"],
    r"sodium\.h": [r"policy/sha256\.c"],
    r"protobuf-c/|dpc\.pb-c\.h|dpc_schema\.h": [r"proto/\w+\.[ch]"],
    r"onnx\.pb-c\.h": [r"tools/export_onnx\w*\.[ch]"],
    r"zstd\.h|zlib\.h": [r"proto/mcap\w*\.c"],
    r"zmq\.h": [r"runtime/socket\.c"],
    r"chipmunk/": [r"sim/push_world\.c"],
    r"cairo": [r"sim/canvas\.c"],
    r"libfyaml\.h": [r"tools/yaml\.c"],
    r"hdf5|blosc\.h": [r"tools/(import_|zarr_|hdf5_)\w*\.c"],
    r"argp\.h": [r"tools/\w+\.[ch]", r"tests/cli_probe\.c"],
}

GENERATED = {"dpc.pb-c.h", "dpc_schema.h", "onnx.pb-c.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def target_sources(folder, target):
    """The sources that CMake gives to a library."""
    text = (ROOT / folder / "CMakeLists.txt").read_text()
    found = re.search(rf"add_library\(\s*{target}\s+([^)]*)\)", text)
    return set() if found is None else {f"{folder}/{name}" for name in re.findall(r"\S+\.c\b", found[1])}


def part_of(path, controller):
    """The part that a file belongs to; a header belongs where its source does."""
    if path.with_suffix(".c").as_posix() in controller:
        return "dpc_controller"
    return "policy/train" if path.parts[:2] == ("policy", "train") else path.parts[0]


def check_own(path, included, controller):
    """What is wrong with including one of our files, or None."""
    if "/" not in included:
        return None if included in GENERATED else "not a path from the root"
    part, target = part_of(path, controller), part_of(pathlib.Path(included), controller)
    allowed = MAY_INCLUDE[part]
    folder = "runtime" if target == "dpc_controller" else target
    if folder not in allowed:
        return f"{part} may not include {folder}"
    if part == "dpc_controller" and target != part and folder == "runtime":
        return f"{part} may not include the rest of runtime"
    return None


def check_door(path, included):
    """What is wrong with including an outside header, or None."""
    for header, doors in DOORS.items():
        if re.match(header, included) and not any(re.fullmatch(d, path.as_posix()) for d in doors):
            return f"the door to it is {' or '.join(doors)}"
    return None


def main():
    controller = target_sources("runtime", "dpc_controller")
    wrong = count = 0
    for folder in ("policy", "proto", "runtime", "sim", "tools", "tests"):
        for file in sorted((ROOT / folder).rglob("*.[ch]")):
            path = file.relative_to(ROOT)
            count += 1
            for number, line in enumerate(file.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if found is None:
                    continue
                problem = check_door(path, found[2]) if path.parts[0] != "tests" else None
                if found[1] == '"':
                    problem = problem or check_own(path, found[2], controller)
                if problem is not None:
                    wrong += 1
                    print(f"{path}:{number}: {found[2]}: {problem}")
    print(f"{count} files, {wrong} includes that break a rule")
    return 1 if wrong or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
