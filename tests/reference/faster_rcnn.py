"""Parity fixtures of the variants of Faster R-CNN that `../shared/parity` lacks.

    python faster_rcnn.py        with ../../../shared/parity/tools beside fixture.py's needs (torch, torchvision)

Writes tests/fixtures/fasterrcnn_resnet50_fpn_v2.json and fasterrcnn_resnet18_fpn.json. The rule and the form are those of
`../shared/parity/README.md`.
"""
import os
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../shared/parity/tools"))
import fixture as fx  # noqa: E402
import parity_det as det  # noqa: E402


def v2(**kw):
    from torchvision.models.detection import fasterrcnn_resnet50_fpn_v2
    return fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=91, trainable_backbone_layers=5, **kw)


def resnet18(**kw):
    from torchvision.models import resnet18
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.ops.misc import FrozenBatchNorm2d
    return FasterRCNN(_resnet_fpn_extractor(resnet18(norm_layer=FrozenBatchNorm2d), 5), 91, **kw)


def write(name, source, make, scale, grads, cases):
    def build():
        m = make(**det.FRCNN_CFG)
        fx.fill(m, 1.0, scale=scale)
        return m

    def parts(m, dtype):
        images, _ = m.transform(det.det_images(dtype))
        feats = m.backbone(images.tensors)
        out = {f"fpn.{k}": v for k, v in feats.items()}
        obj, delta = m.rpn.head(list(feats.values()))
        for i, (o, d) in enumerate(zip(obj, delta)):
            out[f"rpn.objectness.{i}"], out[f"rpn.bbox_deltas.{i}"] = o, d
        for i, p in enumerate(m.rpn(images, feats)[0]):
            out[f"rpn.proposals.{i}"] = p
        head = m.roi_heads.box_head(m.roi_heads.box_roi_pool(feats, [torch.tensor(p, dtype=dtype) for p in det.PROPOSALS], images.image_sizes))
        logits, reg = m.roi_heads.box_predictor(head)
        out.update({"fixed.box_head": head, "fixed.class_logits": logits, "fixed.box_regression": reg})
        for i, d in enumerate(m(det.det_images(dtype))):
            out.update({f"detections.{i}.{k}": d[k] for k in ("boxes", "scores", "labels")})
        return out

    def loss(m, dtype):
        for mod in (m, m.transform, m.rpn, m.roi_heads):
            mod.training = True
        keep, torch.randperm = torch.randperm, lambda n, **kw: torch.arange(n)
        try:
            return m(det.det_images(dtype), det.det_targets(dtype))
        finally:
            torch.randperm = keep

    doc = fx.header(name, source, build(), 1.0, scale=scale, cases=[])
    case = fx.eval_case("eval", build, parts, det.DET_INPUT, config=det.FRCNN_CFG, fixed_proposals=det.PROPOSALS)
    det.full_lists(case, parts(build().double().eval(), torch.float64), ("detections", "rpn.proposals"))
    print(name, {k: v["shape"] for k, v in case["tensors"].items() if k.startswith(("detections", "rpn.prop"))})
    doc["cases"] = [case]
    for cname, trainable in cases:
        c = fx.train_case(cname, build, loss, trainable, grads, steps=1)
        doc["cases"].append({**c, "input": det.DET_INPUT, "targets": det.TARGETS, "config": det.FRCNN_CFG})
        print(cname, c["loss"], c.get("loss_parts"), {k: g.get("f32_rel") for k, g in c["grads"].items()})
    fx.OUT = os.path.join(HERE, "../fixtures")
    fx.write(name, doc)


if __name__ == "__main__":
    heads = ["rpn.head.cls_logits.weight", "roi_heads.box_predictor.cls_score.weight", "roi_heads.box_predictor.bbox_pred.bias"]
    write("fasterrcnn_resnet18_fpn", "torchvision's FasterRCNN on resnet18 with FrozenBatchNorm2d (eps 1e-5), num_classes=91", resnet18, det.FRCNN_SCALE,
          ["backbone.body.layer4.1.conv2.weight", "backbone.fpn.inner_blocks.3.0.weight", "rpn.head.conv.0.0.weight", "roi_heads.box_head.fc7.weight"] + heads,
          [("train_last", ["backbone.body.layer4", "backbone.fpn", "rpn", "roi_heads"])])
    write("fasterrcnn_resnet50_fpn_v2", "torchvision.models.detection.fasterrcnn_resnet50_fpn_v2, num_classes=91", v2, det.FRCNN_SCALE,
          ["backbone.fpn.inner_blocks.3.0.weight", "backbone.fpn.layer_blocks.0.1.weight", "rpn.head.conv.1.0.weight",
           "roi_heads.box_head.0.0.weight", "roi_heads.box_head.3.1.bias", "roi_heads.box_head.5.weight"] + heads,
          [("train_heads", ["backbone.fpn", "rpn", "roi_heads"])])
