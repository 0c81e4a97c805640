"""Writes tests/fixtures/resnet18_relu_side.json: the case train_all of resnet18.json with one ReLU on its other side.

In that case one input of layer2.1's last ReLU is 5.5e-7 (float64), which is within the rounding of a float32 forward pass,
so a correct f32 implementation may see it as negative. PyTorch's own f32 run happens not to. The gradients below it
then differ by up to 0.3 %. This script makes PyTorch (float64) take the other side: same weights, input, target and rule as
../shared/parity (see its README.md). Needs torch and torchvision; run from the repository's root.
"""
import json
import math

import numpy as np
import torch
import torchvision

fixture = json.load(open("tests/fixtures/resnet18.json"))
case = next(c for c in fixture["cases"] if c["name"] == "train_all")


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


def weights():
    state = {}
    for key, value in torchvision.models.resnet18().state_dict().items():
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
            hi = fixture["gain"] * math.sqrt(3 / np.prod(shape[1:]))
            lo = -hi
        state[key] = torch.tensor(uniform(key, int(np.prod(shape)), lo, hi).reshape(shape)).double()
    return state


def other_side(module, inputs):
    if module.calls == 1:
        x = inputs[0]
        at = x.detach().abs().argmin()
        change = torch.zeros(x.numel(), dtype=x.dtype)
        change[at] = -2 * x.detach().flatten()[at]
        print("value that changes sides:", float(x.detach().flatten()[at]))
        module.calls += 1
        return (x + change.view_as(x),)
    module.calls += 1
    return None


model = torchvision.models.resnet18().double()
model.load_state_dict(weights())
model.train()
relu = model.layer2[1].relu
relu.inplace = False
relu.register_forward_pre_hook(other_side)
x = case["input"]
images = torch.tensor(uniform(x["key"], int(np.prod(x["shape"])), x["lo"], x["hi"]).reshape(x["shape"])).double()
target = torch.tensor(case["target"])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
losses, grads = [], {}
for step in range(len(case["sgd_losses"])):
    relu.calls = 0 if step == 0 else 2
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(images), target)
    loss.backward()
    losses.append(float(loss.detach()))
    if step == 0:
        for name, parameter in model.named_parameters():
            if name in case["grads"]:
                values = parameter.grad.flatten()
                index = case["grads"][name].get("idx") or range(values.numel())
                grads[name] = {"idx": list(index), "val": [float(np.float32(values[i])) for i in index]}
                want = np.array(case["grads"][name]["val"])
                have = np.array(grads[name]["val"])
                print(name, "differs from the other side by", np.linalg.norm(have - want) / np.linalg.norm(want))
    optimizer.step()
print("losses", losses, "instead of", case["sgd_losses"])
out = {"format": "parity-relu-side/1", "model": "resnet18", "case": "train_all", "grads": grads, "sgd_losses": losses}
json.dump(out, open("tests/fixtures/resnet18_relu_side.json", "w"))
