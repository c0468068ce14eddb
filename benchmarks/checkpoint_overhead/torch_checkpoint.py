"""The Python contender, with the protocol of main.cc:
torch_checkpoint.py TRACKED_PEAK_LIBRARY MODEL plain|nonreentrant|reentrant THREADS"""

import ctypes
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from models import MODELS

CALLS = {
    "plain": lambda layer, x: layer(x),
    "nonreentrant": lambda layer, x: checkpoint(layer, x, use_reentrant=False),
    "reentrant": lambda layer, x: checkpoint(layer, x, use_reentrant=True),
}


def clocks():
    return time.perf_counter_ns(), time.process_time_ns()


def make_step(model, call, tracker):
    for tensor in (*model.parameters, model.input):
        if tensor.grad is not None:
            tensor.grad.zero_()
    tracker.tracked_peak_reset()
    begin = clocks()
    x = model.input
    for layer in model.layers:
        x = call(layer, x)
    loss = F.cross_entropy(model.head(x), model.target)
    del x
    forward = clocks()
    loss.backward()
    end = clocks()
    return {"forward_ns": forward[0] - begin[0], "step_ns": end[0] - begin[0],
            "forward_cpu_ns": forward[1] - begin[1], "step_cpu_ns": end[1] - begin[1],
            "peak_bytes": tracker.tracked_peak_bytes(), "loss": loss.item()}


def main(library, name, call, threads):
    tracker = ctypes.CDLL(library)
    tracker.tracked_peak_bytes.restype = ctypes.c_longlong
    torch.set_num_threads(int(threads))
    torch.ones(64, 64, requires_grad=True).matmul(torch.ones(64, 64)).sum().backward()
    print("ready", flush=True)
    tracker.tracked_peak_start()
    model = None
    for line in sys.stdin:
        if line != "step\n":
            break
        if model is None:
            torch.manual_seed(1)
            model = MODELS[name]()
        print(json.dumps(make_step(model, CALLS[call], tracker)), flush=True)
    tracker.tracked_peak_stop()


main(*sys.argv[1:])
