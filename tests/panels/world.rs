//! A session's state as a run would leave it, and a window with one panel in it.

use egui_kittest::Harness;
use frostline::data::{
    self, Dataset, ImageSource, Issue, Label, LabelColumn, OpenOptions, Quiet, Sample, Severity, Split, Target, Task,
};
use frostline::graph::{Facts, FreezePlan, Frontier, Graph, HeadKind, Preset};
use frostline::session::{
    Best, DeviceInfo, Ending, EpochNews, Event, ExportCheck, Exported, HeadCheck, LiveSample, Project, RunInfo,
    StepNews, StepTimes, Thumbnails, View,
};
use frostline::train::{
    Answer, ClassScore, EarlyStop, Evaluation, HeadPrediction, HeadResults, PictureResult, Plan, Prediction,
};
use frostline::ui::panels::{Panels, data_page, dock, evaluate_page, export_page, predict_page, transfer as weights};
use frostline::ui::{Action, Context, Theme};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    Dock,
    Data,
    Evaluate,
    Predict,
    Export,
    Transfer,
}

/// Everything that a panel reads, the panels' states, and what they asked for.
pub struct World {
    pub view: View,
    pub project: Project,
    pub graph: Graph,
    facts: Facts,
    frontier: Frontier,
    theme: Theme,
    thumbs: Thumbnails,
    pub panels: Panels,
    pub actions: Vec<Action>,
    pub shows: Shows,
    dressed: bool,
}

impl World {
    pub fn new(shows: Shows, theme: Theme) -> Self {
        let graph = frostline::models::find("resnet18").unwrap().graph(2, 224).unwrap();
        let facts = graph.facts().unwrap();
        let frontier = Frontier::of(&graph, &facts, &FreezePlan::default());
        Self {
            view: View::default(),
            project: Project::default(),
            thumbs: Thumbnails::new(512 << 20, Arc::new(|| {})),
            graph,
            facts,
            frontier,
            theme,
            panels: Panels::default(),
            actions: Vec::new(),
            shows,
            dressed: false,
        }
    }

    fn draw(&mut self, ui: &mut egui::Ui) {
        if !self.dressed {
            dress(ui.ctx(), &self.theme);
            self.dressed = true;
            ui.ctx().request_discard("new style");
            return;
        }
        let mut cx = Context {
            view: &self.view,
            project: &self.project,
            graph: &self.graph,
            facts: &self.facts,
            frontier: &self.frontier,
            epoch: 1,
            theme: &self.theme,
            thumbs: &self.thumbs,
            actions: &mut self.actions,
        };
        let Panels { dock, data, evaluate, predict, transfer, textures, .. } = &mut self.panels;
        let back =
            if matches!(self.shows, Shows::Dock | Shows::Transfer) { self.theme.panel } else { self.theme.background };
        ui.painter().rect_filled(ui.ctx().content_rect(), 0, back);
        let whole = ui.ctx().content_rect();
        let ui = &mut ui.new_child(egui::UiBuilder::new().max_rect(whole));
        ui.set_clip_rect(whole);
        match self.shows {
            Shows::Dock => dock::ui(ui, &mut cx, dock, textures),
            Shows::Data => data_page::ui(ui, &mut cx, data, textures),
            Shows::Evaluate => evaluate_page::ui(ui, &mut cx, evaluate, textures),
            Shows::Predict => predict_page::ui(ui, &mut cx, predict, textures),
            Shows::Export => export_page::ui(ui, &mut cx, &mut self.panels.export),
            Shows::Transfer => {
                if let Some(report) = cx.load() {
                    weights::ui(ui, &mut cx, transfer, report);
                }
            }
        }
        self.panels.viewer(ui, &mut cx);
        // The app performs this one at once.
        for action in &self.actions {
            match action {
                Action::ShowImage(index) => self.panels.viewer.show(*index),
                Action::ShowEvaluated { evaluation, head, index, order } => {
                    self.panels.viewer.show_evaluated((Arc::clone(evaluation), *head), *index, Arc::clone(order));
                }
                _ => {}
            }
        }
    }

