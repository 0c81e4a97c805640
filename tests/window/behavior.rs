//! What clicks and keys do.

use super::stage::{Stage, open, run_info};
use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use frostline::graph::{FreezePlan, NodeState};
use frostline::session::{Belongs, Command, DeviceInfo, Event, WeightsCommand};
use frostline::train::{DataSource, DeviceChoice, FreezePhase};
use frostline::ui::{Action, Page};
use std::sync::Arc;

fn window() -> Stage<'static> {
    let mut stage = open([1400.0, 900.0], true, false);
    stage.prepare();
    stage
}

fn press(stage: &mut Stage<'_>, modifiers: Modifiers, key: Key) {
    stage.window.key_press_modifiers(modifiers, key);
    stage.settle();
}

#[test]
fn the_sample_is_opened_at_start() {
    let stage = open([1400.0, 900.0], true, false);
    let commands = stage.commands();
    let look = |command: &WeightsCommand| matches!(command, WeightsCommand::Look { model } if model == "resnet18");
    assert!(
        matches!(commands.as_slice(), [Command::OpenSample, Command::Weights(command)] if look(command)),
        "{commands:?}"
    );
}

#[test]
fn nodes_say_what_they_are() {
    let mut stage = window();
    // torchvision's ResNet-18: a basic block of 64 channels has 2 * 64 * 64 * 9 weights and 4 * 64 of two norms.
    stage.window.get_by_label("layer1.0, trains, 73 984 parameters");
    press(&mut stage, Modifiers::NONE, Key::E);
    // layer2 of ResNet-18 in torch: sum(p.numel() for p in m.layer2.parameters()).
    stage.window.get_by_label("layer2, 2 blocks, trains, 525 568 parameters");
    stage.window.get_by_label("avgpool, no weights");
    // A head for 6 classes: 512 * 6 + 6.
    stage.window.get_by_label("fc, trains, 3 078 parameters");
}

