//! Prompting with a real session and a small promptable network of random weights: from a click to a data set.

use crate::world::{Shows, World};
use burn::tensor::Device;
use egui::{Event as Input, Key, Modifiers, PointerButton, Pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use frostline::data::features::FeatureFolder;
use frostline::data::{OpenOptions, Quiet, Task, open};
use frostline::models::{Network, find};
use frostline::session::{Command, Event, MaskQuestion, Masks, Session, WeightsPlace};
use frostline::train::segmentation::prompt::Prompt;
use frostline::train::{DeviceChoice, WeightsSource};
use frostline::ui::{Action, Theme};
use frostline::weights::{PlainTensor, SaveDtype, save_safetensors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SIDE: u32 = 64;

fn weights(path: &Path) {
    let variant = find("mobile_sam").unwrap();
    let graph = Arc::new(variant.graph(1, SIDE as usize).unwrap());
    let network = Network::new(graph, 7, &Device::flex()).unwrap();
    let tensors = network.tensors().unwrap().into_iter();
    let tensors: Vec<PlainTensor> =
        tensors.map(|one| (one.spec.name.clone(), one.spec.shape.clone(), one.values)).collect();
    let rule = serde_json::to_string(&variant.preprocess.with_size(SIDE)).unwrap();
    let own = [("model", "mobile_sam"), ("classes", "[]"), ("preprocess", rule.as_str())];
    let own = own.map(|(key, value)| (format!("frostline.{key}"), value.to_owned()));
    save_safetensors(path, &tensors, SaveDtype::F32, &BTreeMap::from(own)).unwrap();
}

fn picture(path: &Path) -> PathBuf {
    let inside = |x: u32, y: u32| (20..40).contains(&x) && (10..25).contains(&y);
    let color = |x, y| if inside(x, y) { image::Rgb([220, 180, 90]) } else { image::Rgb([30, 40, 60]) };
    image::RgbImage::from_fn(80, 40, color).save(path).unwrap();
    path.to_owned()
}

fn world(model: &Path) -> World {
    let mut world = World::new(Shows::Predict, Theme::dark());
    world.graph = find("mobile_sam").unwrap().graph(1, SIDE as usize).unwrap();
    world.project.plan.model = "mobile_sam".to_owned();
    world.project.plan.weights = WeightsSource::File(model.to_owned());
    world
}

/// A session that keeps encoded pictures in `cache`, and nothing in the user's own folder.
fn session(cache: &Path) -> Session {
    let features = FeatureFolder::new(Some(cache.to_owned()));
    Session::spawn_in(DeviceChoice::Cpu, Arc::new(|_| {}), WeightsPlace::from_env(), features).unwrap()
}

/// The window with the session behind it.
struct Desk {
    window: Harness<'static, World>,
    session: Session,
    sent: Vec<Command>,
}

impl Desk {
    /// Encoded pictures are kept in `cache`.
    fn new(world: World, cache: &Path) -> Self {
        let session = session(cache);
        Self { window: world.window(1200.0, 700.0), session, sent: Vec::new() }
    }

    /// Lets window and session talk until something is so; a minute at most.
    fn until(&mut self, what: &str, wanted: impl Fn(&World) -> bool) {
        let start = Instant::now();
        while !wanted(self.window.state()) {
            assert!(start.elapsed() < Duration::from_secs(60), "no {what}: {:?}", self.window.state().view.notices);
            self.turn();
        }
        self.turn();
    }

    fn turn(&mut self) {
        for action in std::mem::take(&mut self.window.state_mut().actions) {
            if let Action::Send(command) = action {
                self.sent.push(command.clone());
                self.session.send(command).unwrap();
            }
        }
        if let Some(event) = self.session.wait(Duration::from_millis(20)).unwrap() {
            self.window.state_mut().view.fold(event);
        }
        self.window.step();
        self.window.step();
    }

    fn button(&mut self, pos: Pos2, pressed: bool, modifiers: Modifiers) {
        self.window.event(Input::PointerMoved(pos));
        self.window.event(Input::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers });
        self.window.step();
    }

    fn click(&mut self, pos: Pos2, modifiers: Modifiers) {
        self.window.event_modifiers(Input::PointerMoved(pos), modifiers);
        for pressed in [true, false] {
            let event = Input::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers };
            self.window.event_modifiers(event, modifiers);
            self.window.step();
        }
    }

    /// The prompts that were asked.
    fn asked(&self) -> Vec<Prompt> {
        let prompt = |command: &Command| match command {
            Command::Ask { question: MaskQuestion::Prompt(prompt), .. } => Some(prompt.clone()),
            _ => None,
        };
        self.sent.iter().filter_map(prompt).collect()
    }
}

