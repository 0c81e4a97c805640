//! The feature cache: cuts, stores, and runs that are the same with and without it.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and say what they skip"
)]

mod common;

use burn::tensor::Device;
use common::tiny::{self, Notes};
use frostline::data::features::{Budget, FeatureFolder, FeatureStore, Record, Seen};
use frostline::data::{
    Augment, BoxTarget, CropRange, Dataset, ImageSource, MaskPixels, MaskTarget, Placement, Sample, Shift, Split,
    Target, Task,
};
use frostline::graph::{Cut, FreezePlan, Frontier, Graph};
use frostline::models::find;
use frostline::train::{CacheChoice, CacheMode, Control, Plan, Setup, Trainer};
use std::path::Path;
use std::sync::Arc;

fn cut(model: &str, classes: usize, size: usize, freeze: &str) -> (Graph, Option<Cut>) {
    let graph = find(model).unwrap().graph(classes, size).unwrap();
    let facts = graph.facts().unwrap();
    let plan = FreezePlan::parse(&graph, freeze).unwrap();
    let cut = Cut::of(&graph, &facts, &Frontier::of(&graph, &facts, &plan));
    (graph, cut)
}

#[test]
fn cuts_hold_what_crosses_the_frost_line() {
    // Values of a picture, by hand (those of peers.md where it has them).
    let yolox_s = 128 * 80 * 80 + 256 * 40 * 40 + 512 * 20 * 20;
    let unet = 64 * 256 * 256 + 128 * 128 * 128 + 256 * 64 * 64 + 512 * 32 * 32 + 1024 * 16 * 16;
    let smp = 64 * 128 * 128 + 64 * 64 * 64 + 128 * 32 * 32 + 256 * 16 * 16 + 512 * 8 * 8;
    let c2_to_c5 = 256 * 64 * 64 + 512 * 32 * 32 + 1024 * 16 * 16 + 2048 * 8 * 8;
    let wanted = [
        ("resnet50", 224, "head-only", 2048),
        ("resnet50", 224, "until:layer3", 1024 * 14 * 14),
        ("mobilenet_v2", 224, "head-only", 1280),
        ("vgg16", 224, "head-only", 4096),
        ("yolox_s", 640, "backbone", yolox_s),
        ("unet", 256, "backbone", unet),
        ("unet_resnet18", 256, "backbone", smp),
        ("fasterrcnn_resnet50_fpn", 256, "backbone", c2_to_c5),
        ("sam_vit_b", 1024, "backbone", 256 * 64 * 64),
    ];
    for (model, size, freeze, values) in wanted {
        let (graph, cut) = cut(model, 2, size, freeze);
        let cut = cut.unwrap_or_else(|| panic!("{model}: no cut"));
        assert_eq!(cut.values(), values, "{model} {freeze}: {}", cut.names(&graph));
        assert_eq!(cut.shapes.len(), cut.nodes.len());
        assert!(cut.nodes.iter().all(|node| cut.prefix.contains(node)) && cut.macs > 0);
    }
    assert_eq!(cut("resnet18", 2, 224, "none").1, None, "nothing is frozen");
    assert_eq!(cut("resnet18", 2, 224, "layer3,layer4").1, None, "frozen islands come before nothing");
}

#[test]
fn a_later_cut_goes_on_from_an_earlier_one_and_not_the_other_way_round() {
    let (graph, early) = cut("resnet18", 2, 64, "until:layer2");
    let (_, late) = cut("resnet18", 2, 64, "until:layer4");
    let (early, late) = (early.unwrap(), late.unwrap());
    assert!(late.continues(&graph, &early) && !early.continues(&graph, &late) && late.macs > early.macs);
    // With skips from everywhere, all of them have to be there.
    let (graph, whole) = cut("unet_mini", 2, 32, "backbone");
    let (_, first) = cut("unet_mini", 2, 32, "inc");
    assert!(whole.unwrap().continues(&graph, &first.unwrap()));
}

