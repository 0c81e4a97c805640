//! Masks over pictures: live samples, predictions, the data page, the viewer.

use super::world::{self, Shows, World, settle};
use super::{picture, write};
use egui_kittest::kittest::Queryable as _;
use frostline::data::{Dataset, MaskPixels, MaskTarget, MaskValue, Placement, Split, Unnamed};
use frostline::graph::HeadKind;
use frostline::session::{Command, Event, LiveSample};
use frostline::train::segmentation::{Logits, Mask};
use frostline::train::{Answer, Evaluation, HeadPrediction, Prediction};
use frostline::ui::panels::dock::Tab;
use frostline::ui::panels::live::Show;
use frostline::ui::{Action, Theme};
use std::sync::Arc;

const SIZE: [u32; 2] = [96, 72];
/// Three cells: middle and radius in pixels.
const CELLS: [[f32; 3]; 3] = [[26.0, 24.0, 13.0], [62.0, 44.0, 17.0], [84.0, 12.0, 7.0]];

/// How far each pixel lies inside of a cell, in pixels; cells are shifted to the right.
fn inside(shift: f32, grow: f32) -> Vec<f32> {
    let depth = |x: f32, y: f32| {
        let of = |[cx, cy, r]: [f32; 3]| r + grow - ((x - cx - shift).powi(2) + (y - cy).powi(2)).sqrt();
        CELLS.into_iter().map(of).fold(f32::NEG_INFINITY, f32::max)
    };
    (0..SIZE[1]).flat_map(|y| (0..SIZE[0]).map(move |x| depth(x as f32 + 0.5, y as f32 + 0.5))).collect()
}

/// The generated pictures with true masks of cells.
fn data() -> Arc<Dataset> {
    let mut data = world::generated(60);
    let ids = inside(0.0, 0.0).iter().map(|depth| u8::from(*depth > 0.0)).collect();
    let pixels = Arc::new(MaskPixels { width: SIZE[0], height: SIZE[1], ids });
    for sample in &mut data.samples {
        sample.target.mask = Some(MaskTarget::Pixels(Arc::clone(&pixels)));
    }
    Arc::new(data)
}

/// What a model says: a probability that rises from the border of a cell inwards.
fn prediction(data: &Dataset, index: usize, shift: f32, grow: f32) -> Prediction {
    let cell: Vec<f32> = inside(shift, grow).iter().map(|depth| depth / 2.0).collect();
    let numbers = [vec![0.0; cell.len()], cell].concat();
    let size = [SIZE[1] as usize, SIZE[0] as usize];
    let logits = Logits { numbers: &numbers, size, placement: Placement::IDENTITY };
    let classes = Arc::new(["background", "cell"].map(str::to_owned).to_vec());
    let answer = Answer::Mask(Arc::new(Mask::of_logits(logits, SIZE, classes)));
    let head = HeadPrediction { head: "mask".to_owned(), kind: HeadKind::PixelClassify { classes: 2 }, answer };
    Prediction { image: data.samples[index].image.name(), size_px: SIZE, heads: vec![head], error: None }
}

/// A run of seven epochs whose masks come nearer to the truth.
fn trained(world: &mut World) -> Arc<Dataset> {
    let data = data();
    world::train(world, &data, 7);
    for epoch in 0..=7_u32 {
        let of = |(at, index): (usize, usize)| {
            let off = (7 - epoch) as f32 + at as f32 * 0.5;
            LiveSample::new(index, &data.samples[index].target, prediction(&data, index, off, 1.0))
        };
        let samples = data.indices(Split::Val).into_iter().take(8).enumerate().map(of).collect();
        world.view.fold(Event::Samples { epoch, samples: Arc::new(samples) });
    }
    data
}

fn predicted(world: &mut World) {
    let data = data();
    let answers = (0..4).map(|index| prediction(&data, index, index as f32, 0.0)).collect();
    world.view.fold(Event::Predictions { from: None, answers: Arc::new(answers) });
}

#[test]
fn pictures_of_masks() {
    for (name, show) in [("truth", Show::Truth), ("prediction", Show::Prediction), ("difference", Show::Difference)] {
        picture(&format!("masks_live_{name}"), Shows::Dock, [1400.0, 280.0], |world| {
            trained(world);
            world.panels.dock.tab = Tab::Losses;
            world.panels.dock.live.show = show;
        });
    }
    picture("masks_live_heat", Shows::Dock, [1400.0, 280.0], |world| {
        trained(world);
        world.panels.dock.live.masks.heat = Some(1);
    });
    picture("masks_predict", Shows::Predict, [1280.0, 760.0], predicted);
    picture("masks_data", Shows::Data, [1280.0, 760.0], |world| {
        trained(world);
    });
    let mut world = World::new(Shows::Data, Theme::dark());
    trained(&mut world);
    world.panels.viewer.show(Some(4));
    let Some(mut harness) = world.drawn_window(1280.0, 760.0) else { return };
    write(&mut harness, "masks_viewer_dark");
    harness.get_by_label("swipe").click();
    write(&mut harness, "masks_viewer_swipe_dark");
}

