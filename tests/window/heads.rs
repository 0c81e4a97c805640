//! Several label columns: heads are added, weighed and removed by click, and both are seen on every page.

use super::pictures::{can_draw, keep};
use super::stage::{self, Stage, open};
use egui_kittest::kittest::Queryable as _;
use frostline::data::{Dataset, Label, LabelColumn};
use frostline::graph::HeadKind;
use frostline::session::{EpochNews, Event, LiveSample, RunInfo, StepNews, find_model};
use frostline::train::{Answer, ClassScore, HeadPrediction, Prediction, head_plans};
use frostline::ui::{Action, Page};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The insects with their size, unknown for some, and what is seen beside them.
fn columns() -> Dataset {
    let mut data = stage::dataset();
    let column = |name: &str, classes: &[&str], multi| LabelColumn {
        name: name.to_owned(),
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        multi,
    };
    data.columns[0].name = "insect".to_owned();
    data.columns.push(column("size", &["large", "small"], false));
    data.columns.push(column("seen", &["flower", "leaf", "soil"], true));
    data.format = "CSV (3 label columns; labels.csv)".to_owned();
    for (i, sample) in data.samples.iter_mut().enumerate() {
        let size = if i % 7 == 3 { Label::Unknown } else { Label::One((i / 2 % 2) as u32) };
        let seen = Label::Many((0..3).filter(|bit| i >> bit & 1 == 1).collect());
        sample.target.labels.extend([size, seen]);
    }
    data
}

fn prepared(size: [f32; 2], dark: bool, draws: bool) -> Stage<'static> {
    let mut stage = open(size, dark, draws);
    stage.say(Event::Device(stage::device()));
    stage.say(Event::DataReady(Arc::new(columns())));
    stage.settle();
    stage.commands();
    stage
}

fn add(stage: &mut Stage<'_>, head: &str) {
    stage.window.get_by_label("Add head…").click();
    stage.settle();
    stage.window.get_by_label(head).click();
    stage.settle();
}

#[test]
fn a_head_is_added_weighed_and_removed() {
    let mut stage = prepared([1400.0, 900.0], true, false);
    assert!(stage.plan().heads.is_empty() && stage.window.query_by_label("Freeze heads.size.fc").is_none());
    add(&mut stage, "size · one of 2");
    assert_eq!(stage.plan().heads, ["insect", "size"]);
    stage.window.get_by_label("Freeze heads.size.fc");
    add(&mut stage, "seen · any of 3");
    assert_eq!(stage.plan().heads, ["insect", "size", "seen"]);
    // Nothing is left to add.
    assert!(stage.window.query_by_label("Add head…").is_none());
    let mut plan = stage.plan().clone();
    plan.loss_weights = BTreeMap::from([("size".to_owned(), 0.5), ("insect".to_owned(), 2.0)]);
    plan.freeze.set("heads.size.fc", true);
    stage.window.state_mut().act(Action::Edit { name: "Weigh".to_owned(), plan: Box::new(plan) });
    stage.settle();
    stage.window.get_by_label("Remove the head size").click();
    stage.settle();
    assert_eq!(stage.plan().heads, ["insect", "seen"]);
    // What was said of the head goes with it.
    assert_eq!(stage.plan().loss_weights, BTreeMap::from([("insect".to_owned(), 2.0)]));
    assert!(!stage.plan().freeze.is_frozen("heads.size.fc"));
    stage.window.state_mut().act(Action::Undo);
    stage.settle();
    assert_eq!(stage.plan().heads, ["insect", "size", "seen"]);
    // Another set has other columns.
    stage.say(Event::DataReady(Arc::new(stage::dataset())));
    stage.settle();
    stage.window.get_by_label_contains("no label column insect");
}

fn step(number: u64) -> Event {
    let falls = |by: f64, to: f64| (1.8 - to) * (-(number as f64) / by).exp() + to;
    let (insect, size, seen) = (falls(40.0, 0.3), 0.4 * falls(90.0, 0.2), 0.5 * falls(60.0, 0.1));
    let losses = [("total", insect + size + seen), ("insect", insect), ("size", size), ("seen", seen)];
    let Event::Step(news) = stage::step(number) else { panic!("a step is a step") };
    let losses = losses.map(|(name, loss)| (name.to_owned(), loss)).into();
    Event::Step(Box::new(StepNews { losses, ..*news }))
}

