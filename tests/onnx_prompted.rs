//! The two ONNX files of networks that take prompts against the network, in another engine (tract): both encoders, prompts of each
//! kind, with and without an earlier mask; names, axes and operators as `segment_anything` exports them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::Device;
use common::rule_values;
use frostline::models::{Network, find};
use frostline::train::{Plan, RunFile, export, export_model};
use frostline::weights::BoxOutput;
use std::path::Path;
use std::sync::Arc;

/// Writes a checkpoint of the model at this size with values that are far from those of a new one.
fn checkpoint(name: &str, size_px: u32, to: &Path) {
    let variant = find(name).unwrap();
    let graph = variant.graph(1, size_px as usize).unwrap();
    let mut network = Network::new(Arc::new(graph), 1, &Device::flex()).unwrap();
    let scale = serde_json::Map::new();
    let specs: Vec<_> = network.facts().tensors().cloned().collect();
    let values = specs.iter().map(|spec| (spec.name.clone(), rule_values(&spec.name, &spec.shape, 1.0, &scale)));
    network.assign(values.collect()).unwrap();
    let plan = Plan { model: name.to_owned(), size_px, ..Plan::default() };
    let run = RunFile::new(plan, &[], variant.preprocess.with_size(size_px));
    export(to, &network.tensors().unwrap(), &run).unwrap();
}

#[test]
fn both_files_say_what_the_network_says() {
    let dir = tempfile::tempdir().unwrap();
    // 160 px: 10 cells a side, so that windows are filled up; of MobileSAM's stages some divide and some do not.
    let kept = std::env::var_os("FROSTLINE_ONNX_DIR").map(std::path::PathBuf::from);
    for (name, size_px) in [("mobile_sam", 160), ("mobile_sam", 224), ("sam_vit_b", 256)] {
        let from = dir.path().join(format!("{name}-{size_px}.safetensors"));
        checkpoint(name, size_px, &from);
        let to = kept.as_deref().unwrap_or(dir.path()).join(format!("{name}-{size_px}.onnx"));
        let found = export_model(&from, &to, &BoxOutput::default(), &Device::flex(), &mut |_| ()).unwrap();
        assert_eq!(found.problem, None);
        let file = |part: &str| to.with_extension(format!("{part}.onnx"));
        assert_eq!((found.file, found.beside), (Some(file("encoder")), Some(file("decoder"))));
        assert!(!to.exists() && file("encoder").exists() && file("decoder").exists());
        let check = found.check.unwrap();
        let names: Vec<&str> = check.heads.iter().map(|head| head.head.as_str()).collect();
        assert_eq!(names, ["image_embeddings", "low_res_masks", "iou_predictions"]);
        for head in &check.heads {
            let (difference, most) = (head.max_abs_diff, head.max_abs);
            println!("{name} {size_px} px {}: {difference:.1e} of {most:.2}", head.head);
            assert!(head.passes() && head.same_top && most > 1e-3, "{name} {}: {difference:.1e}", head.head);
        }
        if let Some(kept) = &kept {
            std::fs::copy(&from, kept.join(format!("{name}-{size_px}.safetensors"))).unwrap();
        }
    }
}
