//! Public weights on the model page: absent, coming, failed, here; chosen, dropped, in the way of a run.

use super::pictures::{can_draw, keep};
use super::stage::{Stage, load_report, open};
use egui_kittest::kittest::Queryable as _;
use frostline::session::{Command, Event, WeightsCommand, WeightsState};
use frostline::train::WeightsSource;
use frostline::ui::{Action, Page};
use frostline::weights::hub::{Progress, Stage as Step};
use std::path::PathBuf;
use std::sync::Arc;

const FILE: &str = "resnet18-f37072fd.pth";

fn public() -> WeightsSource {
    WeightsSource::Public { entry: "IMAGENET1K_V1".to_owned() }
}

/// 37 % of the file of 46 830 571 bytes.
fn coming() -> WeightsState {
    let (done, total) = (17_327_311, Some(46_830_571));
    WeightsState::Fetching(Progress { stage: Step::Receiving, done, total, bytes_per_s: 3.14e6 })
}

fn failed() -> WeightsState {
    WeightsState::Failed(format!(
        "{FILE} cannot be downloaded from https://download.pytorch.org/models/{FILE}: the name of download.pytorch.org \
         cannot be resolved (no network?); the file (SHA-256 begins with f37072fd) can also be put into \
         /home/me/.local/share/frostline/weights by hand."
    ))
}

fn here(file: &str) -> WeightsState {
    let proof = "verified: SHA-256 begins with f37072fd, as published".to_owned();
    WeightsState::Here { path: PathBuf::from(format!("/w/{file}")), proof }
}

fn page(size: [f32; 2], dark: bool, draws: bool) -> Stage<'static> {
    let mut stage = open(size, dark, draws);
    stage.prepare();
    stage.window.state_mut().act(Action::Show(Page::Model));
    stage.settle();
    stage.commands();
    stage
}

fn news(stage: &mut Stage<'_>, file: &str, state: WeightsState) {
    stage.say(Event::Weights { file: file.to_owned(), state });
    stage.settle();
}

#[test]
fn a_download_is_asked_for_watched_stopped_and_used() {
    let mut stage = page([1400.0, 900.0], true, false);
    news(&mut stage, FILE, WeightsState::Absent);
    stage.window.get_by_label("random weights");
    stage.window.get_by_label("Download").click();
    stage.settle();
    assert_eq!(stage.plan().weights, public());
    let commands = stage.commands();
    let [Command::Weights(WeightsCommand::Fetch { model, entry })] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!((model.as_str(), entry.as_str()), ("resnet18", "IMAGENET1K_V1"));

    // A run does not begin before they are here, and says why.
    stage.window.get_by_label("Not ready: 1 reason");
    stage.window.get_by_label("The public weights resnet18-f37072fd.pth are not on this machine (46.8 MB).");
    news(&mut stage, FILE, coming());
    stage.window.get_by_label("37 % of 46.8 MB · 3.1 MB/s");
    stage.window.get_by_label("The public weights come: 37 % of 46.8 MB · 3.1 MB/s.");
    stage.window.get_by_label("Stop downloading resnet18-f37072fd.pth").click();
    stage.settle();
    let commands = stage.commands();
    assert!(
        matches!(commands.as_slice(), [Command::Weights(WeightsCommand::Stop { file })] if file == FILE),
        "{commands:?}"
    );

    news(&mut stage, FILE, failed());
    stage.window.get_by_label("Drop resnet18-f37072fd.pth (SHA-256 f37072fd…) here, or:");
    stage.window.get_by_label("Try again").click();
    stage.settle();
    let commands = stage.commands();
    assert!(matches!(commands.as_slice(), [Command::Weights(WeightsCommand::Fetch { .. })]), "{commands:?}");

    news(&mut stage, FILE, here(FILE));
    stage.window.get_by_label("✓ Ready");
    stage.window.get_by_label("✓ verified");
    let commands = stage.commands();
    let [Command::InspectWeights(plan)] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(plan.weights, public());
    stage.say(Event::CheckpointReady(Arc::new(load_report(&format!("/w/{FILE}")))));
    stage.settle();
    stage.window.get_by_label("120 loaded, 2 re-made, 0 unused");
    stage.window.get_by_label("Random").click();
    stage.settle();
    assert_eq!(stage.plan().weights, WeightsSource::Random);
    stage.window.get_by_label("Use").click();
    stage.settle();
    assert_eq!(stage.plan().weights, public());
}