#[test]
fn a_click_on_the_sign_freezes_and_undo_thaws() {
    let mut stage = window();
    stage.window.get_by_label("Freeze layer1.0").click();
    stage.settle();
    assert!(stage.plan().freeze.is_frozen("layer1.0"));
    assert_eq!(stage.window.state().project().selected, None, "a click on the sign does not select");
    stage.window.get_by_label("layer1.0, frozen island, gradients flow through it, 73 984 parameters");
    press(&mut stage, Modifiers::COMMAND, Key::Z);
    assert!(!stage.plan().freeze.is_frozen("layer1.0"));
    press(&mut stage, Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    assert!(stage.plan().freeze.is_frozen("layer1.0"));
    stage.window.get_by_label("Thaw layer1.0").click();
    stage.settle();
    assert!(stage.plan().freeze.frozen.is_empty());
}

#[test]
fn f_freezes_the_selection_and_shift_click_makes_a_range() {
    let mut stage = window();
    stage.window.get_by_label_contains("stem, trains").click();
    stage.settle();
    assert_eq!(stage.window.state().project().selected.as_deref(), Some("stem"));
    press(&mut stage, Modifiers::NONE, Key::F);
    assert!(stage.plan().freeze.is_frozen("stem"));
    stage.window.get_by_label_contains("layer2.0, trains").click_modifiers(Modifiers::SHIFT);
    stage.settle();
    press(&mut stage, Modifiers::NONE, Key::F);
    let frozen: Vec<&str> = stage.plan().freeze.frozen.iter().map(String::as_str).collect();
    assert_eq!(frozen, ["layer1.0", "layer1.1", "layer2.0", "stem"]);
}

#[test]
fn arrows_walk_along_edges() {
    let mut stage = window();
    let selected = |stage: &Stage<'_>| stage.window.state().project().selected.clone();
    press(&mut stage, Modifiers::NONE, Key::ArrowRight);
    assert_eq!(selected(&stage).as_deref(), Some("stem"));
    for expected in ["layer1.0", "layer1.1", "layer2.0"] {
        press(&mut stage, Modifiers::NONE, Key::ArrowRight);
        assert_eq!(selected(&stage).as_deref(), Some(expected));
    }
    press(&mut stage, Modifiers::NONE, Key::ArrowLeft);
    assert_eq!(selected(&stage).as_deref(), Some("layer1.1"));
    press(&mut stage, Modifiers::NONE, Key::ArrowDown);
    assert_eq!(selected(&stage).as_deref(), Some("layer1.0"), "the block below in the stack");
    press(&mut stage, Modifiers::NONE, Key::Escape);
    assert_eq!(selected(&stage), None);
}

#[test]
fn the_list_of_keys_opens_and_escape_closes_it_alone() {
    let mut stage = window();
    stage.window.get_by_label_contains("stem, trains").click();
    stage.settle();
    press(&mut stage, Modifiers::SHIFT, Key::Questionmark);
    stage.window.get_by_label("Freeze or thaw the selection");
    press(&mut stage, Modifiers::NONE, Key::F);
    assert!(stage.plan().freeze.frozen.is_empty(), "keys do not reach through the list");
    press(&mut stage, Modifiers::NONE, Key::Escape);
    assert!(stage.window.query_by_label("Freeze or thaw the selection").is_none());
    assert_eq!(stage.window.state().project().selected.as_deref(), Some("stem"));
}

#[test]
fn a_node_is_found_by_a_part_of_its_name() {
    let mut stage = window();
    press(&mut stage, Modifiers::COMMAND, Key::F);
    stage.window.get_by_role(egui::accesskit::Role::TextInput).type_text("r3.1");
    stage.settle();
    stage.window.get_by_label("1 found");
    press(&mut stage, Modifiers::NONE, Key::Enter);
    assert_eq!(stage.window.state().project().selected.as_deref(), Some("layer3.1"));
    press(&mut stage, Modifiers::NONE, Key::F);
    assert!(stage.plan().freeze.is_frozen("layer3.1"));
}

#[test]
fn a_project_is_saved_and_opened_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("insects.frostline.json");
    let mut project = frostline::session::Project::default();
    project.plan.epochs = 3;
    project.page = "model".to_owned();
    project.selected = Some("layer2.0".to_owned());
    project.save(&file).unwrap();
    let mut stage = window();
    stage.window.state_mut().act(Action::Open(vec![file.clone()]));
    stage.settle();
    assert_eq!((stage.plan().epochs, stage.window.state().page()), (3, Page::Model));
    stage.window.get_by_label("State: Trains");
    press(&mut stage, Modifiers::NONE, Key::F);
    press(&mut stage, Modifiers::COMMAND, Key::S);
    let saved = frostline::session::Project::load(&file).unwrap();
    assert!(saved.plan.freeze.is_frozen("layer2.0"));
}

#[test]
fn start_sends_the_plan() {
    let mut stage = window();
    stage.window.get_by_label("✓ Ready");
    stage.window.get_by_label("What trains: Head only").click();
    stage.settle();
    stage.window.get_by_label("Start training").click();
    stage.settle();
    let commands = stage.commands();
    let Some(Command::Start { plan, out }) = commands.iter().find(|c| matches!(c, Command::Start { .. })) else {
        panic!("no Start among {commands:?}");
    };
    assert_eq!(**plan, *stage.plan());
    assert_eq!(plan.freeze.frozen.len(), 10, "stem, eight blocks and the pooling");
    assert!(!out.exists());
    assert_eq!(stage.window.state().page(), Page::Train);
}

