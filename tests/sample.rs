//! The built-in sample: what the generator promises about its pictures, boxes, masks and files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use frostline::data::sample::{
    ASSET_SEED, ASSET_TRAIN, ASSET_VAL, SampleError, Scene, World, archive, classes, embedded, embedded_annotations,
    scene, unpack_embedded, write_folder,
};
use sha2::{Digest as _, Sha256};

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// The pinned digests say that a scene is the same on every machine and in every version.
#[test]
fn scenes_are_pinned() {
    let pinned = [
        (World::Sample, 0, 0, "15b3964239cc0d9f"),
        (World::Sample, 3, 41, "ce5eba780e1f3075"),
        (World::Pretrain, 0, 7, "b99cfc0db5c6ca4d"),
        (World::Pretrain, 23, 1 << 40, "f90478483dffd0f5"),
    ];
    for (world, class, index, want) in pinned {
        let drawn = scene(world, class, index, 5, 64);
        assert_eq!(digest(&[&drawn.pixels, &drawn.mask]), want, "{world:?} class {class} scene {index}");
    }
    let (a, b) = (scene(World::Sample, 1, 2, 3, 48), scene(World::Sample, 1, 2, 4, 48));
    assert_ne!(a.pixels, b.pixels, "another seed draws another picture");
}

#[test]
fn worlds_share_no_class_and_are_sorted() {
    let (ours, others) = (classes(World::Sample), classes(World::Pretrain));
    assert_eq!(ours, ["flower", "leaf", "shell", "snowflake"]);
    assert!((16..=24).contains(&others.len()));
    assert!(ours.iter().all(|name| !others.contains(name)));
    assert!(others.is_sorted() && ours.is_sorted());
}

/// Boxes and areas recomputed from the masks, by another way than the generator's.
#[test]
fn boxes_are_tight_and_masks_agree() {
    for world in [World::Sample, World::Pretrain] {
        for class in 0..classes(world).len() {
            for index in 0..6 {
                let drawn = scene(world, class, index, 1, 96);
                check_scene(&drawn, classes(world).len());
                assert_eq!(drawn.objects[0].class, class, "the main object comes first");
            }
        }
    }
}

fn check_scene(drawn: &Scene, classes: usize) {
    let side = drawn.size_px as usize;
    assert_eq!(
        (drawn.pixels.len(), drawn.mask.len(), drawn.instances.len()),
        (side * side * 3, side * side, side * side)
    );
    assert!(drawn.mask.iter().all(|&id| usize::from(id) <= classes));
    let ids: BTreeSet<u8> = drawn.instances.iter().copied().filter(|&id| id > 0).collect();
    assert_eq!(ids.len(), drawn.objects.len(), "every object is seen");
    for (&class_id, &object_id) in drawn.mask.iter().zip(&drawn.instances) {
        match object_id {
            0 => assert_eq!(class_id, 0),
            id => assert_eq!(usize::from(class_id), drawn.objects[usize::from(id) - 1].class + 1),
        }
    }
    for (index, object) in drawn.objects.iter().enumerate() {
        let mine = |x: usize, y: usize| usize::from(drawn.instances[y * side + x]) == index + 1;
        let columns: Vec<usize> = (0..side).filter(|&x| (0..side).any(|y| mine(x, y))).collect();
        let rows: Vec<usize> = (0..side).filter(|&y| (0..side).any(|x| mine(x, y))).collect();
        let want = [columns[0], rows[0], columns[columns.len() - 1] + 1, rows[rows.len() - 1] + 1];
        assert_eq!(object.xyxy, want.map(|edge| edge as f32));
        let area = drawn.instances.iter().filter(|&&id| usize::from(id) == index + 1).count();
        assert_eq!(object.area_px as usize, area);
    }
    // The main object fills a fair part of the picture and is not hidden.
    let share = f64::from(drawn.objects[0].area_px) / (side * side) as f64;
    assert!((0.008..0.65).contains(&share), "the main object covers {share:.3}");
}