#[test]
fn a_dropped_file_with_the_published_name_is_compared_and_used() {
    let mut stage = page([1400.0, 900.0], true, false);
    let file = PathBuf::from(format!("/downloads/{FILE}"));
    stage.window.state_mut().act(Action::Open(vec![file.clone()]));
    stage.window.run_steps(3);
    assert_eq!(stage.plan().weights, public());
    let commands = stage.commands();
    let [Command::Weights(WeightsCommand::TakeIn { path, model, entry })] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!((path, model.as_str(), entry.as_str()), (&file, "resnet18", "IMAGENET1K_V1"));
    // The name of another model's weights is an ordinary checkpoint here.
    let file = PathBuf::from("/downloads/resnet50-0676ba61.pth");
    stage.window.state_mut().act(Action::Open(vec![file.clone()]));
    stage.window.run_steps(3);
    assert_eq!(stage.plan().weights, WeightsSource::File(file));
}

#[test]
fn another_model_takes_its_own_public_weights() {
    let mut stage = page([1400.0, 900.0], true, false);
    news(&mut stage, FILE, here(FILE));
    stage.window.get_by_label("Use").click();
    stage.settle();
    stage.commands();
    stage.window.get_by_label_contains("ResNet-50, classify").click();
    stage.settle();
    assert_eq!((stage.plan().model.as_str(), &stage.plan().weights), ("resnet50", &public()));
    let commands = stage.commands();
    assert!(
        matches!(commands.as_slice(), [Command::Weights(WeightsCommand::Look { model })] if model == "resnet50"),
        "{commands:?}"
    );
    stage.window.get_by_label("resnet50-0676ba61.pth is being compared with what is published.");
    stage.window.get_by_label_contains("ResNet mini, classify").click();
    stage.settle();
    assert_eq!(stage.plan().weights, WeightsSource::Random, "a model without public weights");
}

#[test]
fn states_of_public_weights_are_drawn() {
    if !can_draw() {
        return;
    }
    for (dark, size, suffix) in [(true, [1400.0, 900.0], "dark"), (false, [1100.0, 700.0], "light-small")] {
        let mut stage = page(size, dark, true);
        news(&mut stage, FILE, WeightsState::Absent);
        if size[0] < 1200.0 {
            stage.window.get_by_label("Show models and weights").click();
            stage.settle();
        }
        keep(&mut stage, &format!("weights-absent-{suffix}"));
        let mut plan = stage.plan().clone();
        plan.weights = public();
        stage.window.state_mut().act(Action::Edit { name: "Use".to_owned(), plan: Box::new(plan.clone()) });
        news(&mut stage, FILE, coming());
        keep(&mut stage, &format!("weights-coming-{suffix}"));
        news(&mut stage, FILE, failed());
        keep(&mut stage, &format!("weights-failed-{suffix}"));
        news(&mut stage, FILE, here(FILE));
        stage.say(Event::CheckpointReady(Arc::new(load_report(&format!("/w/{FILE}")))));
        stage.settle();
        keep(&mut stage, &format!("weights-here-{suffix}"));
        plan.model = "resnet50".to_owned();
        stage.window.state_mut().act(Action::Edit { name: "Choose".to_owned(), plan: Box::new(plan) });
        stage.settle();
        news(&mut stage, "resnet50-0676ba61.pth", here("resnet50-0676ba61.pth"));
        news(&mut stage, "resnet50-11ad3fa6.pth", WeightsState::Absent);
        keep(&mut stage, &format!("weights-two-{suffix}"));
    }
}
