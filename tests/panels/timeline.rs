//! The freeze timeline as the editor of the plan, and the LR finder.

use super::world::{self, Shows, World};
use super::{picture, release};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use frostline::session::Event;
use frostline::train::{LrPoint, LrSuggestions, LrSweep, Plan, SchedulePreset, SweepEnd};
use frostline::ui::panels::dock::Tab;
use frostline::ui::{Action, Theme};
use std::sync::Arc;

/// A plan of this preset, 12 epochs.
fn scheduled(world: &mut World, preset: SchedulePreset) {
    let facts = world.graph.facts().unwrap();
    world.project.plan.epochs = 12;
    preset.apply(&mut world.project.plan, &world.graph, &facts).unwrap();
}

/// The window of a gradual plan without a run: layer4 thaws in epoch 3, layer3 in 5, layer2 in 7, layer1 in 9, stem in 11.
fn gradual() -> Harness<'static, World> {
    let mut world = World::new(Shows::Dock, Theme::dark());
    scheduled(&mut world, SchedulePreset::Gradual);
    world.window(1440.0, 260.0)
}

fn edits(harness: &Harness<'_, World>) -> Vec<(String, Plan)> {
    let edit = |action: &Action| match action {
        Action::Edit { name, plan } => Some((name.clone(), (**plan).clone())),
        _ => None,
    };
    harness.state().actions.iter().filter_map(edit).collect()
}

/// First epoch in which each stage trains.
fn thaws(plan: &Plan, stages: &[&str]) -> Vec<Option<u32>> {
    let graph = frostline::models::find("resnet18").unwrap().graph(2, 224).unwrap();
    let first = |stage: &&str| {
        let node = graph.nodes.iter().find(|node| node.stage == **stage).unwrap();
        (1..=plan.epochs).find(|&epoch| !plan.phase(epoch).freeze.is_frozen(&node.path))
    };
    stages.iter().map(first).collect()
}

const STAGES: [&str; 6] = ["stem", "layer1", "layer2", "layer3", "layer4", "fc"];

#[test]
fn an_edge_is_dragged_to_an_epoch() {
    let mut harness = gradual();
    let plot = harness.get_by_label_contains("Losses over epochs").rect();
    let lane = harness.get_by_label_contains("Lane layer3:").rect();
    let at = |epoch: u32| egui::pos2(plot.left() + plot.width() * (epoch - 1) as f32 / 12.0, lane.center().y);
    harness.hover_at(at(5));
    harness.step();
    harness.drag_at(at(5));
    harness.step();
    for way in [0.2, 0.6, 1.0] {
        harness.hover_at(at(5) + (at(8) - at(5)) * way + egui::vec2(4.0, 0.0));
        harness.step();
    }
    assert!(edits(&harness).is_empty(), "nothing changes before it is let go");
    release(&harness, at(8) + egui::vec2(4.0, 0.0));
    harness.run_ok();
    let edits = edits(&harness);
    let [(name, plan)] = edits.as_slice() else { panic!("{edits:?}") };
    assert_eq!(name, "Thaw layer3 from epoch 8");
    assert_eq!(thaws(plan, &STAGES), [Some(11), Some(9), Some(7), Some(8), Some(3), Some(1)]);
}

#[test]
fn lanes_are_moved_with_keys_and_by_assistive_technology() {
    let mut harness = gradual();
    let lane = harness.get_by_label_contains("Lane layer4:");
    assert_eq!(lane.accesskit_node().numeric_value(), Some(3.0));
    lane.focus();
    harness.run_ok();
    harness.key_press(egui::Key::ArrowRight);
    harness.run_ok();
    let (name, plan) = edits(&harness).pop().unwrap();
    assert_eq!((name.as_str(), thaws(&plan, &["layer4"])), ("Thaw layer4 from epoch 4", vec![Some(4)]));
    harness.get_by_label_contains("Lane stem:").set_value_accesskit(13.0);
    harness.run_ok();
    let (name, plan) = edits(&harness).pop().unwrap();
    assert_eq!((name.as_str(), thaws(&plan, &["stem"])), ("Keep stem frozen", vec![None]));
    harness.get_by_label_contains("Lane layer1:").set_value_accesskit(1.0);
    harness.run_ok();
    let (name, plan) = edits(&harness).pop().unwrap();
    assert_eq!((name.as_str(), thaws(&plan, &["layer1"])), ("Train layer1 from the start", vec![Some(1)]));
}

