//! How long frames take while a session is busy. Printed, not asserted: other work shares the machine.

use super::stage::{dataset, epoch, open, run_info, step};
use egui::{Event as Input, Modifiers, MouseWheelSource, MouseWheelUnit, TouchPhase, vec2};
use egui_kittest::kittest::Queryable as _;
use frostline::data::{Dataset, ImageSource, Issue, Sample, Severity};
use frostline::session::Event;
use frostline::ui::{Action, Page};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn frames_of_a_busy_session() {
    let mut stage = open([1400.0, 900.0], true, false);
    stage.prepare();
    let plan = stage.plan().clone();
    stage.say(Event::RunStarted(Arc::new(run_info(&plan))));
    let mut times: Vec<Duration> = Vec::new();
    let mut taken = 0;
    for burst in 0..60_u64 {
        for i in 0..200 {
            stage.events.send(step(burst * 200 + i + 1)).unwrap();
        }
        stage.events.send(epoch(burst as u32, &["stem"])).unwrap();
        let start = Instant::now();
        stage.window.step();
        times.push(start.elapsed());
        taken += stage.window.state().frame_events();
    }
    assert_eq!(taken, 60 * 201, "each frame takes everything that waits");
    assert_eq!(stage.window.state().view().run.as_ref().unwrap().train_losses["cls"].points().len(), 12_000);
    times.sort();
    let ms = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    eprintln!(
        "frames with 200 steps each, {} images in the set: median {:.2} ms, 95 % {:.2} ms, worst {:.2} ms",
        dataset().samples.len(),
        ms(0.5),
        ms(0.95),
        ms(1.0)
    );
}

/// As many pictures, all of the same bytes, each with a note in the report.
fn large(count: usize) -> Dataset {
    let small = dataset();
    let sample = |i: usize| {
        let like = &small.samples[i % small.samples.len()];
        let ImageSource::Memory { bytes, .. } = &like.image else { unreachable!("the stage's pictures are in memory") };
        let name = format!("/data/insects/class{:02}/picture_{i:06}.png", i % 100);
        Sample { image: ImageSource::Memory { name, bytes: Arc::clone(bytes) }, ..like.clone() }
    };
    let issue = |i: usize| Issue::new(Severity::Note, format!("/data/insects/{i:06}.png"), "the same file as another");
    Dataset {
        samples: (0..count).map(sample).collect(),
        issues: (0..count).map(issue).collect(),
        found: count,
        ..small
    }
}

#[test]
fn a_hundred_thousand_pictures_scroll() {
    const COUNT: usize = 100_000;
    let mut stage = open([1400.0, 900.0], true, false);
    stage.prepare();
    stage.window.state_mut().act(Action::Show(Page::Data));
    stage.settle();
    let data = Arc::new(large(COUNT));
    let start = Instant::now();
    stage.say(Event::DataReady(data));
    let opened = start.elapsed();
    stage.window.get_by_label_contains("100 000 shown");
    let tiles = |stage: &super::stage::Stage<'_>| stage.window.query_all_by_label_contains("class").count();
    let seen = tiles(&stage);
    assert!((10..400).contains(&seen), "{seen} of the pictures are laid out");
    let first = stage.window.query_by_label_contains("picture_000000.png").is_some();
    assert!(first, "the grid begins with the first picture");
    stage.window.event(Input::PointerMoved(egui::pos2(700.0, 600.0)));
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..60 {
        stage.window.event(Input::MouseWheel {
            unit: MouseWheelUnit::Page,
            delta: vec2(0.0, -30.0),
            phase: TouchPhase::Move,
            source: MouseWheelSource::Unknown,
            modifiers: Modifiers::NONE,
        });
        let start = Instant::now();
        stage.window.step();
        times.push(start.elapsed());
    }
    stage.settle();
    assert!(stage.window.query_by_label_contains("picture_000000.png").is_none(), "it scrolled");
    let seen = tiles(&stage);
    assert!((10..400).contains(&seen), "{seen} of the pictures are laid out after scrolling");
    times.sort();
    let ms = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    eprintln!(
        "{COUNT} pictures: shown after {:.0} ms, frames while scrolling: median {:.2} ms, 95 % {:.2} ms, worst {:.2} ms",
        opened.as_secs_f64() * 1e3,
        ms(0.5),
        ms(0.95),
        ms(1.0)
    );
}
