//! The graph alone against the built module, a real forward pass and published numbers, for every model of the zoo.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use burn::tensor::{Device, Tensor};
use frostline::graph::{
    BnPolicy, FreezePlan, Frontier, NodeState, Preprocess, Preset, Resize, Shape, TensorSpec, ValueId,
};
use frostline::models::{Accuracy, Mode, ModelTask, Network, catalogue, find};
use frostline::nn::{Ctx, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[test]
fn shapes_and_tensors_are_those_of_the_built_module_and_a_real_forward() {
    for variant in catalogue() {
        let graph = Arc::new(variant.graph(7, 64).unwrap());
        let facts = graph.facts().unwrap();
        if facts.params() > 200_000_000 {
            // Gigabytes of the same blocks as in the smaller forms.
            continue;
        }
        let zeros = |spec: &TensorSpec| vec![0.0; spec.numel() as usize];
        let network = Network::filled(Arc::clone(&graph), &zeros, &Device::flex()).unwrap();
        let tensors = network.tensors_where(|_, spec| spec.numel() < 10_000_000).unwrap();
        let wanted: Vec<_> = facts.tensors().filter(|spec| spec.numel() < 10_000_000).collect();
        assert_eq!(tensors.len(), wanted.len(), "{}", variant.name);
        for (have, want) in tensors.iter().zip(wanted) {
            assert_eq!((&have.spec.name, have.values.len() as u64), (&want.name, want.numel()), "{}", variant.name);
        }
        let images = Tensor::<4>::zeros([2, 3, 64, 64], &Device::flex());
        let wanted: Vec<_> = graph.ids().collect();
        let given = BTreeMap::new();
        let outputs =
            network.inference().run(&[Value::Map(images)], &given, &wanted, Mode::Infer, &mut Ctx::default()).unwrap();
        for (id, output) in wanted.iter().zip(outputs) {
            let signal = &facts.node(*id).output;
            let expected = match &signal.shape {
                // As many regions as the pictures have at most, each with the axes that the graph says.
                shape if signal.count > 1 || matches!(shape, Shape::Regions { .. }) => {
                    let first = output.dims()[0][0];
                    assert!(first <= 2 * signal.count.max(shape.dims()[0]), "{} regions", variant.name);
                    let own = if signal.count > 1 { shape.dims() } else { vec![4] };
                    vec![[vec![first], own].concat()]
                }
                Shape::Asking { count, map: [c, h, w] } => vec![vec![2, *count, *c], vec![2, *c, *h, *w]],
                Shape::Pyramid { levels } => levels.iter().map(|[c, h, w]| vec![2, *c, *h, *w]).collect(),
                shape => vec![[vec![2], shape.dims()].concat()],
            };
            assert_eq!(output.dims(), expected, "{} {}", variant.name, graph.node(*id).path);
        }
    }
}

/// torchvision's word on its classifiers (`tests/fixtures/torchvision_zoo.py`).
fn published() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/torchvision_zoo.json");
    serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(path).unwrap()).unwrap()["models"].take()
}

#[test]
fn the_record_of_what_is_computed_reads_only_what_was_made_and_uses_every_tensor_once() {
    for variant in catalogue() {
        let graph = variant.graph(7, 64).unwrap();
        let facts = graph.facts().unwrap();
        let mut made: BTreeSet<ValueId> = (0..graph.inputs.len()).map(ValueId).collect();
        for layer in facts.layers() {
            assert!(layer.inputs.iter().all(|input| made.contains(input)), "{}: {layer:?}", variant.name);
            assert!(made.insert(layer.value), "{}: {layer:?}", variant.name);
        }
        for head in &graph.heads {
            assert!(made.contains(&facts.node(head.output).output.value), "{}", variant.name);
        }
        let used: Vec<&String> = facts.layers().flat_map(|layer| &layer.tensors).collect();
        let held: Vec<&String> = facts.tensors().map(|tensor| &tensor.name).collect();
        assert_eq!(used, held, "{}", variant.name);
    }
}

#[test]
fn parameters_and_multiply_adds_are_the_published_ones() {
    let mut checked = 0;
    for (name, entries) in published().as_object().unwrap() {
        let Ok(variant) = find(name) else { panic!("{name} is missing") };
        let facts = variant.published().unwrap().facts().unwrap();
        let published = &entries[0];
        assert_eq!(facts.params(), published["params"].as_u64().unwrap(), "{name}");
        // Published to a thousandth.
        let giga = facts.macs() as f64 / 1e9;
        assert!((giga - published["gmacs"].as_f64().unwrap()).abs() <= 0.000_51, "{name}: {giga}");
        checked += 1;
    }
    assert_eq!(checked, 16, "models");
}

#[test]
fn detectors_have_the_published_size_and_cost() {
    // Megvii's table: million parameters, and floating-point operations in billions, two for each multiply-add; norms
    // and activations count there too, so that ours are a little fewer.
    let table =
        [("yolox_nano", 0.91, 1.08), ("yolox_tiny", 5.06, 6.45), ("yolox_s", 9.0, 26.8), ("yolox_m", 25.3, 73.8)];
    for (name, params, giga) in table {
        let variant = find(name).unwrap();
        let facts = variant.published().unwrap().facts().unwrap();
        assert_eq!(facts.params(), variant.weights[0].params, "{name}");
        assert!((facts.params() as f64 / 1e6 / params - 1.0).abs() < 0.006, "{name}: {}", facts.params());
        let ours = facts.macs() as f64 * 2.0 / 1e9;
        assert!(ours <= giga && ours > 0.93 * giga, "{name}: {ours} of {giga}");
    }
}