#[test]
fn not_ready_says_why_and_where_to_mend_it() {
    let mut stage = open([1400.0, 900.0], true, false);
    stage.settle();
    stage.window.get_by_label("No data set is open.");
    stage.prepare();
    let all: Vec<String> = {
        let info = run_info(stage.plan());
        info.graph.nodes.iter().map(|node| node.path.clone()).collect()
    };
    let mut plan = stage.plan().clone();
    all.iter().for_each(|path| plan.freeze.set(path, true));
    plan.epochs = 0;
    stage.window.state_mut().act(Action::Edit { name: "Freeze all".to_owned(), plan: Box::new(plan) });
    stage.settle();
    stage.window.get_by_label("Not ready: 2 reasons");
    stage.window.get_by_label("The number of epochs must be at least 1.");
    stage.window.get_by_label("Nothing would train: every node is frozen.");
    press(&mut stage, Modifiers::COMMAND, Key::Enter);
    assert!(stage.commands().is_empty(), "a run that cannot start is not sent");
    stage.window.get_by_label("Thaw the head ›").click();
    stage.settle();
    assert!(!stage.plan().freeze.is_frozen("fc"));
    stage.window.get_by_label("Not ready: 1 reason");
}

#[test]
fn a_freeze_while_training_waits_for_the_session() {
    let mut stage = window();
    let plan = stage.plan().clone();
    stage.say(Event::RunStarted(Arc::new(run_info(&plan))));
    stage.settle();
    stage.window.get_by_label("Freeze stem").click();
    stage.settle();
    let commands = stage.commands();
    let [Command::SetFreeze(freeze)] = commands.as_slice() else { panic!("{commands:?}") };
    assert!(freeze.is_frozen("stem"));
    stage.window.get_by_label_contains("stem, trains");
    let news = Event::FreezeChanged {
        step: 3,
        epoch: 0.2,
        plan: freeze.clone(),
        trainable: 11_000_000,
        note: "stem frozen".to_owned(),
    };
    stage.say(news);
    stage.settle();
    stage.window.get_by_label_contains("stem, frozen");
    press(&mut stage, Modifiers::NONE, Key::Space);
    press(&mut stage, Modifiers::NONE, Key::Space);
    assert!(matches!(stage.commands().as_slice(), [Command::Pause, Command::Resume]), "both before an answer");
    stage.say(Event::Paused);
    stage.say(Event::Resumed);
    press(&mut stage, Modifiers::NONE, Key::Space);
    assert!(matches!(stage.commands().as_slice(), [Command::Pause]));
    stage.say(Event::Paused);
    press(&mut stage, Modifiers::NONE, Key::Space);
    assert!(matches!(stage.commands().as_slice(), [Command::Resume]));
}

#[test]
fn a_refused_freeze_is_taken_back() {
    let mut stage = window();
    let plan = stage.plan().clone();
    stage.say(Event::RunStarted(Arc::new(run_info(&plan))));
    stage.window.get_by_label("Freeze stem").click();
    stage.settle();
    stage.say(Event::Failed { what: "Nothing would train.".to_owned(), run_stopped: false });
    stage.settle();
    assert!(!stage.plan().freeze.is_frozen("stem"));
    assert_eq!(stage.window.state().toasts(), ["Nothing would train."]);
}

#[test]
fn the_frost_line_is_dragged() {
    let mut stage = window();
    let from = stage.window.get_by_label_contains("Frost line").rect().center();
    let target = stage.window.get_by_label_contains("layer2.0, trains").rect();
    let to = egui::pos2(target.right() + 6.0, from.y);
    stage.window.drag_at(from);
    stage.window.step();
    for i in 1..=8 {
        stage.window.hover_at(from + (to - from) * (i as f32 / 8.0));
        stage.window.step();
    }
    stage.window.drop_at(to);
    stage.settle();
    let frozen: Vec<&str> = stage.plan().freeze.frozen.iter().map(String::as_str).collect();
    assert_eq!(frozen, ["layer1.0", "layer1.1", "layer2.0", "layer2.1", "stem"]);
    press(&mut stage, Modifiers::COMMAND, Key::Z);
    assert!(stage.plan().freeze.frozen.is_empty(), "one step of the history");
}

#[test]
fn a_dropped_folder_is_opened_as_data() {
    let mut stage = window();
    let folder = tempfile::tempdir().unwrap();
    stage.window.state_mut().act(Action::Open(vec![folder.path().to_path_buf()]));
    stage.window.run_steps(3);
    assert_eq!(stage.plan().data, DataSource::Path(folder.path().to_path_buf()));
    let commands = stage.commands();
    assert!(matches!(commands.as_slice(), [Command::OpenData { path, .. }] if path == folder.path()), "{commands:?}");
    assert_eq!(stage.window.state().page(), Page::Data);
}