#[test]
fn a_schedule_is_chosen_and_an_epoch_looked_at() {
    let mut world = World::new(Shows::Dock, Theme::dark());
    world.project.plan.epochs = 12;
    let mut harness = world.window(1440.0, 260.0);
    harness.get_by_label_contains("Schedule").click();
    harness.run_ok();
    harness.get_by_label("Fine-tune in two phases").click();
    harness.run_ok();
    let (name, plan) = edits(&harness).pop().unwrap();
    assert_eq!(name, "Schedule: fine-tune in two phases");
    assert_eq!(thaws(&plan, &STAGES), [Some(3), Some(3), Some(3), Some(3), Some(3), Some(1)]);
    let mut harness = gradual();
    let plot = harness.get_by_label_contains("Losses over epochs").rect();
    let lane = harness.get_by_label_contains("Lane fc:").rect();
    let at = egui::pos2(plot.left() + plot.width() * 6.4 / 12.0, lane.center().y);
    harness.drag_at(at);
    release(&harness, at);
    harness.run_ok();
    assert_eq!(harness.state().panels.dock.losses.timeline.epoch, 7);
}

#[test]
fn what_has_happened_stays() {
    let mut world = World::new(Shows::Dock, Theme::dark());
    world::train(&mut world, &Arc::new(world::generated(60)), 7);
    let graph = world.graph.clone();
    world.project.plan.set_stage(&graph, "layer4", 4..u32::MAX, false);
    world.project.plan.set_stage(&graph, "layer3", 10..u32::MAX, false);
    let mut harness = world.window(1440.0, 260.0);
    // Seven epochs are done and the eighth is on its way.
    harness.get_by_label_contains("Lane layer3:").set_value_accesskit(2.0);
    harness.run_ok();
    let (name, plan) = edits(&harness).pop().unwrap();
    assert_eq!(name, "Thaw layer3 from epoch 9");
    assert_eq!(thaws(&plan, &["layer3", "layer4"]), [Some(9), Some(4)]);
    let layer4 = harness.get_by_label_contains("Lane layer4:");
    assert_eq!(layer4.accesskit_node().numeric_value(), None, "its thaw has happened");
}

fn sweep(world: &mut World, points: usize, end: bool) {
    let sweep = LrSweep::default();
    world.view.fold(Event::SweepStarted { plan: Arc::new(world.project.plan.clone()), sweep });
    let mut noise = world::Noise::new(3);
    let mut smoothed = (0.0, 0.0);
    for step in 0..points {
        let lr = sweep.rate(step);
        let loss = 0.2 + 0.55 / (1.0 + (lr / 4e-3).powf(0.9)) + 4.0 * lr * lr + 0.03 * noise.next();
        smoothed = (0.98 * smoothed.0 + 0.02 * loss, 0.98 * smoothed.1 + 0.02);
        world.view.fold(Event::SweepPoint(LrPoint { lr, loss, smoothed: smoothed.0 / smoothed.1 }));
    }
    if end {
        let suggestions = LrSuggestions { valley: Some(1.2e-3), minimum: Some(1.7e-2), steepest: Some(2.8e-2) };
        world.view.fold(Event::SweepDone { suggestions, end: SweepEnd::Exploded });
    }
}