#[test]
fn regions_are_not_stored_and_cut_the_cache_before_them() {
    // Everything but the box heads is frozen: proposals depend on training or not, so the pyramid is what is kept.
    let graph = find("fasterrcnn_resnet18_fpn").or_else(|_| find("fasterrcnn_resnet50_fpn")).unwrap();
    let graph = graph.graph(3, 128).unwrap();
    let facts = graph.facts().unwrap();
    let mut plan = FreezePlan::parse(&graph, "backbone").unwrap();
    let paths: Vec<String> = graph.nodes.iter().map(|node| node.path.clone()).collect();
    for path in paths.iter().filter(|path| path.contains("fpn") || path.contains("rpn")) {
        plan.set(path, true);
    }
    let cut = Cut::of(&graph, &facts, &Frontier::of(&graph, &facts, &plan)).unwrap();
    let paths: Vec<&str> = cut.prefix.iter().map(|&node| graph.node(node).path.as_str()).collect();
    assert!(
        paths.iter().any(|path| path.contains("fpn")) && !paths.iter().any(|path| path.contains("roi")),
        "{paths:?}"
    );
    // The pyramid that the box heads pool from: 256 channels at strides 4 to 32, and the coarsest halved once more.
    let cells = [32 * 32, 16 * 16, 8 * 8, 4 * 4];
    let kept = cut.values();
    assert!(kept >= 256 * cells.iter().sum::<usize>(), "{}: {kept}", cut.names(&graph));
}

fn record(at: usize, values: usize) -> Record {
    let values: Arc<[f32]> = (0..values).map(|i| (at * 31 + i) as f32 * 0.1).collect();
    let seen = match at % 2 {
        0 => Seen::Placed { placement: Placement::IDENTITY, window: [1, 2, 30, 40], min_visible: 0.1 },
        _ => Seen::Composed {
            placement: Placement::IDENTITY.mirrored(7),
            boxes: Some(vec![BoxTarget { area_px: Some(3.5), ..BoxTarget::new(2, [0.1, 0.2, 0.3, 0.7]) }]),
            mask: Some(vec![0, 1, 255]),
            objects: Some(vec![0, 700, u16::MAX]),
        },
    };
    Record { seen, values }
}

fn key(at: usize) -> [u8; 16] {
    [at as u8; 16]
}

#[test]
fn records_come_back_to_the_bit_from_memory_and_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.features");
    // Memory for none: everything goes over the disk. Memory for three of ten. No disk at all.
    for (ram, disk, there) in [(0, 1 << 20, 10), (3 * 500, 1 << 20, 10), (1 << 20, 0, 10), (3 * 500, 0, 3)] {
        std::fs::remove_file(&path).ok();
        let store = FeatureStore::open(&path, "x", 100, false, Budget { ram, disk });
        for at in 0..10 {
            let _ = store.put(key(at), &record(at, 100));
        }
        let found = (0..10).filter(|&at| store.get(&key(at)) == Some(record(at, 100))).count();
        assert!((there - 1..=there + 1).contains(&found), "{ram} {disk}: {found}");
        assert!(store.usage().ram_bytes <= ram && store.usage().disk_bytes <= disk.max(100));
        drop(store);
        let again = FeatureStore::open(&path, "x", 100, false, Budget { ram: 0, disk });
        let found = (0..10).filter(|&at| again.get(&key(at)) == Some(record(at, 100))).count();
        assert_eq!(found, if disk > 0 { 10 } else { 0 });
        assert!(again.take_notes().is_empty());
        assert_eq!(again.get(&key(77)), None);
        assert!(!again.put(key(1), &record(1, 99)), "another length");
    }
}

#[test]
fn half_numbers_are_rounded_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.features");
    let store = FeatureStore::open(&path, "x", 3, true, Budget { ram: 1 << 20, disk: 1 << 20 });
    let values: Arc<[f32]> = [1.0, 0.1, -65000.0].into();
    store.put(key(0), &Record { values: Arc::clone(&values), ..record(0, 3) });
    // IEEE 754 half: 0.1 lies between 1638/16384 and 1639/16384; -65000 between 32-steps.
    let wanted: Arc<[f32]> = [1.0, 0.099_975_586, -64992.0].into();
    assert_eq!(store.get(&key(0)).unwrap().values, wanted);
    assert_eq!(store.as_kept(&values), wanted);
    store.forget_memory();
    assert_eq!(store.get(&key(0)).unwrap().values, wanted);
}

