//! The dock and the pages: what they show, what they ask for, how they look.
//!
//! Pictures are written to `target/tmp/panels`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]

#[path = "panels/evaluate.rs"]
mod evaluate;
#[path = "panels/masks.rs"]
mod masks;
#[path = "panels/prompt.rs"]
mod prompt;
#[path = "panels/timeline.rs"]
mod timeline;
#[path = "panels/transfer.rs"]
mod transfer;
#[path = "panels/world.rs"]
mod world;

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use frostline::data::{Dataset, Severity, Split};
use frostline::session::{Command, Event, ExportFormat, Exported, StepNews, StepTimes};
use frostline::ui::panels::dock::Tab;
use frostline::ui::panels::live::Show;
use frostline::ui::{Action, Theme};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use world::{Shows, World, settle};

/// Draws a window in both themes and writes the pictures.
fn picture(name: &str, shows: Shows, size: [f32; 2], prepare: impl Fn(&mut World)) {
    for (theme, suffix) in [(Theme::dark(), "dark"), (Theme::light(), "light")] {
        let mut world = World::new(shows, theme);
        prepare(&mut world);
        let Some(mut harness) = world.drawn_window(size[0], size[1]) else { return };
        write(&mut harness, &format!("{name}_{suffix}"));
    }
}

/// Writes what a window shows.
fn write(harness: &mut Harness<'_, World>, name: &str) -> image::RgbaImage {
    settle(harness);
    let image = harness.render().expect("the window is drawn");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("panels");
    std::fs::create_dir_all(&folder).unwrap();
    image.save(folder.join(format!("{name}.png"))).unwrap();
    let colors: std::collections::HashSet<_> = image.pixels().map(|pixel| pixel.0).collect();
    assert!(colors.len() > 30, "{name} shows something: {} colors", colors.len());
    image
}

fn release(harness: &Harness<'_, World>, pos: egui::Pos2) {
    let (button, modifiers) = (egui::PointerButton::Primary, egui::Modifiers::NONE);
    harness.event(egui::Event::PointerButton { pos, button, pressed: false, modifiers });
}

#[test]
fn a_dragged_rectangle_zooms_in_time_and_a_double_click_resets() {
    let mut world = World::new(Shows::Dock, Theme::dark());
    world::train(&mut world, &Arc::new(world::generated(60)), 7);
    let Some(mut harness) = world.drawn_window(1440.0, 240.0) else { return };
    let plot = harness.get_by_label_contains("Losses over epochs").rect();
    let at = |x: f32, y: f32| plot.min + plot.size() * egui::vec2(x, y);
    let charts = |harness: &mut Harness<'_, World>, name: &str| {
        image::imageops::crop_imm(&write(harness, name), 0, 0, 710, 240).to_image()
    };
    harness.hover_at(egui::pos2(1400.0, 5.0));
    let before = charts(&mut harness, "dock_before");
    harness.hover_at(at(0.4, 0.4));
    charts(&mut harness, "dock_hovered");
    harness.hover_at(at(0.2, 0.1));
    harness.step();
    harness.drag_at(at(0.2, 0.1));
    for (x, y) in [(0.25, 0.2), (0.3, 0.5), (0.5, 0.9)] {
        harness.hover_at(at(x, y));
        harness.step();
    }
    release(&harness, at(0.5, 0.9));
    harness.run_ok();
    harness.hover_at(egui::pos2(1400.0, 5.0));
    let zoomed = charts(&mut harness, "dock_zoomed");
    assert!(zoomed != before, "the rectangle zooms");
    for _ in 0..2 {
        harness.hover_at(at(0.5, 0.5));
        harness.drag_at(at(0.5, 0.5));
        release(&harness, at(0.5, 0.5));
        harness.step();
    }
    harness.hover_at(egui::pos2(1400.0, 5.0));
    let after = charts(&mut harness, "dock_reset");
    assert!(after == before, "the double click resets");
}

