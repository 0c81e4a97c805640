//! U-Nets beside their numbers: what they cost, which files fill them, which sizes they take, how new ones start.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use frostline::graph::{FreezePlan, Init, NodeState, Part, Preprocess, Preset, Resize, Role, TensorSpec};
use frostline::models::{Mode, ModelTask, Network, catalogue, find};
use frostline::nn::{Ctx, Value, values};
use frostline::train::{WeightsSource, load_into, public, wanted};
use frostline::weights::{Checkpoint, plan};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// torch's count of parameters and multiply-adds at 256 px (`torch.utils.flop_counter`, two operations each), made with
/// `tests/reference/unet.py`. Other counters take a transposed convolution for four times what it is.
const COSTS: [(&str, usize, u64, u64); 7] = [
    ("unet", 2, 31_037_698, 48_171_581_440),
    ("unet_bilinear", 2, 17_263_042, 39_984_300_032),
    ("unet_small", 2, 7_763_074, 12_073_304_064),
    ("unet_mini", 2, 268_786, 1_917_845_504),
    ("unet_resnet18", 1, 14_328_209, 5_398_069_248),
    ("unet_resnet34", 1, 24_436_369, 7_813_988_352),
    ("unet_resnet50", 1, 32_521_105, 10_632_560_640),
];

#[test]
fn they_cost_what_torch_counts() {
    let all = catalogue();
    let segmenters =
        all.iter().filter(|variant| variant.task == ModelTask::Segment && variant.name.starts_with("unet"));
    assert_eq!(segmenters.count(), COSTS.len());
    for (name, classes, params, macs) in COSTS {
        let facts = find(name).unwrap().graph(classes, 256).unwrap().facts().unwrap();
        assert_eq!((facts.params(), facts.macs()), (params, macs), "{name}");
    }
}

