//! What two-stage detectors are made of against torchvision's numbers (`ops_roi_align.json`, `ops_boxes.json`,
//! `ops_nms.json`, `ops_resample.json`, `ops_losses.json`), forward and backward, on the CPU and on a graphics adapter.
//!
//! The adapter's part is skipped with a line where there is none; under `FROSTLINE_REQUIRE_WGPU=1` that is a failure.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and say what they skip"
)]

mod common;

use burn::tensor::ops::{ConvTransposeOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, module};
use common::{floats, samples, uniform, usizes};
use frostline::nn::nms::nms;
use frostline::nn::regions::align::{Align, Region, level_of, roi_align};
use frostline::nn::regions::anchors;
use frostline::nn::regions::coder::{Coder, clip, is_as_large};
use frostline::nn::regions::matcher::{Match, Matcher, Sampler};
use frostline::nn::{loss, resize};
use frostline::rng::Rng;
use frostline::train::{DeviceChoice, device};
use serde_json::Value as Json;

fn fixture(file: &str) -> Json {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn cases(file: &str, name: &str) -> Vec<Json> {
    let all = fixture(file)["cases"].as_array().unwrap().clone();
    let found: Vec<Json> = all.into_iter().filter(|case| case["name"] == name).collect();
    assert!(!found.is_empty(), "{file} has no {name}");
    found
}

fn boxes(json: &Json) -> Vec<[f32; 4]> {
    json.as_array().unwrap().iter().map(|b| array(&floats(b))).collect()
}

fn array<const N: usize>(values: &[f64]) -> [f32; N] {
    std::array::from_fn(|i| values[i] as f32)
}

/// An input of a case by its description.
fn input<const D: usize>(case: &Json, name: &str, device: &Device) -> Tensor<D> {
    let of = &case["in"][name];
    let shape = usizes(&of["shape"]);
    let (lo, hi) = (of["lo"].as_f64().unwrap(), of["hi"].as_f64().unwrap());
    let values = uniform(of["key"].as_str().unwrap(), shape.iter().product(), lo, hi);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Compares an output and the gradient of `sum(out * w)` with a case; the greatest errors.
fn check(case: &Json, device: &Device, run: &dyn Fn(Tensor<4>) -> Tensor<4>) -> [f64; 2] {
    let x = input::<4>(case, "x", device).autodiff().require_grad();
    let out = run(x.clone());
    assert_eq!(out.dims().to_vec(), usizes(&case["out"]["shape"]), "{}", case["args"]);
    let forward = greatest(&case["out"], &out.clone().inner());
    if case["grad"]["x"].is_null() {
        return [forward, 0.0];
    }
    let w = uniform("w", out.shape().num_elements(), -1.0, 1.0);
    let w = Tensor::<4>::from_data(TensorData::new(w, out.shape()), device);
    let grads = (out * w).sum().backward();
    [forward, greatest(&case["grad"]["x"], &x.grad(&grads).unwrap())]
}

fn greatest<const D: usize>(reference: &Json, ours: &Tensor<D>) -> f64 {
    let ours = ours.clone().into_data().try_to_vec::<f32>().unwrap();
    let (indices, wanted) = samples(reference);
    indices.iter().zip(wanted).map(|(&i, want)| (f64::from(ours[i]) - want).abs()).fold(0.0, f64::max)
}

fn regions(case: &Json) -> Vec<Region> {
    let rows = case["args"]["rois"].as_array().unwrap().iter().map(floats);
    rows.map(|row| Region { picture: row[0] as usize, level: 0, xyxy: array(&row[1..]) }).collect()
}

fn align(case: &Json) -> (Align, f32) {
    let args = &case["args"];
    let output = match &args["output_size"] {
        Json::Array(sides) => std::array::from_fn(|i| sides[i].as_u64().unwrap() as usize),
        side => [side.as_u64().unwrap() as usize; 2],
    };
    let samples = args["sampling_ratio"].as_i64().unwrap().max(0) as usize;
    (
        Align { output, samples, aligned: args["aligned"].as_bool().unwrap() },
        args["spatial_scale"].as_f64().unwrap() as f32,
    )
}

/// Greatest errors of pooling and of resizing, forward and backward, in each of the cases or every so many.
fn on(device: &Device, step: usize) -> [[f64; 2]; 2] {
    let mut maxima = [[0.0f64; 2]; 2];
    let mut raise = |at: usize, errors: [f64; 2]| {
        for (maximum, error) in maxima[at].iter_mut().zip(errors) {
            *maximum = maximum.max(error);
        }
    };
    let mut checked = 0;
    for case in cases("ops_roi_align.json", "roi_align").into_iter().step_by(step) {
        let (align, scale) = align(&case);
        let regions = regions(&case);
        raise(0, check(&case, device, &|x| roi_align(&[x], &[scale], &regions, align).unwrap()));
        checked += 1;
    }
    let bilinear = |case: &Json| case["args"]["mode"] == "bilinear" && case["args"]["antialias"] != true;
    for case in cases("ops_resample.json", "interpolate").into_iter().filter(bilinear).step_by(step) {
        let args = &case["args"];
        let size: Vec<usize> = usizes(&case["out"]["shape"])[2..].to_vec();
        let corners = match (&args["align_corners"], &args["recompute_scale_factor"]) {
            (Json::Bool(true), _) => resize::Corners::Aligned,
            (_, Json::Bool(false)) => resize::Corners::Scaled([args["scale_factor"].as_f64().unwrap(); 2]),
            _ => resize::Corners::Edges,
        };
        raise(1, check(&case, device, &|x| resize::bilinear(x, [size[0], size[1]], corners)));
        checked += 1;
    }
    println!("{checked} cases");
    assert!(checked * step >= 20, "{checked}");
    maxima
}

#[test]
fn pooling_of_regions_and_bilinear_resize_are_torchs_with_their_gradients() {
    let [pooling, resizing] = on(&Device::flex(), 1);
    println!("PARITY pooling of regions {pooling:?}, bilinear resize {resizing:?}");
    assert!(pooling[0] < 2e-6 && pooling[1] < 5e-6, "{pooling:?}");
    assert!(resizing[0] < 2e-6 && resizing[1] < 5e-6, "{resizing:?}");
}

const INSIDE: &str = "FROSTLINE_TEST_INSIDE";

#[test]
fn the_same_on_the_adapter() {
    let name = "the_same_on_the_adapter";
    let opened = device::open(DeviceChoice::Wgpu(None));
    let (adapter, info) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            assert!(std::env::var_os("FROSTLINE_REQUIRE_WGPU").is_none(), "no adapter: {why}");
            eprintln!("SKIPPED {name}: {why}");
            return;
        }
    };
    if std::env::var_os(INSIDE).is_none() {
        // Tuning on a software adapter takes minutes unless cut down, and the setting is read from the environment once.
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            .env("CUBECL_AUTOTUNE_LEVEL", "minimal")
            .output()
            .unwrap();
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    println!("{info:?}");
    let [pooling, resizing] = on(&adapter, 4);
    println!("PARITY on the adapter: pooling of regions {pooling:?}, bilinear resize {resizing:?}");
    assert!(pooling[0] < 2e-6 && pooling[1] < 5e-6, "{pooling:?}");
    assert!(resizing[0] < 2e-6 && resizing[1] < 5e-6, "{resizing:?}");
}

#[test]
fn regions_of_several_levels_come_in_their_order_and_large_look_ups_are_split() {
    let device = Device::flex();
    let case = &cases("ops_roi_align.json", "roi_align")[2];
    let (align, scale) = align(case);
    let x = input::<4>(case, "x", &device);
    let one = regions(case);
    let alone = roi_align(std::slice::from_ref(&x), &[scale], &one, align).unwrap();
    // The same map as second level, with a region of the first between.
    let mut mixed: Vec<Region> = one.iter().map(|region| Region { level: 1, ..*region }).collect();
    mixed.insert(3, Region { level: 0, ..one[0] });
    let zeros = Tensor::zeros([2, 4, 5, 6], &device);
    let together = roi_align(&[zeros, x.clone()], &[0.1, scale], &mixed, align).unwrap();
    let values = |x: Tensor<4>| x.into_data().try_to_vec::<f32>().unwrap();
    let each = 4 * 9;
    let (alone, together) = (values(alone), values(together));
    assert_eq!(together[..3 * each], alone[..3 * each]);
    assert!(together[3 * each..4 * each].iter().all(|&v| v == 0.0));
    assert_eq!(together[4 * each..], alone[3 * each..]);
    // 40 000 regions with up to 16 taps in each of 9 bins on 16 channels are more values than a look-up may hold.
    let many: Vec<Region> = one.iter().cycle().take(40_000).copied().collect();
    let wide = x.clone().repeat_dim(1, 4);
    let first = values(roi_align(std::slice::from_ref(&wide), &[scale], &one, align).unwrap());
    let all = values(roi_align(&[wide], &[scale], &many, align).unwrap());
    assert!(all.chunks(first.len()).all(|part| part == first));
    assert_eq!(values(roi_align(&[x], &[scale], &[], align).unwrap()).len(), 0);
}

#[test]
fn regions_go_to_torchvisions_levels() {
    let of = &fixture("ops_roi_align.json")["level_mapper"];
    let wanted = usizes(&of["level"]);
    let ours: Vec<usize> = boxes(&of["boxes"]).iter().map(|b| level_of(b, 2, 4)).collect();
    assert_eq!(ours, wanted);
    assert_eq!(level_of(&[5.0, 5.0, 5.0, 9.0], 2, 4), 0);
}

#[test]
fn suppression_is_torchvisions() {
    let all = fixture("ops_nms.json")["cases"].as_array().unwrap().clone();
    assert_eq!(all.len(), 7);
    for case in all {
        let scores: Vec<f32> = floats(&case["scores"]).iter().map(|&s| s as f32).collect();
        let groups: Option<Vec<u32>> =
            case.get("classes").map(|classes| usizes(classes).iter().map(|&c| c as u32).collect());
        let threshold = case["threshold"].as_f64().unwrap() as f32;
        let keep = nms(&boxes(&case["boxes"]), &scores, groups.as_deref(), threshold);
        assert_eq!(keep, usizes(&case["keep"]), "{}", case["name"]);
    }
}

#[test]
fn boxes_are_coded_clipped_and_judged_as_in_torchvision() {
    let close = |a: &[f32; 4], b: &[f32; 4]| {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 2e-6 * b.abs().max(1.0), "{a} and not {b}");
        }
    };
    for case in cases("ops_boxes.json", "box_coder") {
        let coder = Coder { weights: array(&floats(&case["weights"])) };
        let rows = boxes(&case["proposals"]).into_iter().zip(boxes(&case["gt"])).zip(boxes(&case["deltas"]));
        let wanted = boxes(&case["encode"]).into_iter().zip(boxes(&case["decode"]));
        for (((from, truth), deltas), (encoded, decoded)) in rows.zip(wanted) {
            close(&coder.encode(&from, &truth), &encoded);
            close(&coder.decode(&from, &deltas), &decoded);
        }
    }
    for case in cases("ops_boxes.json", "clip_boxes") {
        let size = floats(&case["size_hw"]);
        let clipped: Vec<[f32; 4]> =
            boxes(&case["boxes"]).iter().map(|b| clip(b, [size[1] as f32, size[0] as f32])).collect();
        assert_eq!(clipped, boxes(&case["out"]));
        // The list of the large is of the boxes before clipping or after, whichever the fixture took: it says itself.
        let large: Vec<usize> = (0..clipped.len()).filter(|&i| is_as_large(&boxes(&case["boxes"])[i], 3.0)).collect();
        assert_eq!(large, usizes(&case["remove_small_min_3"]));
    }
}