#[test]
fn pictures_of_the_dock() {
    let data = world::dataset();
    for (tab, name) in [
        (Tab::Losses, "dock_losses"),
        (Tab::Metrics, "dock_metrics"),
        (Tab::LearningRate, "dock_rate"),
        (Tab::Confusion, "dock_confusion"),
        (Tab::Console, "dock_console"),
    ] {
        picture(name, Shows::Dock, [1440.0, 240.0], |world| {
            world::train(world, &data, 7);
            world.panels.dock.tab = tab;
            world.panels.dock.live.epoch = (tab == Tab::Confusion).then_some(3);
        });
    }
    picture("dock_tall_log", Shows::Dock, [1440.0, 420.0], |world| {
        world::train(world, &data, 12);
        world.panels.dock.losses.log = true;
    });
    picture("dock_narrow", Shows::Dock, [720.0, 220.0], |world| world::train(world, &data, 7));
    picture("dock_narrow_live", Shows::Dock, [720.0, 220.0], |world| {
        world::train(world, &data, 7);
        world.panels.dock.tab = Tab::Live;
    });
    picture("dock_empty", Shows::Dock, [1440.0, 240.0], |_| {});
}

#[test]
fn pictures_of_the_pages() {
    let data = world::dataset();
    let size = [1440.0, 820.0];
    picture("data", Shows::Data, size, |world| world::train(world, &data, 12));
    picture("data_empty", Shows::Data, size, |_| {});
    picture("data_busy", Shows::Data, [1100.0, 640.0], |world| {
        world.view.fold(Event::DataReady(Arc::clone(&data)));
        let what = "Checking pictures".to_owned();
        world.view.fold(Event::Progress { what, done: 1204, total: 5000 });
    });
    let small = [1100.0, 620.0];
    picture("export", Shows::Export, size, |world| world::train(world, &data, 12));
    picture("export_busy", Shows::Export, small, |world| {
        world::train(world, &data, 12);
        let what = "exporting: comparing with tract".to_owned();
        world.view.fold(Event::Progress { what, done: 0, total: 0 });
    });
    for (name, difference) in [("export_checked", 2.4e-6), ("export_rejected", 0.31)] {
        picture(name, Shows::Export, small, |world| {
            world::train(world, &data, 12);
            world.view.fold(Event::Exported(Arc::new(world::exported(difference))));
        });
    }
    picture("export_failed", Shows::Export, small, |world| {
        world::train(world, &data, 12);
        let to = std::path::Path::new("/media/stick/resnet18.onnx");
        let what = "/media/stick/resnet18.onnx could not be written: No space left on device (os error 28)";
        world.view.fold(Event::Exported(Arc::new(Exported::failed(to, to, what.to_owned()))));
    });
    picture("predict_empty", Shows::Predict, size, |_| {});
    picture("predict", Shows::Predict, size, |world| {
        world::train(world, &data, 12);
        world::predict(world, &data);
    });
    picture("viewer", Shows::Data, size, |world| {
        world::train(world, &data, 12);
        world.panels.viewer.show(Some(12));
    });
}

/// A window of the dock in the middle of a run.
fn dock(data: &Arc<Dataset>) -> Harness<'static, World> {
    let mut world = World::new(Shows::Dock, Theme::dark());
    world::train(&mut world, data, 7);
    world.window(1440.0, 240.0)
}

fn copied(harness: &Harness<'_, World>) -> String {
    let copy = harness.state().actions.iter().find_map(|action| match action {
        Action::Copy(text) => Some(text.clone()),
        _ => None,
    });
    copy.expect("something was copied")
}

