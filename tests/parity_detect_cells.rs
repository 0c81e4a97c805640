//! One-stage detectors against PyTorch: forward pass, decoding, losses and gradients under three freeze plans
//! (`tests/fixtures/yolox_nano.json`), overlaps of boxes (`ops_boxes.json`) and the focal loss (`ops_losses.json`).
//! Tolerances: `../shared/parity/README.md`; the greatest errors are printed as `PARITY ...` with `--nocapture`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::grads::{gradients, training};
use common::{filled, floats, samples, uniform, usizes};
use frostline::graph::NodeId;
use frostline::models::{Mode, Network, find};
use frostline::nn::boxes::{Overlap, overlap, overlap_matrix};
use frostline::nn::{Ctx, Object, Value, loss};
use frostline::train::detection;
use serde_json::Value as Json;
use std::collections::BTreeMap;

fn fixture(name: &str) -> Json {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn network(fixture: &Json) -> Network {
    filled(find(fixture["model"].as_str().unwrap()).unwrap().published().unwrap(), fixture)
}

fn case<'a>(fixture: &'a Json, name: &str) -> &'a Json {
    fixture["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap()
}

fn described(description: &Json) -> Vec<f32> {
    let count = usizes(&description["shape"]).iter().product();
    let (lo, hi) = (description["lo"].as_f64().unwrap(), description["hi"].as_f64().unwrap());
    uniform(description["key"].as_str().unwrap(), count, lo, hi)
}

fn images(case: &Json) -> Tensor<4> {
    let description = &case["input"];
    Tensor::from_data(TensorData::new(described(description), usizes(&description["shape"])), &Device::flex())
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner().into_data().try_to_vec::<f32>().unwrap()
}

/// Compares the samples of a tensor; the error as a share of the tolerance `1e-4 std + 20 f32_err`.
fn compare(who: &str, ours: &[f32], reference: &Json) -> f64 {
    assert_eq!(ours.len(), usizes(&reference["shape"]).iter().product::<usize>(), "{who}");
    let tolerance = 1e-4 * reference["std"].as_f64().unwrap() + 20.0 * reference["f32_err"].as_f64().unwrap_or(0.0);
    let (indices, wanted) = samples(reference);
    let error = indices.iter().zip(wanted).map(|(&i, want)| (f64::from(ours[i]) - want).abs()).fold(0.0, f64::max);
    println!("{who}: {error:.2e} (tolerance {tolerance:.2e})");
    assert!(error <= tolerance, "{who}: {error:.2e}, tolerance {tolerance:.2e}");
    error / tolerance
}

fn relative(ours: &[f64], theirs: &[f64]) -> f64 {
    let sum = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let difference = sum(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
    (difference / sum(&mut theirs.iter().copied()).max(1e-30)).sqrt()
}

/// What the nodes of these paths give.
fn taps(network: &Network, case: &Json, paths: &[&str]) -> Vec<Value> {
    let graph = network.graph();
    let wanted: Vec<NodeId> = paths.iter().map(|path| graph.find(path).unwrap_or_else(|| panic!("{path}"))).collect();
    let inputs = [Value::Map(images(case))];
    network.inference().run(&inputs, &BTreeMap::new(), &wanted, Mode::Infer, &mut Ctx::default()).unwrap()
}

/// What the heads say of each cell.
fn decoded(network: &Network, case: &Json) -> Vec<f32> {
    let outputs = network.inference().forward(images(case), Mode::Infer, &mut Ctx::default()).unwrap();
    numbers(detection::decoded(network.graph().detector.as_ref().unwrap(), &outputs).unwrap())
}

/// The objects of a training case: rows of picture, class, center and size.
fn objects(case: &Json) -> Vec<Vec<Object>> {
    let mut all = vec![Vec::new(); usizes(&case["input"]["shape"])[0]];
    for row in case["targets"].as_array().unwrap() {
        let [picture, class, x, y, w, h] = floats(row)[..] else { panic!("{row}") };
        let xyxy = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0].map(|side| side as f32);
        all[picture as usize].push(Object { class: class as usize, xyxy, crowd: false });
    }
    all
}

