//! Public weights through a session's channels, beside whatever else it does.

use super::server::{self, Server};
use frostline::data::features::FeatureFolder;
use frostline::session::{Command, Event, Session, View, WeightsCommand, WeightsPlace, WeightsState};
use frostline::train::{DeviceChoice, Plan, WeightsSource, sample_plan};
use frostline::weights::hub::Options;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FILE: &str = "resnet18-f37072fd.pth";

struct Desk {
    session: Session,
    view: View,
}

impl Desk {
    fn new(folder: &Path, mirror: &str) -> Self {
        let options = Options { mirror: Some(mirror.to_owned()), ..super::options() };
        let place = WeightsPlace { folder: Some(folder.to_path_buf()), options };
        Self {
            session: Session::spawn_in(DeviceChoice::Cpu, Arc::new(|_| ()), place, FeatureFolder::new(None)).unwrap(),
            view: View::default(),
        }
    }

    fn send(&self, command: WeightsCommand) {
        self.session.send(Command::Weights(command)).unwrap();
    }

    fn until(&mut self, wanted: impl Fn(&Event) -> bool) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if let Some(event) = self.session.wait(Duration::from_millis(50)).unwrap() {
                self.view.fold(event.clone());
                if wanted(&event) {
                    return;
                }
            }
        }
        panic!("it did not come: {:?}", self.view.notices);
    }

    fn until_state(&mut self, wanted: impl Fn(&WeightsState) -> bool) -> WeightsState {
        self.until(|event| matches!(event, Event::Weights { file, state } if file == FILE && wanted(state)));
        self.view.weights[FILE].clone()
    }
}

fn entry() -> (String, String) {
    ("resnet18".to_owned(), "IMAGENET1K_V1".to_owned())
}

#[test]
fn a_download_tells_its_progress_and_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _, stream| {
        server::head(stream, "200 OK", "content-length: 300000\r\netag: \"v1\"\r\n");
        stream.write_all(&server::body()[..111_000]).unwrap();
        std::thread::sleep(Duration::from_secs(5));
    });
    let mut desk = Desk::new(home.path(), &server.url(""));
    let (model, name) = entry();
    desk.send(WeightsCommand::Fetch { model: model.clone(), entry: name.clone() });
    // A second click is no second download.
    desk.send(WeightsCommand::Fetch { model, entry: name });
    let state = desk.until_state(|state| matches!(state, WeightsState::Fetching(news) if news.done == 111_000));
    let WeightsState::Fetching(news) = state else { panic!("{state:?}") };
    assert_eq!(news.total, Some(300_000));
    let asked = Instant::now();
    desk.send(WeightsCommand::Stop { file: FILE.to_owned() });
    desk.until_state(|state| *state == WeightsState::Absent);
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].path, format!("/{FILE}"));
}

#[test]
fn what_is_wrong_is_said_and_never_used() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, request, stream| server::file(request, stream, &server::body()));
    let mut desk = Desk::new(&home.path().join("weights"), &server.url(""));
    let (model, entry) = entry();
    desk.send(WeightsCommand::Fetch { model: model.clone(), entry: entry.clone() });
    let state = desk.until_state(|state| matches!(state, WeightsState::Failed(_)));
    let WeightsState::Failed(what) = state else { panic!("{state:?}") };
    assert!(what.contains("begins with 136f334d, not with f37072fd"), "{what}");
    assert_eq!(desk.view.notices.last().unwrap().text, what);
    // Dropped on the window, the same bytes fare no better.
    let dropped = home.path().join(FILE);
    std::fs::write(&dropped, server::body()).unwrap();
    desk.send(WeightsCommand::TakeIn { path: dropped, model: model.clone(), entry: entry.clone() });
    desk.until_state(|state| matches!(state, WeightsState::Failed(what) if what.contains("is not the published file")));
    assert!(!home.path().join("weights").join(FILE).exists());
    let unknown = Command::Weights(WeightsCommand::Look { model: "resnet19".to_owned() });
    assert!(desk.session.send(unknown).unwrap_err().contains("no model named resnet19"));
    // A run on weights that are not there fetches nothing.
    let asked = server.requests().len();
    let plan = Plan { model, weights: WeightsSource::Public { entry: "IMAGENET1K_V0".to_owned() }, ..sample_plan() };
    desk.session.send(Command::Start { plan: Box::new(plan), out: home.path().join("run") }).unwrap();
    desk.until(|event| matches!(event, Event::Failed { what, .. } if what.contains("no public weights named")));
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn each_entry_of_a_model_is_looked_for() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("resnet50-0676ba61.pth"), b"abc").unwrap();
    let mut desk = Desk::new(home.path(), "http://127.0.0.1:9");
    desk.send(WeightsCommand::Look { model: "resnet50".to_owned() });
    let settled = |event: &Event| matches!(event, Event::Weights { state, .. } if *state != WeightsState::Checking);
    desk.until(settled);
    desk.until(settled);
    assert_eq!(desk.view.weights.len(), 2);
    let first = &desk.view.weights["resnet50-0676ba61.pth"];
    assert!(matches!(first, WeightsState::Failed(what) if what.contains("ba7816bf")), "{first:?}");
}