#[test]
fn tabs_open_by_click_and_curves_are_copied() {
    let data = Arc::new(world::generated(60));
    let mut harness = dock(&data);
    harness.get_by_label("Copy CSV").click();
    harness.run_ok();
    let csv = copied(&harness);
    assert!(csv.starts_with("part,name,epoch,value\n"));
    let val = csv.lines().find(|line| line.starts_with("val,cls,3,")).unwrap();
    assert_eq!(val, format!("val,cls,3,{}", world::val_loss(3)));
    assert_eq!(csv.lines().filter(|line| line.starts_with("train,cls,")).count(), 7 * 16);
    harness.get_by_label("Metrics").click();
    harness.run_ok();
    assert_eq!(harness.state().panels.dock.tab, Tab::Metrics);
    // 144 of 153 after epoch 7.
    assert!(harness.query_all_by_label("94.1 %").next().is_some());
    harness.get_by_label("Console").click();
    harness.run_ok();
    assert!(harness.query_by_label_contains("layer4 thawed; its optimizer state starts fresh").is_some());
}

#[test]
fn the_timeline_says_what_was_frozen_when() {
    let data = Arc::new(world::generated(60));
    let harness = dock(&data);
    let lanes = harness.get_by_label_contains("Freeze timeline");
    let words = lanes.accesskit_node().label().unwrap_or_default();
    assert!(words.contains("fc: trains from epoch 0.0"), "{words}");
    assert!(words.contains("layer4: frozen from epoch 0.0, then trains from epoch 3.0"), "{words}");
    assert!(words.contains("layer3: frozen from epoch 0.0;"), "{words}");
}

#[test]
fn a_curve_is_switched_off_in_the_legend() {
    let data = Arc::new(world::generated(60));
    let mut harness = dock(&data);
    harness.get_by_label("cls · train").click();
    harness.run_ok();
    assert!(harness.state().panels.dock.losses.hidden.contains("cls · train"));
}

#[test]
fn the_scrubber_goes_back_and_follows_again() {
    let data = Arc::new(world::generated(60));
    let mut harness = dock(&data);
    let scrubber = "Epoch of the live samples";
    assert_eq!(harness.state().panels.dock.live.epoch, None);
    harness.get_by_label(scrubber).set_value_accesskit(3.0);
    harness.run_ok();
    assert_eq!(harness.state().panels.dock.live.epoch, Some(3));
    assert!(harness.query_by_label_contains("epoch 3 ·").is_some(), "the row above says the epoch");
    harness.get_by_label(scrubber).set_value_accesskit(12.0);
    harness.run_ok();
    assert_eq!(harness.state().panels.dock.live.epoch, None, "behind the newest it follows");
}

#[test]
fn keys_choose_what_is_shown_on_the_pictures() {
    let data = Arc::new(world::generated(60));
    let mut harness = dock(&data);
    assert_eq!(harness.state().panels.dock.live.show, Show::Difference);
    harness.key_press(egui::Key::Num1);
    harness.run_ok();
    assert_eq!(harness.state().panels.dock.live.show, Show::Truth);
    harness.key_press(egui::Key::Num2);
    harness.run_ok();
    assert_eq!(harness.state().panels.dock.live.show, Show::Prediction);
}

#[test]
fn a_cell_of_the_matrix_shows_its_pictures() {
    let data = Arc::new(world::generated(60));
    let mut harness = dock(&data);
    let all = harness.query_all_by_label_contains("picture 0").count();
    harness.get_by_label("Confusion").click();
    harness.run_ok();
    // After epoch 7: 144 right of 153, 78 of 83 bees and 66 of 70 ants.
    harness.get_by_label_contains("ants called bees: 4, 6 % of the row").click();
    harness.run_ok();
    assert_eq!(harness.state().panels.dock.live.cell, Some((0, 1)));
    let some = harness.query_all_by_label_contains("picture 0").count();
    assert!(some < all, "{some} of {all}");
    for tile in harness.query_all_by_label_contains("picture 0") {
        let words = tile.accesskit_node().label().unwrap_or_default();
        assert!(words.contains("truth ants, predicted bees"), "{words}");
    }
}