#[test]
fn boxes_are_matched_as_in_torchvision() {
    for case in cases("ops_boxes.json", "matcher") {
        let overlaps: Vec<Vec<f64>> = case["iou"].as_array().unwrap().iter().map(floats).collect();
        let number = |name: &str| case[name].as_f64().unwrap() as f32;
        let matcher = Matcher {
            high: number("high"),
            low: number("low"),
            low_quality: case["allow_low_quality"].as_bool().unwrap(),
        };
        let ours = matcher.assign_by(overlaps.len(), overlaps[0].len(), |object, b| overlaps[object][b] as f32);
        let ours: Vec<i64> = ours
            .iter()
            .map(|found| match found {
                Match::Object(object) => *object as i64,
                Match::Background => -1,
                Match::Between => -2,
            })
            .collect();
        let wanted: Vec<i64> = case["matches"].as_array().unwrap().iter().map(|m| m.as_i64().unwrap()).collect();
        assert_eq!(ours, wanted, "{matcher:?}");
    }
    let matcher = Matcher { high: 0.7, low: 0.3, low_quality: true };
    let (far, near) = ([50.0, 50.0, 60.0, 60.0], [0.0, 0.0, 10.0, 10.0]);
    assert_eq!(matcher.assign(&[], &[], &[far]), [Match::Background]);
    // An empty object is nobody's; what lies in a crowd is nothing to learn from.
    assert_eq!(matcher.assign(&[[5.0, 5.0, 5.0, 9.0]], &[], &[near]), [Match::Background]);
    let crowd = [0.0, 0.0, 6.0, 40.0];
    assert_eq!(matcher.assign(&[], &[crowd], &[near, far]), [Match::Between, Match::Background]);
    assert_eq!(matcher.assign(&[near], &[crowd], &[near]), [Match::Object(0)]);
}

