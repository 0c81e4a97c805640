//! The one table of keys: it makes them work, and it is the list that `?` shows.

use super::action::Page;
use super::graph::Walk;
use egui::{InputState, Key, KeyboardShortcut, Modifiers};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Does {
    /// Take back the last step.
    Undo,
    /// Make it again.
    Redo,
    /// New project.
    New,
    /// Ask for a project.
    Open,
    /// Write the project.
    Save,
    /// Write it under another name.
    SaveAs,
    /// Show a page.
    Show(Page),
    /// Start a run.
    Start,
    /// Pause or go on.
    PauseResume,
    /// Freeze or thaw the selection.
    ToggleFreeze,
    /// Swap frozen and trainable.
    Invert,
    /// Walk along an edge.
    Walk(Walk),
    /// Fit the graph.
    Fit,
    /// Nearer.
    ZoomIn,
    /// Farther.
    ZoomOut,
    /// Fold or open all stages.
    FoldAll,
    /// Find a node.
    Find,
    /// Back to the plan.
    Deselect,
    /// Light or dark.
    Theme,
    /// The list of keys.
    Help,
    /// Close the window.
    Quit,
    /// Handled by a panel that has the pointer.
    Panel,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The keys.
    pub shortcut: KeyboardShortcut,
    /// What they do.
    pub does: Does,
    /// Their group in the list.
    pub group: &'static str,
    /// In words.
    pub what: &'static str,
}

const NONE: Modifiers = Modifiers::NONE;
const CTRL: Modifiers = Modifiers::COMMAND;
const SHIFT: Modifiers = Modifiers::SHIFT;
const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

const fn row(modifiers: Modifiers, key: Key, does: Does, group: &'static str, what: &'static str) -> Row {
    Row { shortcut: KeyboardShortcut::new(modifiers, key), does, group, what }
}

/// All keys. More modifiers stand before fewer, since a key with fewer would match too.
pub const TABLE: &[Row] = &[
    row(CTRL_SHIFT, Key::Z, Does::Redo, "Edit", "Redo"),
    row(CTRL, Key::Z, Does::Undo, "Edit", "Undo"),
    row(CTRL, Key::Y, Does::Redo, "Edit", "Redo"),
    row(NONE, Key::F, Does::ToggleFreeze, "Graph", "Freeze or thaw the selection"),
    row(NONE, Key::I, Does::Invert, "Graph", "Invert what is frozen"),
    row(NONE, Key::ArrowLeft, Does::Walk(Walk::Left), "Graph", "Walk towards the image"),
    row(NONE, Key::ArrowRight, Does::Walk(Walk::Right), "Graph", "Walk towards the outputs"),
    row(NONE, Key::ArrowUp, Does::Walk(Walk::Up), "Graph", "Walk up"),
    row(NONE, Key::ArrowDown, Does::Walk(Walk::Down), "Graph", "Walk down"),
    row(CTRL, Key::F, Does::Find, "Graph", "Find a node"),
    row(NONE, Key::Num0, Does::Fit, "Graph", "Fit the graph"),
    row(NONE, Key::Plus, Does::ZoomIn, "Graph", "Zoom in"),
    row(NONE, Key::Minus, Does::ZoomOut, "Graph", "Zoom out"),
    row(NONE, Key::E, Does::FoldAll, "Graph", "Fold or open all stages"),
    row(NONE, Key::Escape, Does::Deselect, "Graph", "Select nothing: back to the plan"),
    row(CTRL, Key::Enter, Does::Start, "Run", "Start training"),
    row(NONE, Key::Space, Does::PauseResume, "Run", "Pause or resume"),
    row(CTRL, Key::Num1, Does::Show(Page::Data), "Pages", "Data"),
    row(CTRL, Key::Num2, Does::Show(Page::Model), "Pages", "Model"),
    row(CTRL, Key::Num3, Does::Show(Page::Train), "Pages", "Train"),
    row(CTRL, Key::Num4, Does::Show(Page::Evaluate), "Pages", "Evaluate"),
    row(CTRL, Key::Num5, Does::Show(Page::Predict), "Pages", "Predict"),
    row(CTRL, Key::Num6, Does::Show(Page::Export), "Pages", "Export"),
    row(NONE, Key::Num1, Does::Panel, "Live samples", "Show the truth"),
    row(NONE, Key::Num2, Does::Panel, "Live samples", "Show the prediction"),
    row(NONE, Key::Num3, Does::Panel, "Live samples", "Show the difference"),
    row(CTRL_SHIFT, Key::S, Does::SaveAs, "Project", "Save under another name"),
    row(CTRL, Key::S, Does::Save, "Project", "Save"),
    row(CTRL, Key::O, Does::Open, "Project", "Open"),
    row(CTRL, Key::N, Does::New, "Project", "New"),
    row(CTRL, Key::Q, Does::Quit, "Project", "Close the window"),
    row(CTRL, Key::T, Does::Theme, "Window", "Light or dark"),
    row(SHIFT, Key::Questionmark, Does::Help, "Window", "This list"),
];

