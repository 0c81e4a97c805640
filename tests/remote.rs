//! Training on a server, over loopback: the same numbers as here, who is refused, and what becomes of a lost connection.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use frostline::data::features::FeatureFolder;
use frostline::session::{Command as Order, Event, Session, View, WeightsPlace};
use frostline::train::{DataSource, DeviceChoice, Plan, WeightsSource};
use serde_json::Value as Json;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

const TOKEN: &str = "a-token-of-the-tests";

/// The program with a token; its own kernels are switched off, since a server has burn's.
fn frostline(token: &str) -> Command {
    // Not in the home of whoever runs the tests.
    static FEATURES: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_frostline"));
    command.env("FROSTLINE_TOKEN", token).env("FROSTLINE_KERNELS", "0").env("FROSTLINE_FEATURES", FEATURES.path());
    command
}

/// A server of the processor on loopback; it dies with this.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(listen: &str) -> Self {
        let args = ["serve", "--device", "cpu", "--json", "--listen", listen];
        let mut child = frostline(TOKEN).args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Json = serde_json::from_str(&line).unwrap();
        assert_eq!((&said["type"], &said["kind"]), (&Json::from("serving"), &Json::from("cpu")), "{line}");
        Self { child, address: said["address"].as_str().unwrap().to_owned() }
    }

    fn device(&self) -> String {
        format!("remote:{}", self.address)
    }

    /// As a loss of power does.
    fn kill(&mut self) -> ExitStatus {
        self.child.kill().ok();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Class folders of noise in two colors.
fn pictures(root: &Path) -> PathBuf {
    for (split, count) in [("train", 6), ("val", 3)] {
        for (class, tint) in [("cold", [40, 90, 220]), ("warm", [220, 90, 40])] {
            let folder = root.join("set").join(split).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let noise = |x: u32, y: u32| ((x * 31 + y * 17 + i * 97 + count * 13) % 61) as u8;
                let pixel = |x, y| image::Rgb([tint[0] - 30 + noise(x, y) / 2, tint[1] + noise(y, x), tint[2] - 30]);
                image::RgbImage::from_fn(36, 32, pixel).save(folder.join(format!("{class}{i}.png"))).unwrap();
            }
        }
    }
    root.join("set")
}

fn train(token: &str, data: &Path, device: &str, epochs: u32, out: &Path) -> Command {
    let mut command = frostline(token);
    command.args(["train", "--model", "resnet_mini", "--size", "32", "--batch", "4", "--json", "--device", device]);
    command.args(["--epochs", &epochs.to_string(), "--data"]).arg(data).arg("--out").arg(out);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What each epoch measured, without times.
fn epochs(output: &Output) -> Vec<Json> {
    let lines = text(&output.stdout);
    let lines = lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let facts = |line: Json| ["epoch", "train", "val", "metrics", "frozen_verified"].map(|name| line[name].clone());
    lines.filter(|line| line["type"] == "epoch").map(|line| Json::from(facts(line).to_vec())).collect()
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

#[test]
fn a_run_on_a_server_equals_one_here_bit_for_bit() {
    let home = tempfile::tempdir().unwrap();
    let (data, server) = (pictures(home.path()), Server::start("127.0.0.1:0"));
    let [here, there] = ["here", "there"].map(|name| home.path().join(name));
    let near = done(&mut train(TOKEN, &data, "cpu", 2, &here));
    let far = done(&mut train(TOKEN, &data, &server.device(), 2, &there));
    assert_eq!(epochs(&near).len(), 3);
    assert_eq!(epochs(&near), epochs(&far));
    let weights = |run: &Path| std::fs::read(run.join("last.safetensors")).unwrap();
    assert!(weights(&here) == weights(&there), "the weights differ");
    let start: Json = serde_json::from_str(text(&far.stdout).lines().next().unwrap()).unwrap();
    assert_eq!(start["device"], format!("{} (remote)", server.address));
    // The token is kept nowhere.
    for file in std::fs::read_dir(&there).unwrap() {
        let path = file.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        assert!(!bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()), "{}", path.display());
    }
}

#[test]
fn who_is_refused_reads_why_at_once() {
    let home = tempfile::tempdir().unwrap();
    let (data, server) = (pictures(home.path()), Server::start("127.0.0.1:0"));
    // Listens and says nothing; listens and hangs up.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let other = "another-token-of-the-tests";
    for (token, address, what) in [
        (other, server.address.clone(), "refused the token"),
        ("", server.address.clone(), "A token is needed"),
        ("short", server.address.clone(), "FROSTLINE_TOKEN holds no token: a token has 16"),
        (TOKEN, free.to_string(), "Nothing answers at"),
        (TOKEN, mute.local_addr().unwrap().to_string(), "is no Frostline server: it says nothing"),
    ] {
        let start = Instant::now();
        let output = train(token, &data, &format!("remote:{address}"), 1, &home.path().join("run")).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(what) && errors[0].ends_with('.'), "{said}");
        assert!(token.len() < 16 || errors[0].contains(&address), "{said}");
        assert!(start.elapsed() < Duration::from_secs(15), "{said}");
        assert!(!home.path().join("run").exists(), "{what}");
    }
    // A place that is taken, a server of a server, a server without a token.
    for (token, args, what) in [
        (TOKEN, vec!["--listen", &server.address], "cannot listen on"),
        (TOKEN, vec!["--device", "remote:127.0.0.1:1"], "computes on a device of its own machine"),
        ("", vec!["--listen", "127.0.0.1:0"], "A token is needed"),
        (TOKEN, vec!["--listen", "7733"], "the port is missing"),
    ] {
        let device: &[&str] = if args[0] == "--device" { &[] } else { &["--device", "cpu"] };
        let output = frostline(token).arg("serve").args(&args).args(device).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(what), "{said}");
    }
}

