//! Sets of boxes: the three real ones of `../shared/data`, with everything that is odd about them.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

use std::path::PathBuf;

use frostline::data::{Dataset, Issue, OpenOptions, Quiet, Severity, Split, Task, open};

fn real(path: &str) -> Option<Dataset> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent", path.display());
        return None;
    }
    Some(open(&path, &OpenOptions::default(), &Quiet).unwrap())
}

fn issues<'a>(set: &'a Dataset, what: &str) -> Vec<&'a Issue> {
    set.issues.iter().filter(|issue| issue.what.contains(what)).collect()
}

/// File name and line of each issue that says this.
fn places(set: &Dataset, what: &str) -> Vec<(String, Option<usize>)> {
    let name = |issue: &Issue| issue.file.file_name().unwrap().to_string_lossy().into_owned();
    issues(set, what).into_iter().map(|issue| (name(issue), issue.line)).collect()
}

fn boxes(set: &Dataset, split: Split) -> usize {
    set.class_counts(split).iter().sum()
}

fn sizes(set: &Dataset) -> [usize; 3] {
    [Split::Train, Split::Val, Split::Test].map(|split| set.indices(split).len())
}

/// Every box lies in its picture and has area.
fn well_formed(set: &Dataset) {
    for sample in &set.samples {
        let [width, height] = sample.size_px.map(|px| px as f32);
        for one in sample.target.boxes.as_ref().unwrap() {
            let [left, top, right, bottom] = one.xyxy;
            assert!(0.0 <= left && left < right && right <= width, "{one:?}");
            assert!(0.0 <= top && top < bottom && bottom <= height, "{one:?}");
            assert!((one.class as usize) < set.classes().len());
        }
    }
    assert!(set.classes().is_sorted());
    assert_eq!(set.category_ids.len(), set.classes().len());
}

/// Boxes of the picture with this file name: class name and corners.
fn of<'a>(set: &'a Dataset, name: &str) -> Vec<(&'a str, [f32; 4])> {
    let sample = set.samples.iter().find(|sample| sample.image.name().ends_with(name)).unwrap();
    let boxes = sample.target.boxes.as_ref().unwrap();
    boxes.iter().map(|one| (set.classes()[one.class as usize].as_str(), one.xyxy)).collect()
}

fn near(got: [f32; 4], want: [f32; 4]) {
    assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-2), "{got:?} {want:?}");
}

fn count(set: &Dataset, split: Split, class: &str) -> usize {
    set.class_counts(split)[set.classes().iter().position(|name| name == class).unwrap()]
}

#[test]
fn tiny_coco() {
    let Some(set) = real("detection_coco/tiny_coco") else { return };
    assert_eq!((set.task, set.usable(), set.found), (Task::Detect, Ok(()), 100));
    // SOURCE.md, and a count of the files by Python's json.
    assert_eq!(sizes(&set), [50, 50, 0]);
    assert_eq!((boxes(&set, Split::Train), boxes(&set, Split::Val)), (470, 382));
    for (class, train, val) in [("person", 99, 127), ("bottle", 45, 10), ("spoon", 38, 8)] {
        assert_eq!(count(&set, Split::Train, class), train, "{class}");
        assert!(class != "person" || count(&set, Split::Val, class) == val);
    }
    let used = |split| set.class_counts(split).iter().filter(|count| **count > 0).count();
    assert_eq!((set.classes().len(), used(Split::Train), used(Split::Val)), (80, 49, 48));
    let id = |name: &str| set.category_ids[set.classes().iter().position(|class| class == name).unwrap()];
    assert_eq!((id("person"), id("stop sign"), id("toothbrush")), (1, 13, 90));
    let first = of(&set, "000000391895.jpg");
    assert_eq!((first[0].0, first[1].0), ("motorcycle", "person"));
    near(first[0].1, [359.17, 146.17, 471.62, 359.74]);
    near(first[1].1, [339.88, 22.16, 493.76, 322.89]);
    // SOURCE.md: 5 crowds in each part, three pictures without annotation.
    assert_eq!(issues(&set, "a crowd (iscrowd)").len(), 10);
    assert!(places(&set, "a crowd").contains(&("instances_train2017.json".to_owned(), Some(3146))));
    let mut empty: Vec<String> = places(&set, "counts as background").into_iter().map(|(name, _)| name).collect();
    empty.sort();
    assert_eq!(empty, ["000000058636.jpg", "000000226111.jpg", "000000262284.jpg"]);
    assert!(
        issues(&set, "mask cannot be read").is_empty() && issues(&set, "").iter().all(|i| i.severity < Severity::Error)
    );
    well_formed(&set);
}

