"""Writes tests/fixtures/MODEL_CASE_relu_side.json: a training case of MODEL.json with one ReLU on its other side.

In these cases an input of a ReLU lies within the rounding of a float32 pass (5.5e-7 in the first step of resnet18's, -2.5e-6
of mobilenet_v2_0.75's, -6.5e-7 and 4.4e-7 of unet's two; -1.1e-5 in the second step of mobilenet_v2_1.4's, whose loss carries
5e-6 of rounding by then), so a correct f32 implementation may see
its other sign. PyTorch's own f32 run happens not to. Gradients then differ by up to 0.3 %, later losses by as much. This
script makes PyTorch (float64) take the other side: same weights, input, target and rule as ../shared/parity (see its
README.md). Needs torch and torchvision; names of models choose some; run from the repository's root.
"""
import json
import math
import os
import sys

import numpy as np
import torch
import torchvision

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/parity/tools"))
import parity  # noqa: E402

# Model, how it is made, case, the ReLU's module and which of its calls in a pass, step, the input's rank by distance from 0.
JOBS = [
    ("resnet18", torchvision.models.resnet18, "train_all", "layer2.1.relu", 1, 0, 0),
    ("mobilenet_v2_0.75", lambda: torchvision.models.mobilenet_v2(width_mult=0.75), "train_all", "features.12.conv.1.2", 0, 0, 0),
    ("mobilenet_v2_1.4", lambda: torchvision.models.mobilenet_v2(width_mult=1.4), "train_last", "features.18.2", 0, 1, 1),
    ("unet", parity.UNet, "train_all", "up4.conv.double_conv.2", 0, 0, 0),
    ("unet", parity.UNet, "train_head", "up4.conv.double_conv.5", 0, 0, 1),
]


def fnv(key):
    h = 0xCBF29CE484222325
    for b in key.encode():
        h = ((h ^ b) * 0x100000001B3) & (2**64 - 1)
    return h


def uniform(key, n, lo, hi):
    u64 = np.uint64
    s = u64(fnv(key)) + np.arange(1, n + 1, dtype=u64) * u64(0x9E3779B97F4A7C15)
    s = (s ^ (s >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    s = (s ^ (s >> u64(27))) * u64(0x94D049BB133111EB)
    s = s ^ (s >> u64(31))
    return (lo + (hi - lo) * ((s >> u64(40)).astype(np.float64) / 2**24)).astype(np.float32)


def integers(key, shape, below):
    u64, n = np.uint64, int(np.prod(shape))
    s = u64(fnv(key)) + np.arange(1, n + 1, dtype=u64) * u64(0x9E3779B97F4A7C15)
    s = (s ^ (s >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    s = (s ^ (s >> u64(27))) * u64(0x94D049BB133111EB)
    return torch.tensor((((s ^ (s >> u64(31))) >> u64(40)) % u64(below)).astype(np.int64).reshape(shape))


def loss_of(case, outputs):
    """Of classes of a picture, or of its pixels."""
    target = case["target"]
    if isinstance(target, list):
        return torch.nn.functional.cross_entropy(outputs, torch.tensor(target))
    mask = integers(target["key"], target["shape"], target["integers_below"])
    if case["loss_fn"].startswith("binary"):
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], mask.double())
    return torch.nn.functional.cross_entropy(outputs, mask)


def weights(model, gain):
    state = {}
    for key, value in model.state_dict().items():
        shape, last = list(value.shape), key.split(".")[-1]
        if last == "num_batches_tracked":
            state[key] = value
            continue
        if last == "running_mean":
            lo, hi = -0.1, 0.1
        elif last == "running_var":
            lo, hi = 0.5, 1.5
        elif len(shape) < 2:
            lo, hi = (0.5, 1.5) if last == "weight" else (-0.1, 0.1)
        else:
            hi = gain * math.sqrt(3 / np.prod(shape[1:]))
            lo = -hi
        state[key] = torch.tensor(uniform(key, int(np.prod(shape)), lo, hi).reshape(shape)).double()
    return state


def job(name, make, case_name, module, call, at_step, rank):
    fixture = json.load(open(f"tests/fixtures/{name}.json"))
    case = next(c for c in fixture["cases"] if c["name"] == case_name)
    model = make().double()
    model.load_state_dict(weights(model, fixture["gain"]))

    def trains(path):
        return any(p == "" or path == p or path.startswith(p + ".") for p in case["trainable"])
    for path, m in model.named_modules():
        m.training = trains(path)
        if isinstance(m, torch.nn.Dropout):
            m.p = 0.0
    for path, parameter in model.named_parameters():
        parameter.requires_grad_(trains(path))
    relu, now = model.get_submodule(module), {"step": 0, "call": 0}
    relu.inplace = False

    def other_side(_, inputs):
        x = inputs[0]
        now["call"] += 1
        if (now["step"], now["call"] - 1) != (at_step, call):
            return None
        flat = x.detach().flatten()
        at = flat.abs().topk(rank + 1, largest=False).indices[rank]
        change = torch.zeros_like(flat)
        change[at] = -2 * flat[at]
        print("value that changes sides:", float(flat[at]))
        return (x + change.view_as(x),)
    relu.register_forward_pre_hook(other_side)
    x = case["input"]
    images = torch.tensor(uniform(x["key"], int(np.prod(x["shape"])), x["lo"], x["hi"]).reshape(x["shape"])).double()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9, weight_decay=1e-4)
    losses, grads = [], {}
    for step in range(len(case["sgd_losses"])):
        now.update(step=step, call=0)
        optimizer.zero_grad()
        loss = loss_of(case, model(images))
        loss.backward()
        losses.append(float(loss.detach()))
        if step == 0:
            for path, parameter in model.named_parameters():
                if path in case["grads"]:
                    values = parameter.grad.flatten()
                    index = case["grads"][path].get("idx") or range(values.numel())
                    grads[path] = {"idx": list(index), "val": [float(np.float32(values[i])) for i in index]}
                    want = np.array(case["grads"][path]["val"])
                    have = np.array(grads[path]["val"])
                    print(path, "differs from the other side by", np.linalg.norm(have - want) / np.linalg.norm(want))
        optimizer.step()
    print("losses", losses, "instead of", case["sgd_losses"])
    out = {"format": "parity-relu-side/1", "model": name, "case": case_name, "grads": grads, "sgd_losses": losses}
    json.dump(out, open(f"tests/fixtures/{name}_{case_name}_relu_side.json", "w"))


for each in JOBS:
    if not sys.argv[1:] or each[0] in sys.argv[1:]:
        job(*each)
