"""Training steps of PyTorch beside those of `frostline bench`: one run, alternating, medians.

    python bench_torch.py --frostline ../../target/release/frostline [--rounds 3] [--steps 5] [--json] [MODEL:CASE ...]

with torch and torchvision; segmentation_models_pytorch for `unet_resnet18`; `--yolox FOLDER` (the unpacked sdist of
yolox) for YOLOX. A case is `forward`, `all`, `last-stage`, `head-only` or `head-only-cached`. Each measurement is a
process of its own, PyTorch's and Frostline's in turn, so that both see the same machine and peak memory is each one's
own: `--rounds` processes of `--steps` steps each after two that do not count. The table shows medians over all steps
with the slowest and the fastest; the ratio is Frostline's images/s over PyTorch's.

What is compared: eager PyTorch in f32, SGD with momentum 0.9, the same batch and input size, the same parts frozen (read from
`frostline inspect --json`): their parameters without gradient, their batch norms in eval mode. Where the frozen part of a
classifier is all but its head, it runs under `no_grad`: the usual loop of transfer learning. PyTorch's inputs lie ready in
memory; Frostline's wait for pictures is part of its step.

- `forward`: PyTorch in eval mode under `no_grad`; of Frostline the forward part of its head-only step, loss included.
- `head-only-cached`: an epoch from the second on. PyTorch: features of the whole set made once by hand, the head trained on
  slices of them (classifiers, and the U-Net on a ResNet). The column `usual loop` is PyTorch's head-only step times the
  number of steps.

YOLOv8 is left out: the only public training code for it is under the AGPL.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

WARM_UP = 2
CLASSES = 4
# As in `frostline bench`: a detector that diverges proposes no regions, and its steps cost half.
LR = 1e-6
# Model: batch, side of the input.
USUAL = {"yolox": (8, 320), "fasterrcnn": (2, 320), "unet": (4, 256), "": (16, 224)}
CASES = ("forward", "all", "last-stage", "head-only", "head-only-cached")
DEFAULT = [f"{model}:{case}" for model in ("resnet18", "mobilenet_v2") for case in CASES]
DEFAULT += [f"{model}:{case}" for model in ("unet", "unet_resnet18", "yolox_nano", "fasterrcnn_resnet50_fpn")
            for case in ("all", "head-only")]


def usual(model):
    return next(size for name, size in USUAL.items() if model.startswith(name))


# ---------------------------------------------------------------- networks under Frostline's names, with their losses
def classic_unet():
    """The classic U-Net (Ronneberger et al. 2015) with padded convolutions and batch norm."""
    import torch
    from torch import nn

    def double(inputs, outputs):
        layers = []
        for i in (inputs, outputs):
            layers += [nn.Conv2d(i, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        block = nn.Module()
        block.double_conv = nn.Sequential(*layers)
        block.forward = block.double_conv.forward
        return block

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            c = [64 << i for i in range(5)]
            self.inc = double(3, c[0])
            for i in range(4):
                down, up = nn.Module(), nn.Module()
                down.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), double(c[i], c[i + 1]))
                up.up, up.conv = nn.ConvTranspose2d(c[i + 1], c[i], 2, stride=2), double(c[i + 1], c[i])
                setattr(self, f"down{i + 1}", down)
                setattr(self, f"up{4 - i}", up)
            self.outc = nn.Module()
            self.outc.conv = nn.Conv2d(c[0], CLASSES + 1, 1)

        def forward(self, x):
            skips = [self.inc(x)]
            for i in range(1, 5):
                skips.append(getattr(self, f"down{i}").maxpool_conv(skips[-1]))
            x = skips.pop()
            for i in range(1, 5):
                up = getattr(self, f"up{i}")
                x = up.conv(torch.cat([skips.pop(), up.up(x)], 1))
            return self.outc.conv(x)

    return UNet()


def boxes_xyxy(size, count=2):
    import torch
    corner = torch.rand(count, 2) * size * 0.5
    return torch.cat([corner, corner + size * (0.2 + 0.25 * torch.rand(count, 2))], 1)


def mask_loss(logits, target):
    """Cross-entropy and soft Dice in equal parts, Frostline's default."""
    import torch
    import torch.nn.functional as F
    shares = logits.softmax(1)
    truth = F.one_hot(target, logits.shape[1]).permute(0, 3, 1, 2).to(shares.dtype)
    overlap, sums = (shares * truth).sum((0, 2, 3)), (shares + truth).sum((0, 2, 3))
    return F.cross_entropy(logits, target) + 1 - torch.mean((2 * overlap + 1e-7) / (sums + 1e-7))