#[test]
fn a_damaged_file_loses_what_is_damaged_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.features");
    let budget = Budget { ram: 0, disk: 1 << 20 };
    let store = FeatureStore::open(&path, "x", 100, false, budget);
    for at in 0..6 {
        let _ = store.put(key(at), &record(at, 100));
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    // A crash in the middle of the last record.
    std::fs::write(&path, &whole[..whole.len() - 50]).unwrap();
    let store = FeatureStore::open(&path, "x", 100, false, budget);
    assert_eq!((store.usage().records, store.get(&key(5)), store.get(&key(4))), (5, None, Some(record(4, 100))));
    assert!(store.put(key(5), &record(5, 100)));
    drop(store);
    assert_eq!(std::fs::read(&path).unwrap(), whole, "written again where it was");
    // A flipped bit in a record is found when it is read.
    let mut bytes = whole.clone();
    let middle = whole.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    let store = FeatureStore::open(&path, "x", 100, false, budget);
    let found: Vec<bool> = (0..6).map(|at| store.get(&key(at)) == Some(record(at, 100))).collect();
    assert_eq!(found.iter().filter(|found| **found).count(), 5, "{found:?}");
    assert_eq!(store.take_notes().len(), 1);
    // A store of something else under the same name begins anew; another program's lock keeps this one from writing.
    let second = FeatureStore::open(&path, "x", 100, false, budget);
    assert!(second.take_notes()[0].contains("in use by another run"));
    assert!(!second.put(key(9), &record(9, 100)) && second.get(&key(0)).is_some());
    drop((store, second));
    let other = FeatureStore::open(&path, "y", 100, false, budget);
    assert_eq!((other.usage().records, other.get(&key(0))), (0, None));
}

