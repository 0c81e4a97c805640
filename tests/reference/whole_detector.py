"""A stand-in for a whole yolov8n model as its publisher's program saves it, without that program: modules of the names that
such files hold, every tensor a view of one zero in half precision.

    python whole_detector.py ../shared/parity/yolov8n.json tests/fixtures/files/zip_whole_detector.pt
"""
import json, sys, types
import torch

fixture = json.load(open(sys.argv[1]))

def klass(module, name):
    parts = module.split(".")
    for i in range(1, len(parts) + 1):
        path = ".".join(parts[:i])
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)
            if i > 1:
                setattr(sys.modules[".".join(parts[:i - 1])], parts[i - 1], sys.modules[path])
    if not hasattr(sys.modules[module], name):
        setattr(sys.modules[module], name, type(name, (torch.nn.Module,), {"__module__": module}))
    return getattr(sys.modules[module], name)

zero = torch.zeros(1, dtype=torch.float16)
count = torch.zeros((), dtype=torch.int64)
Model = klass("ultralytics.nn.tasks", "DetectionModel")
Part = klass("ultralytics.nn.modules.block", "C2f")
root = Model()
for key, shape, dtype in fixture["state_dict"]:
    module = root
    *path, leaf = key.split(".")
    for name in path:
        if name not in module._modules:
            module.add_module(name, Part())
        module = module._modules[name]
    if dtype == "int64":
        module.register_buffer(leaf, count)
    elif leaf.startswith("running"):
        module.register_buffer(leaf, zero.expand(shape))
    else:
        module.register_parameter(leaf, torch.nn.Parameter(zero.expand(shape), requires_grad=False))
root.names = {i: f"thing {i}" for i in range(80)}
root.stride = torch.tensor([8.0, 16.0, 32.0])
root.yaml = {"nc": 80, "scale": "n"}
torch.save({"epoch": -1, "best_fitness": None, "model": root, "ema": None, "updates": None, "optimizer": None,
            "train_args": {"imgsz": 640}, "date": "2023-01-01", "version": "8.0.0"}, sys.argv[2])
