//! Pictures of the window, written to `target/window` to be looked at.

use super::stage::{Stage, load_report, open};
use egui_kittest::kittest::Queryable as _;
use frostline::session::{Belongs, Event};
use frostline::ui::{Action, Page};
use std::path::PathBuf;
use std::sync::Arc;

/// Whether there is an adapter to draw with; says so when there is none, fails where one is required.
pub fn can_draw() -> bool {
    let works = std::panic::catch_unwind(egui_kittest::wgpu::WgpuTestRenderer::new).is_ok();
    if !works {
        assert!(
            std::env::var("FROSTLINE_REQUIRE_WGPU").is_err(),
            "FROSTLINE_REQUIRE_WGPU is set, but no adapter works"
        );
        eprintln!("SKIPPED: no wgpu adapter");
    }
    works
}

pub fn keep(stage: &mut Stage<'_>, name: &str) -> image::RgbaImage {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("window");
    std::fs::create_dir_all(&folder).unwrap();
    let image = stage.window.render().unwrap();
    image.save(folder.join(format!("{name}.png"))).unwrap();
    eprintln!("{}", folder.join(format!("{name}.png")).display());
    image
}

/// Pixels that are nearly of this color.
fn share_of(image: &image::RgbaImage, rgb: [u8; 3]) -> f64 {
    let near = |pixel: &image::Rgba<u8>| pixel.0.iter().zip(rgb).all(|(a, b)| a.abs_diff(b) <= 12);
    image.pixels().filter(|pixel| near(pixel)).count() as f64 / f64::from(image.width() * image.height())
}

#[test]
fn the_window_is_drawn_in_both_themes_and_sizes() {
    if !can_draw() {
        return;
    }
    for (dark, size, name) in [
        (true, [1400.0, 900.0], "train-dark"),
        (false, [1400.0, 900.0], "train-light"),
        (true, [1100.0, 700.0], "train-dark-small"),
        (false, [1100.0, 700.0], "train-light-small"),
    ] {
        let mut stage = open(size, dark, true);
        stage.prepare();
        stage.train(6);
        let image = keep(&mut stage, name);
        let theme = if dark { frostline::ui::Theme::dark() } else { frostline::ui::Theme::light() };
        let frozen = share_of(&image, [theme.ice_fill.r(), theme.ice_fill.g(), theme.ice_fill.b()]);
        let trains = share_of(&image, [theme.amber_fill.r(), theme.amber_fill.g(), theme.amber_fill.b()]);
        assert!(frozen > 0.005, "{name}: {frozen} of the pixels are ice");
        assert!(trains > 0.005, "{name}: {trains} of the pixels are amber");
    }
}

#[test]
fn weights_and_the_question_about_a_run_are_drawn() {
    if !can_draw() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let run = super::stage::run_folder(home.path());
    for (dark, size, name) in [(true, [1100.0, 700.0], "dark-small"), (false, [1400.0, 900.0], "light")] {
        let mut stage = open(size, dark, true);
        stage.prepare();
        stage.window.state_mut().act(Action::Open(vec!["/w/my-resnet18.pth".into()]));
        stage.settle();
        stage.say(Event::CheckpointReady(Arc::new(load_report("/w/my-resnet18.pth"))));
        stage.settle();
        stage.window.get_by_label_contains("ants starts from made new");
        keep(&mut stage, &format!("weights-{name}"));
        stage.window.state_mut().act(Action::Open(vec![run.clone()]));
        stage.settle();
        keep(&mut stage, &format!("run-sheet-{name}"));
    }
}

#[test]
fn states_of_the_window_are_drawn() {
    if !can_draw() {
        return;
    }
    let mut stage = open([1400.0, 900.0], true, true);
    keep(&mut stage, "empty");
    stage.prepare();
    stage.window.state_mut().act(Action::Show(Page::Model));
    stage.settle();
    keep(&mut stage, "model");
    let mut plan = stage.plan().clone();
    plan.weights = frostline::train::WeightsSource::File("/w/resnet18-f37072fd.pth".into());
    stage.window.state_mut().act(Action::Edit { name: "Load".to_owned(), plan: Box::new(plan) });
    stage.settle();
    let what = "/w/resnet18-f37072fd.pth belongs to another architecture; it fits vgg16_bn".to_owned();
    let file = "/w/resnet18-f37072fd.pth".into();
    stage.say(Event::CheckpointOfOther(Belongs { file, model: "vgg16_bn", title: "VGG-16 BN", what }));
    stage.settle();
    keep(&mut stage, "weights-of-other");
    let mut report = load_report("/w/resnet18-f37072fd.pth");
    report.notes.push(
        "resnet18-f37072fd.pth holds the weights more than once; the averaged weights under `ema` are taken, not those under `model`".to_owned(),
    );
    stage.say(Event::CheckpointReady(Arc::new(report)));
    stage.settle();
    keep(&mut stage, "weights-notes");
    stage.window.get_by_label("120 loaded, 2 re-made, 0 unused");
    stage.window.get_by_label("head: 1000 → 6 classes, new");
    keep(&mut stage, "weights");
    stage.window.get_by_label("Fold how the weights go over").click();
    stage.settle();
    keep(&mut stage, "weights-folded");
    stage.train(3);
    stage.window.state_mut().act(Action::Show(Page::Evaluate));
    stage.settle();
    keep(&mut stage, "evaluate");
    stage.window.state_mut().act(Action::Show(Page::Model));
    stage.settle();
    stage.window.get_by_label("Thaw layer2.0").click();
    stage.window.get_by_label("Freeze layer4.0").click();
    stage.settle();
    keep(&mut stage, "pending");
    stage.window.state_mut().act(Action::Undo);
    stage.window.state_mut().act(Action::Undo);
    stage.window.state_mut().act(Action::Show(Page::Model));
    stage.window.state_mut().act(Action::Select(Some("layer4.1".to_owned())));
    stage.settle();
    stage.window.get_by_label_contains("layer3.1, frozen").hover();
    stage.window.run_steps(3);
    keep(&mut stage, "hover");
    stage.window.state_mut().act(Action::ToggleHelp);
    stage.settle();
    keep(&mut stage, "keys");
    stage.window.state_mut().act(Action::ToggleHelp);
    stage.say(Event::Failed { what: "Cannot read /data/x.pth: the file is cut off.".to_owned(), run_stopped: false });
    stage.window.state_mut().act(Action::Select(None));
    let mut plan = stage.plan().clone();
    plan.model = "resnet152".to_owned();
    plan.freeze = frostline::graph::FreezePlan::default();
    plan.freeze.set("layer3.0", true);
    plan.freeze.set("layer2.0", true);
    plan.freeze.set("layer2.1", true);
    stage.window.state_mut().act(Action::Edit { name: "Choose".to_owned(), plan: Box::new(plan) });
    stage.settle();
    keep(&mut stage, "large");
    stage.window.key_press(egui::Key::E);
    stage.settle();
    keep(&mut stage, "large-open");
}
