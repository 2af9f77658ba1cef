#!/usr/bin/python3
"""PyTorch's side of tools/peers/run; see dpc_peer.c for what is said and answered.

    torch_peer.py eager|jit MODEL THREADS INPUTS
    torch_peer.py export MODEL TO        # what PyTorch's own exporter makes of the network

The weights are the initialisers of MODEL, an ONNX file; onnx_pb2 must be on the path.
"""
import json
import pathlib
import sys
import time

import numpy as np
import onnx_pb2
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))
from unet_torch import Unet  # noqa: E402


def load(path):
    """The network of an ONNX file that dpc export wrote."""
    model = onnx_pb2.ModelProto()
    model.ParseFromString(pathlib.Path(path).read_bytes())
    settings = {entry.key[len("unet."):]: json.loads(entry.value)
                for entry in model.metadata_props if entry.key.startswith("unet.")}
    ends = {end.name: [dim.dim_value for dim in end.type.tensor_type.shape.dim]
            for end in model.graph.input}
    net = Unet(ends["sample"][2], ends["cond"][1], **settings)
    weights = {tensor.name: np.frombuffer(tensor.raw_data, np.float32)
               for tensor in model.graph.initializer if tensor.data_type == 1}
    net.load_state_dict({name: torch.tensor(weights[name]).reshape(value.shape)
                         for name, value in net.state_dict().items()})
    return net.eval(), ends


def export(model, path):
    """The model that people have who export from PyTorch."""
    net, ends = load(model)
    feeds = tuple(torch.zeros([size or 1 for size in dims]) for dims in ends.values())
    torch.onnx.export(net, feeds, path, input_names=list(ends), output_names=["prediction"],
                      opset_version=17)


def main():
    if sys.argv[1] == "export":
        export(*sys.argv[2:])
        return
    mode, model, threads, inputs = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.set_flush_denormal(True)
    net, ends = load(model)
    given = json.loads(pathlib.Path(inputs).read_text())
    feeds = [torch.tensor(given[name]).reshape([size or 1 for size in ends[name]])
             for name in ("sample", "timestep", "cond")]
    with torch.no_grad():
        if mode == "jit":
            net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, feeds)))
        for _ in range(3):  # the first runs of a traced network specialise it
            output = net(*feeds)
        print(json.dumps({"variant": f"fp32 {mode}", "version": torch.__version__,
                          "threads": torch.get_num_threads(), "output": output.flatten().tolist()}),
              flush=True)
        for line in sys.stdin:
            times = []
            for _ in range(int(line)):
                before = time.perf_counter_ns()
                net(*feeds)
                times.append((time.perf_counter_ns() - before) / 1e3)
            print(json.dumps({"us": times}), flush=True)


if __name__ == "__main__":
    main()
