"""Parameters that `remat train` exports, read and written by a Python that knows the format's page only."""

import json
import os
import struct
import subprocess
import tempfile
import unittest

import torch

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
MODEL = "--layers 2 --dim 16 --heads 2 --seq 24 --batch 2 --threads 1".split()


def read(path):
    """name -> tensor, as the format's page says."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data[begin:end], dtype=TYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def write(path, tensors, dtype):
    header, data = {}, b""
    for name, tensor in sorted(tensors.items()):
        element = tensor.to(TYPES[dtype]).contiguous()
        # numpy has no bfloat16: its bits as whole numbers.
        bits = element.view({4: torch.int32, 2: torch.int16}[element.element_size()])
        content = bits.numpy().tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


class Safetensors(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "weights.safetensors")
        self.again = os.path.join(folder.name, "again.safetensors")
        self.text = os.path.join(folder.name, "text")
        with open(self.text, "w", encoding="ascii") as file:
            file.write("the quick brown fox jumps over the lazy dog. " * 40)

    def train(self, *flags):
        command = [os.environ["REMAT_PROGRAM"], "train", "--text", self.text, *MODEL, *flags]
        subprocess.run(command, check=True, capture_output=True)

    def test_of_remat_are_read_by_python(self):
        self.train("--steps", "1", "--export", self.path)
        tensors = read(self.path)
        self.assertEqual(tensors["token_embedding.weight"].shape, (256, 16))
        self.assertEqual(tensors["block1.attention.qkv.weight"].shape, (48, 16))
        self.assertEqual(len(tensors), 2 + 2 * 12 + 2)
        # GPT-2's initialisation, hardly changed by a step.
        self.assertAlmostEqual(tensors["token_embedding.weight"].std().item(), 0.02, delta=0.002)
        self.assertTrue(torch.allclose(tensors["final_norm.weight"], torch.ones(16), atol=0.01))

    def test_of_python_are_read_by_remat(self):
        self.train("--steps", "1", "--export", self.path)
        torch.manual_seed(1)
        drawn = {name: torch.randn_like(tensor) for name, tensor in read(self.path).items()}
        for dtype, type_ in TYPES.items():
            write(self.path, drawn, dtype)
            # At such a rate the parameters stay what they are.
            self.train("--steps", "1", "--lr", "1e-30", "--init", self.path, "--export", self.again)
            found = read(self.again)
            self.assertEqual(found.keys(), drawn.keys())
            for name, tensor in drawn.items():
                self.assertTrue(torch.equal(found[name], tensor.to(type_).float()), name)


if __name__ == "__main__":
    unittest.main()
