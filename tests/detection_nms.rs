//! Non-maximum suppression on the host against torchvision (`ops_nms.json`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{floats, uniform, usizes};
use frostline::nn::nms::nms;
use frostline::train::detection::{Candidates, filter};
use serde_json::Value as Json;

fn cases() -> Vec<Json> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ops_nms.json");
    let json: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    json["cases"].as_array().unwrap().clone()
}

fn singles(json: &Json) -> Vec<f32> {
    floats(json).into_iter().map(|value| value as f32).collect()
}

fn boxes(json: &Json) -> Vec<[f32; 4]> {
    json.as_array().unwrap().iter().map(|corners| singles(corners).try_into().unwrap()).collect()
}

#[test]
fn what_stays_is_what_torchvision_keeps() {
    let mut seen = 0;
    for case in cases() {
        let (boxes, scores) = (boxes(&case["boxes"]), singles(&case["scores"]));
        let threshold = case["threshold"].as_f64().unwrap() as f32;
        let classes: Option<Vec<u32>> =
            case.get("classes").map(|classes| usizes(classes).into_iter().map(|class| class as u32).collect());
        let want = usizes(&case["keep"]);
        assert_eq!(nms(&boxes, &scores, classes.as_deref(), threshold), want, "{}", case["name"]);
        // The same through the sliders' function, whose indices are those of the sorted candidates.
        let classes = classes.unwrap_or_else(|| vec![0; boxes.len()]);
        let sorted = Candidates::sorted(&boxes, &scores, &classes);
        let kept = filter(&sorted, 0.0, threshold, usize::MAX);
        let have: Vec<[f32; 4]> = kept.iter().map(|&i| sorted.boxes[i]).collect();
        assert_eq!(have, want.iter().map(|&i| boxes[i]).collect::<Vec<_>>(), "{}", case["name"]);
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn confidence_and_the_limit_cut_the_order_short() {
    let corners = |i: usize| [i as f32 * 20.0, 0.0, i as f32 * 20.0 + 10.0, 10.0];
    let boxes: Vec<[f32; 4]> = (0..6).map(corners).collect();
    let candidates = Candidates::sorted(&boxes, &[0.9, 0.5, 0.5, 0.4, f32::NAN, 0.1], &[0; 6]);
    assert_eq!(filter(&candidates, 0.5, 0.5, 100), [1, 2, 3], "at least 0.5; what is no number is passed over");
    assert_eq!(filter(&candidates, 0.0, 0.5, 2), [1, 2]);
    assert_eq!(filter(&candidates, 0.95, 0.5, 2), [0_usize; 0]);
    assert_eq!(filter(&Candidates::default(), 0.0, 0.5, 2), [0_usize; 0]);
}

/// What is kept is kept for a reason: no two of a class overlap by more, and what went lies on a surer one that stays.
#[test]
fn kept_boxes_are_apart_and_dropped_ones_are_covered() {
    let n = 400;
    let at = uniform("nms.at", 2 * n, 0.0, 60.0);
    let size = uniform("nms.size", 2 * n, 2.0, 30.0);
    let boxes: Vec<[f32; 4]> = (0..n).map(|i| [at[i], at[n + i], at[i] + size[i], at[n + i] + size[n + i]]).collect();
    let classes: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
    let candidates = Candidates::sorted(&boxes, &uniform("nms.score", n, 0.0, 1.0), &classes);
    let kept = filter(&candidates, 0.0, 0.4, n);
    let overlap = |a: usize, b: usize| {
        let [a, b] = [a, b].map(|i| candidates.boxes[i].map(f64::from));
        let side = |k: usize| (a[k + 2].min(b[k + 2]) - a[k].max(b[k])).max(0.0);
        let (both, area) = (side(0) * side(1), |c: [f64; 4]| (c[2] - c[0]) * (c[3] - c[1]));
        both / (area(a) + area(b) - both)
    };
    let on = |i: usize, j: usize| candidates.classes[i] == candidates.classes[j] && overlap(i, j) > 0.4;
    for i in 0..n {
        let covered = kept.iter().any(|&j| j < i && on(i, j));
        assert_ne!(kept.contains(&i), covered, "candidate {i}");
    }
    assert!(kept.len() > 20 && kept.len() < n, "{}", kept.len());
}