#[test]
fn a_dropped_checkpoint_shows_its_report() {
    let mut stage = window();
    let file = std::path::PathBuf::from("/w/mine.pth");
    stage.window.state_mut().act(Action::Show(Page::Data));
    stage.window.state_mut().act(Action::Open(vec![file.clone()]));
    stage.window.run_steps(3);
    assert_eq!(stage.plan().weights, frostline::train::WeightsSource::File(file.clone()));
    let asked = |plan: &frostline::train::Plan| plan.weights == frostline::train::WeightsSource::File(file.clone());
    assert!(matches!(stage.commands().as_slice(), [Command::InspectWeights(plan)] if asked(plan)));
    assert_eq!(stage.window.state().page(), Page::Model);
}

#[test]
fn an_opened_checkpoint_brings_its_model_along_once() {
    let mut stage = window();
    let file = std::path::PathBuf::from("/w/vgg16-397923af.pth");
    let other = |stage: &mut Stage<'_>| {
        let what = "/w/vgg16-397923af.pth belongs to another architecture; it fits vgg16".to_owned();
        stage.say(Event::CheckpointOfOther(Belongs { file: file.clone(), model: "vgg16", title: "VGG-16", what }));
        stage.settle();
    };
    let before = stage.plan().model.clone();
    stage.window.state_mut().act(Action::Open(vec![file.clone()]));
    stage.window.run_steps(3);
    other(&mut stage);
    assert_eq!(stage.plan().model, "vgg16");
    assert_eq!(stage.plan().weights, frostline::train::WeightsSource::File(file.clone()));
    let said = stage.window.state().toasts().join(" ");
    assert!(said.contains("vgg16-397923af.pth is a VGG-16, which is now the model"), "{said}");
    // Taken back, it stays so: the checkpoint is compared again, and the other model is only offered.
    stage.window.state_mut().act(Action::Undo);
    stage.settle();
    other(&mut stage);
    assert_eq!(stage.plan().model, before);
    stage.window.get_by_label("does not fit this model; it is a VGG-16");
    // The card may lie below the list of models, out of sight.
    stage.window.get_by_label("Use VGG-16").click_accesskit();
    stage.settle();
    assert_eq!(stage.plan().model, "vgg16");
    assert!(stage.window.query_by_label("Use VGG-16").is_none());
}

#[test]
fn a_dropped_run_asks_what_it_is_for() {
    let home = tempfile::tempdir().unwrap();
    let run = super::stage::run_folder(home.path());
    let mut stage = window();
    let drop = |stage: &mut super::stage::Stage<'_>, choice: &str| {
        stage.window.state_mut().act(Action::Open(vec![run.clone()]));
        stage.window.run_steps(3);
        assert!(stage.window.query_by_label_contains("resnet34 · 160 px · 2 classes: ants, bees · 4 of 12").is_some());
        stage.window.get_by_label(choice).click();
        stage.window.run_steps(4);
        stage.commands()
    };
    let commands = drop(&mut stage, "Resume the run");
    assert!(matches!(commands.as_slice(), [Command::ResumeRun { run: asked, epochs: None }] if *asked == run));
    let before = stage.plan().clone();
    let commands = drop(&mut stage, "Start a new run from its weights");
    let compared = |command: &Command| matches!(command, Command::InspectWeights(plan) if plan.model == "resnet34");
    assert!(commands.iter().any(compared), "{commands:?}");
    let plan = stage.plan();
    assert_eq!((plan.model.as_str(), plan.size_px), ("resnet34", 160));
    assert_eq!(plan.weights, frostline::train::WeightsSource::File(run.clone()));
    assert_eq!(stage.window.state().page(), Page::Model);
    stage.window.state_mut().act(Action::Undo);
    stage.window.run_steps(3);
    assert_eq!(*stage.plan(), before);
    stage.window.state_mut().act(Action::Open(vec![home.path().to_path_buf()]));
    stage.window.run_steps(3);
    let commands = drop(&mut stage, "Evaluate it on the open data set");
    let asked = |command: &Command| matches!(command, Command::Evaluate { from, data: Some(DataSource::Path(data)), .. } if *from == run && data == home.path());
    assert!(commands.iter().any(asked), "{commands:?}");
    stage.window.state_mut().act(Action::Open(vec![run.clone()]));
    stage.window.run_steps(3);
    stage.window.key_press(egui::Key::Escape);
    stage.window.run_steps(3);
    assert!(stage.window.query_by_label("Resume the run").is_none());
}

