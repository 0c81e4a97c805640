//! Old → new: what each class of the head starts from, and the choice of something else.

use super::super::{format, kit};
use super::TransferState;
use crate::ui::Context;
use crate::weights::{ClassRow, HeadReport, LoadReport, Why};
use egui::{Align2, Color32, Sense, Ui, WidgetInfo, pos2, vec2};

const LINE: f32 = 21.0;
/// From this many rows on there is a field to search.
const MANY: usize = 10;

/// A line of the table.
enum Line<'r> {
    New(&'r ClassRow),
    Dropped(&'r str),
}

pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut TransferState, report: &LoadReport) {
    let Some(head) = report.heads.get(state.head).or(report.heads.first()) else { return };
    let all = head.rows.len() + head.dropped.len();
    controls(ui, cx, state, report, head);
    let search = state.search.to_lowercase();
    let finds = |text: &str| search.is_empty() || text.to_lowercase().contains(&search);
    let finds_row = |row: &&ClassRow| finds(&row.class) || row.from.is_some_and(|from| finds(head.label(from)));
    let mut rows: Vec<&ClassRow> = head.rows.iter().filter(finds_row).collect();
    // What waits for a choice stands first, then what is kept.
    rows.sort_by_key(|row| (!row.is_open(), row.from.is_none()));
    let mut lines: Vec<Line<'_>> = rows.into_iter().map(Line::New).collect();
    let dropped = head.dropped.iter().map(|&id| head.label(id));
    lines.extend(dropped.filter(|label| finds(label)).map(Line::Dropped));
    titles(ui, cx);
    if lines.is_empty() && all > 0 {
        kit::weak(ui, cx.theme, "No class matches.");
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    let scroll = egui::ScrollArea::vertical().id_salt("class rows").auto_shrink(false);
    scroll.show_rows(ui, LINE, lines.len(), |ui, seen| {
        for line in lines.get(seen).unwrap_or_default() {
            match line {
                Line::New(row) => new_class(ui, cx, state, head, row),
                Line::Dropped(label) => dropped_class(ui, cx, label),
            }
        }
    });
}

/// Which head, the counts, whether names decide, the search.
fn controls(ui: &mut Ui, cx: &mut Context<'_>, state: &mut TransferState, report: &LoadReport, head: &HeadReport) {
    let theme = cx.theme;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        if report.heads.len() > 1 {
            for (at, other) in report.heads.iter().enumerate() {
                if kit::chip(ui, theme, other.head == head.head, &format!("head {}", other.head)).clicked() {
                    state.head = at;
                }
            }
        } else {
            kit::caps(ui, theme, &format!("Head {}", head.head));
        }
        let (kept, new, dropped) = (head.kept(), head.rows.len() - head.kept(), head.dropped.len());
        for (count, word, color) in
            [(kept, "kept", theme.good), (new, "new", theme.amber), (dropped, "dropped", theme.weak)]
        {
            let color = if count == 0 { theme.weak } else { color };
            ui.label(egui::RichText::new(format!("{} {word}", format::count(count))).size(12.0).color(color));
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let keep = cx.plan().head.keep;
            let chip = kit::chip(ui, theme, keep, "keep same-named classes");
            let help = "Rows of the head that belong to classes with the same name keep what they learned. \
                        Off: the whole head is made new.";
            if chip.on_hover_text(help).clicked() {
                let name = if keep { "Make the head new" } else { "Keep same-named classes" };
                cx.edit(name, |plan| plan.head.keep = !keep);
            }
            if head.rows.len() + head.dropped.len() > MANY && ui.available_width() > 70.0 {
                let width = (ui.available_width() - 4.0).min(130.0);
                let field = egui::TextEdit::singleline(&mut state.search).hint_text("Search classes");
                ui.add(field.desired_width(width)).accessible_name("Search classes");
            }
        });
    });
    let (text, color) = match head.concerns().first() {
        // That a new head knows nothing of the old classes is the usual case.
        Some(concern) => (concern.clone(), if head.kept() > 0 { theme.amber } else { theme.weak }),
        None => (head.summary(), theme.weak),
    };
    let named = head.named_by.as_ref().map_or("The file names no classes".to_owned(), |by| format!("Named by {by}"));
    let line = format!("{named}. {}", sentence(&text));
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 15.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Label, true, &line));
    kit::text_at(ui.painter(), rect.left_center(), Align2::LEFT_CENTER, &line, 11.5, color, rect.width());
    response.on_hover_text(std::iter::once(head.summary()).chain(head.concerns()).collect::<Vec<_>>().join("\n"));
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// Left edges of the three columns, and the width of each.
fn columns(rect: egui::Rect) -> [(f32, f32); 3] {
    let left = rect.left() + 22.0;
    let room = rect.right() - left;
    let (new, old) = (room * 0.32, room * 0.32);
    [(left, new), (left + new, old), (left + new + old, room - new - old)]
}

