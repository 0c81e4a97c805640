//! Checkpoints as training scripts leave them (`tests/fixtures/files/wild_*`, written by torch 2.15 around the state dict
//! of `zip_state_dict.pth`; averaged weights are its negative).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use frostline::weights::{Checkpoint, LoadReport, Wanted, plan, read};
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/files").join(name)
}

/// The network that the state dict belongs to.
fn network() -> Vec<Wanted> {
    let tensor = |name: &str, shape: &[usize]| Wanted {
        name: name.into(),
        shape: shape.into(),
        head: name.starts_with("fc."),
        part: if name.starts_with("fc.") { "head cls" } else { "backbone" }.into(),
        ..Wanted::default()
    };
    vec![
        tensor("conv1.weight", &[4, 3, 3, 3]),
        tensor("bn1.weight", &[4]),
        tensor("bn1.running_var", &[4]),
        tensor("fc.weight", &[2, 5]),
    ]
}

/// The file's values for the network, in its order; of what is missing, none.
fn load(name: &str) -> (LoadReport, Vec<Vec<f32>>) {
    let checkpoint = Checkpoint::open(&file(name)).unwrap();
    let mut report = plan(&checkpoint, &network()).unwrap();
    let tensors = read(&checkpoint, &mut report).unwrap();
    (report, tensors.into_iter().map(|(_, _, values)| values).collect())
}

#[test]
fn wherever_a_script_puts_the_weights_they_are_found() {
    let (_, plain) = load("zip_state_dict.pth");
    assert_eq!(plain.iter().map(Vec::len).collect::<Vec<_>>(), [108, 4, 4, 10]);
    let negative: Vec<Vec<f32>> = plain.iter().map(|values| values.iter().map(|v| -v).collect()).collect();
    for (name, summary, averaged) in [
        ("wild_lightning.ckpt", "4 loaded, 0 unused (under `state_dict`, without `model.`)", false),
        ("wild_nested_twice.pth", "4 loaded, 0 unused (under `state.model`, without `module._orig_mod.`)", false),
        ("wild_timm_train.pth.tar", "4 loaded, 0 unused (under `state_dict_ema`)", true),
        ("wild_model_and_ema.pth", "4 loaded, 1 unused (under `ema`, without `module.`)", true),
        ("wild_whole_model.pth", "4 loaded, 0 unused (under `module`)", false),
        ("wild_whole_model_legacy.pth", "4 loaded, 0 unused", false),
        ("wild_one_storage.pth", "4 loaded, 1 unused", false),
    ] {
        let (report, values) = load(name);
        assert_eq!(report.summary(), summary, "{name}");
        assert_eq!(&values, if averaged { &negative } else { &plain }, "{name}");
        assert!(report.warning().is_none(), "{name}");
    }
}

#[test]
fn of_two_copies_it_is_said_which_was_taken() {
    let (report, _) = load("wild_timm_train.pth.tar");
    assert_eq!(
        report.notes,
        [
            "wild_timm_train.pth.tar holds the weights more than once; the averaged weights under `state_dict_ema` are taken, \
          not those under `state_dict`"
        ]
    );
    let (report, _) = load("wild_model_and_ema.pth");
    assert_eq!(
        report.notes,
        [
            "wild_model_and_ema.pth holds the weights more than once; the averaged weights under `ema.module` are taken, \
          not those under `model`"
        ]
    );
    // One copy under a dictionary, with optimizer state beside it, is no choice.
    assert!(load("wild_lightning.ckpt").0.notes.is_empty());
    assert_eq!(load("wild_lightning.ckpt").0.outside, 7);
}

#[test]
fn what_stands_beside_the_weights_is_kept_or_passed_over() {
    let open = |name: &str| Checkpoint::open(&file(name)).unwrap();
    assert_eq!(open("wild_lightning.ckpt").metadata["pytorch-lightning_version"], "2.5.0");
    assert_eq!(open("wild_timm_train.pth.tar").metadata["metric"], "71.5");
    // Buffers that are not persistent and plain attributes are no part of a model's state dict.
    let names: Vec<String> = open("wild_whole_model.pth").names().map(str::to_owned).collect();
    assert_eq!(
        names,
        [
            "module.bn1.num_batches_tracked",
            "module.bn1.running_var",
            "module.bn1.weight",
            "module.conv1.weight",
            "module.fc.weight"
        ]
    );
    // One value expanded to two: half a row of zeros would be wrong as well.
    assert_eq!(open("wild_one_storage.pth").read_f32("fc.bias").unwrap(), [0.5, 0.5]);
}

#[test]
fn the_backbone_of_another_library_loads_without_its_head() {
    let (report, values) = load("wild_mmcls.pth");
    assert_eq!(report.summary(), "3 loaded, 1 missing, 1 unused (under `state_dict`, without `backbone.`)");
    assert_eq!(values, load("zip_state_dict.pth").1[..3]);
}

#[test]
fn a_linear_layer_may_be_stored_as_a_convolution() {
    let (report, values) = load("wild_convolution_head.safetensors");
    assert_eq!(report.summary(), "4 loaded, 0 unused");
    assert_eq!(report.notes, ["fc.weight is [2, 5, 1, 1] in the file and [2, 5] here, with the same values"]);
    let (_, plain) = load("zip_state_dict.pth");
    assert_eq!(values[3], plain[3]);
    // bf16 keeps 8 bits, f16 11, f64 all.
    let near = |i: usize, bits: i32| {
        let step = 2f32.powi(-bits);
        plain[i].iter().zip(&values[i]).all(|(a, b)| (a - b).abs() <= a.abs() * step)
    };
    assert!(near(0, 8) && near(1, 11) && values[2] == plain[2]);
}

#[test]
fn what_is_no_torch_checkpoint_is_named() {
    let error = Checkpoint::open(&file("wild_numpy.pkl")).expect_err("NumPy").to_string();
    assert!(error.contains("wild_numpy.pkl is a pickle of NumPy arrays"), "{error}");
}