#[test]
fn closing_while_training_asks() {
    let mut stage = window();
    let plan = stage.plan().clone();
    stage.say(Event::RunStarted(Arc::new(run_info(&plan))));
    let viewport = stage.window.input_mut().viewports.get_mut(&egui::ViewportId::ROOT).unwrap();
    viewport.events.push(egui::ViewportEvent::Close);
    stage.window.step();
    stage.window.run_steps(3);
    stage.window.get_by_label("Finish, keep the best weights").click();
    stage.window.run_steps(3);
    assert!(matches!(stage.commands().as_slice(), [Command::Finish]));
}

#[test]
fn islands_and_prefixes_are_told_apart() {
    let plan = frostline::train::Plan::default();
    let info = run_info(&plan);
    let facts = info.graph.facts().unwrap();
    let mut freeze = frostline::graph::FreezePlan::default();
    freeze.set("stem", true);
    freeze.set("layer2.0", true);
    let frontier = frostline::graph::Frontier::of(&info.graph, &facts, &freeze);
    let state = |path: &str| frontier.state(info.graph.find(path).unwrap());
    assert_eq!(state("stem"), NodeState::Prefix);
    assert_eq!(state("layer2.0"), NodeState::Island);
}

#[test]
fn the_coming_phases_of_a_run_are_replanned() {
    let mut stage = window();
    let graph = run_info(stage.plan()).graph;
    let mut plan = stage.plan().clone();
    plan.epochs = 6;
    plan.freeze = frostline::graph::FreezePlan::preset(&graph, &frostline::graph::Preset::HeadOnly).unwrap();
    plan.set_stage(&graph, "layer4", 5..u32::MAX, false);
    stage.window.state_mut().act(Action::Edit { name: "Set up".to_owned(), plan: Box::new(plan.clone()) });
    stage.settle();
    stage.window.get_by_label_contains("phase 1 of 2 · from epoch 1 · changes hold from here on");
    stage.say(Event::RunStarted(Arc::new(run_info(&plan))));
    stage.say(super::stage::epoch(0, &[]));
    stage.settle();
    stage.window.get_by_label_contains("changes hold until the next phase");
    stage.commands();
    // A click in the first phase holds in this phase only, and the plan for later is not sent.
    stage.window.get_by_label("Thaw stem").click();
    stage.settle();
    let commands = stage.commands();
    assert!(matches!(commands.as_slice(), [Command::SetFreeze(freeze)] if !freeze.is_frozen("stem")), "{commands:?}");
    assert!(stage.plan().phase(5).freeze.is_frozen("stem"));
    // The edge of a lane goes to another epoch; what has begun stays.
    stage.window.get_by_label_contains("Lane layer4:").set_value_accesskit(1.0);
    stage.settle();
    let commands = stage.commands();
    let [Command::SetTimeline(timeline)] = commands.as_slice() else { panic!("{commands:?}") };
    // In epoch 5 the stem freezes again, as planned.
    assert_eq!(timeline.iter().map(|phase| phase.from_epoch).collect::<Vec<_>>(), [2, 5]);
    assert!(timeline.iter().all(|phase| !phase.freeze.is_frozen("layer4.0")));
    press(&mut stage, Modifiers::COMMAND, Key::Z);
    let commands = stage.commands();
    assert!(matches!(commands.as_slice(), [Command::SetTimeline(back)] if back[0].from_epoch == 5), "{commands:?}");
}

