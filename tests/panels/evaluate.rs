//! The evaluate page: what its numbers open, runs beside each other, how it looks.

use super::world::{self, Shows, World};
use super::{picture, write};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use frostline::data::{LabelColumn, Split};
use frostline::graph::{FreezePlan, Preprocess, Preset};
use frostline::session::{Command, Event, Which};
use frostline::train::{Evaluation, LabelResult, PictureResult, Plan, RunFile, RunFolder, class_scores, reliability};
use frostline::ui::panels::evaluate_page::{Column, Pick};
use frostline::ui::{Action, Page, Theme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A window with something that was measured.
fn page(classes: usize, per_class: usize) -> (Harness<'static, World>, Arc<Evaluation>) {
    let mut world = World::new(Shows::Evaluate, Theme::dark());
    let evaluation = Arc::new(world::measured(&world::generated(60), &world::names(classes), per_class));
    world.view.fold(Event::Evaluated(Arc::clone(&evaluation)));
    (world.window(1400.0, 824.0), evaluation)
}

fn pick(harness: &Harness<'_, World>) -> Pick {
    harness.state().panels.evaluate.pick
}

#[test]
fn every_number_opens_its_pictures() {
    let (mut harness, evaluation) = page(10, 30);
    let head = evaluation.classifier().unwrap();
    let (counts, scores) = (head.confusion(), class_scores(&head.confusion()));
    let shown = |harness: &Harness<'_, World>, count: usize| {
        let text = if count == 1 { "1 picture".to_owned() } else { format!("{count} pictures") };
        assert!(harness.query_by_label(&text).is_some(), "{text}");
    };
    shown(&harness, 300);
    // A cell of the matrix: spiders called wasps.
    let count = counts[8][9];
    harness.get_by_label_contains(&format!("spiders called wasps: {count},")).click();
    harness.run_ok();
    assert_eq!(pick(&harness), Pick::Cell(8, 9));
    shown(&harness, count as usize);
    // Precision opens the false alarms, recall the misses.
    harness.get_by_label("Wrongly called wasps").click();
    harness.run_ok();
    shown(&harness, (0..9).map(|truth| counts[truth][9] as usize).sum());
    harness.get_by_label("wasps that were missed").click();
    harness.run_ok();
    shown(&harness, 30 - counts[9][9] as usize);
    // The same again goes back to all.
    harness.query_all_by_label("wasps that were missed").next().unwrap().click();
    harness.run_ok();
    // A bin of the reliability curve.
    let bins = reliability(&head.pictures).unwrap().bins;
    let bin = bins.iter().find(|bin| bin.count > 3).unwrap();
    harness.get_by_label_contains(&format!("{:.0} to {:.0} % sure: ", bin.from * 100.0, bin.to * 100.0)).click();
    harness.run_ok();
    shown(&harness, bin.count as usize);
    // Top-1 opens what is wrong, Top-5 what is beyond five.
    harness.get_by_label_contains("Top-1 ").click();
    harness.run_ok();
    shown(&harness, head.pictures.iter().filter(|picture| !picture.is_right()).count());
    harness.get_by_label_contains("Top-5 ").click();
    harness.run_ok();
    shown(&harness, head.pictures.iter().filter(|picture| picture.rank >= 5).count());
    let average = scores.iter().filter_map(|scores| scores.f1).sum::<f64>() / 10.0;
    assert!(harness.query_by_label_contains(&format!("Macro F1 {:.1} %", average * 100.0)).is_some());
}

#[test]
fn the_largest_loss_comes_first_and_opens_in_the_viewer() {
    let (mut harness, evaluation) = page(10, 30);
    let head = evaluation.classifier().unwrap();
    let worst = head.worst_first();
    let index = |place: usize| head.pictures[worst[place] as usize].index as usize;
    let first = harness.query_all_by_label_contains(", loss ").next().unwrap();
    first.click();
    harness.run_ok();
    assert_eq!(harness.state().panels.viewer.shown(), Some(index(0)));
    harness.key_press(egui::Key::ArrowRight);
    harness.run_ok();
    assert_eq!(harness.state().panels.viewer.shown(), Some(index(1)), "the next largest loss");
}

#[test]
fn the_table_is_sorted_by_its_titles() {
    let (mut harness, _) = page(10, 30);
    assert_eq!(harness.state().panels.evaluate.sort.by, Column::F1, "the worst class first");
    harness.get_by_label("Sort by recall").click();
    harness.run_ok();
    harness.get_by_label("Sort by recall").click();
    harness.run_ok();
    let sort = harness.state().panels.evaluate.sort;
    assert_eq!((sort.by, sort.reversed), (Column::Recall, true));
}

