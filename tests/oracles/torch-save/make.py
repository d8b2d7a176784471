"""Writes the files of this folder with PyTorch: state dicts with every element type, views of one storage, and what must be refused."""
import os
from collections import OrderedDict

import torch

base = torch.arange(24, dtype=torch.float32)
state = OrderedDict(
    plain=base.reshape(4, 6).clone(),
    transposed=base.reshape(4, 6).t(),
    window=base[10:16],
    every_third=base[1::3],
    block=base.reshape(4, 6)[1:3, 2:5],
    scalar=torch.tensor(3.5, dtype=torch.float64),
    empty=torch.empty(0, 3),
    half=torch.tensor([1.5, -2, 65504]).half(),
    bfloat=torch.tensor([1.5, -2, 3.3895313892515355e38]).bfloat16(),
    longs=torch.tensor([[-1, 2**40]]),
    ints=torch.tensor([-1, 2**30], dtype=torch.int32),
    shorts=torch.tensor([-1, 2**14], dtype=torch.int16),
    chars=torch.tensor([-1, 127], dtype=torch.int8),
    bytes=torch.tensor([0, 255], dtype=torch.uint8),
    bools=torch.tensor([True, False, True]),
    parameter=torch.nn.Parameter(torch.ones(2)),
)
torch.save(state, "kinds.bin")
torch.save(state, "protocol4.bin", pickle_protocol=4)
torch.save(state, "legacy.bin", _use_new_zipfile_serialization=False)

linear = torch.nn.Linear(2, 1)
with torch.no_grad():
    linear.weight.copy_(torch.tensor([[0.25, -4.0]]))
    linear.bias.fill_(8)
torch.save(
    {
        "epoch": 3,
        "rate": 0.1,
        "name": "x",
        "nothing": None,
        "nested": {"list": [1, (2, 3, -(2**40))], "size": torch.Size([2, 3]), "type": torch.float16, "flag": True},
        "state_dict": linear.state_dict(),
    },
    "wrapped.bin",
)


class Evil:
    def __reduce__(self):
        return os.system, ("echo owned > owned",)


torch.save({"weight": torch.ones(1), "evil": Evil()}, "evil.bin")
torch.save([torch.ones(1)], "list.bin")
torch.save({"complex": torch.ones(1, dtype=torch.complex64)}, "complex.bin")
