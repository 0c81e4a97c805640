//! A window, and a session that says what a test wants it to say.

use egui_kittest::Harness;
use frostline::data::{Dataset, ImageSource, Issue, Label, LabelColumn, Sample, Severity, Split, Target, Task};
use frostline::graph::HeadKind;
use frostline::session::{
    Best, Command, DeviceInfo, EpochNews, Event, LiveSample, Project, RunInfo, Session, StepNews, StepTimes, find_model,
};
use frostline::train::{Answer, ClassScore, HeadPrediction, Plan, Prediction};
use frostline::ui::{App, Theme};
use frostline::weights::{
    ClassNames, HeadPolicy, HeadReport, LoadReport, NewHead, Row, RowLayout, RowState, imagenet_classes,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

pub const CLASSES: [&str; 6] = ["ants", "bees", "crickets", "dragonflies", "earwigs", "fireflies"];

/// The window with the other ends of its session.
pub struct Stage<'a> {
    pub window: Harness<'a, App>,
    pub commands: Receiver<Command>,
    pub events: SyncSender<Event>,
}

/// A window of this size; with pixels if `draws`.
pub fn open(size: [f32; 2], dark: bool, draws: bool) -> Stage<'static> {
    let (session, commands, events) = Session::detached();
    let theme = if dark { egui::Theme::Dark } else { egui::Theme::Light };
    let mut builder = Harness::builder().with_size(size).with_theme(theme).with_max_steps(8).with_render_cursor(false);
    if draws {
        builder = builder.wgpu();
    }
    let window = builder.build_eframe(|creation| {
        let mut app = App::new(&creation.egui_ctx, session, Project::default(), None).unwrap();
        app.set_theme(&creation.egui_ctx, if dark { Theme::dark() } else { Theme::light() });
        app
    });
    Stage { window, commands, events }
}

impl Stage<'_> {
    /// Says something as the session, and lets the window take it in.
    pub fn say(&mut self, event: Event) {
        self.events.send(event).unwrap();
        self.window.step();
    }

    /// Runs frames until nothing moves.
    pub fn settle(&mut self) {
        self.window.run_ok();
    }

    /// The commands that came since the last call.
    pub fn commands(&self) -> Vec<Command> {
        self.commands.try_iter().collect()
    }

    pub fn plan(&self) -> &Plan {
        &self.window.state().project().plan
    }

    /// Device and data: everything that a run needs.
    pub fn prepare(&mut self) {
        self.say(Event::Device(device()));
        self.say(Event::DataReady(Arc::new(dataset())));
        self.settle();
        self.commands();
    }
}

pub fn device() -> DeviceInfo {
    DeviceInfo {
        name: "Radeon RX 7800 XT".to_owned(),
        kind: "wgpu".to_owned(),
        api: "Vulkan".to_owned(),
        driver: "radv Mesa 25.0.7".to_owned(),
        software: false,
        note: String::new(),
        refused: String::new(),
    }
}