/// Names in a test's folder.
const MODEL: &str = "model.safetensors";
const CACHE: &str = "cache";

/// A window in which a picture is ready for prompts, and that picture; all its files lie in this folder.
fn opened(dir: &Path) -> (Desk, PathBuf) {
    weights(&dir.join(MODEL));
    let image = picture(&dir.join("square.png"));
    let mut desk = Desk::new(world(&dir.join(MODEL)), &dir.join(CACHE));
    desk.window.state_mut().panels.predict.prompt.open(std::slice::from_ref(&image));
    desk.until("picture that is ready", |world| world.view.prompts.opened.is_some());
    (desk, image)
}

#[test]
fn from_a_click_to_a_data_set() {
    let dir = tempfile::tempdir().unwrap();
    let (mut desk, image) = opened(dir.path());
    let (model, cache) = (dir.path().join(MODEL), dir.path().join(CACHE));
    let opened = desk.window.state().view.prompts.opened.clone().unwrap();
    assert_eq!((opened.size_px, opened.from_disk), ([80, 40], false));
    assert!(opened.encode_secs.is_some_and(|secs| secs > 0.0));
    desk.window.get_by_label_contains("encoded in");
    // The picture is twice as wide as high and fills the canvas from side to side: its middle is that of the canvas.
    let middle = desk.window.get_all_by_label_contains("square.png").map(|node| node.rect());
    let canvas = middle.max_by(|a, b| a.area().total_cmp(&b.area())).unwrap();
    let at = |x: f32, y: f32| {
        let scale = (canvas.width() / 80.0).min(canvas.height() / 40.0);
        canvas.center() + egui::vec2(x - 40.0, y - 20.0) * scale
    };
    desk.click(at(30.0, 15.0), Modifiers::NONE);
    desk.until("answer", |world| world.view.masks.is_some());
    let first = desk.asked();
    let [x, y] = first[0].points[0].xy;
    assert!((x - 30.0).abs() < 0.6 && (y - 15.0).abs() < 0.6 && first[0].points[0].positive, "{first:?}");
    desk.window.get_by_label_contains("ms");
    // A second, negative click corrects the mask that is shown.
    desk.click(at(60.0, 30.0), Modifiers::ALT);
    desk.until("second answer", |world| world.actions.is_empty());
    while desk.asked().len() < 2 {
        desk.turn();
    }
    let second = desk.asked().pop().unwrap();
    assert_eq!(second.points.iter().map(|point| point.positive).collect::<Vec<_>>(), [true, false]);
    assert!(second.previous.is_some());
    let answers = |desk: &Desk| desk.window.state().view.masks.clone().unwrap();
    let before = answers(&desk);
    let start = Instant::now();
    while Arc::ptr_eq(&before, &answers(&desk)) && start.elapsed() < Duration::from_secs(30) {
        desk.turn();
    }
    desk.turn();
    // One that is not empty becomes an object.
    let answer = answers(&desk);
    let Masks::Offered(answered) = &answer.masks else { unreachable!() };
    let good = answered.candidates.iter().position(|one| one.xyxy.is_some()).unwrap();
    desk.window.key_press([Key::Num1, Key::Num2, Key::Num3][good]);
    desk.window.step();
    desk.window.key_press(Key::Enter);
    desk.window.step();
    desk.window.step();
    assert_eq!(desk.window.state().panels.predict.prompt.accepted(), 1);
    // A box, and Esc: nothing is left to accept.
    desk.button(at(10.0, 5.0), true, Modifiers::NONE);
    for (x, y) in [(20.0, 10.0), (30.0, 20.0), (45.0, 30.0)] {
        desk.window.event(Input::PointerMoved(at(x, y)));
        desk.window.step();
    }
    desk.button(at(45.0, 30.0), false, Modifiers::NONE);
    let start = Instant::now();
    while desk.asked().last().is_none_or(|prompt| prompt.xyxy.is_none()) && start.elapsed() < Duration::from_secs(30) {
        desk.turn();
    }
    let [left, top, right, bottom] = desk.asked().last().unwrap().xyxy.unwrap();
    let close = |a: f32, b: f32| (a - b).abs() < 1.0;
    assert!(close(left, 10.0) && close(top, 5.0) && close(right, 45.0) && close(bottom, 30.0));
    desk.window.key_press(Key::Escape);
    desk.window.step();
    desk.window.key_press(Key::Enter);
    desk.window.step();
    assert_eq!(desk.window.state().panels.predict.prompt.accepted(), 1);
    // The data set has exactly the pixels of the mask.
    let to = dir.path().join("set");
    let save = desk.window.state().panels.predict.prompt.save_command(to.clone());
    desk.session.send(save).unwrap();
    desk.until("data set", |world| world.view.prompts.saved.is_some());
    let options = OpenOptions { task: Some(Task::Segment), ..OpenOptions::default() };
    let set = open(&to, &options, &Quiet).unwrap();
    assert_eq!(set.classes(), ["background", "object"]);
    let area = answered.candidates[good].area;
    assert_eq!(set.samples[0].target.mask_px, [80 * 40 - area, area]);
    desk.window.get_by_label_contains("Open it as the data set");
    drop(desk);
    the_next_session_reads_it(&cache, &model, &image, first[0].clone());
}