#[test]
fn the_learning_rate_is_found_and_used() {
    let mut stage = window();
    stage.window.get_by_label("Find…").click();
    stage.settle();
    let commands = stage.commands();
    let [Command::FindLr { plan, sweep }] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((**plan).clone(), *stage.plan());
    stage.say(Event::SweepStarted { plan: Arc::new((**plan).clone()), sweep: *sweep });
    for step in 0..80 {
        let lr = sweep.rate(step);
        stage.say(Event::SweepPoint(frostline::train::LrPoint { lr, loss: 0.7, smoothed: 0.7 }));
    }
    let suggestions =
        frostline::train::LrSuggestions { valley: Some(0.00316), minimum: Some(0.0158), steepest: Some(0.0251) };
    stage.say(Event::SweepDone { suggestions, end: frostline::train::SweepEnd::Exploded });
    stage.settle();
    stage.window.get_by_label("Use 3.16e-3").click();
    stage.settle();
    assert!((stage.plan().lr - 0.0032).abs() < 1e-12, "two digits: {}", stage.plan().lr);
    press(&mut stage, Modifiers::COMMAND, Key::Z);
    assert!((stage.plan().lr - 0.01).abs() < 1e-12);
}

#[test]
fn the_sweep_goes_through_the_rates_that_are_set() {
    let mut stage = window();
    stage.window.state_mut().act(Action::Show(Page::Train));
    stage.settle();
    stage.window.get_by_label("LR finder").click();
    stage.settle();
    let field = |stage: &Stage<'_>, name: &str, value: f64| {
        stage.window.get_by_role_and_label(Role::SpinButton, name).set_value_accesskit(value);
    };
    field(&stage, "rates from", 1e-5);
    stage.settle();
    field(&stage, "to", 0.5);
    stage.settle();
    // The bounds stay at least ten times apart.
    field(&stage, "rates from", 3.0);
    stage.settle();
    stage.window.get_by_label("Find a learning rate").click();
    stage.settle();
    let commands = stage.commands();
    let [Command::FindLr { sweep, .. }] = commands.as_slice() else { panic!("{commands:?}") };
    assert!((sweep.from - 0.05).abs() < 1e-12 && (sweep.to - 0.5).abs() < 1e-12, "{sweep:?}");
}

#[test]
fn a_phases_learning_rate_is_set_in_the_plan() {
    let mut stage = window();
    let mut plan = stage.plan().clone();
    plan.epochs = 8;
    plan.timeline = [3, 5].map(|epoch| FreezePhase::new(epoch, FreezePlan::default())).to_vec();
    plan.timeline[0].freeze.set("stem", true);
    stage.window.state_mut().act(Action::Edit { name: "Phases".to_owned(), plan: Box::new(plan) });
    stage.settle();
    stage.window.get_by_role_and_label(Role::SpinButton, "rate × from epoch 5").set_value_accesskit(0.25);
    stage.settle();
    assert_eq!(stage.plan().timeline.iter().map(|phase| phase.lr_factor).collect::<Vec<_>>(), [1.0, 0.25]);
    press(&mut stage, Modifiers::COMMAND, Key::Z);
    assert_eq!(stage.plan().timeline[1].lr_factor, 1.0);
}