#[test]
fn issues_are_filtered_by_severity_and_text() {
    let data = world::dataset();
    let mut world = World::new(Shows::Data, Theme::light());
    world.view.fold(Event::DataReady(Arc::clone(&data)));
    let mut harness = world.window(1440.0, 820.0);
    let errors = data.issues.iter().filter(|issue| issue.severity == Severity::Error).count();
    let listed = |harness: &Harness<'_, World>, word: &str| harness.query_all_by_label_contains(word).count();
    assert_eq!(listed(&harness, "error: "), errors);
    harness.get_by_label(&format!("{errors} errors")).click();
    harness.run_ok();
    assert_eq!(listed(&harness, "error: "), 0);
    assert!(listed(&harness, "warning: ") > 0);
    harness.get_by_label("Search the report").focus();
    harness.get_by_label("Search the report").type_text("tiny");
    harness.run_ok();
    assert_eq!(listed(&harness, "warning: "), 1);
}

#[test]
fn the_grid_draws_only_what_is_in_sight_of_a_hundred_thousand() {
    let data = Arc::new(world::generated(100_000));
    let mut world = World::new(Shows::Data, Theme::dark());
    world.view.fold(Event::DataReady(Arc::clone(&data)));
    let mut harness = world.window(1440.0, 820.0);
    let tiles = harness.query_all_by_label_contains("× 72 pixels").count();
    assert!((20..80).contains(&tiles), "{tiles} tiles");
    let start = Instant::now();
    for _ in 0..20 {
        harness.step();
    }
    eprintln!("grid of 100 000 pictures: {:.2} ms a frame", start.elapsed().as_secs_f64() * 1000.0 / 20.0);
    harness.get_by_label("Search file names").focus();
    harness.get_by_label("Search file names").type_text("picture 00123");
    harness.run_ok();
    assert!(harness.query_by_label("10 shown").is_some());
    harness.get_by_label("val 20 000").click();
    harness.run_ok();
    assert!(harness.query_by_label("2 shown").is_some());
    let first = harness.query_all_by_label_contains("× 72 pixels").next().unwrap();
    first.click();
    harness.run_ok();
    let shown = harness.state().panels.viewer.shown().expect("the viewer is open");
    assert_eq!(data.samples[shown].split, Split::Val);
    harness.key_press(egui::Key::ArrowRight);
    harness.run_ok();
    assert_eq!(harness.state().panels.viewer.shown(), Some(shown + 5), "the next one that is not filtered away");
}

#[test]
fn pages_ask_for_what_they_need() {
    let pushed = |shows: Shows, label: &str, wanted: &dyn Fn(&Action) -> bool| {
        let mut world = World::new(shows, Theme::dark());
        if shows == Shows::Export {
            world::train(&mut world, &Arc::new(world::generated(60)), 12);
        }
        let mut harness = world.window(1280.0, 800.0);
        harness.get_by_label(label).click();
        harness.run_ok();
        assert!(harness.state().actions.iter().any(wanted), "{label}: {:?}", harness.state().actions);
    };
    pushed(Shows::Data, "Open folder…", &|action| matches!(action, Action::AskData));
    pushed(Shows::Data, "Use the built-in sample", &|action| matches!(action, Action::Send(Command::OpenSample)));
    pushed(Shows::Predict, "Choose pictures…", &|action| matches!(action, Action::AskPictures));
    let asks = |action: &Action, wanted| matches!(action, Action::AskExport(format) if *format == wanted);
    pushed(Shows::Export, "Write .safetensors…", &|action| asks(action, ExportFormat::Safetensors));
    pushed(Shows::Export, "Write .pth…", &|action| asks(action, ExportFormat::Pth));
    pushed(Shows::Export, "Write .onnx…", &|action| asks(action, ExportFormat::Onnx));
    let code = |action: &Action| matches!(action, Action::Copy(text) if text.contains("resnet18(num_classes=2)"));
    pushed(Shows::Export, "Copy the code for PyTorch", &code);
    let code = |action: &Action| matches!(action, Action::Copy(text) if text.contains("cls, = session.run"));
    pushed(Shows::Export, "Copy the code for ONNX Runtime", &code);
}