def make(model, batch, size, yolox):
    """The network and a function that gives the loss of one batch."""
    import torch
    import torch.nn.functional as F
    import torchvision
    x = torch.rand(batch, 3, size, size)
    if model.startswith("fasterrcnn"):
        net = getattr(torchvision.models.detection, model)(
            weights=None, weights_backbone=None, num_classes=CLASSES + 1, min_size=size, max_size=size)
        targets = [{"boxes": boxes_xyxy(size), "labels": torch.randint(1, CLASSES + 1, (2,))} for _ in range(batch)]
        return net, x, lambda: sum(net(list(x), targets).values())
    if model.startswith("yolox"):
        sys.path.insert(0, yolox or "yolox")
        from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead
        depth, width = {"nano": (0.33, 0.25), "tiny": (0.33, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75)}[model[6:]]
        thin, channels = model == "yolox_nano", [256, 512, 1024]
        net = YOLOX(YOLOPAFPN(depth, width, in_channels=channels, depthwise=thin),
                    YOLOXHead(CLASSES, width, in_channels=channels, depthwise=thin))
        net.head.initialize_biases(0.01)
        truth = torch.zeros(batch, 20, 5)
        for one in truth:
            box = boxes_xyxy(size)
            one[:2] = torch.cat([torch.randint(0, CLASSES, (2, 1)), (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], 1)
        return net, x, lambda: net(x * 255, truth)["total_loss"]
    if model.startswith("unet"):
        if model == "unet":
            net = classic_unet()
        else:
            import segmentation_models_pytorch as smp
            net = smp.Unet(model.removeprefix("unet_"), encoder_weights=None, classes=CLASSES + 1)
        target = torch.randint(0, CLASSES + 1, (batch, size, size))
        return net, x, lambda: mask_loss(net(x), target)
    net, target = getattr(torchvision.models, model)(weights=None, num_classes=CLASSES), torch.randint(0, CLASSES, (batch,))
    return net, x, lambda: F.cross_entropy(net(x), target)


def freeze(net, names):
    """What is named gets no gradient and keeps its statistics; the rest trains."""
    import torch
    net.train()
    names = set(names)
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in names)
    for path, module in net.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and f"{path}.weight" in names:
            module.eval()
    known = dict(net.named_parameters()) | dict(net.named_buffers())
    lost = sorted(name for name in names if name not in known)
    if lost:
        raise SystemExit(f"PyTorch's network has no {lost[:3]}: the two are not the same")


def split(model, net):
    """Backbone and head of networks whose features are cached by hand: a function each."""
    import torch
    if model.startswith("unet_"):
        return net.encoder, lambda features: net.segmentation_head(net.decoder(features))
    if model.startswith("resnet"):
        body = torch.nn.Sequential(*list(net.children())[:-1], torch.nn.Flatten())
        return body, net.fc
    if model.startswith("mobilenet") or model.startswith("vgg"):
        pool = net.avgpool if hasattr(net, "avgpool") else torch.nn.AdaptiveAvgPool2d(1)
        # Dropout before the last layer is drawn anew in each step: it belongs to what trains.
        layers = list(net.classifier)
        head = 2 if isinstance(layers[-2], torch.nn.Dropout) else 1
        return torch.nn.Sequential(net.features, pool, torch.nn.Flatten(), *layers[:-head]), torch.nn.Sequential(*layers[-head:])
    return None