#[test]
fn the_folder_stays_in_its_budget_and_can_be_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let folder = FeatureFolder::new(Some(dir.path().join("features")));
    let budget = Budget { ram: 0, disk: 12_000 };
    for name in ["a", "b", "c"] {
        let (store, notes) = folder.store(name, 100, false, budget, 5_000);
        assert!(notes.is_empty());
        for at in 0..10 {
            let _ = store.put(key(at), &record(at, 100));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let kept = folder.kept();
    assert!(kept.bytes <= 12_000 && kept.files == 2, "{kept:?}");
    assert!(!dir.path().join("features/a.features").exists(), "the oldest went");
    let (used, _) = folder.store("c", 100, false, budget, 0);
    let gone = folder.clear();
    assert_eq!((gone.files, folder.kept().files), (1, 1), "one is in use");
    drop(used);
    folder.clear();
    assert_eq!(folder.kept().files, 0);
    // Reduced pictures count too, and go too; a data set whose pictures are decoded quickly has no file.
    let pictures = folder.pictures(Path::new("set")).unwrap();
    assert!(pictures.is_empty() && folder.kept().files == 0);
    std::fs::create_dir(dir.path().join("features/pictures")).unwrap();
    std::fs::write(dir.path().join("features/pictures/1.pixels"), "12345").unwrap();
    assert_eq!((folder.kept().bytes, folder.clear().bytes, folder.kept().files), (5, 5, 0));
}

/// Pictures of 32 px in memory with a class, boxes and a mask each.
fn pictures(count: usize, task: Task) -> Arc<Dataset> {
    let tiny = tiny::dataset(count);
    let mut set = Dataset::clone(&tiny);
    set.task = task;
    for sample in &mut set.samples {
        let class = sample.target.class().unwrap();
        let side = if class == 0 { 1.0 } else { 9.0 };
        let Some(MaskTarget::Pixels(mask)) = &sample.target.mask else { panic!("a mask") };
        let mask = MaskPixels::clone(mask);
        sample.target = match task {
            Task::Classify => Target::of_class(Some(class)),
            Task::Detect => {
                Target { boxes: Some(vec![BoxTarget::new(class, [side, 2.0, side + 5.0, 8.0])]), ..Target::default() }
            }
            Task::Segment => Target { mask: Some(MaskTarget::Pixels(Arc::new(mask))), ..Target::default() },
        };
    }
    Arc::new(set)
}

struct Outcome {
    notes: Notes,
    weights: Vec<Vec<f32>>,
}

fn run(plan: &Plan, set: &Arc<Dataset>, mode: CacheMode, folder: Option<&Path>) -> Outcome {
    let plan = Plan { cache: CacheChoice { mode, ..plan.cache }, ..plan.clone() };
    let setup = Setup::new(plan, Arc::clone(set), &Device::flex()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let folder = Arc::new(FeatureFolder::new(folder.map(Path::to_path_buf)));
    let mut trainer = Trainer::new(setup, &out.path().join("run")).unwrap().with_features(folder);
    let mut notes = Notes::default();
    trainer.run(&mut notes).unwrap();
    let weights = trainer.network().tensors().unwrap().into_iter().map(|tensor| tensor.values).collect();
    Outcome { notes, weights }
}

fn assert_same(who: &str, a: &Outcome, b: &Outcome) {
    let steps = |notes: &Notes| notes.steps.iter().map(|step| step.losses.clone()).collect::<Vec<_>>();
    assert_eq!(steps(&a.notes), steps(&b.notes), "{who}");
    for (a, b) in a.notes.epochs.iter().zip(&b.notes.epochs) {
        assert_eq!((&a.train, &a.val, &a.metrics), (&b.train, &b.val, &b.metrics), "{who}, epoch {}", a.epoch);
    }
    assert_eq!(a.weights, b.weights, "{who}");
}

fn plan(model: &str, freeze: &str) -> Plan {
    let graph = find(model).unwrap().graph(2, 32).unwrap();
    let freeze = FreezePlan::parse(&graph, freeze).unwrap();
    Plan { model: model.to_owned(), freeze, lr: 0.01, ..tiny::plan(3) }
}

#[test]
fn a_cached_run_equals_the_uncached_one_to_the_bit() {
    let cases = [
        ("resnet_mini", "head-only", Task::Classify),
        ("resnet_mini", "until:layer2", Task::Classify),
        ("mobilenet_v3_small", "head-only", Task::Classify),
        ("unet_mini", "backbone", Task::Segment),
        ("yolox_nano", "backbone", Task::Detect),
    ];
    for (model, freeze, task) in cases {
        // 7 training pictures in batches of 4: the last batch is smaller.
        let set = pictures(10, task);
        assert!(set.samples.iter().filter(|sample| sample.split == Split::Train).count() % 4 != 0);
        let plan = plan(model, freeze);
        let without = run(&plan, &set, CacheMode::Off, None);
        let with = run(&plan, &set, CacheMode::On, None);
        assert_same(model, &without, &with);
        let cached = |outcome: &Outcome| outcome.notes.epochs.iter().map(|epoch| epoch.cached).collect::<Vec<_>>();
        assert_eq!(cached(&without), [false; 4], "{model}");
        assert_eq!(cached(&with), [false, false, true, true], "{model}");
        assert!(with.notes.epochs.iter().all(|epoch| epoch.frozen_verified));
    }
}

#[test]
fn fixed_views_are_cached_with_their_targets() {
    let crops = Augment {
        random_resized_crop: Some(CropRange { scale: [0.5, 1.0], ratio: [0.8, 1.25] }),
        flip: 0.5,
        ..Augment::none()
    };
    let moved = Augment { shift: Some(Shift { scale: [0.8, 1.3], by: 0.1 }), flip: 0.5, ..Augment::none() };
    let cases = [
        ("resnet_mini", "head-only", Task::Classify, &crops),
        ("unet_mini", "backbone", Task::Segment, &moved),
        ("yolox_nano", "backbone", Task::Detect, &moved),
    ];
    for (model, freeze, task, augment) in cases {
        let set = pictures(8, task);
        let plan = Plan { augment: augment.clone(), views: 2, epochs: 4, ..plan(model, freeze) };
        let without = run(&plan, &set, CacheMode::Off, None);
        let with = run(&plan, &set, CacheMode::On, None);
        assert_same(model, &without, &with);
        let cached: Vec<bool> = with.notes.epochs.iter().map(|epoch| epoch.cached).collect();
        assert_eq!(cached, [false, false, false, true, true], "{model}");
        // The views differ, and random ones are not cached.
        let endless = run(&Plan { views: 0, ..plan }, &set, CacheMode::On, None);
        assert_ne!(endless.notes.epochs[3].train, with.notes.epochs[3].train, "{model}");
        assert!(endless.notes.epochs.iter().all(|epoch| !epoch.cached));
        assert!(endless.notes.logs.iter().any(|log| log.contains("validation alone")), "{:?}", endless.notes.logs);
    }
}

#[test]
fn sixteen_bits_change_the_losses_a_little() {
    let set = pictures(10, Task::Classify);
    let plan = plan("resnet_mini", "head-only");
    let full = run(&plan, &set, CacheMode::On, None);
    let half = Plan { cache: CacheChoice { half: true, ..plan.cache }, ..plan };
    let half = run(&half, &set, CacheMode::On, None);
    let last = |outcome: &Outcome| outcome.notes.epochs.last().unwrap().val["total"];
    let difference = (last(&full) - last(&half)).abs() / last(&full);
    println!("16-bit features change the last validation loss by {difference:.1e}");
    assert!(difference > 0.0 && difference < 1e-2, "{difference}");
    // Halves have 11 binary digits: at most 2^-11 = 4.9e-4 of a number is lost, about half of that in the mean.
    let told = half.notes.logs.iter().find_map(|log| log.split("16-bit numbers are ").nth(1));
    let told: f64 = told.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(told > 5e-5 && told < 4.9e-4, "{told}");
    let gain =
        |outcome: &Outcome| outcome.notes.logs.iter().filter(|log| log.contains("from kept features and")).count();
    assert_eq!((gain(&full), gain(&half)), (1, 1));
}

#[test]
fn what_does_not_fit_is_computed_each_time() {
    let set = pictures(40, Task::Segment);
    let mut plan = Plan { epochs: 2, ..plan("unet_mini", "backbone") };
    let without = run(&plan, &set, CacheMode::Off, None);
    plan.cache.ram_mb = Some(1);
    let with = run(&plan, &set, CacheMode::On, None);
    assert_same("unet_mini", &without, &with);
    assert!(with.notes.logs.iter().any(|log| log.contains("% of it fits")), "{:?}", with.notes.logs);
    assert!(with.notes.epochs.iter().all(|epoch| !epoch.cached), "never all of it");
}

#[test]
fn the_next_run_finds_what_this_one_stored_and_only_that() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("features");
    let set = pictures(10, Task::Classify);
    let plan = plan("resnet_mini", "head-only");
    let first = run(&plan, &set, CacheMode::On, Some(&folder));
    let cached = |outcome: &Outcome| outcome.notes.epochs.iter().map(|epoch| epoch.cached).collect::<Vec<_>>();
    assert_eq!(cached(&first), [false, false, true, true]);
    // Another learning rate, other labels: the same frozen part and the same pictures.
    let mut other = Dataset::clone(&set);
    for sample in &mut other.samples {
        sample.target = Target::of_class(Some(1 - sample.target.class().unwrap()));
    }
    let again = run(&Plan { lr: 0.02, ..plan.clone() }, &Arc::new(other), CacheMode::On, Some(&folder));
    assert_eq!(cached(&again), [false, true, true, true]);
    assert!(again.notes.logs.iter().any(|log| log.contains("10 stored views")), "{:?}", again.notes.logs);
    // Another seed is another frozen part; another input size another preprocessing.
    for plan in [Plan { seed: 5, ..plan.clone() }, Plan { size_px: 48, ..plan.clone() }] {
        assert_eq!(cached(&run(&plan, &set, CacheMode::On, Some(&folder))), [false, false, true, true]);
    }
    // Another picture in the same place: it alone is computed.
    let mut changed = Dataset::clone(&set);
    let at = changed.samples.iter().position(|sample| sample.split == Split::Train).unwrap();
    let bytes = match &changed.samples[at + 1].image {
        ImageSource::Memory { bytes, .. } => Arc::clone(bytes),
        ImageSource::File(_) => panic!("in memory"),
    };
    let image = image::load_from_memory(&bytes).unwrap().fliph();
    let mut flipped = Vec::new();
    image.write_to(&mut std::io::Cursor::new(&mut flipped), image::ImageFormat::Png).unwrap();
    changed.samples[at].image = ImageSource::Memory { name: "changed.png".to_owned(), bytes: flipped.into() };
    let changed = Arc::new(changed);
    let with = run(&plan, &changed, CacheMode::On, Some(&folder));
    assert_eq!(cached(&with), [false, false, true, true], "one view was missing in the first epoch");
    assert_same("changed", &run(&plan, &changed, CacheMode::Off, None), &with);
}

#[test]
fn a_file_that_changes_while_a_run_goes_on_is_seen_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = Dataset::clone(&pictures(8, Task::Classify));
    let write = |at: usize, value: u8| {
        image::RgbImage::from_pixel(16, 16, image::Rgb([value, 20, 30]))
            .save(dir.path().join(format!("{at}.png")))
            .unwrap();
    };
    for (at, sample) in set.samples.iter_mut().enumerate() {
        write(at, 10 * at as u8);
        sample.image = ImageSource::File(dir.path().join(format!("{at}.png")));
    }
    let digests = frostline::data::features::PictureDigests::default();
    let Sample { image: source, .. } = &set.samples[3];
    let before = digests.of(3, source).unwrap();
    assert_eq!(digests.of(3, source).unwrap(), before);
    std::thread::sleep(std::time::Duration::from_millis(20));
    write(3, 200);
    let after = digests.of(3, source).unwrap();
    assert!(after.changed && after.sha256 != before.sha256 && !digests.of(3, source).unwrap().changed);
    std::fs::remove_file(dir.path().join("3.png")).unwrap();
    assert!(digests.of(3, source).unwrap_err().to_string().contains("3.png"));
}

