"""Parity fixtures of the U-Nets that `../shared/parity` lacks.

    python unet.py [NAME ...]    with ../../../shared/parity/tools (torch, torchvision, segmentation_models_pytorch)

Writes tests/fixtures/unet_bilinear.json, unet_small.json, unet_mini.json, smp_unet_resnet34.json and
smp_unet_resnet50.json. The rule and the form are those of `../shared/parity/README.md`.
"""
import os
import sys

import torch
import torch.nn.functional as F
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../shared/parity/tools"))
os.environ.setdefault("PARITY_OUT", os.path.join(HERE, "../fixtures"))
import fixture as fx  # noqa: E402
import parity as P  # noqa: E402


class UNet(nn.Module):
    """The classic of any depth and width."""

    def __init__(self, base, depth, bilinear, classes=2):
        super().__init__()
        c, half = [base * 2**i for i in range(depth + 1)], 2 if bilinear else 1
        self.depth = depth
        self.inc = P.DoubleConv(3, c[0])
        for i in range(depth):
            setattr(self, f"down{i + 1}", P.Down(c[i], c[i + 1] // (half if i + 1 == depth else 1)))
        for i in range(depth):
            at = depth - 1 - i
            setattr(self, f"up{i + 1}", P.Up(c[at + 1], c[at] // (half if at > 0 else 1), bilinear))
        self.outc = P.OutConv(c[0], classes)

    def forward(self, x):
        skips = [self.inc(x)]
        for i in range(self.depth):
            skips.append(getattr(self, f"down{i + 1}")(skips[-1]))
        x = skips.pop()
        for i in range(self.depth):
            x = getattr(self, f"up{i + 1}")(x, skips.pop())
        return self.outc(x)


def classic(base, depth, bilinear):
    down, ups = f"down{depth}", [f"up{i + 1}" for i in range(depth)]
    grads = ["inc.double_conv.0.weight", f"{down}.maxpool_conv.1.double_conv.3.weight", "up1.conv.double_conv.0.weight",
             f"{ups[-1]}.conv.double_conv.4.bias", "outc.conv.weight", "outc.conv.bias"]
    grads += [] if bilinear else ["up1.up.weight", f"{ups[-1]}.up.bias"]
    return dict(make=lambda: UNet(base, depth, bilinear), gain=2**0.5, classes=2, grads=grads,
                source=f"tests/reference/unet.py: UNet(base={base}, depth={depth}, bilinear={bilinear})",
                taps=["inc", *[f"down{i + 1}" for i in range(depth)], *ups, "outc"], odd=[down, "up1"],
                head=[*ups, "outc"], last=[ups[-1], "outc"], running=["inc.double_conv.1.running_var"])


def smp(encoder):
    return dict(make=lambda: P.smp_unet(encoder), gain=1.0, classes=1, taps=P.SMP_TAPS, odd=None,
                source=f"segmentation_models_pytorch.Unet('{encoder}', encoder_weights=None, classes=1)",
                grads=P.SMP_GRADS, head=["decoder", "segmentation_head"],
                last=["decoder.blocks.4", "segmentation_head"], running=["encoder.bn1.running_var"])


ALL = {"unet_bilinear": classic(64, 4, True), "unet_small": classic(32, 4, False), "unet_mini": classic(16, 3, True),
       "smp_unet_resnet34": smp("resnet34"), "smp_unet_resnet50": smp("resnet50")}


def plain(loss):
    return loss


def direct(loss):
    """Convolutions by torch's own code."""
    def of(m, dt):
        with torch.backends.mkldnn.flags(enabled=dt == torch.float64):
            return loss(m, dt)
    return of


def last(loss):
    """Channels last in memory."""
    return lambda m, dt: loss(m if dt == torch.float64 else m.to(memory_format=torch.channels_last), dt)


def rounded(seed):
    """Weights and statistics a part in ten million off: less than half of what f32 tells apart."""
    def way(loss):
        def of(m, dt):
            if dt == torch.float32 and not hasattr(m, "off"):
                m.off, g = True, torch.Generator().manual_seed(seed)
                with torch.no_grad():
                    for p in m.parameters():
                        p.mul_(1 + 6e-8 * torch.randn(p.shape, generator=g))
            return loss(m, dt)
        return of
    return way


WAYS = [plain, direct, last, rounded(1), rounded(2), rounded(3)]


def train_case(case, build, loss, trainable, grads, running):
    """One ReLU of a small map whose input lies within f32's rounding of zero moves all gradients behind it by some
    thousandths. Which side it takes is chance, so f32's error is the greatest of several f32 runs that differ in rounding."""
    runs = [fx.train_case(case, build, way(loss), trainable, grads, running) for way in WAYS]
    first = runs[0]
    for name, grad in first["grads"].items():
        grad.update({k: max(run["grads"][name][k] for run in runs) for k in ("f32_err", "f32_rel")})
    off = [max((run["sgd_losses_f32"][i] for run in runs), key=lambda x: abs(x - want)) for i, want in enumerate(first["sgd_losses"])]
    first["sgd_losses_f32"] = off
    return first


def write(name, spec):
    @fx.prototype
    def build():
        m = spec["make"]()
        fx.fill(m, spec["gain"])
        return m
    x, d = fx.input_tensor((2, 3, 64, 64))
    mask = fx.integers("target", (2, 64, 64), 2)

    def loss(m, dt):
        y = m(x.to(dt))
        if spec["classes"] == 1:
            return F.binary_cross_entropy_with_logits(y[:, 0], mask.to(dt))
        return F.cross_entropy(y, mask)
    doc = fx.header(name, spec["source"], build(), spec["gain"], cases=[])
    doc["cases"] = [fx.eval_case("eval_64", build, P.tapped(spec["taps"], x), d)]
    if spec["odd"]:
        odd, d_odd = fx.input_tensor((1, 3, 61, 75))
        doc["cases"].append(fx.eval_case("eval_odd", build, P.tapped(spec["odd"], odd), d_odd))
    for case, trainable in (("train_all", [""]), ("train_head", spec["head"]), ("train_last", spec["last"])):
        c = train_case(case, build, loss, trainable, spec["grads"], spec["running"])
        form = "binary_cross_entropy_with_logits, mean" if spec["classes"] == 1 else "cross_entropy, mean"
        target = {"key": "target", "shape": [2, 64, 64], "integers_below": 2}
        doc["cases"].append({**c, "input": d, "target": target, "loss_fn": form})
    fx.write(name, doc)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for n in sys.argv[1:] or list(ALL):
        write(n, ALL[n])