# ---------------------------------------------------------------- one measurement of PyTorch, in its own process
def child(spec):
    import warnings

    import torch
    import torch.nn.functional as F
    warnings.filterwarnings("ignore")
    torch.set_num_threads(spec["threads"])
    torch.manual_seed(0)
    model, case, batch, size = spec["model"], spec["case"], spec["batch"], spec["size"]
    net, x, loss = make(model, batch, size, spec["yolox"])
    if case == "forward":
        net.eval()

        def step():
            with torch.no_grad():
                net(x)
        return timed(step, spec, batch)
    freeze(net, spec["frozen"])
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=LR, momentum=0.9)
    parts = split(model, net)

    def update(value):
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
    if case == "head-only-cached":
        if parts is None:
            return {"skipped": "features of this network are not cached by hand here"}
        return cached(parts, x, update, spec)
    if case == "head-only" and parts is not None and not model.startswith("unet"):
        body, head = parts
        body.eval()
        target = torch.randint(0, CLASSES, (batch,))

        def step():
            with torch.no_grad():
                features = body(x)
            update(F.cross_entropy(head(features), target))
        return timed(step, spec, batch)
    return timed(lambda: update(loss()), spec, batch)


def cached(parts, x, update, spec):
    """Seconds of an epoch over features that were made once."""
    import torch
    import torch.nn.functional as F
    body, head = parts
    body.eval()
    pixels = spec["model"].startswith("unet")
    with torch.no_grad():
        features = [body(x) for _ in range(spec["epoch_steps"])]
    shape = (spec["batch"], spec["size"], spec["size"]) if pixels else (spec["batch"],)
    target = torch.randint(0, CLASSES, shape)

    def epoch():
        for one in features:
            logits = head([f.clone() for f in one] if pixels else one)
            update(mask_loss(logits, target) if pixels else F.cross_entropy(logits, target))
    epoch()
    seconds = []
    for _ in range(spec["steps"]):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    return {"epoch_s": seconds, "peak_mib": peak()}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(step, spec, images):
    seconds = []
    for _ in range(WARM_UP + spec["steps"]):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return {"images_per_s": [images / s for s in seconds[WARM_UP:]], "first_step_ms": seconds[0] * 1e3, "peak_mib": peak()}