#[test]
fn freezing_more_goes_on_from_what_is_there_and_freezing_again_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let set = pictures(10, Task::Classify);
    let graph = find("resnet_mini").unwrap().graph(2, 32).unwrap();
    let freeze = |words: &str| FreezePlan::parse(&graph, words).unwrap();
    let run = |mode: CacheMode| {
        let plan = Plan {
            epochs: 8,
            cache: CacheChoice { mode, ..CacheChoice::default() },
            ..plan("resnet_mini", "until:layer2")
        };
        let setup = Setup::new(plan, Arc::clone(&set), &Device::flex()).unwrap();
        let out = tempfile::tempdir().unwrap();
        let folder = FeatureFolder::new(Some(dir.path().join("features")));
        let mut trainer = Trainer::new(setup, &out.path().join("run")).unwrap().with_features(Arc::new(folder));
        // Two steps an epoch: deeper in the middle of epoch 3, back at the start of epoch 5, all thawed for epoch 7.
        let script = [
            (5, Control::SetFreeze(freeze("until:layer3"))),
            (8, Control::SetFreeze(freeze("until:layer2"))),
            (12, Control::SetFreeze(freeze("none"))),
            (14, Control::SetFreeze(freeze("until:layer2"))),
        ];
        let mut notes = Notes { script: script.into(), ..Notes::default() };
        trainer.run(&mut notes).unwrap();
        let weights = trainer.network().tensors().unwrap().into_iter().map(|tensor| tensor.values).collect();
        Outcome { notes, weights }
    };
    let (without, with) = (run(CacheMode::Off), run(CacheMode::On));
    assert_same("freezing", &without, &with);
    let cached: Vec<bool> = with.notes.epochs.iter().map(|epoch| epoch.cached).collect();
    // Epochs 3 and 4 compute the deeper cut (on from the old one), 5 and 6 find the first cut again, 7 trains everything, and
    // 8 finds that the frozen part has changed.
    assert_eq!(cached, [false, false, true, false, false, true, true, false, false]);
    let said = |what: &str| with.notes.logs.iter().filter(|log| log.contains(what)).count();
    assert_eq!(said("computed on from what was stored"), 1, "{:?}", with.notes.logs);
    assert_eq!(said("10 stored views"), 1, "{:?}", with.notes.logs);
    assert_eq!(said("has changed since its features were stored"), 1, "{:?}", with.notes.logs);
}

#[test]
fn automatic_says_why_not() {
    let set = pictures(8, Task::Classify);
    let tiny = run(&plan("resnet_mini", "head-only"), &set, CacheMode::Auto, None);
    assert!(tiny.notes.logs.iter().any(|log| log.contains("off, it would save 0.")), "{:?}", tiny.notes.logs);
    let none = run(&plan("resnet_mini", "none"), &set, CacheMode::Auto, None);
    assert!(none.notes.logs.iter().any(|log| log.contains("nothing is computed before")), "{:?}", none.notes.logs);
    let off = run(&plan("resnet_mini", "head-only"), &set, CacheMode::Off, None);
    assert!(off.notes.logs.iter().any(|log| log.contains("switched off")), "{:?}", off.notes.logs);
}
