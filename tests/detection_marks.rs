//! Right, wrong and missed boxes, the confusion matrix and precision-recall points by hand.

use frostline::train::detection::{
    Blame, Detection, DetectionConfusion, Hit, ImageBoxes, Mark, PrPoint, Truth, TruthMark, best_mean_f1, marks,
    pr_curves,
};

fn said(class: u32, xywh: [f64; 4], score: f64) -> Detection {
    Detection { class, xywh, score }
}

const A: [f64; 4] = [0.0, 0.0, 10.0, 10.0];
const B: [f64; 4] = [100.0, 0.0, 10.0, 10.0];
const C: [f64; 4] = [200.0, 0.0, 10.0, 10.0];

/// IoU with `A`: 80 / 120.
const NEAR_A: [f64; 4] = [2.0, 0.0, 10.0, 10.0];
/// IoU with `A`: 50 / 150.
const LOOSE_A: [f64; 4] = [5.0, 0.0, 10.0, 10.0];

#[test]
fn each_box_has_its_mark() {
    let crowd = Truth { crowd: true, ..Truth::new(0, [300.0, 0.0, 100.0, 100.0]) };
    let truths = [Truth::new(0, A), Truth::new(1, B), Truth::new(0, C), crowd];
    let detections = [
        said(0, NEAR_A, 0.8),                    // less sure than the next, which takes A
        said(0, A, 0.9),                         //
        said(0, B, 0.7),                         // there is class 1
        said(0, LOOSE_A, 0.6),                   // IoU 1/3
        said(1, [500.0, 0.0, 5.0, 5.0], 0.5),    // nothing
        said(0, [310.0, 10.0, 10.0, 10.0], 0.5), // in the crowd
        said(0, C, 0.2),                         // not sure enough
    ];
    let marks_at = |confidence, iou| marks(&truths, &detections, confidence, iou);
    let found = marks_at(0.5, 0.5);
    assert_eq!(
        found.detections,
        [
            Mark::Wrong(Blame::Twice(0)),
            Mark::Right(0),
            Mark::Wrong(Blame::OtherClass(1)),
            Mark::Wrong(Blame::Loose(0)),
            Mark::Wrong(Blame::Background),
            Mark::Ignored(3),
            Mark::Hidden,
        ]
    );
    assert_eq!(found.truths, [TruthMark::Found(1), TruthMark::Missed, TruthMark::Missed, TruthMark::Ignored]);
    assert_eq!(found.counts(), [1, 4, 2]);
    assert_eq!(marks_at(0.2, 0.5).counts(), [2, 4, 1], "the slider brings C in");
    assert_eq!(marks_at(0.2, 0.5).truths[2], TruthMark::Found(6));
    // At IoU .3 the loose box is one more on an object found already.
    assert_eq!(marks_at(0.5, 0.3).detections[3], Mark::Wrong(Blame::Twice(0)));
    assert_eq!(marks_at(0.5, 0.0).detections[4], Mark::Wrong(Blame::Background), "nothing is no overlap");
    assert_eq!(marks(&[], &[], 0.5, 0.5).counts(), [0, 0, 0]);
}