fn epoch(number: u32) -> Event {
    let Event::Epoch(news) = stage::epoch(number, &[]) else { panic!("an epoch is an epoch") };
    let t = f64::from(number) / 10.0;
    let val = [("total", 2.6 - 2.0 * t), ("insect", 1.7 - 1.3 * t), ("size", 0.5 - 0.4 * t), ("seen", 0.5 - 0.3 * t)];
    let metrics = [("top1", 0.4 + 0.5 * t), ("top5", 0.9), ("size/top1", 0.6 + 0.3 * t), ("seen/map", 0.5 + 0.4 * t)];
    let named = |pairs: [(&str, f64); 4]| -> BTreeMap<String, f64> {
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    Event::Epoch(Box::new(EpochNews { val: named(val), metrics: named(metrics), ..*news }))
}

fn samples(number: u32, data: &Dataset) -> Event {
    let kinds =
        [HeadKind::Classify { classes: 6 }, HeadKind::Classify { classes: 2 }, HeadKind::MultiLabel { classes: 3 }];
    let live = (0..8_usize).map(|i| {
        let sample = &data.samples[5 * i];
        let heads = data.columns.iter().zip(&kinds).enumerate().map(|(at, (column, kind))| {
            let wrong = at == 1 && i == 2;
            let score = |class: usize| ClassScore {
                name: column.classes[class].clone(),
                class: class as u32,
                score: if sample.target.label(at).has(class as u32) != wrong { 0.9 } else { 0.08 },
            };
            let mut scores: Vec<ClassScore> = (0..column.classes.len()).map(score).collect();
            scores.sort_by(|a, b| b.score.total_cmp(&a.score));
            HeadPrediction { head: column.name.clone(), kind: kind.clone(), answer: Answer::Classes(scores) }
        });
        let (image, heads) = (sample.image.name(), heads.collect());
        let prediction = Prediction { image, size_px: [96, 72], heads, error: None };
        LiveSample::new(5 * i, &sample.target, prediction)
    });
    Event::Samples { epoch: number, samples: Arc::new(live.collect()) }
}

fn train(stage: &mut Stage<'_>) {
    let data = columns();
    let plan = stage.plan().clone();
    let graph = find_model(&plan.model).unwrap().graph_with(&head_plans(&data.columns), plan.size_px as usize).unwrap();
    let info = RunInfo { graph: Arc::new(graph), columns: data.columns.clone(), ..stage::run_info(&plan) };
    stage.say(Event::RunStarted(Arc::new(info)));
    for number in 0..=5 {
        stage.say(epoch(number));
        stage.say(samples(number, &data));
        for s in 1..=19 {
            stage.say(step(u64::from(number) * 19 + s));
        }
    }
    stage.settle();
}

#[test]
fn all_heads_are_seen_on_every_page() {
    if !can_draw() {
        return;
    }
    for (size, dark, name) in [([1400.0, 900.0], true, "heads"), ([1280.0, 800.0], false, "heads-light")] {
        let mut stage = prepared(size, dark, true);
        keep(&mut stage, &format!("{name}-start"));
        add(&mut stage, "size · one of 2");
        stage.window.get_by_label("Add head…").click();
        stage.settle();
        keep(&mut stage, &format!("{name}-add"));
        stage.window.get_by_label("seen · any of 3").click();
        stage.settle();
        train(&mut stage);
        keep(&mut stage, &format!("{name}-train"));
        stage.window.state_mut().act(Action::Show(Page::Data));
        stage.settle();
        keep(&mut stage, &format!("{name}-data"));
        stage.window.get_by_label("seen 3 · several").click();
        stage.settle();
        keep(&mut stage, &format!("{name}-data-seen"));
        stage.window.get_by_label_contains("leaf: ").click();
        stage.settle();
        // Every picture with the second bit: half of 364.
        stage.window.get_by_label("182 shown");
    }
}