fn titles(ui: &mut Ui, cx: &Context<'_>) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 16.0), Sense::hover());
    for ((x, width), text) in columns(rect).into_iter().zip(["class", "starts from", "because"]) {
        let at = pos2(x, rect.center().y);
        kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, text, 11.0, cx.theme.weak, width);
    }
    ui.painter().hline(rect.x_range(), rect.bottom(), egui::Stroke::new(1.0, cx.theme.border));
}

fn new_class(ui: &mut Ui, cx: &mut Context<'_>, state: &mut TransferState, head: &HeadReport, row: &ClassRow) {
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), LINE), Sense::click());
    let open = row.is_open();
    let (icon, color) = match row.from {
        Some(_) => ("✓", theme.good),
        None if open => ("?", theme.bad),
        None => ("+", theme.amber),
    };
    let from = row.from.map_or("made new", |from| head.label(from));
    let why = head.words(row);
    let can = cx.plan().head.keep && row.why != Why::Unfit && !head.old.is_empty();
    let words = format!("{} starts from {from}: {why}", row.class);
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, can, &words));
    if response.hovered() {
        ui.painter().rect_filled(rect, kit::RADIUS, theme.raised);
    }
    kit::focus_ring(ui, theme, &response);
    let y = rect.center().y;
    super::sign(ui, pos2(rect.left() + 9.0, y), icon, color);
    let put = |(x, width): (f32, f32), text: &str, color: Color32| {
        kit::text_at(ui.painter(), pos2(x, y), Align2::LEFT_CENTER, text, 12.0, color, width - 16.0)
    };
    let [class, old, because] = columns(rect);
    put(class, &row.class, theme.text);
    let text = put(old, from, if row.from.is_some() { theme.text } else { color });
    put(because, &why, if open { theme.bad } else { theme.weak });
    if can && response.hovered() {
        crate::ui::icons::Icon::Down.paint(ui.painter(), pos2(text.right() + 9.0, y + 1.0), 4.0, theme.weak);
    }
    if can {
        egui::Popup::menu(&response).show(|ui| choices(ui, cx, state, head, row));
    }
    response.on_hover_text(words);
}

/// What a class may start from.
fn choices(ui: &mut Ui, cx: &mut Context<'_>, state: &mut TransferState, head: &HeadReport, row: &ClassRow) {
    ui.set_width(230.0);
    let chosen = cx.plan().head.chosen(&head.head, &row.class).cloned();
    let mut choose = |ui: &mut Ui, name: String, choice: Option<Option<String>>| {
        cx.edit(&name, |plan| plan.head.choose(&head.head, &row.class, choice));
        ui.close();
    };
    if ui.selectable_label(chosen.is_none(), "What its name says").clicked() {
        choose(ui, format!("{}: by its name", row.class), None);
    }
    if ui.selectable_label(chosen == Some(None), "Made new").clicked() {
        choose(ui, format!("{}: made new", row.class), Some(None));
    }
    ui.separator();
    let field = egui::TextEdit::singleline(&mut state.pick).hint_text("Search the file's classes");
    ui.add(field.desired_width(f32::INFINITY)).accessible_name("Search the file's classes");
    let search = state.pick.to_lowercase();
    // What comes into question by its name stands first.
    let near: &[usize] = match &row.why {
        Why::Ambiguous { among } => among,
        Why::Unknown { similar } => similar,
        _ => &[],
    };
    let rest = (0..head.old.len()).filter(|id| !near.contains(id));
    let listed: Vec<usize> = near.iter().copied().chain(rest).collect();
    let listed: Vec<usize> =
        listed.into_iter().filter(|&id| search.is_empty() || head.label(id).to_lowercase().contains(&search)).collect();
    let scroll = egui::ScrollArea::vertical().max_height(220.0).auto_shrink([false, true]);
    scroll.show_rows(ui, 18.0, listed.len(), |ui, seen| {
        for &id in listed.get(seen).unwrap_or_default() {
            let on = row.from == Some(id);
            let text = head.label(id).to_owned();
            if ui.add(egui::Button::selectable(on, &text).truncate().min_size(vec2(0.0, 18.0))).clicked() {
                choose(ui, format!("{} starts from {text}", row.class), Some(Some(text)));
            }
        }
    });
    if listed.is_empty() {
        kit::weak(ui, cx.theme, "No class matches.");
    }
}

fn dropped_class(ui: &mut Ui, cx: &Context<'_>, label: &str) {
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), LINE), Sense::hover());
    let words = format!("{label}: dropped, forgotten unless it is in the data");
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Label, true, &words));
    let y = rect.center().y;
    super::sign(ui, pos2(rect.left() + 9.0, y), "–", theme.weak);
    let [(class, width), (old, old_width), (because, because_width)] = columns(rect);
    for (x, width, text) in [
        (class, width, "dropped"),
        (old, old_width, label),
        (because, because_width, "forgotten unless it is in the data"),
    ] {
        kit::text_at(ui.painter(), pos2(x, y), Align2::LEFT_CENTER, text, 12.0, theme.weak, width - 16.0);
    }
    response.on_hover_text(words);
}