#[test]
fn the_matrix_by_hand_opens_its_pictures() {
    let images = [
        ImageBoxes {
            truths: vec![Truth::new(0, A), Truth::new(1, B)],
            detections: vec![said(0, A, 0.9), said(0, B, 0.8), said(1, C, 0.7), said(0, C, 0.1)],
        },
        ImageBoxes { truths: vec![Truth::new(1, A)], detections: vec![] },
        // The better covered pair goes first although the other is surer; the other then has nothing left.
        ImageBoxes { truths: vec![Truth::new(0, A)], detections: vec![said(0, NEAR_A, 0.9), said(1, A, 0.6)] },
        // Equally well covered: the pair of one class goes first.
        ImageBoxes { truths: vec![Truth::new(1, A)], detections: vec![said(0, A, 0.9), said(1, A, 0.6)] },
    ];
    let matrix = DetectionConfusion::new(&images, 2, 0.25, 0.5);
    assert_eq!(matrix.counts(), [[1, 1, 0], [1, 1, 1], [2, 1, 0]]);
    assert_eq!((matrix.background(), matrix.strangers), (2, 0));
    assert_eq!(matrix.pictures(2, 0), [2, 3]);
    assert_eq!(matrix.hits(1, 0), [Hit { picture: 0, truth: Some(1), detection: Some(1) }]);
    assert_eq!(matrix.hits(1, 2), [Hit { picture: 1, truth: Some(0), detection: None }]);
    assert_eq!(matrix.hits(2, 1), [Hit { picture: 0, truth: None, detection: Some(2) }]);
    assert!(matrix.hits(3, 0).is_empty() && matrix.hits(0, 3).is_empty());
    let one = DetectionConfusion::new(&images, 1, 0.25, 0.5);
    assert_eq!((one.counts(), one.strangers), (vec![vec![2, 0], vec![2, 0]], 6));
}

#[test]
fn crowds_and_ignored_objects_excuse_what_lies_on_them() {
    let crowd = Truth { crowd: true, ..Truth::new(0, [0.0, 0.0, 100.0, 100.0]) };
    let difficult = Truth { ignore: true, ..Truth::new(1, C) };
    let detections = vec![said(0, A, 0.9), said(1, C, 0.8), said(0, [500.0, 0.0, 5.0, 5.0], 0.7)];
    let images = [ImageBoxes { truths: vec![crowd, difficult], detections }];
    assert_eq!(DetectionConfusion::new(&images, 2, 0.25, 0.5).counts(), [[0, 0, 0], [0, 0, 0], [1, 0, 0]]);
}

#[test]
fn a_curve_by_hand() {
    let images = [
        ImageBoxes {
            truths: vec![Truth::new(0, A), Truth::new(0, B)],
            detections: vec![said(0, A, 0.9), said(0, C, 0.8)],
        },
        ImageBoxes {
            truths: vec![Truth::new(0, A), Truth::new(0, C)],
            detections: vec![said(0, A, 0.8), said(0, B, 0.3)],
        },
        ImageBoxes { truths: vec![], detections: vec![said(1, A, 0.5)] },
    ];
    let curves = pr_curves(&images, 2, 0.5);
    let point = |confidence, precision, recall| PrPoint { confidence, precision, recall };
    // Two detections of score .8, one right: one point.
    assert_eq!(curves[0].points, [point(0.9, 1.0, 0.25), point(0.8, 2.0 / 3.0, 0.5), point(0.3, 0.5, 0.5)]);
    let best = curves[0].best().unwrap();
    assert_eq!(best, point(0.8, 2.0 / 3.0, 0.5));
    assert!((best.f1() - 4.0 / 7.0).abs() < 1e-12);
    assert_eq!(curves[0].at(0.85), Some(point(0.85, 1.0, 0.25)));
    assert_eq!(curves[0].at(0.95), Some(point(0.95, 1.0, 0.0)));
    let missed: Vec<(usize, usize)> = curves[0].missed(0.85).map(|asked| (asked.picture, asked.truth)).collect();
    assert_eq!(missed, [(0, 1), (1, 0), (1, 1)]);
    let wrong: Vec<(usize, usize)> = curves[0].wrong(0.1).map(|ranked| (ranked.picture, ranked.detection)).collect();
    assert_eq!(wrong, [(0, 1), (1, 1)]);
    // Nothing of class 1 is to be found: no curve, and it does not pull the mean down.
    assert_eq!((curves[1].best(), curves[1].at(0.5), curves[1].ranked.len()), (None, None, 1));
    let (confidence, f1) = best_mean_f1(&curves).unwrap();
    assert!(confidence > 0.3 && confidence <= 0.8 && (f1 - 4.0 / 7.0).abs() < 1e-12, "{confidence} {f1}");
    assert_eq!(best_mean_f1(&curves[1..]), None);
}
