//! The session's thread through its channels: every command is answered, within a step, and nothing takes it down.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use frostline::data::Split;
use frostline::data::features::FeatureFolder;
use frostline::graph::FreezePlan;
use frostline::session::{Command, Ending, Evaluation, Event, Parts, Phase, Session, View, WeightsPlace, Which};
use frostline::train::{DeviceChoice, Plan, ValChoice, WeightsSource, sample_plan};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Desk {
    session: Session,
    view: View,
}

impl Desk {
    fn new() -> Self {
        let session =
            Session::spawn_in(DeviceChoice::Cpu, Arc::new(|_| ()), WeightsPlace::from_env(), FeatureFolder::new(None))
                .unwrap();
        let mut desk = Self { session, view: View::default() };
        desk.until("a device", |event| matches!(event, Event::Device(_)));
        desk
    }

    fn send(&self, command: Command) {
        self.session.send(command).unwrap();
    }

    /// Folds events until one passes; that one. A minute at most.
    fn until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if let Some(event) = self.session.wait(Duration::from_millis(100)).unwrap() {
                self.view.fold(event.clone());
                if wanted(&event) {
                    return event;
                }
            }
        }
        panic!("{what} did not come: {:?}", self.view.notices);
    }

    fn failure(&mut self) -> String {
        match self.until("a failure", |event| matches!(event, Event::Failed { .. })) {
            Event::Failed { what, .. } => what,
            other => panic!("{other:?}"),
        }
    }
}

/// A run of the sample that is quick and long enough to steer.
fn plan() -> Plan {
    Plan { weights: WeightsSource::Random, size_px: 32, epochs: 30, freeze: FreezePlan::default(), ..sample_plan() }
}

fn start(desk: &mut Desk, out: &Path) {
    desk.send(Command::Start { plan: Box::new(plan()), out: out.to_path_buf() });
    desk.until("a step", |event| matches!(event, Event::Step(_)));
}

#[test]
fn a_run_is_paused_asked_changed_resumed_and_finished() {
    let home = tempfile::tempdir().unwrap();
    let (mut desk, out) = (Desk::new(), home.path().join("run"));
    desk.send(Command::OpenSample);
    desk.until("the sample", |event| matches!(event, Event::DataReady(_)));
    assert_eq!(desk.view.data.as_ref().unwrap().used(), 240);
    start(&mut desk, &out);
    desk.send(Command::Pause);
    desk.until("the pause", |event| matches!(event, Event::Paused));
    let at = desk.view.run.as_ref().unwrap().step.as_ref().unwrap().step;
    assert_eq!(desk.view.run.as_ref().unwrap().phase, Phase::Paused);
    // Predictions while it waits, one of them of a file that is no picture.
    let (good, bad) = (home.path().join("a.png"), home.path().join("b.png"));
    image::RgbImage::from_pixel(40, 30, image::Rgb([200, 10, 10])).save(&good).unwrap();
    std::fs::write(&bad, "no picture").unwrap();
    desk.send(Command::Predict { images: vec![good, bad.clone()], from: None, parts: Parts::Auto });
    desk.until("predictions", |event| matches!(event, Event::Predictions { .. }));
    let answers = desk.view.predictions.clone().unwrap();
    assert_eq!((answers[0].size_px, answers[0].top().unwrap().score > 0.2), ([40, 30], true));
    assert_eq!(answers[1].error.as_ref().unwrap().matches("b.png").count(), 1);
    // A freeze while it waits takes effect at once; a second run is refused.
    let frozen = FreezePlan { frozen: ["stem".to_owned()].into(), ..FreezePlan::default() };
    desk.send(Command::SetFreeze(frozen.clone()));
    desk.until("the freeze", |event| matches!(event, Event::FreezeChanged { .. }));
    assert_eq!(desk.view.run.as_ref().unwrap().freeze, frozen);
    desk.send(Command::Start { plan: Box::new(plan()), out: home.path().join("second") });
    assert!(desk.failure().contains("A run is in progress"));
    desk.send(Command::Resume);
    desk.until("a further step", |event| matches!(event, Event::Step(news) if news.step > at));
    desk.send(Command::Finish);
    desk.until("the end", |event| matches!(event, Event::Done { ending: Ending::Finished, .. }));
    let run = desk.view.run.as_ref().unwrap();
    assert!(run.checkpoint.as_ref().unwrap().exists() && run.best.is_some());
    assert!(out.join("resume.safetensors").exists());
    // The finished run answers, from its folder.
    desk.send(Command::Predict { images: vec![bad], from: Some(out), parts: Parts::Auto });
    desk.until("predictions", |event| matches!(event, Event::Predictions { .. }));
}

