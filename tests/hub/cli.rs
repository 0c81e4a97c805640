//! Public weights on the command line: exit codes, sentences, progress.

use super::server::{self, Server};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program with nothing of this machine's environment that concerns downloads.
fn frostline(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frostline"));
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("FROSTLINE_WEIGHTS", folder).env("TORCH_HOME", folder.join("no torch"));
    command
}

fn train<'a>(command: &'a mut Command, weights: &str, out: &Path) -> &'a mut Command {
    let plan = ["train", "--data", "sample", "--model", "resnet18", "--device", "cpu", "--json", "--weights", weights];
    command.args(plan).arg("--out").arg(out)
}

fn ended(output: &Output, code: i32, words: &[&str]) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    text
}

#[test]
fn a_download_that_fails_is_one_sentence_and_exit_code_1() {
    let home = tempfile::tempdir().unwrap();
    let (folder, out) = (home.path().join("weights"), home.path().join("run"));
    let server = Server::new(|_, _, stream| server::head(stream, "404 Not Found", "content-length: 0\r\n"));
    let mut command = frostline(&folder);
    let output = train(command.env("FROSTLINE_MIRROR", server.url("")), "public", &out).output().unwrap();
    let url = server.url("/resnet18-f37072fd.pth");
    let place = folder.display().to_string();
    let text =
        ended(&output, 1, &["error: resnet18-f37072fd.pth cannot be downloaded from", &url, "404", "f37072fd", &place]);
    // 46 830 571 bytes, as download.pytorch.org announces.
    assert!(text.contains("Downloading resnet18-f37072fd.pth (46.8 MB, license BSD-3-Clause)"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("error: ")).count(), 1);
    assert!(!out.exists(), "a run was begun");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "something stays");
}

#[test]
fn entries_are_named_and_unknown_ones_refused() {
    let home = tempfile::tempdir().unwrap();
    let output = train(&mut frostline(home.path()), "public:IMAGENET22K", &home.path().join("run")).output().unwrap();
    ended(&output, 2, &["resnet18 has no public weights named IMAGENET22K; there are IMAGENET1K_V1."]);
    // A file of the name that is another one is refused before anything is asked for.
    std::fs::write(home.path().join("resnet18-f37072fd.pth"), b"abc").unwrap();
    let output = train(&mut frostline(home.path()), "public:imagenet1k_v1", &home.path().join("run")).output().unwrap();
    ended(&output, 2, &["is not the published file: its SHA-256 begins with ba7816bf, not with f37072fd"]);
}

