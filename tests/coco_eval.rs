//! The COCO measures against pycocotools: `ops_coco_map.json` (hand-made cases), `coco_random.json` (ten random sets).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::integers;
use frostline::train::detection::{
    ClassMetrics, CocoMetrics, Detection, DetectionConfusion, ImageBoxes, Mark, Truth, TruthMark, evaluate, marks,
    pr_curves,
};
use serde_json::Value as Json;

const TOLERANCE: f64 = 1e-6;

fn fixture(file: &str) -> Json {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(json: &Json) -> &[Json] {
    json.as_array().unwrap()
}

fn numbers(json: &Json) -> Vec<f64> {
    list(json).iter().map(|value| value.as_f64().unwrap()).collect()
}

fn xywh(json: &Json) -> [f64; 4] {
    numbers(json).try_into().unwrap()
}

/// -1 is pycocotools' word for "no ground truth".
fn assert_close(have: Option<f64>, want: f64, what: &str) {
    let have = have.unwrap_or(-1.0);
    assert!((have - want).abs() < TOLERANCE, "{what}: {have} and not {want}");
}

fn assert_stats(metrics: &CocoMetrics, want: &Json, what: &str) {
    for (at, (have, want)) in metrics.stats().into_iter().zip(numbers(want)).enumerate() {
        assert_close(have, want, &format!("{what}, number {at}"));
    }
}

/// `want[threshold][area][limit]`
fn assert_recall(class: &ClassMetrics, want: impl Fn(usize, usize, usize) -> f64, what: &str) {
    for (t, areas) in class.recall.iter().enumerate() {
        for (a, limits) in areas.iter().enumerate() {
            for (m, have) in limits.iter().enumerate() {
                assert_close(*have, want(t, a, m), &format!("{what}, recall {t} {a} {m}"));
            }
        }
    }
}

#[test]
fn hand_made_cases_are_as_pycocotools_has_them() {
    let json = fixture("ops_coco_map.json");
    for case in list(&json["cases"]) {
        let name = case["name"].as_str().unwrap();
        let position = |ids: &str, id: &Json| list(&case[ids]).iter().position(|other| other == id).unwrap();
        let mut images = vec![ImageBoxes::default(); list(&case["image_ids"]).len()];
        for truth in list(&case["annotations"]) {
            let class = position("category_ids", &truth["category_id"]) as u32;
            let area = truth["area"].as_f64().unwrap();
            let truth_box = xywh(&truth["bbox"]);
            let truths = &mut images[position("image_ids", &truth["image_id"])].truths;
            truths.push(Truth { class, xywh: truth_box, area, crowd: truth["iscrowd"] == 1, ignore: false });
        }
        for said in list(&case["detections"]) {
            let class = position("category_ids", &said["category_id"]) as u32;
            let score = said["score"].as_f64().unwrap();
            let detections = &mut images[position("image_ids", &said["image_id"])].detections;
            detections.push(Detection { class, xywh: xywh(&said["bbox"]), score });
        }
        let metrics = evaluate(&images, list(&case["category_ids"]).len());
        assert_stats(&metrics, &case["stats"], name);
        assert_eq!(metrics.strangers, 0);
        for (k, class) in metrics.per_class.iter().enumerate() {
            assert_close(class.ap, case["ap_per_category"][k].as_f64().unwrap(), name);
            assert_recall(class, |t, a, m| case["recall"][t][k][a][m].as_f64().unwrap(), name);
            let curve = numbers(&case["precision_iou50_all_100_at_recall_0_to_1_step_0.1"][k]);
            for (at, want) in curve.into_iter().enumerate() {
                assert_close(class.precision.get(10 * at).copied(), want, &format!("{name}, precision of {k}"));
            }
        }
    }
}

/// Whole numbers of one random set, by name: the same as `integer` in `coco_random.py`.
struct Rule(usize);

impl Rule {
    fn all(&self, name: &str, count: usize, below: u64) -> Vec<i64> {
        integers(&format!("set{}.{name}", self.0), count, below)
    }

    /// The same in quarters of a pixel.
    fn quarters(&self, name: &str, count: usize, below: u64) -> Vec<f64> {
        self.all(name, count, below).into_iter().map(|n| n as f64 / 4.0).collect()
    }

    /// One number of a list in which each has its own limit.
    fn one(&self, name: &str, at: usize, below: u64) -> f64 {
        self.all(name, at + 1, below)[at] as f64
    }
}

/// The set `n` of `coco_random.py`: pictures and the number of classes.
fn random_set(n: usize) -> (Vec<ImageBoxes>, usize) {
    let (images, classes) = (2 + 2 * n, 1 + 3 * n % 7);
    let count = 8 * images;
    let rule = Rule(n);
    let mut set = vec![ImageBoxes::default(); images];
    let mut places = Vec::new();
    let (gx, gy) = (rule.quarters("gx", count, 1200), rule.quarters("gy", count, 900));
    let (gi, gc) = (rule.all("gi", count, images as u64), rule.all("gc", count, classes as u64));
    let (crowds, crowded) = (rule.all("crowd", count, 10), rule.all("crowded", count, 4));
    let areas = rule.all("area", count, 6);
    for i in 0..count {
        let widest = [128, 400, 1600][i % 3];
        let (w, h) = (rule.one("gw", i, widest) / 4.0, rule.one("gh", i, widest) / 4.0);
        let area = w * h * (3 + areas[i]) as f64 / 8.0;
        let together = n == 9 && crowded[i] > 0;
        let (image, class) = if together { (0, 0) } else { (gi[i] as usize, gc[i] as u32) };
        let crowd = n % 2 == 1 && crowds[i] == 0;
        let truth = Truth { class, xywh: [gx[i], gy[i], w, h], area, crowd, ignore: false };
        set[image].truths.push(truth);
        places.push((image, truth));
    }
    let count = 3 * count;
    let sources = rule.all("source", count, 2 * places.len() as u64);
    let (di, dc) = (rule.all("di", count, images as u64), rule.all("dc", count, classes as u64));
    let swaps = rule.all("swap", count, 6);
    let jitters = ["jx", "jy", "jw", "jh"].map(|name| rule.all(name, count, 33));
    let [dx, dy] = [("dx", 1200), ("dy", 900)].map(|(name, below)| rule.quarters(name, count, below));
    let [dw, dh] = ["dw", "dh"].map(|name| rule.quarters(name, count, 800));
    let steps = if n.is_multiple_of(2) { 64 } else { 1 << 24 };
    let scores = rule.all("score", count, steps);
    for j in 0..count {
        let score = scores[j] as f64 / steps as f64;
        let (image, class, xywh) = match places.get(sources[j] as usize) {
            Some((image, truth)) => {
                let jitter = |k: usize| truth.xywh[k] + (jitters[k][j] - 16) as f64 * truth.xywh[2 + k % 2] / 64.0;
                let class = if swaps[j] == 0 { dc[j] as u32 } else { truth.class };
                (*image, class, [jitter(0), jitter(1), jitter(2), jitter(3)])
            }
            None => (di[j] as usize, dc[j] as u32, [dx[j], dy[j], dw[j], dh[j]]),
        };
        set[image].detections.push(Detection { class, xywh, score });
    }
    (set, classes)
}

#[test]
fn ten_random_sets_are_as_pycocotools_has_them() {
    let json = fixture("coco_random.json");
    let sets = list(&json["sets"]);
    assert_eq!(sets.len(), 10);
    for (n, want) in sets.iter().enumerate() {
        let (images, classes) = random_set(n);
        let metrics = evaluate(&images, classes);
        let name = format!("set {n}");
        assert_stats(&metrics, &want["stats"], &name);
        for (class, (ap, ap50)) in
            metrics.per_class.iter().zip(numbers(&want["ap"]).into_iter().zip(numbers(&want["ap50"])))
        {
            assert_close(class.ap, ap, &name);
            assert_close(class.ap50, ap50, &name);
        }
        let first = &metrics.per_class[0];
        assert_recall(first, |t, a, m| want["recall_of_class_0"][t][a][m].as_f64().unwrap(), &name);
        let curves = [("precision50_of_class_0", &first.precision), ("scores50_of_class_0", &first.confidence)];
        for (key, have) in curves {
            for (have, want) in have.iter().zip(numbers(&want[key])) {
                assert_close(Some(*have), want, &format!("{name}, {key}"));
            }
            assert_eq!(have.len(), 101);
        }
    }
}

fn said(class: u32, xywh: [f64; 4], score: f64) -> Detection {
    Detection { class, xywh, score }
}

#[test]
fn nothing_at_all_has_no_measure() {
    for (images, classes) in [(vec![], 0), (vec![], 3), (vec![ImageBoxes::default(); 2], 3)] {
        let metrics = evaluate(&images, classes);
        assert_eq!((metrics.stats(), metrics.per_class.len()), ([None; 12], classes));
    }
}

/// An ignored object (Pascal VOC's `difficult`) is neither missed nor found; without the flag it would halve recall.
#[test]
fn ignored_objects_count_for_nothing() {
    let asked = Truth::new(0, [0.0, 0.0, 40.0, 40.0]);
    let difficult = Truth { ignore: true, ..Truth::new(0, [100.0, 0.0, 40.0, 40.0]) };
    let detections = vec![said(0, [100.0, 0.0, 40.0, 40.0], 0.9), said(0, [0.0, 0.0, 40.0, 40.0], 0.8)];
    let images = [ImageBoxes { truths: vec![difficult, asked], detections }];
    let metrics = evaluate(&images, 1);
    assert_close(metrics.ap, 1.0, "the ignored one left out");
    assert_eq!(metrics.per_class[0].truths, 1);
    let strict = [ImageBoxes { truths: vec![Truth { ignore: false, ..difficult }, asked], ..images[0].clone() }];
    assert_eq!(evaluate(&strict, 1).per_class[0].truths, 2);
}

/// A diverged network's scores and boxes, and classes that there are not, take nobody down and are told.
#[test]
fn broken_detections_are_survived() {
    let truth = Truth::new(0, [0.0, 0.0, 40.0, 40.0]);
    let detections = vec![
        said(0, [f64::NAN; 4], 0.9),
        said(0, [0.0, 0.0, 40.0, 40.0], f64::NAN),
        said(0, [f64::INFINITY, 0.0, 1.0, 1.0], 0.1),
        said(7, [0.0, 0.0, 40.0, 40.0], 0.9),
    ];
    let metrics = evaluate(&[ImageBoxes { truths: vec![truth], detections }], 1);
    assert_eq!(metrics.strangers, 1);
    // Two wrong ones before the right one: precision 1/3 everywhere.
    assert!((metrics.ap50.unwrap() - 1.0 / 3.0).abs() < 1e-12, "{:?}", metrics.ap50);
}

/// The curve that is drawn is the one that pycocotools averages: made monotone and read at 101 recalls, it gives the same numbers.
#[test]
fn curves_agree_with_the_measures() {
    for n in 0..10 {
        let (images, classes) = random_set(n);
        let metrics = evaluate(&images, classes);
        for (class, curve) in metrics.per_class.iter().zip(pr_curves(&images, classes, 0.5)) {
            assert_eq!(curve.asked.len(), class.truths, "set {n}");
            if class.truths == 0 {
                continue;
            }
            // One step for each detection, equal scores in COCO's order, where a drawn point stands for all of a score.
            let mut right = 0.0;
            let mut steps = Vec::new();
            for (i, ranked) in curve.ranked.iter().enumerate() {
                right += f64::from(u8::from(ranked.truth.is_some()));
                steps.push((right / class.truths as f64, right / (i + 1) as f64));
            }
            for (at, want) in class.precision.iter().enumerate() {
                let reached = steps.iter().filter(|step| step.0 >= at as f64 * 0.01);
                let have = reached.map(|step| step.1).fold(0.0, f64::max);
                assert_close(Some(have), *want, &format!("set {n}, recall {at}"));
            }
            let last = curve.points.last().unwrap();
            assert_close(class.recall[0][0][2], last.recall, "all that is found");
            // Any confidence: the lists that open pictures count what the point counts.
            for confidence in [0.0, 0.3, 0.71, 1.5] {
                let point = curve.at(confidence).unwrap();
                let (wrong, missed) = (curve.wrong(confidence).count(), curve.missed(confidence).count());
                let found = class.truths - missed;
                assert_close(Some(point.recall), found as f64 / class.truths as f64, "recall");
                if found + wrong > 0 {
                    assert_close(Some(point.precision), found as f64 / (found + wrong) as f64, "precision");
                }
            }
            assert!(curve.points.iter().all(|point| point.f1() <= curve.best().unwrap().f1()));
        }
    }
}

/// The colors of a picture's boxes count what the curves count, and the matrix has every truth and detection once.
#[test]
fn marks_and_the_matrix_agree_with_the_curves() {
    for n in 0..9 {
        let (images, classes) = random_set(n);
        let curves = pr_curves(&images, classes, 0.5);
        let confidence = 0.4;
        let (mut right, mut wrong, mut missed, mut said, mut asked) = (0, 0, 0, 0, 0);
        for image in &images {
            let marks = marks(&image.truths, &image.detections, confidence, 0.5);
            let [r, w, m] = marks.counts();
            (right, wrong, missed) = (right + r, wrong + w, missed + m);
            said += marks.detections.iter().filter(|mark| !matches!(mark, Mark::Hidden)).count();
            asked += marks.truths.iter().filter(|mark| **mark != TruthMark::Ignored).count();
        }
        let wrong_there: usize = curves.iter().map(|curve| curve.wrong(confidence).count()).sum();
        let missed_there: usize = curves.iter().map(|curve| curve.missed(confidence).count()).sum();
        assert_eq!((wrong, missed, right), (wrong_there, missed_there, asked - missed_there), "set {n}");
        let matrix = DetectionConfusion::new(&images, classes, confidence, 0.5);
        let counts = matrix.counts();
        let truths: u32 = counts.iter().take(classes).flatten().sum();
        let columns: u32 = counts.iter().map(|row| row.iter().take(classes).sum::<u32>()).sum();
        let crowds = images.iter().flat_map(|image| &image.truths).any(|truth| truth.crowd);
        assert_eq!(truths as usize, asked, "set {n}: each truth stands in one cell");
        assert!(columns as usize <= said && (crowds || columns as usize == said), "set {n}: {columns} of {said}");
    }
}