#[test]
fn top5_is_hidden_where_there_are_five_classes_and_many_classes_are_listed_by_mistake() {
    let (harness, _) = page(5, 30);
    assert!(harness.query_by_label_contains("Top-5 ").is_none());
    let start = Instant::now();
    let (mut harness, evaluation) = page(1000, 2);
    let counts = evaluation.classifier().unwrap().confusion();
    assert!(harness.query_by_label_contains("Confusion of 1000 classes").is_none(), "mistakes are listed first");
    assert!(harness.query_all_by_label_contains(" called species ").count() > 5);
    harness.get_by_label("matrix").click();
    harness.run_ok();
    assert!(harness.query_by_label_contains("Confusion of 1000 classes").is_some());
    assert_eq!(counts.len(), 1000);
    eprintln!("a page of 1000 classes: {:.0} ms with its window", start.elapsed().as_secs_f64() * 1e3);
}

/// What is shown at once stays small, whatever the size of the set.
#[test]
fn a_hundred_thousand_pictures_of_a_thousand_classes() {
    let home = tempfile::tempdir().unwrap();
    let data = world::generated(100_000);
    let mut evaluation = world::measured(&world::generated(60), &world::names(1000), 1);
    let pictures = (0..100_000_u32).map(|index| {
        let (truth, loss) = (index % 1000, (index.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e6);
        let said = if index % 7 == 0 { (truth + 1) % 1000 } else { truth };
        let top = [(said, 0.6), ((truth + 2) % 1000, 0.2), ((truth + 3) % 1000, 0.1), ((truth + 4) % 1000, 0.05)];
        PictureResult::new(index, truth, u32::from(said != truth), 0.6, loss, &top).unwrap()
    });
    evaluation.heads[0].pictures = pictures.collect();
    evaluation.set = Arc::new(data);
    let file = home.path().join("evaluation.jsonl");
    let start = Instant::now();
    evaluation.save(&file).unwrap();
    let saved = start.elapsed();
    let read = Evaluation::read(home.path()).unwrap().unwrap();
    assert_eq!(read.heads[0].pictures.len(), 100_000);
    let (size, both) = (std::fs::metadata(&file).unwrap().len(), start.elapsed());
    let mut world = World::new(Shows::Evaluate, Theme::dark());
    world.view.fold(Event::Evaluated(Arc::new(evaluation)));
    let start = Instant::now();
    let mut harness = world.window(1400.0, 824.0);
    let first = start.elapsed();
    let start = Instant::now();
    (0..10).for_each(|_| harness.step());
    eprintln!(
        "100 000 pictures of 1000 classes, unoptimized: {:.1} MB, written in {:.2} s, read in {:.2} s, shown in {:.2} s, \
         then {:.1} ms a frame",
        size as f64 / 1e6,
        saved.as_secs_f64(),
        (both - saved).as_secs_f64(),
        first.as_secs_f64(),
        start.elapsed().as_secs_f64() * 100.0,
    );
    let tiles = harness.query_all_by_label_contains(", loss ").count();
    assert!((5..60).contains(&tiles), "{tiles} tiles");
    assert!(
        harness.query_by_label("100 000 pictures").is_some() || harness.query_by_label("100000 pictures").is_some()
    );
}

#[test]
fn each_head_has_its_own_results() {
    let mut world = World::new(Shows::Evaluate, Theme::dark());
    let mut evaluation = world::measured(&world::generated(60), &world::names(10), 12);
    let mut second = world::measured(&world::generated(60), &world::names(3), 40).heads.remove(0);
    second.name = "size".to_owned();
    let right = second.pictures.iter().filter(|picture| picture.is_right()).count();
    evaluation.metrics.insert("size/top1".to_owned(), right as f64 / 120.0);
    evaluation.losses.insert("size".to_owned(), 0.25);
    evaluation.heads.push(second);
    world.view.fold(Event::Evaluated(Arc::new(evaluation)));
    let mut harness = world.window(1400.0, 824.0);
    assert!(harness.query_by_label_contains("Top-5 ").is_some());
    harness.get_by_label(&format!("size · Top-1 {:.1} %", right as f64 / 1.2)).click();
    harness.run_ok();
    assert!(harness.query_by_label_contains("Top-5 ").is_none(), "three classes");
    assert!(harness.query_by_label_contains("Validation loss 0.250").is_some());
    harness.query_all_by_label("All beetles").next().unwrap().click();
    harness.run_ok();
    assert!(harness.query_by_label("40 pictures").is_some());
}

#[test]
fn several_labels_for_a_picture_are_counted_label_by_label() {
    let mut world = World::new(Shows::Evaluate, Theme::dark());
    let mut evaluation = world::measured(&world::generated(60), &world::names(4), 10);
    let head = &mut evaluation.heads[0];
    head.kind = frostline::graph::HeadKind::MultiLabel { classes: 4 };
    head.pictures.clear();
    // Every picture has ants; bees are called every fifth time and never there; every fourth beetle is missed.
    let labels = (0..40).map(|i| {
        let logits = [3.0, if i % 5 == 0 { 1.0 } else { -1.0 }, if i % 4 == 0 { -2.0 } else { 2.0 }, -3.0];
        LabelResult::of_logits(i, &logits, |class| class == 0 || class == 2).unwrap()
    });
    head.labelled = labels.collect();
    world.view.fold(Event::Evaluated(Arc::new(evaluation)));
    let mut harness = world.window(1400.0, 824.0);
    for (label, count) in
        [("Wrongly called bees", 8), ("beetles that were missed", 10), ("Mistakes about beetles", 10), ("All ants", 40)]
    {
        harness.query_all_by_label(label).next().unwrap().click();
        harness.run_ok();
        assert!(harness.query_by_label(&format!("{count} pictures")).is_some(), "{label}");
    }
    assert!(
        harness.query_by_label_contains("beetles: precision 100 %, recall 75.0 %, F1 85.7 %, 40 pictures").is_some()
    );
    assert!(harness.query_all_by_label_contains("misses beetles 11.9 %").next().is_some());
}

#[test]
fn an_empty_page_says_what_to_do() {
    let mut harness = World::new(Shows::Evaluate, Theme::dark()).window(1100.0, 624.0);
    assert!(harness.query_by_label_contains("Nothing is measured yet").is_some());
    harness.get_by_label("Go to training").click();
    harness.run_ok();
    assert!(harness.state().actions.iter().any(|action| matches!(action, Action::Show(Page::Train))));
}

fn epoch(epoch: u32, top1: f64, loss: f64) -> String {
    format!(
        "{{\"epoch\":{epoch},\"train\":{{\"total\":{loss}}},\"val\":{{\"total\":{loss}}},\"metrics\":{{\"top1\":{top1}}},\
         \"seconds\":6.2,\"frozen_verified\":true,\"cached\":false}}\n"
    )
}

/// Three runs on disk that differ in their learning rate and in what they froze, and a folder that is none.
fn runs(home: &Path) -> Vec<PathBuf> {
    let graph = frostline::models::find("resnet18").unwrap().graph(2, 224).unwrap();
    let freeze = |preset: &Preset| FreezePlan::preset(&graph, preset).unwrap();
    let plans = [
        ("2026-11-23-1-head-only", Plan { freeze: freeze(&Preset::HeadOnly), lr: 0.01, ..Plan::default() }, 12, 0.30),
        (
            "2026-11-23-2-layer4",
            Plan { freeze: freeze(&Preset::LastStageAndHead), lr: 0.003, ..Plan::default() },
            12,
            0.42,
        ),
        ("2026-11-24-3-everything", Plan { lr: 0.003, ..Plan::default() }, 7, 0.36),
    ];
    let classes = ["ants".to_owned(), "bees".to_owned()];
    let mut folders = Vec::new();
    for (name, plan, epochs, gain) in plans {
        let folder = home.join(name);
        let plan = Plan { epochs: 12, ..plan };
        let file = RunFile::new(plan, &[LabelColumn::single(classes.to_vec())], Preprocess::imagenet(224));
        RunFolder::create(&folder, &file).unwrap();
        let mut lines = String::new();
        for e in 0..=epochs {
            let x = 1.0 - (-f64::from(e) / 3.0).exp();
            lines.push_str(&epoch(e, 0.52 + gain * x, 0.7 - 0.5 * gain / 0.4 * x));
        }
        std::fs::write(folder.join("metrics.jsonl"), lines).unwrap();
        folders.push(folder);
    }
    folders
}

/// Draws until `done` holds, at most 20 seconds: folders are read in the background.
fn until(harness: &mut Harness<'_, World>, done: impl Fn(&Harness<'_, World>) -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done(harness) {
        assert!(Instant::now() < end, "it never came");
        harness.run_ok();
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn runs_are_compared_by_their_curves_and_what_differs() {
    let home = tempfile::tempdir().unwrap();
    let mut world = World::new(Shows::Evaluate, Theme::dark());
    world.project.runs = runs(home.path());
    let bad = home.path().join("bad");
    std::fs::create_dir(&bad).unwrap();
    std::fs::write(bad.join("run.json"), "{ \"version\": 1").unwrap();
    let mut harness = world.window(1400.0, 824.0);
    until(&mut harness, |harness| {
        harness.query_all_by_label_contains("12/12 epochs, finished").count() == 2
            && harness.query_by_label_contains("everything: resnet18, Top-1").is_some()
    });
    until(&mut harness, |harness| harness.query_by_label_contains("bad: Cannot read").is_some());
    assert!(harness.query_by_label_contains("7/12 epochs, interrupted").is_some());
    for name in ["2026-11-23-1-head-only", "2026-11-23-2-layer4", "2026-11-24-3-everything"] {
        harness.get_by_label(&format!("Compare {name}")).click();
        harness.run_ok();
    }
    assert!(harness.query_by_label_contains("Top-1 over epochs of 2026-11-23-1-head-only").is_some());
    let freeze = "freeze: stem, layer1–4, avgpool frozen | stem, layer1–3, avgpool frozen | nothing frozen";
    let rows = harness.query_all_by_label_contains(" | ").count();
    assert_eq!(rows, 2, "learning rate and freeze plan");
    assert!(harness.query_by_label("learning rate: 0.01 | 0.003 | 0.003").is_some());
    assert!(harness.query_by_label(freeze).is_some(), "{freeze}");
    harness.get_by_label("validation loss").click();
    harness.run_ok();
    assert!(harness.query_by_label_contains("validation loss over epochs").is_some());
    // A click on a run goes back to results; it has none on disk.
    harness.get_by_label_contains("head-only: resnet18").click();
    harness.run_ok();
    until(&mut harness, |harness| harness.query_by_label_contains("are not measured yet").is_some());
    harness.get_by_label("Evaluate").click();
    harness.run_ok();
    let asked = harness.state().actions.iter().any(|action| {
        let which = Which::Only(Split::Val);
        matches!(action, Action::Send(Command::Evaluate { from, data: None, which: asked })
            if from.ends_with("2026-11-23-1-head-only") && *asked == which)
    });
    assert!(asked, "{:?}", harness.state().actions);
}

#[test]
fn a_run_on_disk_shows_its_results_without_measuring() {
    let home = tempfile::tempdir().unwrap();
    let mut world = World::new(Shows::Evaluate, Theme::dark());
    world.project.runs = runs(home.path());
    let last = world.project.runs.last().unwrap().clone();
    let mut evaluation = world::measured(&world::generated(60), &world::names(10), 4);
    // Pictures on disk by name; that they are absent is no matter.
    let mut set = (*evaluation.set).clone();
    for (i, sample) in set.samples.iter_mut().enumerate() {
        sample.image = frostline::data::ImageSource::File(set.root.join(format!("{i}.png")));
    }
    evaluation.set = Arc::new(set);
    evaluation.save(&last.join("evaluation.jsonl")).unwrap();
    let mut harness = world.window(1400.0, 824.0);
    until(&mut harness, |harness| harness.query_by_label("40 pictures").is_some());
    assert!(harness.query_by_label_contains("Macro F1").is_some());
}

#[test]
fn pictures_of_the_evaluate_page() {
    let data = world::dataset();
    let (large, small) = ([1400.0, 824.0], [1100.0, 624.0]);
    for (classes, size) in [(2, small), (10, large), (20, small), (100, large)] {
        picture(&format!("evaluate_{classes}"), Shows::Evaluate, size, |world| {
            world::train(world, &data, 12);
            let measured = world::measured(&data, &world::names(classes), 240 / classes);
            world.view.fold(Event::Evaluated(Arc::new(measured)));
        });
    }
    picture("evaluate_run", Shows::Evaluate, small, |world| {
        world::train(world, &data, 12);
        let mut measured = world::measured(&data, &world::names(2), 76);
        measured.epoch = Some(9);
        world.view.fold(Event::EpochEvaluated(Arc::new(measured)));
    });
    picture("evaluate_empty", Shows::Evaluate, [1100.0, 624.0], |_| {});
    picture("evaluate_busy", Shows::Evaluate, [1100.0, 624.0], |world| {
        world::train(world, &data, 12);
        let what = "evaluating".to_owned();
        world.view.fold(Event::Progress { what, done: 420, total: 1200 });
    });
    let home = tempfile::tempdir().unwrap();
    let folders = runs(home.path());
    for (theme, suffix, size) in [(Theme::dark(), "dark", large), (Theme::light(), "light", small)] {
        let mut world = World::new(Shows::Evaluate, theme);
        world.project.runs.clone_from(&folders);
        world.panels.evaluate.checked.clone_from(&folders);
        world.panels.evaluate.compare = true;
        let Some(mut harness) = world.drawn_window(size[0], size[1]) else { return };
        until(&mut harness, |harness| harness.query_by_label_contains("7/12 epochs").is_some());
        write(&mut harness, &format!("evaluate_diff_{suffix}"));
    }
}