/// A scene is the same picture at every size: the main box scales with the side.
#[test]
fn size_changes_the_resolution_only() {
    for class in 0..4 {
        let (small, large) = (scene(World::Sample, class, 3, 9, 64), scene(World::Sample, class, 3, 9, 128));
        for (a, b) in small.objects[0].xyxy.iter().zip(large.objects[0].xyxy) {
            assert!((2.0 * a - b).abs() <= 4.0, "class {class}: {a} at 64 px, {b} at 128 px");
        }
    }
}

/// Nearest mean color, fitted on one set and asked about another: chance is 25 %.
#[test]
fn mean_color_does_not_give_the_class_away() {
    let features = |drawn: &Scene, of_object: bool| -> [f64; 3] {
        let (mut sum, mut count) = ([0.0; 3], 0.0);
        for (rgb, &id) in drawn.pixels.chunks_exact(3).zip(&drawn.instances) {
            if !of_object || id == 1 {
                sum.iter_mut().zip(rgb).for_each(|(s, &c)| *s += f64::from(c));
                count += 1.0;
            }
        }
        sum.map(|s| s / count)
    };
    for of_object in [false, true] {
        let mean = |class: usize| {
            let all: Vec<[f64; 3]> =
                (0..80).map(|i| features(&scene(World::Sample, class, i, 1, 48), of_object)).collect();
            [0, 1, 2].map(|k| all.iter().map(|f| f[k]).sum::<f64>() / all.len() as f64)
        };
        let means: Vec<[f64; 3]> = (0..4).map(mean).collect();
        let distance = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
        let mut right = 0;
        for class in 0..4 {
            for index in 1000..1060 {
                let f = features(&scene(World::Sample, class, index, 1, 48), of_object);
                let guess = (0..4).min_by(|&a, &b| distance(&f, &means[a]).total_cmp(&distance(&f, &means[b])));
                right += usize::from(guess == Some(class));
            }
        }
        let share = right as f64 / 240.0;
        assert!(share < 0.45, "nearest mean color is right in {share:.2} (object only: {of_object})");
    }
}

/// The committed archive is what the generator draws, byte for byte.
#[test]
fn committed_archive_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample.tar");
    let committed = std::fs::read(path).unwrap();
    assert!(committed.len() < 1_500_000, "{} bytes", committed.len());
    let drawn = archive(ASSET_SEED).unwrap();
    assert!(committed == drawn, "assets/sample.tar is stale: run `frostline sample --assets`");
}

#[test]
fn embedded_sample_is_complete_and_balanced() {
    let files = embedded().unwrap();
    let count = |prefix: &str| files.iter().filter(|(path, _)| path.starts_with(prefix)).count();
    for name in classes(World::Sample) {
        assert_eq!(count(&format!("train/{name}/")), ASSET_TRAIN);
        assert_eq!(count(&format!("val/{name}/")), ASSET_VAL);
        assert_eq!(count(&format!("masks/train/{name}_")), ASSET_TRAIN);
        assert_eq!(count(&format!("masks/val/{name}_")), ASSET_VAL);
    }
    assert_eq!(files.len(), 4 * 2 * (ASSET_TRAIN + ASSET_VAL) + 2);
    let splits: Vec<String> = embedded_annotations().unwrap().into_iter().map(|(split, _)| split).collect();
    assert_eq!(splits, ["train", "val"]);
}

/// Reads a written set as a stranger would: JSON by key, JPEG and PNG through the `image` crate.
#[test]
fn written_folder_reads_as_coco() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("set");
    let told = std::cell::RefCell::new(Vec::new());
    write_folder(World::Sample, &root, 3, 2, 64, 8, &|done, of| told.borrow_mut().push((done, of))).unwrap();
    assert_eq!(told.borrow().last(), Some(&(20, 20)));
    let left: Vec<String> = list(home.path());
    assert_eq!(left, ["set"], "no staging folder stays behind");
    assert_eq!(list(&root), ["annotations", "masks", "train", "val"]);
    for (split, per_class) in [("train", 3), ("val", 2)] {
        check_coco(&root, split, per_class);
    }
    let again = write_folder(World::Sample, &root, 1, 1, 64, 8, &|_, _| {});
    assert!(matches!(again, Err(SampleError::Occupied(path)) if path == root));
}