#[test]
fn samples_are_drawn_without_repetition_and_fill_up_with_background() {
    let found = [Match::Object(0), Match::Background, Match::Between, Match::Object(1), Match::Background].repeat(40);
    let sampler = Sampler { count: 64, positive: 0.25 };
    let [first_positive, first_negative] = sampler.choose(&found, None);
    assert_eq!(first_positive[..3], [0, 3, 5]);
    assert_eq!((first_positive.len(), first_negative.len()), (16, 48));
    let [positive, negative] = sampler.choose(&found, Some(&mut Rng::new(3)));
    assert_eq!((positive.len(), negative.len()), (16, 48));
    assert!(positive.is_sorted_by(|a, b| a < b) && negative.is_sorted_by(|a, b| a < b));
    assert!(positive.iter().all(|&i| matches!(found[i], Match::Object(_))));
    assert!(negative.iter().all(|&i| found[i] == Match::Background));
    assert_ne!(positive, first_positive);
    assert_eq!(sampler.choose(&found, Some(&mut Rng::new(3))), [positive, negative]);
    let few = [Match::Background, Match::Object(0)];
    assert_eq!(sampler.choose(&few, Some(&mut Rng::new(3))), [vec![1], vec![0]]);
}

#[test]
fn anchors_are_torchvisions() {
    for case in cases("ops_boxes.json", "anchors") {
        let image: [usize; 2] = usizes(&case["image_hw"]).try_into().unwrap();
        let mut all = Vec::new();
        for (level, grid) in case["features_hw"].as_array().unwrap().iter().enumerate() {
            let of = |name: &str| floats(&case[name][level]).iter().map(|&v| v as f32).collect::<Vec<_>>();
            let cell = anchors::of_cell(&of("sizes"), &of("ratios"));
            assert_eq!(cell, boxes(&case["cell_anchors"][level]));
            all.extend(anchors::of_level(&cell, usizes(grid).try_into().unwrap(), image));
        }
        assert_eq!([all.len(), 4].to_vec(), usizes(&case["out"]["shape"]));
        let (indices, wanted) = samples(&case["out"]);
        for (i, want) in indices.into_iter().zip(wanted) {
            assert_eq!(f64::from(all[i / 4][i % 4]), want, "{i}");
        }
    }
    // torchvision's word on the whole: a side of 800 px and 13 cells gives cells of 61 px, not of 64.
    assert_eq!(anchors::of_level(&[[0.0; 4]], [13, 13], [800, 800])[14], [61.0, 61.0, 61.0, 61.0]);
}

