"""Writes benign PyTorch checkpoints of many kinds into a folder, and beside each what is in it: NAME.bin and NAME.json, a list of
[name, type, shape, bytes in hexadecimal digits] of the tensors that a reader of state dicts must find. eng/pickles.sh runs it."""
import json
import sys
import warnings
from collections import OrderedDict

import torch

warnings.filterwarnings("ignore")
out = sys.argv[1]
torch.manual_seed(1)
count = 0


def save(name, value, found, protocol=2, legacy=False):
    global count
    count += 1
    path = f"{out}/{name}"
    torch.save(value, path + ".bin", pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    with open(path + ".json", "w") as file:
        json.dump([[key, str(tensor.dtype)[6:], list(tensor.shape), raw(tensor)] for key, tensor in found.items()], file)


def raw(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.numel() == 0:
        return ""
    return bytes(tensor.reshape(-1).view(torch.uint8).tolist()).hex()


def values(dtype):
    if dtype == torch.bool:
        return (torch.arange(24) % 3 == 0).reshape(4, 6)
    if dtype.is_floating_point:
        return torch.randn(4, 6).to(dtype)
    return torch.arange(-10, 14).clamp(min=0 if dtype == torch.uint8 else -10).to(dtype).reshape(4, 6)


layouts = {
    "plain": lambda t: t.clone(),
    "transposed": lambda t: t.t(),
    "window": lambda t: t[1:3, 2:5],
    "strided": lambda t: t.reshape(-1)[1::3],
    "expanded": lambda t: t[:1].expand(4, 6),
    "scalar": lambda t: t[2, 3].clone(),
    "empty": lambda t: t[:0],
    "narrow": lambda t: t.reshape(-1)[7:9],
}
dtypes = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
for dtype in dtypes:
    for layout, view in layouts.items():
        for legacy in (False, True):
            tensor = view(values(getattr(torch, dtype)))
            state = {"w": tensor, "v": tensor}
            save(f"{dtype}-{layout}-{'legacy' if legacy else 'zip'}", state, state, legacy=legacy)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 4)
        self.layer = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
        self.norm = torch.nn.BatchNorm1d(4)
        self.head = torch.nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("ids", torch.arange(3))


net = Net()
optimizer = torch.optim.AdamW(net.parameters())
net.head(net.layer(net.embedding(torch.tensor([1, 2])))).sum().backward()
optimizer.step()
state = net.state_dict()
shared = torch.arange(12.0)
containers = {
    "state": (state, state),
    "dict": (dict(state), state),
    "ordered": (OrderedDict(state), state),
    "wrapped": ({"epoch": 3, "state_dict": state, "optimizer": optimizer.state_dict(), "loss": 0.5}, state),
    "nested": (
        {
            "w": shared,
            "list": [1, (2, 3.5, -(2**40)), {"x": [None, True]}],
            "size": torch.Size([2, 3]),
            "type": torch.float16,
            "device": torch.device("cpu"),
            "text": "\u00fcnd \U0001f600",
            "empty": [],
            "tuple": (),
            "dict": {},
        },
        {"w": shared},
    ),
    "shared": ({"all": shared, "first": shared[:4], "last": shared[8:], "grid": shared.reshape(3, 4)}, None),
    "parameters": ({"p": torch.nn.Parameter(torch.ones(2, 2)), "q": torch.nn.Parameter(torch.ones(2), requires_grad=False)}, None),
    "gradient": ({"g": torch.ones(3, requires_grad=True)}, None),
    "many": ({f"layer.{i}.weight": torch.full((2,), float(i)) for i in range(300)}, None),
    "long-name": ({"n" * 300: torch.ones(1), "ü": torch.ones(1), "": torch.ones(1)}, None),
    "special": ({"x": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])}, None),
}
for name, (value, found) in containers.items():
    for protocol in (2, 3, 4, 5):
        for legacy in (False, True):
            save(f"{name}-{protocol}-{'legacy' if legacy else 'zip'}", value, found or value, protocol, legacy)
print(f"PyTorch {torch.__version__}: {count} files")