    /// A window of this size, in points, without a graphics adapter.
    pub fn window(self, width: f32, height: f32) -> Harness<'static, Self> {
        let builder = Harness::<Self>::builder().with_size([width, height]).with_max_steps(60).with_step_dt(1.0 / 60.0);
        let mut harness = builder.build_ui_state(|ui, world: &mut Self| world.draw(ui), self);
        harness.run_ok();
        harness
    }

    /// The same, drawn by the software adapter; `None` where there is no adapter.
    pub fn drawn_window(self, width: f32, height: f32) -> Option<Harness<'static, Self>> {
        let renderer = std::panic::catch_unwind(egui_kittest::wgpu::WgpuTestRenderer::new).ok();
        let Some(renderer) = renderer else {
            assert!(std::env::var_os("FROSTLINE_REQUIRE_WGPU").is_none(), "an adapter is required and there is none");
            eprintln!("SKIPPED: no wgpu adapter");
            return None;
        };
        let builder = Harness::<Self>::builder()
            .with_size([width, height])
            .with_max_steps(60)
            .with_step_dt(1.0 / 60.0)
            .renderer(renderer);
        let mut harness = builder.build_ui_state(|ui, world: &mut Self| world.draw(ui), self);
        harness.run_ok();
        Some(harness)
    }
}

/// Draws until all pictures in sight are decoded, at most ten seconds.
pub fn settle(harness: &mut Harness<'_, World>) {
    let end = Instant::now() + Duration::from_secs(10);
    let mut before = usize::MAX;
    while Instant::now() < end {
        harness.run_ok();
        let now = harness.state().panels.textures.len();
        if now == before {
            return;
        }
        before = now;
        std::thread::sleep(Duration::from_millis(400));
    }
}

/// The program's font.
fn font() -> Option<Vec<u8>> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = "src/ui/fonts/Inter-Regular.otf";
    std::fs::read(home.join(file)).or_else(|_| std::fs::read(home.join("../ui").join(file))).ok()
}

/// The window's style, as near to the program's as a test needs.
fn dress(ctx: &egui::Context, theme: &Theme) {
    if let Some(font) = font() {
        let mut fonts = egui::FontDefinitions::default();
        fonts.font_data.insert("Inter".to_owned(), Arc::new(egui::FontData::from_owned(font)));
        if let Some(family) = fonts.families.get_mut(&egui::FontFamily::Proportional) {
            family.insert(0, "Inter".to_owned());
        }
        ctx.set_fonts(fonts);
    }
    let which = if theme.dark { egui::Theme::Dark } else { egui::Theme::Light };
    ctx.set_theme(which);
    ctx.style_mut_of(which, |style| {
        let visuals = &mut style.visuals;
        visuals.panel_fill = theme.panel;
        visuals.window_fill = theme.panel;
        visuals.extreme_bg_color = theme.background;
        visuals.slider_trailing_fill = true;
        visuals.selection.bg_fill = theme.accent.gamma_multiply(0.5);
        let widgets = &mut visuals.widgets;
        for (state, fill) in [
            (&mut widgets.noninteractive, theme.panel),
            (&mut widgets.inactive, theme.raised),
            (&mut widgets.hovered, theme.border),
            (&mut widgets.active, theme.border),
            (&mut widgets.open, theme.raised),
        ] {
            state.bg_fill = fill;
            state.weak_bg_fill = fill;
            state.bg_stroke = egui::Stroke::new(1.0, theme.border);
            state.fg_stroke = egui::Stroke::new(1.0, theme.text);
        }
        style.spacing.slider_rail_height = 4.0;
        style.spacing.scroll = egui::style::ScrollStyle::thin();
        style.interaction.selectable_labels = false;
    });
}

/// Numbers that look drawn by chance and are the same every time.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Between -1 and 1.
    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// The ants and bees, or generated pictures of two classes where they are absent.