#[test]
fn a_suggestion_is_used() {
    let mut world = World::new(Shows::Dock, Theme::dark());
    world.panels.dock.tab = Tab::Finder;
    let mut harness = world.window(1440.0, 260.0);
    harness.get_by_label("Find a learning rate").click();
    harness.run_ok();
    assert!(harness.state().actions.iter().any(|action| matches!(action, Action::FindLr)));
    sweep(harness.state_mut(), 40, false);
    harness.run_ok();
    assert!(harness.query_by_label("step 40 of 100").is_some());
    sweep(harness.state_mut(), 85, true);
    harness.run_ok();
    harness.get_by_label("Use 2.80e-2").click();
    harness.run_ok();
    let (name, plan) = edits(&harness).pop().unwrap();
    assert_eq!((name.as_str(), plan.lr), ("Learning rate 2.80e-2 (steepest)", 0.028));
}

#[test]
fn curves_fit_their_frame_after_an_empty_plot() {
    let data = Arc::new(world::generated(60));
    let mut trained = World::new(Shows::Dock, Theme::dark());
    world::train(&mut trained, &data, 7);
    let empty = World::new(Shows::Dock, Theme::dark()).drawn_window(1440.0, 260.0);
    let (Some(mut trained), Some(mut later)) = (trained.drawn_window(1440.0, 260.0), empty) else { return };
    world::train(later.state_mut(), &data, 7);
    let charts = |harness: &mut Harness<'_, World>, name: &str| {
        image::imageops::crop_imm(&super::write(harness, name), 0, 0, 700, 260).to_image()
    };
    let (a, b) = (charts(&mut trained, "timeline_trained"), charts(&mut later, "timeline_trained_later"));
    // The rasterizer rounds a few pixels differently; a curve elsewhere differs by its whole color.
    let most = a.as_raw().iter().zip(b.as_raw()).map(|(x, y)| x.abs_diff(*y)).max();
    assert!(most <= Some(1), "{most:?}");
}

#[test]
fn when_the_last_epoch_is_done_nothing_is_left_to_be_moved() {
    let mut world = World::new(Shows::Dock, Theme::dark());
    world::train(&mut world, &Arc::new(world::generated(60)), 7);
    let graph = world.graph.clone();
    world.project.plan.epochs = 7;
    world.project.plan.set_stage(&graph, "layer4", 4..u32::MAX, false);
    let mut harness = world.window(1440.0, 260.0);
    harness.get_by_label_contains("Lane layer4:").set_value_accesskit(2.0);
    harness.run_ok();
    assert!(edits(&harness).is_empty());
}

#[test]
fn pictures_of_timeline_and_finder() {
    let data = world::dataset();
    picture("timeline_plan", Shows::Dock, [1440.0, 260.0], |world| {
        scheduled(world, SchedulePreset::Gradual);
        world.panels.dock.losses.timeline.epoch = 7;
    });
    picture("timeline_two_phases_narrow", Shows::Dock, [800.0, 220.0], |world| {
        scheduled(world, SchedulePreset::TwoPhases);
    });
    picture("timeline_running", Shows::Dock, [1440.0, 260.0], |world| {
        world::train(world, &data, 7);
        let graph = world.graph.clone();
        world.project.plan.set_stage(&graph, "layer4", 4..u32::MAX, false);
        world.project.plan.set_stage(&graph, "layer3", 9..u32::MAX, false);
        world.project.plan.set_stage(&graph, "layer2", 11..u32::MAX, false);
    });
    picture("timeline_next", Shows::Dock, [1440.0, 260.0], |world| {
        world::train(world, &data, 12);
        scheduled(world, SchedulePreset::Gradual);
        world.panels.dock.losses.timeline.next = true;
    });
    picture("finder_empty", Shows::Dock, [1440.0, 260.0], |world| world.panels.dock.tab = Tab::Finder);
    picture("finder_running", Shows::Dock, [1440.0, 260.0], |world| {
        world.panels.dock.tab = Tab::Finder;
        sweep(world, 47, false);
    });
    picture("finder", Shows::Dock, [1440.0, 260.0], |world| {
        world.panels.dock.tab = Tab::Finder;
        sweep(world, 85, true);
    });
    picture("finder_narrow", Shows::Dock, [560.0, 220.0], |world| {
        world.panels.dock.tab = Tab::Finder;
        sweep(world, 85, true);
    });
}
