#!/usr/bin/python3
"""Write tests/golden/import: a small Zarr replay buffer, robomimic HDF5 files, and one of another
kind.

They are made with the libraries that made the public data sets (Debian: python3-zarr,
python3-h5py), so that tests can read them where those are not installed. Every value follows from
its field, row and column by `values`, which tests/test_import.c repeats.

    /usr/bin/python3 tools/reference/make_import_golden.py
"""
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import zarr
from numcodecs import Blosc

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden" / "import"
ENDS = [7, 8, 25]


def values(field, rows, shape, dtype, first_row=0):
    """(31 row + 7 column + 13 field) % 251, shifted and divided for types that can hold that."""
    columns = int(np.prod(shape))
    row = np.arange(first_row, first_row + rows)[:, None]
    whole = (31 * row + 7 * np.arange(columns)[None, :] + 13 * field) % 251
    if np.dtype(dtype).kind == "f":
        whole = (whole - 100) / 3.0
    return whole.astype(dtype).reshape((rows, *shape))


# One field for each codec and type that a reader must know; chunks never divide the rows, and some
# also split the columns.
ZARR_FIELDS = [
    # name, shape, dtype, chunk shape, compressor
    ("action", (2,), "<f4", (10, 2), Blosc("zstd", 5, Blosc.BITSHUFFLE)),
    ("a_plain", (3,), "<f8", (10, 3), None),
    ("b_lz4", (9, 2), "<f4", (10, 9, 2), Blosc("lz4", 5, Blosc.NOSHUFFLE)),
    ("c_lz4hc", (5,), "<f8", (4, 2), Blosc("lz4hc", 5, Blosc.SHUFFLE)),
    ("d_zlib", (1,), "<i4", (25, 1), Blosc("zlib", 5, Blosc.BITSHUFFLE)),
    ("e_blosclz", (4, 3), "<i8", (10, 3, 2), Blosc("blosclz", 5, Blosc.SHUFFLE)),
    ("f_flat", (), "|u1", (7,), Blosc("zstd", 1, Blosc.NOSHUFFLE)),
    ("g_short", (2,), "<i2", (30, 1), Blosc("snappy", 5, Blosc.SHUFFLE)),
    ("img", (6, 8, 3), "<f4", (10, 6, 8, 3), Blosc("zstd", 5, Blosc.BITSHUFFLE)),
]


def write_zarr(path):
    root = zarr.open_group(str(path), "w")
    data, meta = root.create_group("data"), root.create_group("meta")
    for field, (name, shape, dtype, chunks, compressor) in enumerate(ZARR_FIELDS):
        array = data.zeros(name, shape=(ENDS[-1], *shape), dtype=dtype, chunks=chunks,
                           compressor=compressor)
        whole = values(field, ENDS[-1], shape, "<i4" if name == "img" else dtype)
        array[:] = whole
    meta.array("episode_ends", np.array(ENDS, dtype="<i8"), compressor=None)


OBS_DIMS = {
    "eef_pos": 3, "eef_quat": 4, "eef_vel_lin": 3, "eef_vel_ang": 3, "gripper_qpos": 2,
    "gripper_qvel": 2, "joint_pos": 7, "joint_pos_cos": 7, "joint_pos_sin": 7, "joint_vel": 7,
}


def write_robomimic(path, arms, lengths):
    """A file as robomimic's own tools write it: every reading of every arm, 7 actions per arm."""
    keys = {"object": 14}
    for arm in range(arms):
        keys.update({f"robot{arm}_{key}": dim for key, dim in OBS_DIMS.items()})
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(lengths)
        data.attrs["env_args"] = json.dumps({"env_name": "TwoArmTransport", "env_type": 1})
        for number, rows in enumerate(lengths):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = rows
            first = 100 * number
            demo["actions"] = values(0, rows, (7 * arms,), "<f8", first)
            for field, key in enumerate(sorted(keys), start=1):
                demo.create_dataset(f"obs/{key}", compression="gzip" if field % 5 == 0 else None,
                                    data=values(field, rows, (keys[key],), "<f8", first))
            demo["obs/agentview_image"] = values(90, rows, (4, 5, 3), "|u1", first)
            demo["next_obs/object"] = values(1, rows, (14,), "<f8", first + 1)
            demo["states"] = values(80, rows, (30,), "<f8", first)
            demo["rewards"] = (np.arange(rows) == rows - 1).astype("<f8")
            demo["dones"] = (np.arange(rows) >= rows - 2).astype("<i8")
        file["mask/train"] = np.array(["demo_0"], dtype="S")


def write_small(path, demos):
    """A small file with these demonstrations: name, rows, NaN in one observation or not."""
    with h5py.File(path, "w", libver="latest") as file:
        for name, rows, broken in demos:
            demo = file.create_group(f"data/{name}")
            first = 100 * int(name[5:])
            obs = values(1, rows, (2,), "<f4", first)
            if broken:
                obs[rows - 1, 1] = np.nan
            demo["obs/agent_pos"] = obs
            demo["actions"] = values(0, rows, (2,), "<f4", first)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_zarr(FOLDER / "replay.zarr")
    write_robomimic(FOLDER / "two_arms.hdf5", arms=2, lengths=[9, 6])
    write_small(FOLDER / "unordered.hdf5", [("demo_10", 3, False), ("demo_2", 2, False)])
    write_small(FOLDER / "nan.hdf5", [("demo_0", 3, False), ("demo_1", 5, True)])
    with h5py.File(FOLDER / "other.hdf5", "w", libver="latest") as file:
        file["measurements"] = np.arange(5.0)


if __name__ == "__main__":
    main()