fn list(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn check_coco(root: &Path, split: &str, per_class: usize) {
    let text = std::fs::read_to_string(root.join(format!("annotations/{split}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let categories: Vec<(u64, &str)> = json["categories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["id"].as_u64().unwrap(), c["name"].as_str().unwrap()))
        .collect();
    assert_eq!(categories, [(1, "flower"), (2, "leaf"), (3, "shell"), (4, "snowflake")]);
    let images = json["images"].as_array().unwrap();
    assert_eq!(images.len(), 4 * per_class);
    let mut per_folder = BTreeMap::<String, usize>::new();
    for entry in images {
        let name = entry["file_name"].as_str().unwrap();
        let picture = image::open(root.join(name)).unwrap();
        assert_eq!(u64::from(picture.width()), entry["width"].as_u64().unwrap());
        assert_eq!(u64::from(picture.height()), entry["height"].as_u64().unwrap());
        *per_folder.entry(name.split('/').nth(1).unwrap().to_owned()).or_default() += 1;
        let stem = Path::new(name).file_stem().unwrap().to_str().unwrap();
        let mask = read_ids(&root.join(format!("masks/{split}/{stem}.png")));
        let mut painted = vec![0_u8; mask.len()];
        for note in json["annotations"].as_array().unwrap().iter().filter(|a| a["image_id"] == entry["id"]) {
            paint_runs(note, 64, &mut painted);
        }
        assert_eq!(painted, mask, "the runs of {name} paint its mask");
    }
    assert!(per_folder.len() == 4 && per_folder.values().all(|&n| n == per_class));
}

/// Decodes one annotation's run lengths, checks its area and box, and paints its category id.
fn paint_runs(note: &serde_json::Value, side: usize, painted: &mut [u8]) {
    assert_eq!(note["segmentation"]["size"], serde_json::json!([side, side]));
    let counts = note["segmentation"]["counts"].as_array().unwrap();
    let (mut at, mut inside, mut area) = (0, false, 0);
    let (mut low, mut high) = ([side, side], [0, 0]);
    for count in counts {
        let run = count.as_u64().unwrap() as usize;
        for k in at..at + run {
            let (x, y) = (k / side, k % side); // down the columns
            if inside {
                assert_eq!(painted[y * side + x], 0, "objects do not overlap");
                painted[y * side + x] = note["category_id"].as_u64().unwrap() as u8;
                area += 1;
                low = [low[0].min(x), low[1].min(y)];
                high = [high[0].max(x + 1), high[1].max(y + 1)];
            }
        }
        at += run;
        inside = !inside;
    }
    assert_eq!(at, side * side, "the runs cover the picture");
    assert_eq!(note["area"].as_u64().unwrap(), area);
    assert_eq!(note["bbox"], serde_json::json!([low[0], low[1], high[0] - low[0], high[1] - low[1]]));
}

/// The indices of an indexed PNG: the decoder expands its palette, so the palette in the file is looked up backwards.
fn read_ids(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes[25], 3, "{} is an indexed PNG", path.display());
    assert_eq!(&bytes[37..41], b"PLTE");
    let palette: Vec<[u8; 3]> = bytes[41..].chunks_exact(3).take(8).map(|c| [c[0], c[1], c[2]]).collect();
    let index = |p: &image::Rgb<u8>| palette.iter().position(|c| *c == p.0).unwrap() as u8;
    image::open(path).unwrap().to_rgb8().pixels().map(index).collect()
}

#[test]
fn unpacking_gives_the_embedded_files_and_spares_what_is_there() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("sample");
    unpack_embedded(&root).unwrap();
    for (path, bytes) in embedded().unwrap() {
        assert_eq!(std::fs::read(root.join(&path)).unwrap(), bytes[..], "{path}");
    }
    let used = home.path().join("used");
    std::fs::create_dir(&used).unwrap();
    std::fs::write(used.join("mine.txt"), "mine").unwrap();
    assert!(matches!(unpack_embedded(&used), Err(SampleError::Occupied(_))));
    assert_eq!(list(&used), ["mine.txt"]);
}
