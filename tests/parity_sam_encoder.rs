//! Image encoders of promptable networks against PyTorch, block by block: at a small size always, at 1024 px with
//! `FROSTLINE_PARITY_DIR` (`tests/fixtures/sam_vit_b.json`, `mobile_sam.json`). Tolerances: `../shared/parity/README.md`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::grads::gradients;
use common::prompted::{case, compare, described, fixture, numbers, relative};
use common::{filled, samples, usizes};
use frostline::graph::{BlockSpec, FreezePlan, Graph, NodeId, Part, Role, TensorSpec};
use frostline::models::{Mode, Network, find};
use frostline::nn::{Ctx, Value, resize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fixture's encoder for pictures of this size, with tables of that size as the reference has them. What is not the
/// encoder is left out: nothing of it is run.
fn encoder(fixture: &Json, size_px: usize) -> Network {
    let mut graph = find(fixture["model"].as_str().unwrap()).unwrap().graph(1, size_px).unwrap();
    let cells = size_px / 16;
    for node in &mut graph.nodes {
        match &mut node.block {
            BlockSpec::PatchEmbed(block) => block.table = cells,
            BlockSpec::VitBlock(block) if block.window.is_none() => block.table = cells,
            _ => {}
        }
    }
    filled(encoder_alone(graph), fixture)
}

/// Graphs end in heads; here the encoder's features stand for one.
fn encoder_alone(mut graph: Graph) -> Graph {
    let end = graph.find("image_encoder.neck").unwrap();
    graph.nodes.truncate(end.0 + 1);
    graph.nodes[end.0].part = Part::Head("features".to_owned());
    graph.heads.truncate(1);
    graph.heads[0].name = "features".to_owned();
    graph.heads[0].output = end;
    graph.heads[0].kind = frostline::graph::HeadKind::PixelClassify { classes: 256 };
    graph
}

fn tensor(description: &Json) -> Tensor<4> {
    Tensor::from_data(TensorData::new(described(description), usizes(&description["shape"])), &Device::flex())
}

/// Compares what nodes give with the taps of a case, cells row by row where a tap is so; the worst share of the
/// tolerance. Taps inside of a node are left out.
fn check(fixture: &Json, name: &str, size_px: usize) -> usize {
    let case = case(fixture, name);
    let network = encoder(fixture, size_px).inference();
    let graph = network.graph();
    let path = |tap: &str| match tap {
        "image_embedding" => "image_encoder.neck".to_owned(),
        "layers.1" => "image_encoder.layers.1.downsample".to_owned(),
        "layers.2" => "image_encoder.layers.2.downsample".to_owned(),
        "layers.3" => "image_encoder.layers.3.blocks.1".to_owned(),
        tap => format!("image_encoder.{tap}"),
    };
    let taps = case["tensors"].as_object().unwrap().iter();
    let taps: Vec<(&String, &Json, NodeId)> =
        taps.filter_map(|(tap, reference)| Some((tap, reference, graph.find(&path(tap))?))).collect();
    let wanted: Vec<NodeId> = taps.iter().map(|(.., id)| *id).collect();
    let start = std::time::Instant::now();
    let inputs = [Value::Map(tensor(&case["input"]))];
    let outputs = network.run(&inputs, &BTreeMap::new(), &wanted, Mode::Infer, &mut Ctx::default()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let mut worst = 0.0_f64;
    for ((tap, reference, id), output) in taps.iter().zip(outputs) {
        let mut x = output.map().unwrap();
        if matches!(graph.node(*id).block, BlockSpec::PatchEmbed(_)) {
            // Theirs is before the table of positions.
            let [_, depth, height, width] = x.dims();
            let table =
                common::rule_values("image_encoder.pos_embed", &[1, height, width, depth], 1.0, &Default::default());
            let table = Tensor::<4>::from_data(TensorData::new(table, [1, height, width, depth]), &Device::flex());
            x = x - table.permute([0, 3, 1, 2]);
        }
        let last_axis = x.dims().to_vec() != usizes(&reference["shape"]);
        let x = if last_axis { x.permute([0, 2, 3, 1]) } else { x };
        worst = worst.max(compare(&format!("{name} {tap}"), &numbers(x), reference));
    }
    println!("PARITY {} {name}: {worst:.4} of the tolerance in {} taps, {seconds:.1} s", fixture["model"], taps.len());
    taps.len()
}

/// Whether networks at their full size are run.
fn full() -> bool {
    let wanted = std::env::var_os("FROSTLINE_PARITY_DIR").is_some();
    if !wanted {
        println!("SKIPPED: at 1024 px; FROSTLINE_PARITY_DIR=tests/fixtures runs it too");
    }
    wanted
}

#[test]
fn the_plain_transformer_is_segment_anythings() {
    let fixture = fixture("sam_vit_b.json");
    assert_eq!(check(&fixture, "encoder_256", 256), 7);
    if full() {
        assert_eq!(check(&fixture, "encoder_1024", 1024), 7);
    }
}

#[test]
fn the_hybrid_transformer_is_that_of_mobile_sam() {
    let fixture = fixture("mobile_sam.json");
    assert_eq!(check(&fixture, "encoder_256", 256), 10);
    if full() {
        assert_eq!(check(&fixture, "encoder_1024", 1024), 10);
    }
}

#[test]
fn names_shapes_and_sizes_are_those_of_the_checkpoints() {
    for name in ["sam_vit_b", "mobile_sam"] {
        let fixture = fixture(&format!("{name}.json"));
        let facts = find(name).unwrap().published().unwrap().facts().unwrap();
        let mut ours: Vec<_> = facts.tensors().map(|spec| (spec.name.clone(), spec.shape.clone())).collect();
        let mut theirs = common::state_dict(&fixture);
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{name}");
        // A classifier that nothing uses counts there.
        let unused = |spec: &&TensorSpec| spec.role == Role::Constant && !spec.name.ends_with("gaussian_matrix");
        let unused: u64 = facts.tensors().filter(unused).map(TensorSpec::numel).sum();
        assert_eq!(facts.params() + unused, fixture["params"].as_u64().unwrap(), "{name}");
    }
    for name in ["sam_vit_b", "sam_vit_l", "sam_vit_h", "mobile_sam"] {
        let variant = find(name).unwrap();
        assert_eq!(variant.published().unwrap().facts().unwrap().params(), variant.weights[0].params, "{name}");
    }
}

#[test]
fn gradients_through_windows_and_batch_norms_are_torchs() {
    let fixture = fixture("mobile_sam.json");
    let case = case(&fixture, "train_all_256");
    let mut network = encoder(&fixture, 256);
    network.set_plan(&FreezePlan::default());
    // The classifier that nothing uses is trainable there.
    let unused = 320 + 320 + 320 * 1000 + 1000;
    assert_eq!(network.frontier().trainable, case["trainable_params"].as_u64().unwrap() - unused);
    let mut ctx = Ctx::default();
    let outputs = network.forward(tensor(&case["input"]), Mode::Train, &mut ctx).unwrap();
    let error = outputs[0].map().unwrap() - tensor(&case["target"]);
    let loss = (error.clone() * error).mean();
    let (ours, want) = (f64::from(numbers(loss.clone())[0]), case["loss"].as_f64().unwrap());
    assert!((ours - want).abs() <= 1e-4 * want, "{ours} and not {want}");
    let grads = loss.backward();
    let see = gradients(&network, &grads, &case["grads"]);
    assert_eq!(see.count, network.frontier().trainable);
    let mut worst = 0.0_f64;
    for (name, reference) in case["grads"].as_object().unwrap() {
        let (indices, wanted) = samples(reference);
        let ours: Vec<f64> = indices.iter().map(|&i| f64::from(see.found[name][i])).collect();
        let (error, tolerance) = (relative(&ours, &wanted), 20.0 * reference["f32_rel"].as_f64().unwrap() + 1e-3);
        println!("gradient {name}: {error:.2e} (tolerance {tolerance:.2e})");
        assert!(error <= tolerance, "gradient {name}: {error:.2e}, tolerance {tolerance:.2e}");
        worst = worst.max(error / tolerance);
    }
    println!("PARITY mobile_sam: gradients {worst:.4} of the tolerance");
}

#[test]
fn tables_of_positions_are_resized_as_torch_resizes() {
    // torch 2.x: F.interpolate(torch.arange(16.).reshape(1, 1, 4, 4) ** 2, (3, 3), mode="bicubic", antialias=True)
    let squares = (0..16).map(|i| (i * i) as f32).collect::<Vec<_>>();
    let table = Tensor::<4>::from_data(TensorData::new(squares, [1, 1, 4, 4]), &Device::flex());
    let smaller = numbers(resize::bicubic_antialiased(table.clone(), [3, 3]));
    let larger = numbers(resize::bicubic_antialiased(table, [5, 6]));
    let case: Json = serde_json::from_str(include_str!("fixtures/bicubic_antialiased.json")).unwrap();
    for (ours, key) in [(smaller, "smaller"), (larger, "larger")] {
        let wanted = common::floats(&case[key]);
        assert_eq!(ours.len(), wanted.len(), "{key}");
        for (ours, want) in ours.iter().zip(wanted) {
            assert!((f64::from(*ours) - want).abs() < 1e-3, "{key}: {ours} and not {want}");
        }
    }
}

#[test]
fn a_picture_of_another_size_goes_through_the_published_tables() {
    let network =
        Network::new(Arc::new(find("mobile_sam").unwrap().graph(1, 96).unwrap()), 1, &Device::flex()).unwrap();
    let images = Tensor::<4>::zeros([2, 3, 96, 96], &Device::flex());
    let outputs = network.inference().forward(images, Mode::Infer, &mut Ctx::default()).unwrap();
    assert_eq!(outputs[0].dims(), [[2, 4, 24, 24]]);
    assert_eq!(outputs[1].dims(), [[2, 4]]);
    let odd = find("sam_vit_b").unwrap().graph(1, 100).unwrap_err().to_string();
    assert!(odd.contains("multiples of 16 px"), "{odd}");
}