/// What has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nothing: all keys work.
    Nobody,
    /// A control that was reached with the tab key: it wants the arrows, Space and Enter.
    Control,
    /// A text field or a menu: it wants all keys without a modifier.
    Text,
    /// A question or the viewer over the window: it wants everything but the list of keys.
    Modal,
}

impl Holder {
    fn leaves(self, row: &Row) -> bool {
        let plain = !row.shortcut.modifiers.command;
        match self {
            Self::Nobody => true,
            Self::Control => !matches!(row.does, Does::Walk(_) | Does::PauseResume),
            Self::Text => !plain,
            Self::Modal => row.does == Does::Help,
        }
    }
}

/// What the keys that were pressed do. Those of the graph are left to the page where no graph is.
#[must_use]
pub fn pressed(input: &mut InputState, holder: Holder, has_graph: bool) -> Vec<Does> {
    let mut out = Vec::new();
    for row in TABLE {
        let lost = row.group == "Graph" && row.does != Does::Deselect && !has_graph;
        if row.does == Does::Panel || lost || !holder.leaves(row) {
            continue;
        }
        let question = row.shortcut.logical_key == Key::Questionmark
            && (input.consume_key(Modifiers::NONE, Key::Questionmark) || input.consume_key(SHIFT, Key::Slash));
        if question || input.consume_shortcut(&row.shortcut) {
            out.push(row.does);
        }
    }
    out
}

/// Groups in order of their first row in the table.
#[must_use]
pub fn groups() -> Vec<&'static str> {
    let mut groups = Vec::new();
    for row in TABLE {
        if !groups.contains(&row.group) {
            groups.push(row.group);
        }
    }
    groups
}

/// Keys and words of a group; keys that do the same share a row.
#[must_use]
pub fn rows(group: &str) -> Vec<(String, &'static str)> {
    let mut out: Vec<(String, &'static str)> = Vec::new();
    for row in TABLE.iter().filter(|row| row.group == group) {
        let keys = keys_in_words(&row.shortcut);
        match out.iter_mut().find(|(_, what)| *what == row.what) {
            Some((known, _)) => *known = format!("{known}, {keys}"),
            None => out.push((keys, row.what)),
        }
    }
    out
}

fn keys_in_words(shortcut: &KeyboardShortcut) -> String {
    let key = match shortcut.logical_key {
        Key::Questionmark => return "?".to_owned(),
        Key::ArrowLeft => "←".to_owned(),
        Key::ArrowRight => "→".to_owned(),
        Key::ArrowUp => "↑".to_owned(),
        Key::ArrowDown => "↓".to_owned(),
        Key::Plus => "+".to_owned(),
        Key::Minus => "−".to_owned(),
        Key::Escape => "Esc".to_owned(),
        key => key.name().to_owned(),
    };
    let command = if cfg!(target_os = "macos") { "⌘" } else { "Ctrl+" };
    let mut out = String::new();
    if shortcut.modifiers.command {
        out.push_str(command);
    }
    if shortcut.modifiers.shift {
        out.push_str("Shift+");
    }
    out + &key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_the_same_keys() {
        for (i, a) in TABLE.iter().enumerate() {
            for b in &TABLE[i + 1..] {
                assert_ne!(a.shortcut, b.shortcut, "{} and {}", a.what, b.what);
            }
        }
    }

    /// `consume_shortcut` lets extra shift pass for some keys, so the row with more modifiers has to come first.
    #[test]
    fn more_modifiers_stand_first() {
        for (i, a) in TABLE.iter().enumerate() {
            for b in &TABLE[i + 1..] {
                let same = a.shortcut.logical_key == b.shortcut.logical_key;
                let b_has_more = b.shortcut.modifiers.command == a.shortcut.modifiers.command
                    && b.shortcut.modifiers.shift
                    && !a.shortcut.modifiers.shift;
                assert!(!(same && b_has_more), "{} hides {}", a.what, b.what);
            }
        }
    }

    #[test]
    fn the_list_shows_every_row() {
        let shown: usize = groups().iter().map(|group| rows(group).len()).sum();
        let redo_twice = 1;
        assert_eq!(shown, TABLE.len() - redo_twice);
        assert!(rows("Edit").contains(&("Ctrl+Shift+Z, Ctrl+Y".to_owned(), "Redo")) || cfg!(target_os = "macos"));
    }
}