/// The next session reads the picture's features from disk and answers the same; they are cleared with all others.
fn the_next_session_reads_it(cache: &Path, model: &Path, image: &Path, prompt: Prompt) {
    let kept = FeatureFolder::new(Some(cache.to_owned()));
    let file = std::fs::read_dir(cache.join("embeddings")).unwrap().next().unwrap().unwrap();
    assert_eq!((kept.kept().files, kept.kept().bytes), (1, file.metadata().unwrap().len()));
    assert_eq!(
        std::fs::read_dir(cache.parent().unwrap()).unwrap().filter(|one| one.as_ref().unwrap().path().is_dir()).count(),
        2
    );
    let session = session(cache);
    session.send(Command::OpenPrompt { image: image.to_owned(), from: model.to_owned() }).unwrap();
    let question = MaskQuestion::Prompt(prompt);
    session.send(Command::Ask { image: image.to_owned(), from: model.to_owned(), question }).unwrap();
    let (start, mut from_disk) = (Instant::now(), None);
    loop {
        assert!(start.elapsed() < Duration::from_secs(60));
        match session.wait(Duration::from_millis(50)).unwrap() {
            Some(Event::PromptReady(opened)) => from_disk = Some((opened.from_disk, opened.encode_secs)),
            Some(Event::Masks(again)) => {
                let (Masks::Offered(_), None) = (&again.masks, again.encode_secs) else { unreachable!() };
                break;
            }
            Some(Event::Failed { what, .. }) => unreachable!("{what}"),
            _ => {}
        }
    }
    assert_eq!(from_disk, Some((true, None)));
    // Cleared with all other stored features.
    session.send(Command::ClearFeatures).unwrap();
    let cleared = loop {
        assert!(start.elapsed() < Duration::from_secs(60));
        if let Some(Event::FeaturesKept(kept)) = session.wait(Duration::from_millis(50)).unwrap()
            && kept.files == 0
        {
            break kept;
        }
    };
    assert_eq!((cleared.bytes, kept.kept().files), (0, 0));
}

#[test]
fn everything_that_is_found_becomes_objects() {
    let dir = tempfile::tempdir().unwrap();
    let (mut desk, _) = opened(dir.path());
    desk.window.get_by_label("coarse").click();
    desk.until("search", |world| {
        world.view.masks.as_ref().is_some_and(|answer| matches!(answer.masks, Masks::Found(_)))
    });
    let sides: Vec<usize> = desk
        .sent
        .iter()
        .filter_map(|command| match command {
            Command::Ask { question: MaskQuestion::Everything(grid), .. } => Some(grid.side),
            _ => None,
        })
        .collect();
    assert_eq!(sides, [8], "asked once");
    desk.turn();
    let state = desk.window.state();
    let Masks::Found(found) = &state.view.masks.as_ref().unwrap().masks else { unreachable!() };
    assert_eq!(state.panels.predict.prompt.accepted(), found.found.len());
    let told = format!("{} found and accepted", frostline::format::plural(found.found.len(), "object"));
    desk.window.get_by_label_contains(&told);
}