#[test]
fn a_server_is_named_in_the_plan() {
    // High enough that nothing of the plan has to be scrolled to.
    let mut stage = open([1400.0, 2600.0], true, false);
    stage.prepare();
    let remote = |address: &str| DeviceChoice::Remote(address.parse().unwrap());
    let mut plan = stage.plan().clone();
    plan.device = remote("127.0.0.1:7733");
    stage.window.state_mut().act(Action::Edit { name: "Server".to_owned(), plan: Box::new(plan) });
    stage.settle();
    let mut name = |text: &str| {
        stage.window.get_by_role_and_label(Role::TextInput, "server").focus();
        stage.settle();
        press(&mut stage, Modifiers::COMMAND, Key::A);
        stage.window.get_by_role_and_label(Role::TextInput, "server").type_text(text);
        stage.settle();
        press(&mut stage, Modifiers::NONE, Key::Enter);
        let told = stage.window.query_by_label_contains("is no HOST:PORT").is_some();
        (stage.plan().device.clone(), told)
    };
    // What is no address does not reach the plan, and the reason stands below.
    assert_eq!(name("gpu.lab"), (remote("127.0.0.1:7733"), true));
    assert_eq!(name("gpu.lab:7000"), (remote("gpu.lab:7000"), false));
    press(&mut stage, Modifiers::COMMAND, Key::Z);
    assert_eq!(stage.plan().device, remote("127.0.0.1:7733"));
}

#[test]
fn the_list_shows_the_chosen_model_when_its_page_opens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.frostline.json");
    let variant = frostline::models::find("vgg19_bn").unwrap();
    let mut project = frostline::session::Project::default();
    project.plan.choose(&variant);
    project.page = "data".to_owned();
    project.save(&file).unwrap();
    let mut stage = window();
    stage.window.state_mut().act(Action::Open(vec![file]));
    stage.settle();
    stage.window.state_mut().act(Action::Show(Page::Model));
    stage.settle();
    let row = stage.window.get_by_label_contains(&format!("{}, classify", variant.title)).rect();
    let below = stage.window.get_by_label("Open…").rect();
    assert!(row.top() > 60.0 && row.bottom() < below.top(), "{row:?} {below:?}");
}

#[test]
fn the_sources_of_weights_stand_in_one_row() {
    let mut stage = window();
    let mut plan = stage.plan().clone();
    plan.choose(&frostline::models::find("resnet_mini").unwrap());
    stage.window.state_mut().act(Action::Edit { name: "Choose".to_owned(), plan: Box::new(plan) });
    stage.window.state_mut().act(Action::Show(Page::Model));
    stage.settle();
    let rects = ["Open…", "Run…", "Built-in", "Random"].map(|name| stage.window.get_by_label(name).rect());
    assert!(rects.iter().all(|rect| (rect.top() - rects[0].top()).abs() < 1.0), "{rects:?}");
}

#[test]
fn a_run_answers_on_the_predict_page_and_leaves_the_list_but_not_the_disk() {
    let mut stage = window();
    stage.prepare();
    let home = tempfile::tempdir().unwrap();
    let (run, picture) = (home.path().join("run"), home.path().join("a.png"));
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join("run.json"), "{}").unwrap();
    image::RgbImage::new(8, 8).save(&picture).unwrap();
    stage.window.state_mut().act(Action::PredictWith(run.clone()));
    stage.window.state_mut().act(Action::Open(vec![picture]));
    stage.window.run_steps(3);
    let commands = stage.commands();
    assert!(matches!(commands.as_slice(), [Command::Predict { from: Some(from), .. }] if *from == run), "{commands:?}");
    assert_eq!(stage.window.state().page(), Page::Predict);
    stage.window.state_mut().act(Action::ForgetRun(run.clone()));
    stage.window.run_steps(3);
    assert_eq!(stage.window.state().project().hidden_runs, std::slice::from_ref(&run));
    assert!(run.join("run.json").exists());
}

#[test]
fn an_adapter_that_failed_its_self_test_is_named_on_screen() {
    let mut stage = window();
    let note = "the processor computes: the self-test of Radeon failed (the output is off by 5e-1)".to_owned();
    let (name, kind, refused) = ("Ryzen 7, 16 threads".to_owned(), "cpu".to_owned(), "Radeon".to_owned());
    let none = String::new;
    stage.say(Event::Device(DeviceInfo { name, kind, api: none(), driver: none(), software: false, note, refused }));
    stage.settle();
    stage.window.get_by_label_contains("Ryzen 7, 16 threads · self-test of Radeon failed");
    let notices = &stage.window.state().view().notices;
    assert!(notices.iter().any(|notice| notice.text.contains("off by 5e-1")), "{notices:?}");
}
