"""Losses of yolox 0.3.0 (Apache-2.0, unpacked beside `fixture.py` of ../shared/parity/tools) with the L1 term of the last epochs,
and with a picture without objects: the numbers of `tests/parity_detect_cells.rs`.

    python sim_ota.py FOLDER-OF-TOOLS
"""
import sys

sys.path[:0] = [sys.argv[1], f"{sys.argv[1]}/.ref/yolox-0.3.0"]
import fixture as fx
import torch
from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead

channels = [256, 512, 1024]
model = YOLOX(YOLOPAFPN(0.33, 0.25, in_channels=channels, act="silu", depthwise=True),
              YOLOXHead(80, 0.25, in_channels=channels, act="silu", depthwise=True))
for module in model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.eps, module.momentum = 1e-3, 0.03
fx.fill(model, 1.25, scale={"head.reg_preds": 0.5})
model = model.double().eval()
model.training = model.head.training = True
torch.set_default_dtype(torch.float64)
images, _ = fx.input_tensor((2, 3, 160, 160))
BOXES = [[0, 3, 48, 64, 64, 80], [0, 17, 112, 96, 48, 48], [1, 60, 80, 80, 96, 112]]  # image, class, cx, cy, w, h in pixels
for name, boxes, l1 in (("usual", BOXES, False), ("last epochs", BOXES, True), ("second picture empty", BOXES[:2], False)):
    labels = torch.zeros(2, 10, 5)
    for n, (i, *row) in enumerate(boxes):
        labels[i, n] = torch.tensor(row)
    labels = torch.stack([torch.cat([rows[rows.sum(1) > 0], rows[rows.sum(1) == 0]]) for rows in labels])
    model.head.use_l1 = l1
    print(name, {key: float(value) for key, value in model(images.double(), labels).items()})