pub fn dataset() -> Arc<Dataset> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/classification/hymenoptera"));
    let mut data = if folder.is_dir() {
        data::open(&folder, &OpenOptions::default(), &Quiet).unwrap()
    } else {
        eprintln!("SKIPPED: photographs ({} is absent); generated pictures stand in", folder.display());
        generated(120)
    };
    let root = data.root.clone();
    let issue = |severity, file: &str, what: &str| Issue::new(severity, root.join(file), what);
    data.found += 3;
    data.issues.extend([
        issue(
            Severity::Error,
            "train/ants/IMG_2041.jpg",
            "The file ends early: 3 of 48 rows of blocks are there. Left out.",
        ),
        issue(Severity::Warning, "train/bees/16838648.jpg", "Same picture as train/bees/17209602.jpg; both are used."),
        issue(Severity::Note, "train/ants/0013035.jpg", "CMYK colors were converted to RGB."),
        issue(Severity::Error, "val/bees/notes.jpg", "This is a PDF document, not a picture. Left out."),
        issue(Severity::Warning, "val/ants/tiny.png", "The picture is only 12 × 9 pixels large. Left out."),
    ]);
    Arc::new(data)
}

/// A set of small pictures in memory, two classes.
pub fn generated(len: usize) -> Dataset {
    let png = |hue: u8| {
        let picture = image::RgbImage::from_fn(96, 72, |x, y| image::Rgb([hue, (2 * x) as u8, (3 * y) as u8]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        Arc::<[u8]>::from(bytes.into_inner())
    };
    let pictures = [png(40), png(200)];
    let sample = |index: usize| Sample {
        image: ImageSource::Memory { name: format!("picture {index:06}.png"), bytes: Arc::clone(&pictures[index % 2]) },
        split: if index % 5 == 4 { Split::Val } else { Split::Train },
        size_px: [96, 72],
        target: Target::of_class(Some((index % 2) as u32)),
    };
    Dataset {
        root: PathBuf::from("/data/generated"),
        name: "generated".to_owned(),
        task: Task::Classify,
        format: "class folders".to_owned(),
        columns: vec![LabelColumn::single(vec!["ants".to_owned(), "bees".to_owned()])],
        category_ids: Vec::new(),
        samples: (0..len).map(sample).collect(),
        issues: Vec::new(),
        found: len,
        suggested_split: true,
        unnamed: Vec::new(),
    }
}

fn map(entries: &[(&str, f64)]) -> BTreeMap<String, f64> {
    entries.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
}

fn scores(bees: f64) -> Vec<ClassScore> {
    let mut scores = vec![
        ClassScore { name: "ants".to_owned(), class: 0, score: 1.0 - bees as f32 },
        ClassScore { name: "bees".to_owned(), class: 1, score: bees as f32 },
    ];
    scores.sort_by(|a, b| b.score.total_cmp(&a.score));
    scores
}

pub fn prediction(image: &str, size_px: [u32; 2], bees: f64) -> Prediction {
    let answer = Answer::Classes(scores(bees));
    let head = HeadPrediction { head: "cls".to_owned(), kind: HeadKind::Classify { classes: 2 }, answer };
    Prediction { image: image.to_owned(), size_px, heads: vec![head], error: None }
}

/// The validation loss after an epoch of the made-up run: overfits a little after epoch 9.
pub fn val_loss(epoch: u32) -> f64 {
    let e = f64::from(epoch);
    0.155 + 0.55 * (-e / 2.2).exp() + 0.004 * (e - 9.0).max(0.0)
}

/// The share of right answers after an epoch of the made-up run, of 153 pictures.
pub fn right_of_153(epoch: u32) -> u32 {
    [79, 118, 129, 133, 138, 141, 143, 144, 146, 148, 147, 147, 146][epoch as usize]
}

/// Folds the events of a run of 12 epochs into the view: the first `epochs`, and a thaw of layer4 in the fourth.
pub fn train(world: &mut World, data: &Arc<Dataset>, epochs: u32) {
    train_steps(world, data, epochs, 16);
}

/// The same with this many steps in an epoch.
pub fn train_steps(world: &mut World, data: &Arc<Dataset>, epochs: u32, steps: usize) {
    let view = &mut world.view;
    view.fold(Event::Device(DeviceInfo {
        name: "AMD Ryzen 7".to_owned(),
        kind: "cpu".to_owned(),
        api: String::new(),
        driver: String::new(),
        software: false,
        note: String::new(),
        refused: String::new(),
    }));
    view.fold(Event::DataReady(Arc::clone(data)));
    for issue in data.issues.iter().take(3) {
        view.fold(Event::Warning(issue.clone()));
    }
    let graph = Arc::new(world.graph.clone());
    let freeze = FreezePlan::preset(&graph, &Preset::HeadOnly).unwrap();
    let plan = Plan {
        epochs: 12,
        freeze: freeze.clone(),
        early_stop: Some(EarlyStop { patience: 4, min_gain: 0.001 }),
        ..Plan::default()
    };
    world.project.plan = plan.clone();
    view.fold(Event::RunStarted(Arc::new(RunInfo {
        folder: PathBuf::from("/home/ada/ants-and-bees/runs/2026-11-23_resnet18_1"),
        plan,
        graph: Arc::clone(&graph),
        classes: data.classes().to_vec(),
        columns: data.columns.clone(),
        train_images: 244,
        val_images: 153,
        steps_per_epoch: steps,
        params: 11_177_538,
        trainable: 1026,
        best_by: "top1".to_owned(),
        load: None,
        first_epoch: 0,
        cache: None,
    })));
    view.fold(Event::Log("295 tensors loaded from resnet18-f37072fd.pth, the head was made anew".to_owned()));
    let mut noise = Noise::new(7);
    let mut best = 0;
    for epoch in 0..=epochs {
        for step in 1..=if epoch == 0 { 0 } else { steps as u64 } {
            fold_step(view, &mut noise, epoch, u64::from(epoch - 1) * steps as u64 + step, steps);
            if epoch == 4 && step == 1 {
                let thawed = FreezePlan::preset(&graph, &Preset::LastStageAndHead).unwrap();
                let note = "layer4 thawed; its optimizer state starts fresh".to_owned();
                view.fold(Event::FreezeChanged { step: 49, epoch: 3.0, plan: thawed, trainable: 8_394_754, note });
            }
        }
        fold_epoch(view, epoch, &mut best);
        view.fold(Event::Samples { epoch, samples: Arc::new(live(data, epoch)) });
    }
    if epochs == 12 {
        let checkpoint = PathBuf::from("/home/ada/ants-and-bees/runs/2026-11-23_resnet18_1/best.safetensors");
        view.fold(Event::Done { ending: Ending::Completed, best: None, checkpoint: Some(checkpoint) });
    }
}

/// An export that the other engine runs with this difference: the same answers where it is small.
pub fn exported(difference: f32) -> Exported {
    let class = |name: &str, class, score| ClassScore { name: name.to_owned(), class, score };
    let says = |scores: [ClassScore; 2]| HeadPrediction {
        head: "cls".to_owned(),
        kind: HeadKind::Classify { classes: 2 },
        answer: Answer::Classes(scores.to_vec()),
    };
    let good = difference < 1e-3;
    let file = if good { [(0, 0.971), (1, 0.029)] } else { [(1, 0.53), (0, 0.47)] };
    let names = ["ants", "bees"];
    let head = HeadCheck {
        head: "cls".to_owned(),
        max_abs_diff: difference,
        max_abs: 3.52,
        same_top: good,
        program: says([class("ants", 0, 0.971), class("bees", 1, 0.029)]),
        file: says(file.map(|(id, score)| class(names[id as usize], id, score))),
    };
    let to = PathBuf::from("/home/ada/ants-and-bees/resnet18.onnx");
    let rejected = PathBuf::from("/home/ada/ants-and-bees/resnet18.rejected.onnx");
    let problem = "tract gives other answers than the network: head cls differs by up to 3.10e-1, and 3.5e-3 would be \
                   rounding; the file was kept as /home/ada/ants-and-bees/resnet18.rejected.onnx and not as \
                   /home/ada/ants-and-bees/resnet18.onnx.";
    Exported {
        beside: None,
        from: PathBuf::from("/home/ada/ants-and-bees/runs/2026-11-23_resnet18_1"),
        file: Some(if good { to.clone() } else { rejected }),
        to,
        bytes: 44_700_000,
        check: Some(ExportCheck {
            engine: "tract",
            picture: "/home/ada/ants-and-bees/val/ants/10308379_1b6c72e180.jpg".to_owned(),
            batch: 2,
            heads: vec![head],
            seconds: 0.43,
        }),
        problem: (!good).then(|| problem.to_owned()),
    }
}

/// Answers to ten pictures that a person gave, one of them unreadable.
pub fn predict(world: &mut World, data: &Dataset) {
    let chosen = data.indices(Split::Val).into_iter().step_by(13).take(10);
    let mut noise = Noise::new(11);
    let mut answers: Vec<Prediction> = chosen
        .map(|index| {
            let sample = &data.samples[index];
            let sure = 0.5
                + 0.45 * (noise.next().abs() * 0.4 + 0.6) * if sample.target.class() == Some(1) { 1.0 } else { -1.0 };
            prediction(&sample.image.name(), sample.size_px, sure)
        })
        .collect();
    let error = "The file ends after 812 bytes; a JPEG of 640 × 480 pixels needs more.".to_owned();
    let image = "/home/ada/pictures/IMG_0412.jpg".to_owned();
    answers.insert(answers.len().min(3), Prediction { image, size_px: [0, 0], heads: Vec::new(), error: Some(error) });
    world.view.fold(Event::Predictions { from: None, answers: Arc::new(answers) });
}

fn fold_step(view: &mut View, noise: &mut Noise, epoch: u32, step: u64, steps: usize) {
    let x = step as f64 / steps as f64;
    let bump = if x > 3.0 { 0.14 * (-(x - 3.0) * 1.6).exp() } else { 0.0 };
    let loss = (0.09 + 0.6 * (-x / 2.6).exp() + bump + 0.07 * noise.next() * (1.0 + (-x / 3.0).exp())).max(0.012);
    let lr = 0.01 * (x / 0.5).min(1.0) * 0.5 * (1.0 + (std::f64::consts::PI * x / 12.0).cos());
    view.fold(Event::Step(Box::new(StepNews {
        step,
        epoch,
        losses: map(&[("total", loss), ("cls", loss)]),
        lr,
        images_per_s: 41.0,
        ms: StepTimes { data: 12.0, forward: 150.0, backward: 210.0, optimizer: 20.0 },
        grad_norm: Some(1.2),
        warm_up: false,
    })));
}

fn fold_epoch(view: &mut View, epoch: u32, best: &mut u32) {
    let right = right_of_153(epoch);
    let bees = (right * 83 / 153).min(83);
    let ants = right - bees;
    let x = f64::from(epoch);
    view.fold(Event::Epoch(Box::new(EpochNews {
        epoch,
        train: if epoch == 0 { BTreeMap::new() } else { map(&[("total", 0.1 + 0.6 * (-x / 2.6).exp()), ("cls", 0.1)]) },
        val: map(&[("total", val_loss(epoch)), ("cls", val_loss(epoch))]),
        metrics: map(&[("top1", f64::from(right) / 153.0), ("top5", 1.0)]),
        seconds: if epoch == 0 { 2.1 } else { 6.4 + 0.1 * x },
        frozen_verified: true,
        frozen_tensors: if epoch < 4 { 120 } else { 90 },
        cached: false,
        confusion: vec![vec![ants, 70 - ants], vec![83 - bees, bees]],
        frozen: Vec::new(),
    })));
    if right > *best {
        *best = right;
        let value = f64::from(right) / 153.0;
        view.fold(Event::NewBest(Best { metric: "top1".to_owned(), value, epoch }));
    }
}

/// Eight fixed validation pictures: the model grows surer of all but two.
pub fn live(data: &Dataset, epoch: u32) -> Vec<LiveSample> {
    let all = data.indices(Split::Val);
    let step = (all.len() / 8).max(1);
    let mut noise = Noise::new(3);
    let sure = 1.0 - (-f64::from(epoch) / 2.5).exp();
    all.iter()
        .step_by(step)
        .take(8)
        .enumerate()
        .map(|(i, &index)| {
            let sample = &data.samples[index];
            let truth = sample.target.class().unwrap();
            let side = if i == 2 || (i == 5 && epoch < 8) { -0.6 } else { 1.0 };
            let start = 0.12 * noise.next();
            let p = 0.5 + (start * (1.0 - sure) + sure * 0.48 * side) * if truth == 1 { 1.0 } else { -1.0 };
            let name = sample.image.name();
            LiveSample {
                index,
                truth: vec![Label::One(truth)],
                objects: None,
                prediction: prediction(&name, sample.size_px, p.clamp(0.004, 0.996)),
            }
        })
        .collect()
}

/// What a model says of `per_class` pictures of each of these classes: it takes some for the next class, and is surer than
/// it is right.
pub fn measured(data: &Dataset, names: &[String], per_class: usize) -> Evaluation {
    let mut noise = Noise::new(23);
    let classes = names.len();
    let columns = vec![LabelColumn::single(names.to_vec())];
    let mut set = Dataset { columns, name: "measured".to_owned(), samples: Vec::new(), ..data.clone() };
    let mut pictures = Vec::new();
    for index in 0..classes * per_class {
        let truth = index % classes;
        let mut sample = data.samples[(index * 7) % data.samples.len()].clone();
        sample.target = Target::of_class(Some(truth as u32));
        sample.split = Split::Val;
        set.samples.push(sample);
        let mut logits: Vec<f32> = (0..classes).map(|_| noise.next() as f32).collect();
        logits[truth] += 3.0 + noise.next() as f32 * 2.0;
        let weak = noise.next() < -0.75 + truth as f64 / classes as f64 * 0.8;
        logits[(truth + 1) % classes] += if weak { 4.5 } else { 0.3 };
        pictures.push(PictureResult::of_logits(index, &logits, truth as u32).unwrap());
    }
    let head = HeadResults {
        name: "cls".to_owned(),
        kind: HeadKind::Classify { classes },
        classes: names.to_vec(),
        pictures,
        ..HeadResults::new("", HeadKind::Classify { classes }, Vec::new())
    };
    let share = |holds: fn(&PictureResult) -> bool| {
        head.pictures.iter().filter(|picture| holds(picture)).count() as f64 / head.pictures.len() as f64
    };
    let mut metrics = map(&[("top1", share(PictureResult::is_right))]);
    if classes > 5 {
        metrics.insert("top5".to_owned(), share(|picture| picture.rank < 5));
    }
    let loss = head.pictures.iter().map(|picture| f64::from(picture.loss)).sum::<f64>() / head.pictures.len() as f64;
    Evaluation {
        source: PathBuf::from("/home/ada/ants-and-bees/runs/2026-11-23_resnet18_1"),
        epoch: Some(9),
        model: "resnet18".to_owned(),
        images: head.pictures.len(),
        set: Arc::new(set),
        split: Some(Split::Val),
        metrics,
        losses: map(&[("total", loss), ("cls", loss)]),
        heads: vec![head],
        seconds: 3.4,
    }
}

/// Names of classes: words, as far as there are some.
pub fn names(count: usize) -> Vec<String> {
    let words =
        ["ants", "bees", "beetles", "butterflies", "crickets", "dragonflies", "flies", "moths", "spiders", "wasps"];
    (0..count)
        .map(|i| words.get(i).filter(|_| count <= 10).map_or(format!("species {i:03}"), |w| (*w).to_owned()))
        .collect()
}