/// A picture that is small and colorful.
fn picture(seed: usize) -> Arc<[u8]> {
    let image = image::RgbImage::from_fn(96, 72, |x, y| {
        let (cx, cy) = (30.0 + 6.0 * (seed % 7) as f32, 24.0 + 5.0 * (seed % 5) as f32);
        let distance = ((x as f32 - cx).powi(2) + (y as f32 - cy).powi(2)).sqrt();
        if distance < 15.0 { image::Rgb([96, 70 + (seed * 20 % 120) as u8, 160]) } else { image::Rgb([222, 205, 190]) }
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner().into()
}

pub fn dataset() -> Dataset {
    let sample = |i: usize| Sample {
        image: ImageSource::Memory { name: format!("insect_{i:03}.png"), bytes: picture(i) },
        split: if i.is_multiple_of(5) { Split::Val } else { Split::Train },
        size_px: [96, 72],
        target: Target::of_class(Some((i % CLASSES.len()) as u32)),
    };
    Dataset {
        root: PathBuf::from("/data/insects"),
        name: "insects".to_owned(),
        task: Task::Classify,
        format: "class folders".to_owned(),
        columns: vec![LabelColumn::single(CLASSES.iter().map(|&name| name.to_owned()).collect())],
        category_ids: Vec::new(),
        samples: (0..364).map(sample).collect(),
        issues: vec![
            Issue::new(Severity::Warning, "/data/insects/bees/17.jpg", "the file is cut off and was left out"),
            Issue::new(Severity::Note, "/data/insects/ants/3.png", "a palette picture was converted to RGB"),
        ],
        found: 365,
        suggested_split: true,
        unnamed: Vec::new(),
    }
}

pub fn run_info(plan: &Plan) -> RunInfo {
    let graph = find_model(&plan.model).unwrap().graph(CLASSES.len(), plan.size_px as usize).unwrap();
    let params = graph.facts().unwrap().params();
    RunInfo {
        folder: PathBuf::from("/runs/1"),
        plan: plan.clone(),
        graph: Arc::new(graph),
        classes: CLASSES.iter().map(|&name| name.to_owned()).collect(),
        columns: dataset().columns,
        train_images: 291,
        val_images: 73,
        steps_per_epoch: 19,
        params,
        trainable: params,
        best_by: "top1".to_owned(),
        load: None,
        first_epoch: 0,
        cache: None,
    }
}

pub fn step(step: u64) -> Event {
    let wave = (step as f64 * 1.7).sin() * 0.06;
    let loss = 1.8 * (-(step as f64) / 70.0).exp() + 0.12 + wave;
    Event::Step(Box::new(StepNews {
        step,
        epoch: (step.saturating_sub(1) / 19 + 1) as u32,
        losses: BTreeMap::from([("total".to_owned(), loss), ("cls".to_owned(), loss)]),
        lr: 0.01 * (1.0 + (std::f64::consts::PI * step as f64 / 190.0).cos()) / 2.0,
        images_per_s: 41.3,
        ms: StepTimes { data: 12.0, forward: 148.0, backward: 205.0, optimizer: 27.0 },
        grad_norm: Some(1.4),
        warm_up: false,
    }))
}

pub fn epoch(epoch: u32, frozen: &[&str]) -> Event {
    let t = f64::from(epoch) / 10.0;
    let counts =
        |truth: usize, guess: usize| if truth == guess { 10 } else { u32::from((truth + guess).is_multiple_of(3)) };
    let rows = 0..CLASSES.len();
    Event::Epoch(Box::new(EpochNews {
        epoch,
        train: BTreeMap::from([("total".to_owned(), 1.8 - 1.5 * t)]),
        val: BTreeMap::from([("total".to_owned(), 1.85 - 1.4 * t), ("cls".to_owned(), 1.85 - 1.4 * t)]),
        metrics: BTreeMap::from([("top1".to_owned(), 0.3 + 0.62 * t.sqrt()), ("top5".to_owned(), 0.9 + 0.1 * t)]),
        seconds: 7.8,
        frozen_verified: true,
        frozen_tensors: 60,
        cached: false,
        confusion: rows.clone().map(|truth| rows.clone().map(|guess| counts(truth, guess)).collect()).collect(),
        frozen: frozen.iter().map(|&path| path.to_owned()).collect(),
    }))
}

pub fn samples(epoch: u32, data: &Dataset) -> Event {
    let live = (0..8_usize).map(|i| {
        let truth = (i * 5) % CLASSES.len();
        let guess = if (i as u32 + epoch).is_multiple_of(4) { (truth + 1) % CLASSES.len() } else { truth };
        let score = |class: usize| ClassScore {
            name: CLASSES[class].to_owned(),
            class: class as u32,
            score: if class == guess { 0.86 } else { 0.028 },
        };
        let mut scores: Vec<ClassScore> = (0..CLASSES.len()).map(score).collect();
        scores.sort_by(|a, b| b.score.total_cmp(&a.score));
        let head = HeadPrediction {
            head: "cls".to_owned(),
            kind: HeadKind::Classify { classes: CLASSES.len() },
            answer: Answer::Classes(scores),
        };
        LiveSample {
            index: i * 5,
            truth: vec![Label::One(truth as u32)],
            objects: None,
            prediction: Prediction {
                image: data.samples[i * 5].image.name(),
                size_px: [96, 72],
                heads: vec![head],
                error: None,
            },
        }
    });
    Event::Samples { epoch, samples: Arc::new(live.collect()) }
}

/// How a public checkpoint of 1000 classes maps onto the network: all but the head is taken over.
pub fn load_report(file: &str) -> LoadReport {
    let row = |name: &str, state: RowState, part: &str, old: &[usize], new: &[usize]| Row {
        name: name.to_owned(),
        state,
        file_name: Some(name.to_owned()),
        part: Some(part.to_owned()),
        wanted_shape: Some(new.to_vec()),
        file_shape: Some(old.to_vec()),
        dtype: Some("float32"),
    };
    let head = NewHead {
        layout: RowLayout::default(),
        name: "cls".to_owned(),
        tensors: vec!["fc.weight".to_owned(), "fc.bias".to_owned()],
        classes: CLASSES.iter().map(|&name| name.to_owned()).collect(),
    };
    let names = ClassNames {
        names: imagenet_classes().into_iter().map(str::to_owned).collect(),
        source: "ImageNet-1k's order".to_owned(),
    };
    let remade = || RowState::Remade { reason: "1000 classes in the file, 6 here".to_owned() };
    let mut rows: Vec<Row> =
        (0..120).map(|i| row(&format!("t{i}"), RowState::Loaded, "backbone", &[64], &[64])).collect();
    rows.push(row("fc.weight", remade(), "head cls", &[1000, 512], &[6, 512]));
    rows.push(row("fc.bias", remade(), "head cls", &[1000], &[6]));
    LoadReport {
        file: PathBuf::from(file),
        container: "PyTorch zip".to_owned(),
        nested_under: None,
        stripped_prefix: None,
        added_prefix: None,
        rows,
        outside: 0,
        backbone_matched: 1.0,
        notes: Vec::new(),
        non_finite: Vec::new(),
        heads: vec![HeadReport::new(&head, 1000, Some(&names), &HeadPolicy::default())],
        preprocess: None,
    }
}

impl Stage<'_> {
    /// A run that is `epochs` old, with everything up to the third stage frozen.
    pub fn train(&mut self, epochs: u32) {
        let frozen = ["stem", "layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1"];
        let mut plan = self.plan().clone();
        for path in frozen {
            plan.freeze.set(path, true);
        }
        self.window.state_mut().act(frostline::ui::Action::Edit {
            name: "Freeze up to layer3.1".to_owned(),
            plan: Box::new(plan.clone()),
        });
        self.settle();
        self.say(Event::RunStarted(Arc::new(run_info(&plan))));
        let data = dataset();
        self.say(epoch(0, &frozen));
        for e in 1..=epochs {
            for s in 1..=19 {
                self.say(step(u64::from(e - 1) * 19 + s));
            }
            self.say(epoch(e, &frozen));
            self.say(samples(e, &data));
        }
        self.say(Event::NewBest(Best { metric: "top1".to_owned(), value: 0.842, epoch: epochs }));
        self.say(Event::Memory { used: 3_100_000_000 });
        for s in 1..=7 {
            self.say(step(u64::from(epochs) * 19 + s));
        }
        self.settle();
    }
}

/// The folder of a run of another model on other classes, with its best weights.
pub fn run_folder(home: &std::path::Path) -> PathBuf {
    use frostline::graph::Preprocess;
    use frostline::train::{RunFile, RunFolder};
    let run = home.join("2026-11-25-0301-resnet34");
    let plan = Plan { model: "resnet34".to_owned(), size_px: 160, epochs: 12, ..Plan::default() };
    let classes = vec!["ants".to_owned(), "bees".to_owned()];
    let file = RunFile::new(plan, &[LabelColumn::single(classes)], Preprocess::imagenet(160));
    let folder = RunFolder::create(&run, &file).unwrap();
    for news in [0, 4] {
        let Event::Epoch(news) = epoch(news, &[]) else { continue };
        folder.append(&*news).unwrap();
    }
    std::fs::write(folder.best(), "").unwrap();
    run
}
