"""Writes tests/fixtures/accumulate.json: an epoch of five batches of which two make a step, the last one alone, as PyTorch's
users write it: the loss of each batch divided by the number of batches of its step. SGD with momentum, with and without
clipping; batch norm in training. The network is the registry's resnet_mini, put together from torchvision's blocks; weights
and pictures come from their names (../shared/parity/README.md). Run in float64:
python tests/reference/accumulate.py. Needs torch and torchvision."""

import json
import math
import pathlib

import numpy as np
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

BATCHES, PICTURES, SIDE, CLASSES, EVERY = 5, 4, 64, 5, 2
LR, MOMENTUM, DECAY = 0.01, 0.9, 1e-4
WATCHED = [
    "conv1.weight",
    "bn1.weight",
    "bn1.running_mean",
    "bn1.running_var",
    "layer1.0.conv2.weight",
    "layer2.0.downsample.0.weight",
    "layer4.0.conv1.weight",
    "layer4.0.bn2.bias",
    "layer4.0.bn2.running_var",
    "fc.weight",
    "fc.bias",
]


def bits(key, n):
    h = 0xCBF29CE484222325
    for b in key.encode():
        h = ((h ^ b) * 0x100000001B3) & (2**64 - 1)
    u64 = np.uint64
    s = u64(h) + np.arange(1, n + 1, dtype=u64) * u64(0x9E3779B97F4A7C15)
    s = (s ^ (s >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    s = (s ^ (s >> u64(27))) * u64(0x94D049BB133111EB)
    return (s ^ (s >> u64(31))) >> u64(40)


def uniform(key, shape, lo, hi):
    values = lo + (hi - lo) * (bits(key, math.prod(shape)).astype(np.float64) / 2**24)
    return torch.tensor(values.astype(np.float32).reshape(shape)).double()


def rule(key, shape):
    last = key.split(".")[-1]
    if last == "running_mean":
        return uniform(key, shape, -0.1, 0.1)
    if last == "running_var" or (len(shape) < 2 and last == "weight"):
        return uniform(key, shape, 0.5, 1.5)
    if len(shape) < 2:
        return uniform(key, shape, -0.1, 0.1)
    a = math.sqrt(3 / math.prod(shape[1:]))
    return uniform(key, shape, -a, a)


def network():
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=CLASSES)
    model.inplanes = 32
    model.conv1 = nn.Conv2d(3, 32, 7, stride=2, padding=3, bias=False)
    model.bn1 = nn.BatchNorm2d(32)
    for i in range(4):
        layer = model._make_layer(BasicBlock, 32 << i, 1, stride=1 if i == 0 else 2)
        setattr(model, f"layer{i + 1}", layer)
    model.fc = nn.Linear(256, CLASSES)
    state = model.state_dict()
    filled = {key: rule(key, list(value.shape)) for key, value in state.items() if value.is_floating_point()}
    model.load_state_dict({**state, **filled})
    return model.double().train()


def run(clip):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    losses, norms = [], []
    for first in range(0, BATCHES, EVERY):
        group = range(first, min(first + EVERY, BATCHES))
        optimizer.zero_grad()
        for at in group:
            x = uniform(f"batch{at}", [PICTURES, 3, SIDE, SIDE], -math.sqrt(3), math.sqrt(3))
            y = torch.tensor((bits(f"classes{at}", PICTURES) % np.uint64(CLASSES)).astype(np.int64))
            loss = nn.functional.cross_entropy(model(x), y)
            losses.append(loss.item())
            (loss / len(group)).backward()
        if clip:
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), clip).item())
        optimizer.step()
    tensors = {}
    for name, value in model.state_dict().items():
        if name in WATCHED:
            change = (value - rule(name, list(value.shape))).flatten()
            idx = [i * (change.numel() - 1) // 7 for i in range(8)] if change.numel() > 8 else list(range(change.numel()))
            norm = change.norm().item()
            tensors[name] = {"norm": norm, "idx": idx, "change": [round(change[i].item(), 10) for i in idx]}
    return {"clip": clip, "losses": losses, "norms": norms, "tensors": tensors}


cases = [run(None), run(1.5)]
fixture = {
    "torch": torch.__version__,
    "torchvision": torchvision.__version__,
    "gain": 1.0,
    "scale": {},
    "pictures": PICTURES,
    "side": SIDE,
    "classes": CLASSES,
    "accumulate": EVERY,
    "lr": LR,
    "momentum": MOMENTUM,
    "weight_decay": DECAY,
    "cases": cases,
}
path = pathlib.Path(__file__).parent.parent / "fixtures" / "accumulate.json"
path.write_text(json.dumps(fixture) + "\n")
print(path, path.stat().st_size, "bytes", cases[0]["losses"], cases[1]["norms"])