#[test]
fn without_weights_it_says_what_is_missing() {
    let mut world = world(Path::new("/nowhere"));
    world.project.plan.weights = WeightsSource::Random;
    let mut window = world.window(1200.0, 700.0);
    window.get_by_label_contains("mobile_sam has random weights");
    window.get_by_label("See the weights").click();
    window.run_ok();
    assert!(window.state().actions.iter().any(|action| matches!(action, Action::Show(frostline::ui::Page::Model))));
}

#[test]
fn clicks_and_boxes_land_on_their_pixels_in_a_zoomed_picture() {
    let dir = tempfile::tempdir().unwrap();
    let (mut desk, _) = opened(dir.path());
    let all = desk.window.get_all_by_label_contains("square.png").map(|node| node.rect());
    let canvas = all.max_by(|a, b| a.area().total_cmp(&b.area())).unwrap();
    let fitted = (canvas.width() / 80.0).min(canvas.height() / 40.0);
    // Where pixel (60, 30) lies, and stays: a wheel turned there by 300 ln 4 points makes it four times as large.
    let about = canvas.center() + egui::vec2(20.0, 10.0) * fitted;
    desk.window.event(Input::PointerMoved(about));
    let delta = egui::vec2(0.0, 300.0 * 4.0_f32.ln());
    desk.window.event(Input::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta,
        source: egui::MouseWheelSource::Unknown,
        phase: egui::TouchPhase::Move,
        modifiers: Modifiers::NONE,
    });
    // The wheel is smoothed over some frames.
    (0..60).for_each(|_| desk.window.step());
    let at = |x: f32, y: f32| about + egui::vec2(x - 60.0, y - 30.0) * fitted * 4.0;
    desk.click(at(57.0, 28.0), Modifiers::NONE);
    desk.until("answer", |world| world.view.masks.is_some());
    let close = |a: f32, b: f32| (a - b).abs() < 0.2;
    let [x, y] = desk.asked()[0].points[0].xy;
    assert!(close(x, 57.0) && close(y, 28.0), "{x} {y}");
    // A drag of the middle button moves the picture by as many points, and asks nothing.
    let moved = egui::vec2(-40.0, 24.0);
    let drag = |desk: &mut Desk, button: PointerButton, from: Pos2, to: Pos2| {
        for (pos, pressed) in [(from, true), (to, false)] {
            desk.window.event(Input::PointerMoved(from + (pos - from) * 0.5));
            desk.window.step();
            desk.window.event(Input::PointerMoved(pos));
            desk.window.step();
            desk.window.event(Input::PointerButton { pos, button, pressed, modifiers: Modifiers::NONE });
            desk.window.step();
        }
    };
    drag(&mut desk, PointerButton::Middle, at(60.0, 30.0), at(60.0, 30.0) + moved);
    let asked = desk.asked().len();
    (0..5).for_each(|_| desk.turn());
    assert_eq!(desk.asked().len(), asked);
    let shifted = |x: f32, y: f32| at(x, y) + moved;
    drag(&mut desk, PointerButton::Primary, shifted(58.0, 27.0), shifted(64.0, 32.0));
    let start = Instant::now();
    while desk.asked().last().is_none_or(|prompt| prompt.xyxy.is_none()) && start.elapsed() < Duration::from_secs(30) {
        desk.turn();
    }
    let [left, top, right, bottom] = desk.asked().last().unwrap().xyxy.unwrap();
    let found = [left, top, right, bottom];
    assert!(close(left, 58.0) && close(top, 27.0) && close(right, 64.0) && close(bottom, 32.0), "{found:?}");
    // `0` fits the picture again.
    desk.window.key_press(Key::Escape);
    desk.window.key_press(Key::Num0);
    desk.window.step();
    desk.window.step();
    let before = desk.asked().len();
    desk.click(canvas.center(), Modifiers::NONE);
    while desk.asked().len() == before && start.elapsed() < Duration::from_secs(60) {
        desk.turn();
    }
    let [x, y] = desk.asked().last().unwrap().points[0].xy;
    assert!(close(x, 40.0) && close(y, 20.0), "{x} {y}");
}