#[test]
fn a_cancelled_run_is_resumed_from_its_folder() {
    let home = tempfile::tempdir().unwrap();
    let (mut desk, out) = (Desk::new(), home.path().join("run"));
    start(&mut desk, &out);
    desk.send(Command::Cancel);
    desk.until("the end", |event| matches!(event, Event::Done { ending: Ending::Cancelled, .. }));
    let stopped = desk.view.run.as_ref().unwrap().step.as_ref().unwrap().step;
    drop(desk);
    let mut desk = Desk::new();
    desk.send(Command::ResumeRun { run: out, epochs: Some(1) });
    let next = desk.until("a step", |event| matches!(event, Event::Step(_)));
    assert!(matches!(next, Event::Step(news) if news.step == stopped + 1));
    desk.until("the end", |event| matches!(event, Event::Done { ending: Ending::Completed, .. }));
}

#[test]
fn what_cannot_be_done_is_said_and_the_session_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let mut desk = Desk::new();
    desk.send(Command::OpenData { path: home.path().join("nothing"), val: ValChoice::Auto, seed: 0, task: None });
    assert!(desk.failure().contains("nothing does not exist"));
    let wrong = home.path().join("wrong.pth");
    std::fs::write(&wrong, "not a checkpoint").unwrap();
    let bad = Plan { weights: WeightsSource::File(wrong), ..plan() };
    desk.send(Command::InspectWeights(Box::new(bad.clone())));
    assert!(desk.failure().contains("wrong.pth"));
    desk.send(Command::Start { plan: Box::new(bad), out: home.path().join("run") });
    assert!(desk.failure().contains("wrong.pth"));
    assert!(!home.path().join("run").exists(), "a run that cannot start leaves nothing");
    let unknown = Plan { model: "nonsense".to_owned(), ..plan() };
    desk.send(Command::Start { plan: Box::new(unknown), out: home.path().join("run") });
    assert!(desk.failure().contains("There is no model named nonsense"));
    let all = frostline::session::find_model("resnet_mini").unwrap().graph(4, 32).unwrap();
    let frozen = all.nodes.iter().map(|node| node.path.clone()).collect();
    let frozen = Plan { freeze: FreezePlan { frozen, ..FreezePlan::default() }, ..plan() };
    desk.send(Command::Start { plan: Box::new(frozen), out: home.path().join("run") });
    assert!(desk.failure().contains("Nothing would train"));
    desk.send(Command::ResumeRun { run: home.path().to_path_buf(), epochs: None });
    assert!(desk.failure().contains("not a run folder"));
    desk.send(Command::OpenSample);
    desk.until("the sample", |event| matches!(event, Event::DataReady(_)));
}

#[test]
fn a_run_is_measured_on_its_own_pictures_and_keeps_the_results() {
    let home = tempfile::tempdir().unwrap();
    let (mut desk, out) = (Desk::new(), home.path().join("run"));
    let plan = Plan { epochs: 1, ..plan() };
    desk.send(Command::Start { plan: Box::new(plan), out: out.clone() });
    desk.until("the end", |event| matches!(event, Event::Done { ending: Ending::Completed, .. }));
    let run = desk.view.run.clone().unwrap();
    assert_eq!(run.evaluations.keys().copied().collect::<Vec<_>>(), [0, 1]);
    let best = run.best.unwrap().epoch;
    let kept = Evaluation::read(&out).unwrap().unwrap();
    assert_eq!(kept.epoch, Some(best));
    // Measured again, it says the same of each picture, and is kept again.
    std::fs::remove_file(out.join("evaluation.jsonl")).unwrap();
    let ask = |which| Command::Evaluate { from: out.clone(), data: None, which };
    desk.send(ask(Which::Only(Split::Val)));
    desk.until("the results", |event| matches!(event, Event::Evaluated(_)));
    let found = desk.view.evaluation.clone().unwrap();
    let again = Evaluation::read(&out).unwrap().unwrap();
    for other in [&found, &Arc::new(again)] {
        assert_eq!((other.epoch, other.images, &other.metrics), (Some(best), kept.images, &kept.metrics));
        assert_eq!(other.classifier().unwrap().pictures, kept.classifier().unwrap().pictures);
    }
    // Other parts of the set are measured and not kept as the run's own.
    desk.send(ask(Which::Only(Split::Train)));
    desk.until("the results", |event| matches!(event, Event::Evaluated(_)));
    assert_eq!(desk.view.evaluation.as_ref().unwrap().images, run.info.train_images);
    assert_eq!(Evaluation::read(&out).unwrap().unwrap().images, kept.images);
    desk.send(ask(Which::Only(Split::Test)));
    assert!(desk.failure().contains("has no test pictures to measure"));
}
