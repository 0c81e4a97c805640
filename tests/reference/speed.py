"""PyTorch's numbers for the cases of tests/speed.rs: python speed.py [PART OF A NAME] [REPETITIONS]

Two threads, f32, eager, NCHW; a step is forward, loss, backward and SGD with momentum. What is frozen runs under no_grad where
nothing before it trains, with batch norm in eval mode. Needs ../../../shared/parity/tools (torch, torchvision,
segmentation_models_pytorch, YOLOX's code) or PYTHONPATH. One process for all cases: peak memory is that of the run so far.
"""
import os
import resource
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/parity/tools"))
import torch  # noqa: E402
import torchvision  # noqa: E402

torch.set_num_threads(2)


def classifier(name, trains, batch=16):
    m = getattr(torchvision.models, name)(weights=None, num_classes=10)
    head = "fc" if name.startswith("resnet") else "classifier"
    body = torch.nn.Sequential(*list(m.children())[:-1], torch.nn.Flatten()) if head == "fc" else torch.nn.Sequential(m.features, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    parts = {"forward": [], "all": [m], "last": [getattr(m, "layer4", None), getattr(m, head)], "head": [getattr(m, head)]}[trains]

    def forward(x):
        if trains != "head":
            return m(x)
        with torch.no_grad():
            f = body(x)
        return getattr(m, head)(f)
    return m, parts, forward, torch.randn(batch, 3, 224, 224)


def unet(trains):
    from parity import smp_unet
    m = smp_unet("resnet18")
    parts = [m] if trains == "all" else [m.decoder, m.segmentation_head]

    def forward(x):
        if trains == "all":
            return m(x)
        with torch.no_grad():
            features = m.encoder(x)
        try:
            return m.segmentation_head(m.decoder(features))
        except TypeError:
            return m.segmentation_head(m.decoder(*features))
    return m, parts, forward, torch.randn(4, 3, 256, 256)


def unet_small():
    from parity import UNet
    m = UNet(3, 10, base=32)
    return m, [m], m, torch.randn(4, 3, 256, 256)


def yolox(trains):
    from bench_torch import REF
    sys.path.insert(0, os.path.join(REF, "yolox-0.3.0"))
    from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead
    c = [256, 512, 1024]
    m = YOLOX(YOLOPAFPN(0.33, 0.25, in_channels=c, depthwise=True), YOLOXHead(10, 0.25, in_channels=c, depthwise=True))
    neck, head = m.backbone, m.head
    parts = [] if trains == "forward" else [module for name, module in neck.named_children() if name != "backbone"] + [head]

    def forward(x):
        if trains == "forward":
            return m(x)
        with torch.no_grad():
            features = neck.backbone(x)
        x2, x1, x0 = [features[f] for f in neck.in_features]
        fpn_out0 = neck.lateral_conv0(x0)
        f_out0 = neck.C3_p4(torch.cat([neck.upsample(fpn_out0), x1], 1))
        fpn_out1 = neck.reduce_conv1(f_out0)
        pan_out2 = neck.C3_p3(torch.cat([neck.upsample(fpn_out1), x2], 1))
        pan_out1 = neck.C3_n3(torch.cat([neck.bu_conv2(pan_out2), fpn_out1], 1))
        pan_out0 = neck.C3_n4(torch.cat([neck.bu_conv1(pan_out1), fpn_out0], 1))
        out = []
        for k, f in enumerate((pan_out2, pan_out1, pan_out0)):
            f = head.stems[k](f)
            of_class, of_box = head.cls_convs[k](f), head.reg_convs[k](f)
            out += [head.cls_preds[k](of_class), head.reg_preds[k](of_box), head.obj_preds[k](of_box)]
        return torch.cat([o.flatten() for o in out])
    return m, parts, forward, torch.randn(8, 3, 416, 416)


CASES = {f"{name} {trains}": (lambda name=name, trains=trains: classifier(name, trains))
         for name, all_trains in (("resnet18", ("forward", "all", "last", "head")), ("mobilenet_v2", ("forward", "all", "head"))) for trains in all_trains}
CASES |= {"unet_resnet18 all": lambda: unet("all"), "unet_resnet18 decoder": lambda: unet("decoder"), "unet_small all": unet_small,
          "yolox_nano forward": lambda: yolox("forward"), "yolox_nano neck+head": lambda: yolox("neck+head")}


def measure(name, make, repetitions):
    torch.manual_seed(0)
    m, parts, forward, x = make()
    m.eval()
    for parameter in m.parameters():
        parameter.requires_grad_(False)
    for part in parts:
        part.train()
        for parameter in part.parameters():
            parameter.requires_grad_(True)
    trained = [parameter for parameter in m.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-6, momentum=0.9, weight_decay=1e-4) if trained else None
    times = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        if optimizer:
            optimizer.zero_grad(set_to_none=True)
            forward(x).square().mean().backward()
            optimizer.step()
        else:
            with torch.no_grad():
                forward(x)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name}: {len(x) / seconds:.2f} images/s, {seconds:.4f} s, peak memory {peak} MB", flush=True)


part = sys.argv[1] if len(sys.argv) > 1 else ""
for case, make in CASES.items():
    if part in case:
        measure(case, make, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
