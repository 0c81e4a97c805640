//! What a person drew as a data set: it opens again with the same classes, objects and pixels.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use frostline::data::{
    Dataset, Drawn, DrawnForm, DrawnObject, OpenOptions, Quiet, Sample, Task, load_instances, load_mask, open, runs_of,
    save_drawn,
};
use std::fs;
use std::path::{Path, PathBuf};

const WIDTH: u32 = 6;
const HEIGHT: u32 = 4;
/// A cat (large), a dog over it (small), rows from the top.
const CAT: [&str; 4] = ["......", ".####.", ".####.", "......"];
const DOG: [&str; 4] = ["......", "......", "..##..", "..#..."];

fn runs(rows: [&str; 4]) -> Vec<u32> {
    let all: String = rows.concat();
    runs_of(|at| all.as_bytes()[at] == b'#', [WIDTH, HEIGHT])
}

fn picture(path: &Path, n: u8) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_fn(WIDTH, HEIGHT, |x, y| image::Rgb([n, x as u8, y as u8])).save(path).unwrap();
    path.to_owned()
}

/// Two pictures of one name with objects, and one without.
fn drawn(root: &Path) -> Vec<Drawn> {
    let size_px = [WIDTH, HEIGHT];
    let (cat, dog) = (DrawnObject { class: 0, runs: runs(CAT) }, DrawnObject { class: 1, runs: runs(DOG) });
    let of = |image: PathBuf, objects: &[&DrawnObject]| Drawn {
        image,
        size_px,
        objects: objects.iter().map(|&object| object.clone()).collect(),
    };
    vec![
        of(picture(&root.join("x/a.png"), 1), &[&dog, &cat]),
        of(picture(&root.join("y/a.png"), 2), &[&dog]),
        of(picture(&root.join("y/b.png"), 3), &[]),
    ]
}

fn open_as(path: &Path, task: Option<Task>) -> Dataset {
    open(path, &OpenOptions { task, ..OpenOptions::default() }, &Quiet).unwrap()
}

fn classes() -> [String; 2] {
    ["cat", "dog"].map(str::to_owned)
}

fn sample<'a>(set: &'a Dataset, name: &str) -> &'a Sample {
    set.samples.iter().find(|sample| sample.image.path().unwrap().ends_with(name)).unwrap()
}

/// The class map of a picture in letters.
fn letters(set: &Dataset, name: &str) -> Vec<String> {
    let mask = load_mask(sample(set, name).target.mask.as_ref().unwrap()).unwrap();
    let letter = |id: &u8| set.classes()[usize::from(*id)].chars().next().unwrap();
    mask.ids.chunks(WIDTH as usize).map(|row| row.iter().map(letter).collect()).collect()
}

const A: [&str; 4] = ["bbbbbb", "bccccb", "bcddcb", "bbdbbb"];
const A_2: [&str; 4] = ["bbbbbb", "bbbbbb", "bbddbb", "bbdbbb"];

#[test]
fn coco_opens_as_masks_objects_and_boxes() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("set");
    let all = drawn(dir.path());
    let saved = save_drawn(&all, &classes(), DrawnForm::Coco, &to, &mut |_, _| true).unwrap().unwrap();
    assert_eq!((&saved.folder, saved.pictures, saved.objects), (&to, 2, 3));
    let set = open_as(&to, Some(Task::Segment));
    assert_eq!((set.task, set.classes()), (Task::Segment, &["background", "cat", "dog"].map(str::to_owned)[..]));
    assert_eq!((set.found, set.used()), (2, 2), "{:#?}", set.issues);
    assert_eq!(letters(&set, "images/a.png"), A);
    assert_eq!(letters(&set, "images/a_2.png"), A_2);
    let objects = load_instances(sample(&set, "images/a.png").target.mask.as_ref().unwrap()).unwrap().unwrap();
    assert_eq!((objects.ids[7], objects.ids[14], objects.ids[20], objects.ids[0]), (2, 1, 1, 0));
    // The same set for a detector; area and box worked by hand.
    let set = open_as(&to, None);
    assert_eq!((set.task, set.classes()), (Task::Detect, &classes()[..]));
    let boxes = sample(&set, "images/a.png").target.boxes.as_ref().unwrap();
    let told: Vec<_> = boxes.iter().map(|one| (one.class, one.xyxy, one.area_px)).collect();
    assert_eq!(told, [(1, [2.0, 2.0, 4.0, 4.0], Some(3.0)), (0, [1.0, 1.0, 5.0, 3.0], Some(8.0))]);
    // The picture is the one that was drawn in, byte for byte.
    assert_eq!(fs::read(to.join("images/a_2.png")).unwrap(), fs::read(dir.path().join("y/a.png")).unwrap());
}