#[test]
fn colors_without_a_table_are_named_in_the_window() {
    let set = |world: &mut World| {
        let mut data = Dataset::clone(&data());
        data.samples.clear();
        let colors = [([0, 0, 0], 0.81), ([128, 0, 0], 0.12), ([0, 128, 64], 0.07)];
        data.unnamed = colors.map(|(color, share)| Unnamed { value: MaskValue::Color(color), share }).to_vec();
        world.view.fold(Event::DataReady(Arc::new(data)));
    };
    picture("masks_colors", Shows::Data, [1280.0, 760.0], set);
    let mut world = World::new(Shows::Data, Theme::dark());
    set(&mut world);
    let mut harness = world.window(1280.0, 760.0);
    settle(&mut harness);
    harness.get_by_label("Class of #800000").focus();
    harness.get_by_label("Class of #800000").type_text("roof");
    settle(&mut harness);
    harness.get_by_label("Write classes.csv").click();
    settle(&mut harness);
    let sent = harness.state().actions.iter().find_map(|action| match action {
        Action::Send(Command::NameClasses { folder, names }) => Some((folder.clone(), names.clone())),
        _ => None,
    });
    let (folder, names) = sent.expect("the names are sent");
    assert_eq!(folder, std::path::Path::new("/data/generated"));
    let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["background", "roof", ""]);
}

/// The worth that the first live picture tells.
fn worth(harness: &egui_kittest::Harness<'_, World>) -> String {
    let label = |node: &egui_kittest::Node<'_>| {
        use egui_kittest::kittest::NodeT as _;
        node.accesskit_node().label().unwrap_or_default()
    };
    let first = harness.get_all_by_label_contains("mIoU").next().expect("a picture tells its worth");
    label(&first)
}

#[test]
fn a_threshold_changes_masks_and_their_worth_without_asking_again() {
    let mut world = World::new(Shows::Dock, Theme::dark());
    trained(&mut world);
    let mut harness = world.window(1400.0, 280.0);
    settle(&mut harness);
    let even = worth(&harness);
    // Grown by one pixel at logit 0; the true border lies at a depth of one pixel: probability 1 / (1 + exp(-0.5)) = 0.62.
    harness.state_mut().panels.dock.live.masks.least = Some(0.62);
    settle(&mut harness);
    let right = worth(&harness);
    let share = |text: &str| text.split("mIoU ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
    assert!(share(&even) < 96.0 && share(&right) > 98.0, "{even} and {right}");
    assert!(harness.state().actions.is_empty(), "nothing is sent");
    harness.get_by_label("Reset").click();
    settle(&mut harness);
    assert_eq!((worth(&harness), harness.state().panels.dock.live.masks.least), (even, None));
}

#[test]
fn the_scrubber_goes_back_to_worse_masks() {
    let mut world = World::new(Shows::Dock, Theme::dark());
    trained(&mut world);
    let mut harness = world.window(1400.0, 280.0);
    settle(&mut harness);
    let newest = worth(&harness);
    harness.state_mut().panels.dock.live.epoch = Some(1);
    settle(&mut harness);
    let before = worth(&harness);
    assert_ne!(newest, before);
}

#[test]
fn masks_of_predictions_are_saved_with_the_threshold_at_hand() {
    let mut world = World::new(Shows::Predict, Theme::dark());
    predicted(&mut world);
    let mut harness = world.window(1280.0, 760.0);
    settle(&mut harness);
    assert!(harness.query_by_label("Copy scores").is_none(), "a mask has no list of scores");
    harness.state_mut().panels.predict.masks.least = Some(0.75);
    harness.run_ok();
    harness.get_by_label("Save masks…").click();
    harness.run_ok();
    let asked = harness.state().actions.iter().any(|action| matches!(action, Action::AskSaveMasks(Some(0.75))));
    assert!(asked, "{:?}", harness.state().actions);
}

#[test]
fn the_viewer_shows_the_masks_of_the_model_that_it_is_about() {
    let mut world = World::new(Shows::Data, Theme::dark());
    let data = trained(&mut world);
    let live = data.indices(Split::Val)[0];
    world.panels.viewer.show(Some(live));
    let mut harness = world.window(1280.0, 760.0);
    settle(&mut harness);
    harness.get_by_label("3 difference");
    // Another set is opened while the run's masks are still known: its pictures have none.
    let mut other = Dataset::clone(&data);
    for sample in &mut other.samples {
        let name = format!("other {}", sample.image.name());
        let bytes = match &sample.image {
            frostline::data::ImageSource::Memory { bytes, .. } => Arc::clone(bytes),
            frostline::data::ImageSource::File(_) => unreachable!("generated pictures lie in memory"),
        };
        sample.image = frostline::data::ImageSource::Memory { name, bytes };
    }
    harness.state_mut().view.data = Some(Arc::new(other));
    settle(&mut harness);
    assert!(harness.query_by_label("3 difference").is_none());
    // A measured picture: only the measured model's answer to it counts.
    let measured = world::measured(&data, &["background".to_owned(), "cell".to_owned()], 1);
    let (set, source) = (Arc::clone(&data), measured.source.clone());
    let evaluation = Arc::new(Evaluation { set, heads: Vec::new(), ..measured });
    harness.state_mut().panels.viewer.show_evaluated((evaluation, 0), 0, Arc::default());
    let answer = |harness: &mut egui_kittest::Harness<'_, World>, from: Option<&std::path::Path>| {
        let answers = Arc::new(vec![prediction(&data, 0, 0.0, 0.0)]);
        harness.state_mut().view.fold(Event::Predictions { from: from.map(Into::into), answers });
        settle(harness);
        harness.query_by_label("3 difference").is_some()
    };
    assert!(!answer(&mut harness, None), "the network at hand may be another");
    assert!(!answer(&mut harness, Some("/another/run".as_ref())));
    assert!(answer(&mut harness, Some(&source)));
}