#[test]
fn nearest_resize_and_pools_are_torchs() {
    let device = Device::flex();
    let mut checked = 0;
    for case in fixture("ops_resample.json")["cases"].as_array().unwrap() {
        let args = &case["args"];
        let errors = match (case["name"].as_str().unwrap(), args["mode"].as_str()) {
            ("interpolate", Some("nearest")) if args["size"].is_array() => {
                let size = usizes(&args["size"]);
                check(case, &device, &|x| resize::nearest(x, [size[0], size[1]]))
            }
            ("max_pool2d", _) if args["ceil_mode"] == false => {
                let of = |name: &str| [args[name].as_u64().unwrap() as usize; 2];
                let pool = MaxPoolOptions::new(of("kernel")).with_stride(of("stride")).with_padding(of("padding"));
                check(case, &device, &|x| module::max_pool2d(x, pool.clone()))
            }
            ("adaptive_avg_pool2d", _) => {
                let size: [usize; 2] = usizes(&args["output_size"]).try_into().unwrap();
                check(case, &device, &|x| module::adaptive_avg_pool2d(x, size))
            }
            ("conv_transpose2d", _) => {
                let weight = input::<4>(case, "weight", &device);
                let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
                check(case, &device, &|x| module::conv_transpose2d(x, weight.clone(), None, options.clone()))
            }
            _ => continue,
        };
        assert!(errors[0] < 2e-6 && errors[1] < 5e-6, "{} {args}: {errors:?}", case["name"]);
        checked += 1;
    }
    assert!(checked >= 12, "{checked}");
}

#[test]
fn the_nearest_resize_has_a_gradient_at_any_size() {
    // 3 cells to 5: 0 0 1 1 2 by floor(i 3 / 5), so the first two get two and the last one.
    let x = Tensor::<4>::ones([1, 1, 1, 3], &Device::flex().autodiff()).require_grad();
    let grads = resize::nearest(x.clone(), [2, 5]).sum().backward();
    assert_eq!(x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap(), [4.0, 4.0, 2.0]);
}

#[test]
fn the_smooth_loss_is_torchs_with_its_gradient() {
    for (name, beta) in [("smooth_l1_beta_1", 1.0), ("smooth_l1_beta_1/9", 1.0 / 9.0)] {
        let case = &cases("ops_losses.json", name)[0];
        let x = input::<2>(case, "logits", &Device::flex()).autodiff().require_grad();
        let loss = loss::smooth_l1_sum(x.clone(), input::<2>(case, "target", &Device::flex()), beta) / 24.0;
        assert!(greatest(&case["out"], &loss.clone().inner()) < 1e-5);
        let upstream = uniform("w", 1, -1.0, 1.0)[0];
        let grads = (loss * upstream).sum().backward();
        assert!(greatest(&case["grad"]["logits"], &x.grad(&grads).unwrap()) < 1e-6, "{name}");
    }
}