#[test]
fn one_file_of_tiny_coco() {
    let Some(set) = real("detection_coco/tiny_coco/annotations/instances_val2017.json") else { return };
    assert_eq!((set.usable(), set.used(), set.suggested_split), (Ok(()), 50, true));
    assert_eq!(boxes(&set, Split::Train) + boxes(&set, Split::Val), 382);
    well_formed(&set);
}

#[test]
fn bccd() {
    let Some(set) = real("detection_voc/bccd") else { return };
    assert_eq!((set.task, set.usable(), set.found), (Task::Detect, Ok(()), 364));
    assert_eq!((set.classes(), sizes(&set)), (&["Platelets".into(), "RBC".into(), "WBC".into()][..], [205, 87, 72]));
    // Counted with Python's xml.etree, without the two of no area.
    let counts = [Split::Train, Split::Val, Split::Test].map(|split| set.class_counts(split));
    assert_eq!(counts, [[209, 2381, 214], [83, 967, 87], [69, 805, 71]]);
    // 260 177 491 376 in the file, from 1.
    assert_eq!(of(&set, "BloodImage_00000.jpg")[0], ("WBC", [259.0, 176.0, 491.0, 376.0]));
    let without_area = places(&set, "has no area");
    assert_eq!(
        without_area,
        [("BloodImage_00338.xml".to_owned(), Some(158)), ("BloodImage_00343.xml".to_owned(), Some(50))]
    );
    assert_eq!(issues(&set, "364 annotations give a path of another machine").len(), 1);
    assert!(issues(&set, "counted from 1").len() == 1 && set.issues.iter().all(|i| i.severity < Severity::Error));
    well_formed(&set);
}

#[test]
fn coco128_mini() {
    for path in ["detection_yolo/coco128_mini", "detection_yolo/coco128_mini/data.yaml"] {
        let Some(set) = real(path) else { return };
        assert_eq!((set.task, set.usable()), (Task::Detect, Ok(())));
        // SOURCE.md
        assert_eq!(sizes(&set), [53, 17, 0]);
        // 444 in the files of train, of which 12 are about the two pictures that are not there.
        assert_eq!((boxes(&set, Split::Train), boxes(&set, Split::Val)), (432, 113));
        let used = |split| set.class_counts(split).iter().filter(|count| **count > 0).count();
        assert_eq!((set.classes().len(), used(Split::Train), used(Split::Val)), (80, 57, 33));
        let names = |what| places(&set, what).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("counts as background"), ["000000000250.jpg", "000000000508.jpg"]);
        assert_eq!(names("labels of a picture that is not there"), ["000000000656.txt", "000000000659.txt"]);
        let grey = names("without color");
        assert!(grey.contains(&"000000000086.jpg".to_owned()) && grey.contains(&"000000007888.jpg".to_owned()));
        // 45 0.479492 0.688771 0.955609 0.5955 in 640 x 480 pixels.
        let first = of(&set, "000000000009.jpg")[0];
        assert_eq!((first.0, set.category_ids[set.classes().iter().position(|c| c == "bowl").unwrap()]), ("bowl", 45));
        near(first.1, [1.08, 187.69, 612.67, 473.53]);
        well_formed(&set);
    }
}