# ---------------------------------------------------------------- the comparison
def lines(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def frozen_tensors(program, model, case, size):
    """Names of the frozen parameters under a freeze plan, as Frostline's presets choose them."""
    found = lines([program, "inspect", model, "--size", str(size), "--classes", str(CLASSES), "--json"])
    nodes = [line for line in found if line["type"] == "node"]
    backbone = [node for node in nodes if node["part"] == "backbone"]
    last = next(node["stage"] for node in reversed(backbone) if node["params"] > 0)
    frozen = {"all": [], "last-stage": [n for n in backbone if n["stage"] != last]}.get(case, backbone)
    return [tensor["name"] for node in frozen for tensor in node["tensors"]]


def frostline(args, model, case, batch, size, threads):
    plan = "head-only" if case == "forward" else case
    command = [args.frostline, "bench", "--model", model, "--freeze", plan, "--batch", batch, "--size", size,
               "--steps", args.steps, "--device", args.device, "--json"]
    env = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    line = lines([str(word) for word in command], env=env, stderr=subprocess.DEVNULL)[-1]
    if case == "forward":
        line["images_per_s"] = batch * 1e3 / line["ms"]["forward"]
        line["images_per_s_range"] = [line["images_per_s"]] * 2
    return line


def torch_side(spec):
    return lines([sys.executable, os.path.abspath(__file__), "--child", json.dumps(spec)])[-1]


def spread(values):
    return [round(min(values), 2), round(max(values), 2)]


def measure(args, name):
    model, case = name.split(":")
    batch, size = usual(model)
    batch, size = args.batch or batch, args.size or size
    spec = {"model": model, "case": case, "batch": batch, "size": size, "steps": args.steps, "threads": args.threads,
            "yolox": args.yolox, "epoch_steps": WARM_UP + args.steps,
            "frozen": [] if case == "forward" else frozen_tensors(args.frostline, model, case, size)}
    theirs, ours = [], []
    for _ in range(args.rounds):
        theirs.append(torch_side(spec))
        if "skipped" in theirs[-1]:
            return {"model": model, "case": case, "skipped": theirs[-1]["skipped"]}
        ours.append(frostline(args, model, case, batch, size, args.threads))
    row = {"model": model, "case": case, "batch": batch, "size": size, "rounds": args.rounds, "steps": args.steps,
           "torch_peak_mib": round(max(t["peak_mib"] for t in theirs)), "frostline_peak_mib": peak_of(ours)}
    if case == "head-only-cached":
        by_hand = [s for t in theirs for s in t["epoch_s"]]
        # Of as many pictures as PyTorch's epoch has.
        own = [line["epoch_s"] / line["epoch_images"] * spec["epoch_steps"] * batch for line in ours]
        loop = torch_side(spec | {"case": "head-only"})["images_per_s"]
        usual_s = spec["epoch_steps"] * batch / statistics.median(loop)
        row |= {"torch_by_hand_s": round(statistics.median(by_hand), 4), "torch_by_hand_range": spread(by_hand),
                "torch_usual_loop_s": round(usual_s, 3), "frostline_s": round(statistics.median(own), 4),
                "frostline_range": spread(own), "ratio": round(statistics.median(by_hand) / statistics.median(own), 3),
                "ratio_to_usual_loop": round(usual_s / statistics.median(own), 1)}
        return row
    speeds = [value for t in theirs for value in t["images_per_s"]]
    own = [line["images_per_s"] for line in ours]
    edges = [value for line in ours for value in line["images_per_s_range"]]
    row |= {"torch": round(statistics.median(speeds), 2), "torch_range": spread(speeds),
            "frostline": round(statistics.median(own), 2), "frostline_range": spread(edges),
            "ratio": round(statistics.median(own) / statistics.median(speeds), 3),
            "ms": {key: round(statistics.median(line["ms"][key] for line in ours), 1) for key in ours[0]["ms"]}}
    if case != "forward":
        row |= {"torch_first_step_ms": round(statistics.median(t["first_step_ms"] for t in theirs)),
                "frostline_first_step_ms": round(statistics.median(line["first_step_ms"] for line in ours))}
    return row


def peak_of(own):
    peaks = [line["peak_mib"] for line in own if line["peak_mib"] is not None]
    return round(max(peaks)) if peaks else None


def shown(row):
    name = f"{row['model']:24} {row['case']:17}"
    if "skipped" in row:
        return f"{name} skipped: {row['skipped']}"
    memory = f"peak {row['torch_peak_mib']} / {row['frostline_peak_mib']} MiB"
    if "torch_by_hand_s" in row:
        return (f"{name} epoch: by hand {row['torch_by_hand_s']} s {row['torch_by_hand_range']}, Frostline {row['frostline_s']} s "
                f"{row['frostline_range']}, ratio {row['ratio']}; usual loop {row['torch_usual_loop_s']} s, "
                f"{row['ratio_to_usual_loop']} times as long; {memory}")
    return (f"{name} {row['batch']:3} @ {row['size']} px: PyTorch {row['torch']:8.2f} {row['torch_range']}, Frostline "
            f"{row['frostline']:8.2f} {row['frostline_range']} images/s, ratio {row['ratio']}; {memory}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frostline", help="the program to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--yolox", help="the unpacked sdist of yolox")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("cases", nargs="*", metavar="MODEL:CASE")
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))), flush=True)
        return
    if not args.frostline:
        parser.error("--frostline is missing")
    for name in args.cases or DEFAULT:
        row = measure(args, name)
        print(json.dumps(row) if args.json else shown(row), flush=True)


if __name__ == "__main__":
    main()