#[test]
fn a_run_whose_server_dies_goes_on_here_with_the_same_numbers() {
    let home = tempfile::tempdir().unwrap();
    let (data, mut server) = (pictures(home.path()), Server::start("127.0.0.1:0"));
    let [here, there] = ["here", "there"].map(|name| home.path().join(name));
    let whole = epochs(&done(&mut train(TOKEN, &data, "cpu", 12, &here)));
    let mut command = train(TOKEN, &data, &server.device(), 12, &there);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Json = serde_json::from_str(&line.unwrap()).unwrap();
        if line["type"] == "epoch" && line["epoch"] == 3 {
            server.kill();
        }
        told.push(line["type"].clone());
    }
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("error: The connection to {} was lost.", server.address)), "{said}");
    assert!(said.contains("can be resumed") && !told.contains(&Json::from("done")), "{said}");
    // Nobody answers there any more; here it goes on.
    let resume = |device: &[&str]| {
        let mut command = frostline(TOKEN);
        command.arg("resume").arg(&there).arg("--json").args(device);
        command
    };
    assert_eq!(resume(&[]).output().unwrap().status.code(), Some(2));
    let rest = epochs(&done(&mut resume(&["--device", "cpu"])));
    // Epoch 3 was told before its checkpoint was written, and epochs as short as these share one: it goes on from the end of
    // any of the four, and what is made up for is the same.
    assert!((9..=13).contains(&rest.len()), "{rest:?}");
    assert_eq!(rest, whole[whole.len() - rest.len()..]);
}

/// A session, and its events folded.
struct Desk {
    session: Session,
    view: View,
}

impl Desk {
    fn until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            let Some(event) = self.session.wait(Duration::from_millis(100)).unwrap() else { continue };
            self.view.fold(event.clone());
            if wanted(&event) {
                return event;
            }
        }
        panic!("{what} did not come: {:?}", self.view.notices);
    }

    fn kind(&self) -> &str {
        self.view.device.as_ref().map_or("", |device| device.kind.as_str())
    }
}

/// In a process of its own, whose environment holds the token: see below.
#[test]
#[ignore = "started by another test, with a token in its environment"]
fn a_session_connects_anew() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start("127.0.0.1:0");
    let address = server.address.clone();
    let features = FeatureFolder::new(None);
    let session = Session::spawn_in(DeviceChoice::Cpu, Arc::new(|_| ()), WeightsPlace::from_env(), features).unwrap();
    let mut desk = Desk { session, view: View::default() };
    desk.until("a device", |event| matches!(event, Event::Device(_)));
    assert_eq!(desk.kind(), "cpu");
    // The plan names another device than the one that the session was started with.
    let plan = Plan {
        data: DataSource::Path(pictures(home.path())),
        model: "resnet_mini".to_owned(),
        weights: WeightsSource::Random,
        size_px: 32,
        batch: 4,
        epochs: 200,
        device: DeviceChoice::Remote(address.parse().unwrap()),
        ..Plan::default()
    };
    let run = home.path().join("run");
    desk.session.send(Order::Start { plan: Box::new(plan), out: run.clone() }).unwrap();
    desk.until("an epoch", |event| matches!(event, Event::Epoch(news) if news.epoch == 1));
    assert_eq!(desk.kind(), "remote");
    server.kill();
    let lost = |event: &Event| matches!(event, Event::Failed { what, run_stopped: true } if what.contains("was lost"));
    desk.until("the loss", lost);
    // As long as the server is gone, the next attempt says so, and the session lives.
    desk.session.send(Order::ResumeRun { run: run.clone(), epochs: None }).unwrap();
    desk.until("a refusal", |event| matches!(event, Event::Failed { what, .. } if what.contains("Nothing answers")));
    let again = Server::start(&address);
    desk.session.send(Order::ResumeRun { run, epochs: None }).unwrap();
    desk.until("a further epoch", |event| matches!(event, Event::Epoch(news) if news.epoch > 2));
    desk.session.send(Order::Finish).unwrap();
    desk.until("the end", |event| matches!(event, Event::Done { .. }));
    drop(again);
}

#[test]
fn a_session_outlives_a_server_and_connects_to_the_next() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_session_connects_anew", "--ignored"]).env("FROSTLINE_TOKEN", TOKEN);
    let output = command.output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