#[test]
fn public_weights_are_torchvisions() {
    let published = published();
    for variant in catalogue() {
        let Some(entries) = published[variant.name].as_array() else {
            // The detectors' are looked at in tests/detect_regions.rs.
            let others = variant.task != ModelTask::Classify || variant.weights.is_empty();
            assert!(others, "{} is not torchvision's", variant.name);
            continue;
        };
        assert_eq!(entries.len(), variant.weights.len(), "{}", variant.name);
        assert_eq!(variant.weights[0].preprocess, variant.preprocess);
        for (ours, theirs) in variant.weights.iter().zip(entries) {
            assert_eq!((ours.name, ours.url), (theirs["name"].as_str().unwrap(), theirs["url"].as_str().unwrap()));
            assert!(ours.url.ends_with(&format!("/{}", ours.file)) && ours.hash_prefix().is_some(), "{}", ours.url);
            let number = |key: &str| theirs[key].as_f64().unwrap();
            assert_eq!(
                (ours.params as f64, ours.size_mib, ours.accuracy),
                (number("params"), Some(number("mib")), Accuracy::Top1(number("top1")))
            );
            let three = |key: &str| std::array::from_fn(|i| theirs[key][i].as_f64().unwrap() as f32);
            let rule = Preprocess {
                size: [number("crop") as u32; 2],
                resize: Resize::ShorterThenCrop { shorter_px: number("resize") as u32 },
                interpolation: serde_json::from_value(theirs["interpolation"].clone()).unwrap(),
                mean: three("mean"),
                std: three("std"),
                ..Preprocess::imagenet(224)
            };
            assert_eq!(ours.preprocess, rule, "{} {}", variant.name, ours.name);
        }
    }
}

#[test]
fn receptive_field_of_resnet18_is_the_known_435_pixels() {
    // Araujo et al. 2019, "Computing receptive fields of convolutional neural networks", table 1: ResNet-v1-50 483 px
    // with the stride in the first 1×1; torchvision's form of ResNet-18 gives 435 px by the same formula.
    let graph = find("resnet18").unwrap().graph(2, 224).unwrap();
    let facts = graph.facts().unwrap();
    let last = facts.node(graph.find("layer4.1").unwrap());
    assert_eq!((last.output.receptive_px, last.output.stride_px), (435, 32));
    assert_eq!(last.output.shape, Shape::map(512, 7, 7));
}

#[test]
fn presets_freeze_what_they_say() {
    let graph = find("resnet18").unwrap().graph(2, 224).unwrap();
    let facts = graph.facts().unwrap();
    let of = |preset: &Preset| {
        let plan = FreezePlan::preset(&graph, preset).unwrap();
        Frontier::of(&graph, &facts, &plan)
    };
    let fc = 512 * 2 + 2;
    assert_eq!(of(&Preset::HeadOnly).trainable, fc);
    assert_eq!(of(&Preset::LastStageAndHead).trainable, 8_393_728 + fc); // layer4 as in the parity fixture, less its fc
    assert_eq!(of(&Preset::Everything).trainable, facts.params());
    let until = of(&Preset::Until("layer2".to_owned()));
    let state = |path: &str| until.state(graph.find(path).unwrap());
    assert_eq!(state("layer2.1"), NodeState::Prefix);
    assert_eq!(state("layer3.0"), NodeState::Trains);
    assert_eq!(until.cut, [(graph.find("layer2.1").unwrap(), graph.find("layer3.0").unwrap())]);
    assert!(FreezePlan::parse(&graph, "until:layer9").unwrap_err().to_string().contains("layer9"));
}

#[test]
fn an_island_is_no_prefix_and_costs_an_input_gradient() {
    let graph = find("resnet18").unwrap().graph(2, 224).unwrap();
    let facts = graph.facts().unwrap();
    let mut plan = FreezePlan::default();
    plan.set_stage(&graph, "layer2", true);
    let frontier = Frontier::of(&graph, &facts, &plan);
    let id = graph.find("layer2.0").unwrap();
    assert_eq!(frontier.state(id), NodeState::Island);
    let all = Frontier::of(&graph, &facts, &FreezePlan::default());
    // An island saves its weight gradient, which costs as much as its forward pass, and nothing else.
    let layer2: u64 = graph.select("layer2").unwrap().iter().map(|&id| facts.node(id).macs).sum();
    assert_eq!(all.step_macs - frontier.step_macs, layer2);
    assert_eq!(all.kept_bytes, frontier.kept_bytes);
    plan.bn.insert("layer2.0".to_owned(), BnPolicy::Train);
    assert_eq!(Frontier::of(&graph, &facts, &plan).state(id), NodeState::Island);
}

#[test]
fn batch_norm_policies_choose_what_trains() {
    let graph = find("resnet18").unwrap().graph(2, 224).unwrap();
    let facts = graph.facts().unwrap();
    let mut plan = FreezePlan::default();
    let trainable = |plan: &FreezePlan| Frontier::of(&graph, &facts, plan).trainable;
    let before = trainable(&plan);
    plan.bn.insert("stem".to_owned(), BnPolicy::Affine);
    assert_eq!(trainable(&plan), before);
    plan.bn.insert("stem".to_owned(), BnPolicy::Stored);
    assert_eq!(trainable(&plan), before - 128);
}