#[test]
fn class_maps_open_with_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("set");
    let all = drawn(dir.path());
    save_drawn(&all, &classes(), DrawnForm::Masks, &to, &mut |_, _| true).unwrap().unwrap();
    let set = open_as(&to, None);
    assert_eq!((set.task, set.classes()), (Task::Segment, &["background", "cat", "dog"].map(str::to_owned)[..]));
    assert_eq!((set.found, set.used()), (2, 2), "{:#?}", set.issues);
    assert_eq!(letters(&set, "images/a.png"), A);
    assert_eq!(letters(&set, "images/a_2.png"), A_2);
    assert_eq!(sample(&set, "images/a.png").target.mask_px, [15, 6, 3]);
}

#[test]
fn a_single_class_is_no_binary_guess() {
    let dir = tempfile::tempdir().unwrap();
    let all = drawn(dir.path());
    let only = [Drawn { objects: vec![DrawnObject { class: 0, runs: runs(CAT) }], ..all[0].clone() }];
    for form in [DrawnForm::Coco, DrawnForm::Masks] {
        let to = dir.path().join(format!("{form:?}"));
        save_drawn(&only, &["cat".to_owned()], form, &to, &mut |_, _| true).unwrap().unwrap();
        let set = open_as(&to, Some(Task::Segment));
        assert_eq!(set.classes(), ["background", "cat"], "{form:?}");
        assert_eq!(letters(&set, "images/a.png"), CAT.map(|row| row.replace('.', "b").replace('#', "c")));
    }
}

#[test]
fn nothing_is_overwritten_and_mistakes_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("set");
    let all = drawn(dir.path());
    let save = |all: &[Drawn], classes: &[String]| save_drawn(all, classes, DrawnForm::Coco, &to, &mut |_, _| true);
    let folders: Vec<PathBuf> = (0..3).map(|_| save(&all, &classes()).unwrap().unwrap().folder).collect();
    assert_eq!(folders, [to.clone(), to.join("drawn"), to.join("drawn_2")]);
    assert!(save_drawn(&all, &classes(), DrawnForm::Coco, &to, &mut |_, _| false).unwrap().is_none());
    let names = |names: [&str; 2]| names.map(str::to_owned);
    for (all, classes, told) in [
        (&all[2..], classes(), "nothing to save"),
        (&all[..], names(["cat", " "]), "Class 2 has no name"),
        (&all[..], names(["cat", "cat"]), "Two classes are called cat"),
        (&all[..], names(["Background", "cat"]), "cannot be called Background"),
    ] {
        assert!(save(all, &classes).unwrap_err().contains(told));
    }
    assert!(save(&all, &classes()[..1]).unwrap_err().contains("class without a name"));
    let wrong = [Drawn { size_px: [WIDTH + 1, HEIGHT], ..all[0].clone() }];
    assert!(save(&wrong, &classes()).unwrap_err().contains("another size than 7×4"));
    fs::remove_file(&all[0].image).unwrap();
    assert!(save(&all, &classes()).unwrap_err().contains("a.png"));
}

#[test]
fn what_was_accepted_twice_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut pictures = drawn(dir.path());
    let again = pictures[0].clone();
    pictures[0].objects.push(again.objects[0].clone());
    pictures.push(again);
    let to = dir.path().join("set");
    let saved = save_drawn(&pictures, &classes(), DrawnForm::Coco, &to, &mut |_, _| true).unwrap().unwrap();
    assert_eq!((saved.pictures, saved.objects), (2, 3));
    let set = open_as(&to, Some(Task::Segment));
    assert_eq!((set.samples.len(), letters(&set, "a.png")), (2, A.map(str::to_owned).to_vec()));
}
