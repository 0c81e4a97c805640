"""Writes tests/fixtures/surgery.json and the checkpoints beside it: a small classifier of torch's, whose head knows four
classes by name. Run with PyTorch 2: python tests/reference/surgery.py"""

import json
import pathlib
from collections import OrderedDict

import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(20)
FOLDER = pathlib.Path(__file__).parent.parent / "fixtures"
CLASSES = ["ant", "bee", "Paper_Wasp", "hornet, yellow jacket"]


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.fc = nn.Linear(6, len(CLASSES))

    def forward(self, x):
        return self.fc(self.stem(x).mean((2, 3)))


model = Small()
model.train()
with torch.no_grad():
    for _ in range(3):  # Statistics that are not those of a new network.
        model(torch.randn(8, 3, 16, 16))
model.eval()
x = torch.linspace(-2, 2, 3 * 16 * 16).reshape(1, 3, 16, 16)
with torch.no_grad():
    logits = model(x)
state = model.state_dict()
plain = OrderedDict((name, tensor.clone()) for name, tensor in state.items())
torch.save({"state_dict": plain, "class_names": CLASSES, "epoch": 3}, FOLDER / "files" / "surgery_names.pth")
ids = {name: i for i, name in enumerate(CLASSES)}
torch.save({"model": plain, "meta": {"class_to_idx": ids}}, FOLDER / "files" / "surgery_idx.pth")
torch.save({"model": plain, "idx_to_class": dict(enumerate(CLASSES))}, FOLDER / "files" / "surgery_ints.pth")
torch.save(plain, FOLDER / "files" / "surgery_nameless.pth")
fixture = {
    "torch": torch.__version__,
    "classes": CLASSES,
    "weight": state["fc.weight"].tolist(),
    "bias": state["fc.bias"].tolist(),
    "logits": logits[0].tolist(),
}
(FOLDER / "surgery.json").write_text(json.dumps(fixture, indent=1) + "\n")
