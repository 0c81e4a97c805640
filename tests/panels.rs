//! The dock and the pages: what they show, what they ask for, how they look.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]

#[path = "panels/world.rs"]
mod world;

use egui_kittest::kittest::Queryable as _;
use egui_kittest::Harness;
use frostline::ui::Theme;
use world::{Shows, World, settle};

/// Draws a window in both themes and writes the pictures to `target/panels`.
fn picture(name: &str, shows: Shows, size: [f32; 2], prepare: impl Fn(&mut World)) {
    for (theme, suffix) in [(Theme::dark(), "dark"), (Theme::light(), "light")] {
        let mut world = World::new(shows, theme);
        prepare(&mut world);
        let Some(mut harness) = world.drawn_window(size[0], size[1]) else { return };
        write(&mut harness, &format!("{name}_{suffix}"));
    }
}

fn write(harness: &mut Harness<'_, World>, name: &str) {
    settle(harness);
    let image = harness.render().expect("the window is drawn");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("panels");
    std::fs::create_dir_all(&folder).unwrap();
    image.save(folder.join(format!("{name}.png"))).unwrap();
    let colors: std::collections::HashSet<_> = image.pixels().map(|pixel| pixel.0).collect();
    assert!(colors.len() > 30, "{name} shows something: {} colors", colors.len());
}

#[test]
fn dock_in_the_middle_of_a_run() {
    let data = world::dataset();
    picture("dock_losses", Shows::Dock, [1440.0, 240.0], |world| world::train(world, &data, 7));
}

#[test]
fn pages_after_a_run() {
    let data = world::dataset();
    picture("data", Shows::Data, [1440.0, 820.0], |world| world::train(world, &data, 12));
    picture("evaluate", Shows::Evaluate, [1440.0, 820.0], |world| world::train(world, &data, 12));
    picture("export", Shows::Export, [1440.0, 820.0], |world| world::train(world, &data, 12));
}

#[test]
fn the_dock_has_all_tabs() {
    let data = world::dataset();
    let mut world = World::new(Shows::Dock, Theme::dark());
    world::train(&mut world, &data, 7);
    let harness = world.window(1440.0, 240.0);
    for tab in ["Losses", "Metrics", "Learning rate", "Confusion", "Console"] {
        harness.get_by_label(tab);
    }
}