/// A file with these tensors in f16, all zeros: a hole in the file system.
fn write(path: &Path, tensors: &[(String, Vec<usize>)]) -> Checkpoint {
    let mut end = 0;
    let mut rows = Vec::new();
    for (name, shape) in tensors {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        rows.push(format!(r#""{name}":{{"dtype":"F16","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
    }
    let header = format!("{{{}}}", rows.join(","));
    let mut file = std::fs::File::create(path).unwrap();
    std::io::Write::write_all(&mut file, &(header.len() as u64).to_le_bytes()).unwrap();
    std::io::Write::write_all(&mut file, header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
    Checkpoint::open(path).unwrap()
}

#[test]
fn a_classifiers_file_fills_the_encoder_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for encoder in ["resnet18", "resnet34", "resnet50"] {
        let tensors = |model: &str, classes| {
            let graph = find(model).unwrap().graph(classes, 224).unwrap();
            wanted(&graph, &graph.facts().unwrap())
        };
        let held: Vec<(String, Vec<usize>)> =
            tensors(encoder, 1000).into_iter().map(|tensor| (tensor.name, tensor.shape)).collect();
        let checkpoint = write(&dir.path().join(format!("{encoder}.safetensors")), &held);
        let report = plan(&checkpoint, &tensors(&format!("unet_{encoder}"), 3)).unwrap();
        assert_eq!(report.counts().loaded, held.len() - 2, "{encoder}: all but the classifier");
        assert_eq!(report.added_prefix.as_deref(), Some("encoder."), "{encoder}");
        assert!((report.backbone_matched - 1.0).abs() < 1e-6 && report.warning().is_none(), "{encoder}");
        assert!(
            report.rows.iter().filter(|row| row.state.is_read()).all(|row| row.part.as_deref() == Some("backbone"))
        );
    }
}

#[test]
fn public_weights_of_an_encoder_are_the_classifiers_and_say_that_they_are() {
    for encoder in ["resnet18", "resnet34", "resnet50"] {
        let (classifier, segmenter) = (find(encoder).unwrap(), find(&format!("unet_{encoder}")).unwrap());
        let (theirs, ours) = (&classifier.weights, &segmenter.weights);
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!((ours.url, ours.params, ours.trained_on), (theirs.url, theirs.params, theirs.trained_on));
            assert!(ours.of_backbone && !theirs.of_backbone);
            assert_eq!((ours.preprocess.mean, ours.preprocess.std), (theirs.preprocess.mean, theirs.preprocess.std));
        }
        // The graph as published has masks' classes, not ImageNet's.
        assert_eq!(segmenter.published().unwrap().heads[0].kind.classes(), 21);
    }
}

/// What a classifier's file says of cropping does not hold for masks; what it says of colors does.
#[test]
fn a_mask_wants_the_whole_picture_whatever_the_file_was_cropped_to() {
    let variant = find("unet_resnet18").unwrap();
    let own = Preprocess { mean: [0.5; 3], ..Preprocess::imagenet(224) };
    let rule = public::rule(&variant, &WeightsSource::Random, Some(own.clone()));
    assert_eq!((rule.resize, rule.size, rule.mean), (Resize::Stretch, [256, 256], [0.5; 3]));
    let classifier = find("resnet18").unwrap();
    assert_eq!(public::rule(&classifier, &WeightsSource::Random, Some(own.clone())), own);
    let letterbox = Preprocess { resize: Resize::LetterboxCentre { fill: 0 }, ..own };
    assert_eq!(public::rule(&variant, &WeightsSource::Random, Some(letterbox.clone())), letterbox);
}

#[test]
fn a_partial_classifier_fills_what_it_has_and_is_warned_of() {
    let file = "data/weights/resnet18_imagenet_PARTIAL_no_layer4.safetensors";
    let Some(weights) = common::shared_or_skip(file, "a partial classifier") else { return };
    let reference = "data/weights/reference/resnet18_layer3_reference.safetensors";
    let Some(reference) = common::shared_or_skip(reference, "a partial classifier") else { return };
    let graph = Arc::new(find("unet_resnet18").unwrap().graph(2, 224).unwrap());
    let mut network = Network::new(Arc::clone(&graph), 1, &Device::flex()).unwrap();
    let report = load_into(&mut network, &Checkpoint::open(&weights).unwrap()).unwrap();
    assert_eq!(report.counts().loaded, 80);
    let warning = report.warning().unwrap();
    assert!(warning.starts_with("only 80 % of the backbone loads"), "{warning}");
    // The encoder's third stage is the classifier's, as onnxruntime has it.
    let reference = Checkpoint::open(&reference).unwrap();
    let image = TensorData::new(reference.read_f32("input_0").unwrap(), [1, 3, 224, 224]);
    let inputs = [Value::Map(Tensor::from_data(image, &Device::flex()))];
    let wanted = [graph.find("layer3.1").unwrap()];
    let outputs = network.run(&inputs, &BTreeMap::new(), &wanted, Mode::Infer, &mut Ctx::default()).unwrap();
    let pooled = outputs[0].map().unwrap().mean_dim(3).mean_dim(2).into_data().try_to_vec::<f32>().unwrap();
    let theirs = reference.read_f32("layer3_gap_0").unwrap();
    let worst = pooled.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(pooled.len() == 256 && worst < 1e-3, "{worst}");
}

#[test]
fn a_frozen_encoder_lies_before_the_frost_line_and_its_skips_are_what_a_cache_would_keep() {
    for (name, skips) in [("unet_resnet18", 5), ("unet_mini", 4)] {
        let mut network =
            Network::new(Arc::new(find(name).unwrap().graph(2, 64).unwrap()), 1, &Device::flex()).unwrap();
        let plan = FreezePlan::preset(network.graph(), &Preset::HeadOnly).unwrap();
        network.set_plan(&plan);
        let frontier = network.frontier();
        let graph = network.graph();
        for id in graph.ids() {
            let cold = graph.node(id).part == Part::Backbone;
            assert_eq!(frontier.state(id).in_prefix(), cold, "{name}: {}", graph.node(id).path);
            assert!(cold || frontier.state(id) == NodeState::Trains);
        }
        assert_eq!(frontier.cut.len(), skips, "{name}: {:?}", frontier.cut);
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused_in_a_sentence_and_odd_ones_run_where_they_can() {
    let refused = |name: &str, size| find(name).unwrap().graph(2, size).unwrap_err().to_string();
    assert_eq!(
        refused("unet_resnet18", 200),
        "the encoder halves its input five times and wants a multiple of 32 px, not 200"
    );
    assert_eq!(refused("unet", 15), "the way down halves its input 4 times and wants 16 px at least, not 15");
    // A graph whose input was resized later says it too.
    let resized = find("unet_resnet18").unwrap().graph(2, 64).unwrap().with_image_size(62, 64);
    let told = resized.facts().unwrap_err().to_string();
    assert!(told.contains("decoder.3") && told.contains("multiples of 4 px"), "{told}");
    // And a network that is given such a picture fails without a panic.
    let network = Network::new(Arc::new(find("unet_resnet18").unwrap().graph(2, 64).unwrap()), 1, &Device::flex());
    let images = Tensor::zeros([1, 3, 62, 64], &Device::flex());
    assert!(network.unwrap().forward(images, Mode::Infer, &mut Ctx::default()).is_err());
    // The classic ones pad to their skips.
    for name in ["unet_small", "unet_mini"] {
        let graph = Arc::new(find(name).unwrap().graph(3, 33).unwrap());
        let network = Network::new(Arc::clone(&graph), 1, &Device::flex()).unwrap();
        let images = Tensor::zeros([1, 3, 33, 33], &Device::flex());
        let logits = network.forward(images, Mode::Infer, &mut Ctx::default()).unwrap()[0].map().unwrap();
        assert_eq!(logits.dims(), [1, 3, 33, 33], "{name}");
    }
}

/// Bounds by hand: torch's `kaiming_uniform_` for a `ReLU` has √(6 / fan-in), `xavier_uniform_` √(6 / (fan-in + fan-out)).
#[test]
fn new_decoders_start_as_their_publisher_starts_them() {
    let spec =
        |shape: &[usize], init| TensorSpec { name: "w".to_owned(), shape: shape.to_vec(), role: Role::Weight, init };
    for (init, shape, bound) in [
        (Init::HeUniform, [32, 6, 3, 3], (6.0_f32 / 54.0).sqrt()),
        (Init::XavierUniform, [32, 6, 3, 3], (6.0_f32 / (54.0 + 288.0)).sqrt()),
    ] {
        let drawn = values(&spec(&shape, init), 3);
        let most = drawn.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(most <= bound && most > 0.98 * bound, "{init:?}: {most} of {bound}");
    }
    let facts = find("unet_resnet18").unwrap().graph(2, 64).unwrap().facts().unwrap();
    let init = |name: &str| facts.tensors().find(|tensor| tensor.name == name).unwrap().init;
    assert_eq!(init("decoder.blocks.0.conv1.0.weight"), Init::HeUniform);
    assert_eq!(init("segmentation_head.0.weight"), Init::XavierUniform);
    assert_eq!(init("segmentation_head.0.bias"), Init::Constant(0.0));
    let facts = find("unet").unwrap().graph(2, 64).unwrap().facts().unwrap();
    let init = |name: &str| facts.tensors().find(|tensor| tensor.name == name).unwrap().init;
    // torch takes a transposed convolution's second axis for its inputs: 512 times 2 times 2.
    assert_eq!(init("up1.up.bias"), Init::UniformFanIn { fan_in: 2048 });
}