/// Loss terms (named in the fixture in the order of the heads, `parts`), gradients and statistics of a training step.
fn check_training(fixture: &Json, name: &str, parts: &[&[&str]], no_gradient: u64) {
    let (case, who) = (case(fixture, name), format!("{} {name}", fixture["model"]));
    let mut network = network(fixture);
    let prefixes: Vec<&str> = case["trainable"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    network.set_plan(&training(&network, &prefixes));
    let trainable = case["trainable_params"].as_u64().unwrap() - no_gradient;
    assert_eq!(network.frontier().trainable, trainable, "{who}");
    let mut ctx = Ctx::default();
    ctx.pictures.objects = Some(objects(case));
    let outputs = network.forward(images(case), Mode::Train, &mut ctx).unwrap();
    let detector = network.graph().detector.clone().unwrap();
    let terms = detection::losses(&detector, &outputs, &ctx).unwrap();
    assert_eq!(terms.len(), parts.len());
    let total = terms.iter().cloned().reduce(|sum, term| sum + term).unwrap();
    let slack = (case["sgd_losses_f32"][0].as_f64().unwrap() - case["loss"].as_f64().unwrap()).abs();
    let wanted = parts.iter().map(|names| names.iter().map(|n| case["loss_parts"][*n].as_f64().unwrap()).sum::<f64>());
    let wanted: Vec<f64> = wanted.chain([case["loss"].as_f64().unwrap()]).collect();
    for (term, want) in terms.into_iter().chain([total.clone()]).zip(wanted) {
        let ours = f64::from(numbers(term)[0]);
        println!("{who} loss {ours} and {want}");
        assert!((ours - want).abs() <= 1e-4 * want + 20.0 * slack, "{who}: {ours} and not {want}");
    }
    let grads = total.backward();
    network.apply_statistics(ctx);
    let see = gradients(&network, &grads, &case["grads"]);
    assert_eq!(see.count, trainable, "{who}: gradients of what trains and nothing else");
    let mut worst = 0.0_f64;
    for (name, reference) in case["grads"].as_object().unwrap() {
        let (indices, wanted) = samples(reference);
        let ours: Vec<f64> = indices.iter().map(|&i| f64::from(see.found[name][i])).collect();
        let (error, tolerance) = (relative(&ours, &wanted), 20.0 * reference["f32_rel"].as_f64().unwrap() + 1e-3);
        println!("{who} gradient {name}: {error:.2e} (tolerance {tolerance:.2e})");
        assert!(error <= tolerance, "{who} gradient {name}: {error:.2e}, tolerance {tolerance:.2e}");
        worst = worst.max(error);
    }
    for (name, reference) in case["running_after_1_forward"].as_object().unwrap() {
        let tensors = network.tensors_where(|_, spec| spec.name == *name).unwrap();
        let ours: Vec<f64> = tensors[0].values.iter().map(|&x| f64::from(x)).collect();
        let error = relative(&ours, &floats(&reference["val"]));
        assert!(error < 1e-4, "{who} {name}: {error:.2e}");
    }
    println!("PARITY {who}: gradients {worst:.1e} relative");
}

#[test]
fn the_forward_pass_with_sim_ota_heads_is_torchs() {
    let fixture = fixture("yolox_nano.json");
    let network = network(&fixture);
    let case = case(&fixture, "eval_160");
    let tensors = case["tensors"].as_object().unwrap();
    let of = |tap: &str| {
        tap.strip_prefix("backbone.backbone.").or(tap.strip_prefix("head.")).map(|path| match path {
            "dark2" | "dark3" | "dark4" => format!("{path}.1"),
            "dark5" => "dark5.2".to_owned(),
            other => other.to_owned(),
        })
    };
    let pafpn = |tap: &str| ["C3_p3", "C3_n3", "C3_n4"][tap.rsplit('.').next().unwrap().parse::<usize>().unwrap()];
    let names: Vec<&String> = tensors.keys().filter(|name| *name != "output_decoded").collect();
    let paths: Vec<String> = names.iter().map(|name| of(name).unwrap_or_else(|| pafpn(name).to_owned())).collect();
    let outputs = taps(&network, case, &paths.iter().map(String::as_str).collect::<Vec<_>>());
    let mut worst = 0.0_f64;
    for (name, output) in names.iter().zip(outputs) {
        worst = worst.max(compare(name, &numbers(output.map().unwrap()), &tensors[*name]));
    }
    worst = worst.max(compare("decoded", &decoded(&network, case), &tensors["output_decoded"]));
    println!("PARITY {}: forward {worst:.4} of the tolerance", fixture["model"]);
    assert_eq!(names.len(), 17);
}

#[test]
fn the_losses_and_gradients_of_sim_ota_are_torchs() {
    let fixture = fixture("yolox_nano.json");
    for name in ["train_all", "train_head", "train_last"] {
        check_training(&fixture, name, &[&["cls_loss"], &["iou_loss"], &["conf_loss"]], 0);
    }
}

/// yolox 0.3.0 in float64 on the fixture's network with stored statistics (`tests/reference/sim_ota.py`).
#[test]
fn the_distance_of_the_last_epochs_and_pictures_without_objects_count_as_torch_has_it() {
    let fixture = fixture("yolox_nano.json");
    let (network, case) = (network(&fixture), case(&fixture, "train_all"));
    let outputs = network.inference().forward(images(case), Mode::Infer, &mut Ctx::default()).unwrap();
    let losses = |objects: Vec<Vec<Object>>, closing: bool| {
        let mut ctx = Ctx::default();
        (ctx.pictures.objects, ctx.pictures.closing) = (Some(objects), closing);
        let terms = detection::losses(network.graph().detector.as_ref().unwrap(), &outputs, &ctx).unwrap();
        terms.into_iter().map(|term| f64::from(numbers(term)[0])).collect::<Vec<f64>>()
    };
    let mut first_only = objects(case);
    first_only[1].clear();
    for (ours, wanted) in [
        (losses(objects(case), false), [59.128_455_36, 4.997_534_91, 184.427_363_28]),
        (losses(objects(case), true), [59.128_455_36, 4.997_534_91 + 6.691_460_36, 184.427_363_28]),
        (losses(first_only, false), [59.885_645_94, 4.996_310_83, 275.282_726_57]),
    ] {
        let close = ours.iter().zip(wanted).all(|(have, want)| (have - want).abs() < 1e-5 * want);
        assert!(close, "{ours:?} and not {wanted:?}");
    }
}

#[test]
fn the_forward_pass_with_task_aligned_heads_is_torchs() {
    let fixture = fixture("yolov8n.json");
    let network = network(&fixture);
    let case = case(&fixture, "eval_160");
    let tensors = case["tensors"].as_object().unwrap();
    let names: Vec<&str> = tensors.keys().map(String::as_str).filter(|name| name.starts_with("model.")).collect();
    let mut worst = 0.0_f64;
    for (name, output) in names.iter().zip(taps(&network, case, &names)) {
        worst = worst.max(compare(name, &numbers(output.map().unwrap()), &tensors[*name]));
    }
    assert_eq!(names.len(), 10);
    // PyTorch has the cells of all levels along the last axis.
    for (name, tap) in [("class.levels", "raw_scores"), ("box.levels", "raw_boxes")] {
        let maps = taps(&network, case, &[name])[0].pyramid().unwrap();
        let rows = Tensor::cat(maps.into_iter().map(|map| map.flatten::<3>(2, 3)).collect(), 2);
        worst = worst.max(compare(tap, &numbers(rows), &tensors[tap]));
    }
    let shape = [2, 525, 84];
    let rows = Tensor::<3>::from_data(TensorData::new(decoded(&network, case), shape), &Device::flex());
    worst = worst.max(compare("decoded", &numbers(rows.swap_dims(1, 2)), &tensors["output_decoded"]));
    println!("PARITY {}: forward {worst:.4} of the tolerance", fixture["model"]);
}

#[test]
fn the_losses_and_gradients_of_task_alignment_are_torchs() {
    let fixture = fixture("yolov8n.json");
    for name in ["train_all", "train_head", "train_last"] {
        // The sixteen constants of the distances are counted there.
        check_training(&fixture, name, &[&["cls"], &["box", "dfl"]], 16);
    }
}

fn table(json: &Json) -> Tensor<2> {
    let rows: Vec<Vec<f64>> = json.as_array().unwrap().iter().map(floats).collect();
    let shape = [rows.len(), rows[0].len()];
    let values: Vec<f32> = rows.concat().into_iter().map(|x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

#[test]
fn overlaps_of_boxes_and_their_gradients_are_torchvisions() {
    let mut checked = 0;
    for case in fixture("ops_boxes.json")["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let kind = match name.trim_end_matches("_loss") {
            "box_iou" => Overlap::Iou,
            "generalized_box_iou" => Overlap::Giou,
            "distance_box_iou" => Overlap::Diou,
            "complete_box_iou" => Overlap::Ciou,
            _ => continue,
        };
        checked += 1;
        if !name.ends_with("_loss") {
            let ours = numbers(overlap_matrix(&table(&case["a"]), &table(&case["b"]), kind, 1e-7));
            let wanted = case["out"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
            for (have, want) in ours.iter().zip(wanted) {
                // torchvision divides nothing by nothing for two boxes without area; here that is no overlap.
                match want.as_f64() {
                    Some(want) => assert!((f64::from(*have) - want).abs() < 2e-6, "{name}: {have} and not {want}"),
                    None => assert!(have.is_finite(), "{name}: {have}"),
                }
            }
            continue;
        }
        let a = table(&case["a"]).autodiff().require_grad();
        let losses = overlap(&a, &table(&case["b"]).autodiff(), kind, 1e-7).neg().add_scalar(1.0);
        let grads = losses.clone().sum().backward();
        let close = |ours: &[f32], wanted: &[f64], what: &str| {
            for (have, want) in ours.iter().zip(wanted) {
                assert!((f64::from(*have) - want).abs() < 2e-6, "{name} {what}: {ours:?} and not {wanted:?}");
            }
        };
        close(&numbers(losses), &floats(&case["out"]), "loss");
        let wanted: Vec<f64> = case["grad_a"].as_array().unwrap().iter().flat_map(floats).collect();
        close(&a.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap(), &wanted, "gradient");
    }
    assert_eq!(checked, 7);
}

#[test]
fn the_focal_loss_and_its_gradient_are_torchvisions() {
    let mut checked = 0;
    for case in fixture("ops_losses.json")["cases"].as_array().unwrap() {
        let (args, reduction) = (&case["args"], case["args"]["reduction"].as_str().unwrap_or("mean"));
        if case["name"] != "sigmoid_focal_loss" {
            continue;
        }
        let shape = usizes(&case["in"]["logits"]["shape"]);
        let data = TensorData::new(described(&case["in"]["logits"]), shape.clone());
        let logits = Tensor::<2>::from_data(data, &Device::flex()).autodiff().require_grad();
        let targets = common::integers("target", shape.iter().product(), 2);
        let targets: Vec<f32> = targets.into_iter().map(|x| x as f32).collect();
        let targets = Tensor::<2>::from_data(TensorData::new(targets, shape.clone()), &Device::flex()).autodiff();
        let alpha = args["alpha"].as_f64().filter(|alpha| *alpha >= 0.0);
        let each = loss::focal(logits.clone(), targets, alpha, args["gamma"].as_f64().unwrap());
        // The gradient of a loss for each value is that of its sum weighed by values from the name `w`.
        let weights = Tensor::<2>::from_data(TensorData::new(uniform("w", 24, -1.0, 1.0), shape), &Device::flex());
        let (out, scalar) = match reduction {
            "none" => (numbers(each.clone()), (each * weights.autodiff()).sum()),
            "sum" => (numbers(each.clone().sum()), each.sum() * f64::from(uniform("w", 1, -1.0, 1.0)[0])),
            _ => (numbers(each.clone().mean()), each.mean() * f64::from(uniform("w", 1, -1.0, 1.0)[0])),
        };
        let grads = scalar.backward();
        let grad: Vec<f32> = logits.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
        for (ours, wanted) in [(out, &case["out"]), (grad, &case["grad"]["logits"])] {
            for (have, want) in ours.iter().zip(floats(&wanted["val"])) {
                assert!((f64::from(*have) - want).abs() < 1e-5, "{args}: {have} and not {want}");
            }
        }
        checked += 1;
    }
    assert_eq!(checked, 9);
}
