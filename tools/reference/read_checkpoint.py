#!/usr/bin/python3
"""Read a .safetensors file without any code of this project: python3 and numpy only.

  read_checkpoint.py FILE            print metadata and tensors
  read_checkpoint.py FILE --sums     one line per tensor: name, dtype, shape, sum, sum of squares
"""
import hashlib
import json
import struct
import sys

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
          "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
          "BOOL": "?"}


def read(path):
    """(metadata, {name: (dtype, array)}), tensors in the order of the data."""
    with open(path, "rb") as file:
        raw = file.read()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length].decode("utf-8"))
    data = raw[8 + length:]
    metadata = header.pop("__metadata__", {})
    assert all(isinstance(value, str) for value in metadata.values()), "metadata must be strings"
    if "weights_sha256" in metadata:
        assert hashlib.sha256(data).hexdigest() == metadata["weights_sha256"], "wrong hash"
    assert (8 + length) % 8 == 0, "data are not aligned"

    tensors, expected = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        assert begin == expected, f"{name}: hole or overlap"
        values = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            values = (values.astype("<u4") << 16).view("<f4")
        tensors[name] = (entry["dtype"], values)
        expected = end
    assert expected == len(data), "bytes after the last tensor"
    return metadata, tensors


def main():
    metadata, tensors = read(sys.argv[1])
    if "--sums" not in sys.argv:
        for key, value in metadata.items():
            print(f"{key}: {value}")
    for name, (dtype, values) in tensors.items():
        shape = "x".join(map(str, values.shape))
        wide = values.astype(np.float64)
        if "--sums" in sys.argv:
            print(name, dtype, shape or "scalar", f"{wide.sum():.12g} {(wide ** 2).sum():.12g}")
        else:
            print(f"{name}: {dtype} {shape or 'scalar'}")


if __name__ == "__main__":
    main()