#[test]
fn https_goes_through_the_proxy_of_the_environment() {
    let home = tempfile::tempdir().unwrap();
    let proxy = Server::new(|_, _, stream| server::head(stream, "403 Forbidden", "content-length: 0\r\n"));
    let mut command = frostline(home.path());
    command
        .env("HTTPS_PROXY", proxy.url("").replace("//", "//me:secret@"))
        .env("FROSTLINE_MIRROR", "https://weights.test/x");
    let output = train(&mut command, "public", &home.path().join("run")).output().unwrap();
    let text = ended(&output, 1, &["the proxy 127.0.0.1:", "refuses to connect to weights.test", "403"]);
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(proxy.requests()[0].path, "weights.test:443");
    // NO_PROXY: straight to a name that cannot be.
    let mut command = frostline(home.path());
    command.env("HTTPS_PROXY", proxy.url("")).env("NO_PROXY", "example.com, .frostline.invalid");
    command.env("FROSTLINE_MIRROR", "https://weights.frostline.invalid");
    let output = train(&mut command, "public", &home.path().join("run")).output().unwrap();
    ended(&output, 1, &["weights.frostline.invalid"]);
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn a_system_without_root_certificates_gets_mozillas() {
    let home = tempfile::tempdir().unwrap();
    // The stub only looks whether a TLS handshake begins (record type 22, version 3.x); without any roots none does.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let first = std::thread::spawn(move || {
        use std::io::Read as _;
        // The connection that finds no roots is closed without a word; the next one must speak.
        let hello = || -> std::io::Result<[u8; 2]> {
            let mut bytes = [0; 2];
            listener.accept()?.0.read_exact(&mut bytes).map(|()| bytes)
        };
        hello().or_else(|_| hello()).unwrap()
    });
    let mut command = frostline(home.path());
    command.env("SSL_CERT_FILE", home.path().join("none.pem")).env("SSL_CERT_DIR", home.path().join("none"));
    command.env("FROSTLINE_MIRROR", format!("https://{address}"));
    let output = train(&mut command, "public", &home.path().join("run")).output().unwrap();
    ended(&output, 1, &["127.0.0.1"]);
    assert_eq!(first.join().unwrap(), [0x16, 0x03]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_download_with_130_and_keeps_what_came() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _, stream| {
        server::head(stream, "200 OK", "content-length: 300000\r\netag: \"v1\"\r\n");
        stream.write_all(&server::body()[..111_000]).unwrap();
        std::thread::sleep(Duration::from_secs(20));
    });
    let mut command = frostline(home.path());
    command.env("FROSTLINE_MIRROR", server.url("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = train(&mut command, "public", &home.path().join("run")).spawn().unwrap();
    let part = home.path().join("resnet18-f37072fd.pth.part");
    let begun = Instant::now();
    while std::fs::metadata(&part).map_or(0, |part| part.len()) < 111_000 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing comes");
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    ended(&output, 130, &["The download was stopped; what came is kept and goes on next time."]);
    assert_eq!(std::fs::read(&part).unwrap(), server::body()[..111_000]);
}

#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more_is_said() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, request, stream| server::file(request, stream, &server::body()));
    // The shell's limit on the size of a file stands for a full disk: a write fails the same way.
    let line = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh", env!("CARGO_BIN_EXE_frostline")]);
    command
        .env("FROSTLINE_WEIGHTS", home.path())
        .env("TORCH_HOME", home.path())
        .env("FROSTLINE_MIRROR", server.url(""));
    let output = train(&mut command, "public", &home.path().join("run")).output().unwrap();
    ended(&output, 1, &["error: Cannot write ", "resnet18-f37072fd.pth.part: "]);
    assert_eq!(server.requests().len(), 1, "a full disk is no reason to ask again");
}

#[test]
fn models_tell_everything_about_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("resnet50-11ad3fa6.pth");
    std::fs::write(&file, b"abc").unwrap();
    let output = frostline(home.path()).args(["models", "resnet50", "--json"]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
    assert_eq!((&line["classes"], &line["built_in"]), (&1000.into(), &false.into()));
    let (first, second) = (&line["weights"][0], &line["weights"][1]);
    // torchvision 0.29: ResNet50_Weights.IMAGENET1K_V1 and _V2.
    assert_eq!(
        (&first["name"], &first["top1"], &first["params"]),
        (&"IMAGENET1K_V1".into(), &76.13.into(), &25_557_032.into())
    );
    assert_eq!((&first["sha256"], &first["sha256_prefix"]), (&serde_json::Value::Null, &"0676ba61".into()));
    assert_eq!(first["local"], serde_json::Value::Null);
    assert_eq!((&second["name"], &second["top1"]), (&"IMAGENET1K_V2".into(), &80.858.into()));
    assert_eq!(second["preprocess"]["resize"]["shorter_then_crop"]["shorter_px"], 232);
    assert_eq!(
        second["preprocess_words"],
        "resize the shorter side to 232 px (bilinear, antialiased), crop 224×224 px from the center; RGB values 0 to 255 \
         divided by 255, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225); axes: picture, channel, row, column"
    );
    assert_eq!(second["local"], file.to_str().unwrap());
    let output = frostline(home.path()).args(["models", "resnet50"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let folder = home.path().display().to_string();
    for word in ["public:IMAGENET1K_V1", "BSD-3-Clause", "0676ba61…", "11ad3fa6", "232 px", "102.5 MB", &folder] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let output = frostline(home.path()).arg("models").output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    assert!(table.contains("IMAGENET1K_V1, IMAGENET1K_V2*"), "{table}");
    let output = frostline(home.path()).args(["models", "resnet19"]).output().unwrap();
    ended(&output, 2, &["There is no model named resnet19"]);
}