#[test]
fn a_project_that_was_opened_again_can_export_its_last_run() {
    let window = |runs: &[&str]| {
        let mut world = World::new(Shows::Export, Theme::dark());
        world.project.runs = runs.iter().map(PathBuf::from).collect();
        world.window(1280.0, 800.0)
    };
    assert!(window(&[]).query_by_label_contains("Nothing to export yet").is_some());
    let harness = window(&["runs/first", "runs/second"]);
    assert!(
        harness.query_by_label_contains("runs/second").is_some()
            && harness.query_by_label_contains("runs/first").is_none()
    );
    assert!(!harness.get_by_label("Write .onnx…").accesskit_node().is_disabled());
}

#[test]
fn an_export_says_what_the_other_engine_says() {
    let mut world = World::new(Shows::Export, Theme::dark());
    world::train(&mut world, &Arc::new(world::generated(60)), 12);
    world.view.fold(Event::Exported(Arc::new(world::exported(2.4e-6))));
    let harness = world.window(1280.0, 800.0);
    let words = "cls: the network says ants 97.1 %, the file says ants 97.1 %, max difference 2.4e-6, rounding";
    assert!(harness.query_by_label(words).is_some());
    assert!(harness.query_by_label_contains("✓ resnet18.onnx · 42.6 MiB").is_some());

    let mut world = World::new(Shows::Export, Theme::dark());
    world::train(&mut world, &Arc::new(world::generated(60)), 12);
    world.view.fold(Event::Exported(Arc::new(world::exported(0.31))));
    let harness = world.window(1280.0, 800.0);
    assert!(harness.query_by_label_contains("the file says ≠ bees 53.0 %, max difference 3.1e-1, too much").is_some());
    assert!(harness.query_all_by_label_contains("resnet18.rejected.onnx").next().is_some());
}

#[test]
fn an_epoch_is_chosen_in_the_table() {
    let mut world = World::new(Shows::Evaluate, Theme::dark());
    world::train(&mut world, &Arc::new(world::generated(60)), 12);
    let mut harness = world.window(1440.0, 820.0);
    // The best epoch, 9: 148 of 153.
    assert!(harness.query_by_label_contains("Top-1 96.7 % 51.6 % before training").is_some());
    harness.get_by_label_contains("epoch 3, training loss").click();
    harness.run_ok();
    assert_eq!(harness.state().panels.evaluate.epoch, Some(3));
    assert!(harness.query_by_label_contains("Top-1 86.9 % 51.6 % before training").is_some(), "133 of 153");
}

#[test]
fn a_million_points_are_drawn_quickly() {
    let steps = 150_000;
    let mut world = World::new(Shows::Dock, Theme::dark());
    world::train_steps(&mut world, &Arc::new(world::generated(60)), 7, steps);
    let mut noise = world::Noise::new(5);
    let mut step = 7 * steps as u64;
    let mut next = || {
        step += 1;
        let loss = 0.2 + 0.1 * noise.next();
        let losses = [("total".to_owned(), loss), ("cls".to_owned(), loss)].into_iter().collect();
        let ms = StepTimes::default();
        Event::Step(Box::new(StepNews {
            step,
            epoch: 8,
            losses,
            lr: 0.01,
            images_per_s: 1.0,
            ms,
            grad_norm: None,
            warm_up: false,
        }))
    };
    let mut harness = world.window(1440.0, 240.0);
    let frames = 30;
    let time = |harness: &mut Harness<'_, World>, grow: &mut dyn FnMut(&mut World)| {
        let start = Instant::now();
        for _ in 0..frames {
            grow(harness.state_mut());
            harness.step();
        }
        start.elapsed().as_secs_f64() * 1000.0 / f64::from(frames)
    };
    let still = time(&mut harness, &mut |_| {});
    let growing = time(&mut harness, &mut |world| (0..5).for_each(|_| world.view.fold(next())));
    eprintln!("losses with 10^6 points, unoptimized: {still:.2} ms a frame, {growing:.2} ms while it grows");
    let points = harness.state().view.run.as_ref().unwrap().train_losses["cls"].points().len();
    assert!(points > 1_000_000);
}
