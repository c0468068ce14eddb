"""The Python contender, with the protocol of main.cc:
torch_checkpoint.py TRACKED_PEAK_LIBRARY MODEL plain|nonreentrant|reentrant THREADS DEVICE DTYPE"""

import ctypes
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from models import make_model

CALLS = {
    "plain": lambda layer, x: layer(x),
    "nonreentrant": lambda layer, x: checkpoint(layer, x, use_reentrant=False),
    "reentrant": lambda layer, x: checkpoint(layer, x, use_reentrant=True),
}


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class CpuMeter:
    """Remat's tracker, as in the C++ contenders."""

    def __init__(self, library):
        self.library = ctypes.CDLL(library)
        self.library.tracked_peak_bytes.restype = ctypes.c_longlong
        self.library.tracked_peak_start()

    def clocks(self):
        return time.perf_counter_ns(), time.process_time_ns()

    def reset(self):
        self.library.tracked_peak_reset()

    def peak_bytes(self):
        return self.library.tracked_peak_bytes()

    def stop(self):
        self.library.tracked_peak_stop()


class CudaMeter:
    """The counts of LibTorch's own allocator, as in the C++ contenders."""

    def clocks(self):
        torch.cuda.synchronize()
        return time.perf_counter_ns(), time.process_time_ns()

    def reset(self):
        torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self):
        return torch.cuda.max_memory_allocated()

    def stop(self):
        pass


def make_step(model, call, meter):
    for tensor in (*model.parameters, model.input):
        if tensor.grad is not None:
            tensor.grad.zero_()
    meter.reset()
    begin = meter.clocks()
    x = model.input
    for layer in model.layers:
        x = call(layer, x)
    loss = F.cross_entropy(model.head(x), model.target)
    del x
    forward = meter.clocks()
    loss.backward()
    end = meter.clocks()
    return {"forward_ns": forward[0] - begin[0], "step_ns": end[0] - begin[0],
            "forward_cpu_ns": forward[1] - begin[1], "step_cpu_ns": end[1] - begin[1],
            "peak_bytes": meter.peak_bytes(), "loss": loss.item()}


def main(library, name, call, threads, device, dtype):
    torch.set_num_threads(int(threads))
    ones = torch.ones(64, 64, device=device)
    ones.clone().requires_grad_().matmul(ones).sum().backward()
    print("ready", flush=True)
    meter = CpuMeter(library) if device == "cpu" else CudaMeter()
    model = None
    for line in sys.stdin:
        if line != "step\n":
            break
        if model is None:
            model = make_model(name, device, DTYPES[dtype])
        print(json.dumps(make_step(model, CALLS[call], meter)), flush=True)
    meter.stop()


main(*sys.argv[1:])
