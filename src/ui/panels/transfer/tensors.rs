//! Every tensor of the network and of the file, grouped by what happens to it, with the reason.

use super::super::{format, kit};
use super::TransferState;
use crate::ui::{Context, Theme};
use crate::weights::{LoadReport, Row, RowState};
use egui::{Align2, Color32, Sense, Ui, WidgetInfo, pos2, vec2};

/// What happens to a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Rows of it are read from the file.
    InPart,
    /// It starts anew.
    Remade,
    /// The file does not have it.
    Missing,
    /// The network has no place for it.
    Skipped,
    /// It is read from the file.
    Loaded,
    /// Nobody needs it.
    Ignored,
}

impl Group {
    const ALL: [Self; 6] = [Self::InPart, Self::Remade, Self::Missing, Self::Skipped, Self::Loaded, Self::Ignored];

    fn of(row: &Row) -> Self {
        match row.state {
            RowState::Rows { .. } => Self::InPart,
            RowState::Remade { .. } => Self::Remade,
            RowState::Missing => Self::Missing,
            RowState::Unused => Self::Skipped,
            RowState::Loaded => Self::Loaded,
            RowState::Ignored => Self::Ignored,
        }
    }

    /// Sign, name, color.
    fn look(self, theme: &Theme) -> (&'static str, &'static str, Color32) {
        match self {
            Self::InPart => ("½", "rows kept", theme.good),
            Self::Remade => ("+", "re-made", theme.amber),
            Self::Missing => ("!", "missing", theme.bad),
            Self::Skipped => ("–", "skipped", theme.weak),
            Self::Loaded => ("✓", "loaded", theme.good),
            Self::Ignored => ("·", "ignored", theme.weak),
        }
    }
}

/// A line of the list.
enum Line<'r> {
    Group(Group, usize),
    Tensor(&'r Row),
}

const LINE: f32 = 19.0;

pub fn ui(ui: &mut Ui, cx: &Context<'_>, state: &mut TransferState, report: &LoadReport) {
    let theme = cx.theme;
    kit::caps(ui, theme, "Tensors");
    let mut lines = Vec::new();
    for group in Group::ALL {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| Group::of(row) == group).collect();
        if !rows.is_empty() {
            lines.push(Line::Group(group, rows.len()));
            if state.open.contains(&group) {
                lines.extend(rows.into_iter().map(Line::Tensor));
            }
        }
    }
    let scroll = egui::ScrollArea::vertical().id_salt("tensor rows").auto_shrink(false);
    ui.spacing_mut().item_spacing.y = 0.0;
    scroll.show_rows(ui, LINE, lines.len(), |ui, seen| {
        for line in lines.get(seen).unwrap_or_default() {
            match line {
                Line::Group(group, count) => heading(ui, theme, state, *group, *count),
                Line::Tensor(row) => tensor(ui, theme, row),
            }
        }
    });
}

fn heading(ui: &mut Ui, theme: &Theme, state: &mut TransferState, group: Group, count: usize) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), LINE), Sense::click());
    let (icon, name, color) = group.look(theme);
    let open = state.open.contains(&group);
    let words = format!("{name}: {}", format::counted(count, "tensor"));
    response.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, open, &words));
    if response.clicked() && !state.open.remove(&group) {
        state.open.insert(group);
    }
    if response.hovered() {
        ui.painter().rect_filled(rect, kit::RADIUS, theme.raised);
    }
    kit::focus_ring(ui, theme, &response);
    let y = rect.center().y;
    let fold = if open { crate::ui::icons::Icon::Down } else { crate::ui::icons::Icon::Right };
    fold.paint(ui.painter(), pos2(rect.left() + 7.0, y), 4.0, theme.weak);
    super::sign(ui, pos2(rect.left() + 23.0, y), icon, color);
    let text = kit::text_at(ui.painter(), pos2(rect.left() + 35.0, y), Align2::LEFT_CENTER, name, 12.0, color, 200.0);
    let at = pos2(text.right() + 8.0, y);
    kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, &format::count(count), 12.0, theme.weak, 80.0);
}

fn tensor(ui: &mut Ui, theme: &Theme, row: &Row) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), LINE), Sense::hover());
    let why = row.words();
    let whole =
        format!("{}: {}{}", row.name, shapes(row), if why.is_empty() { String::new() } else { format!("; {why}") });
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Label, true, &whole));
    if response.hovered() {
        ui.painter().rect_filled(rect, kit::RADIUS, theme.raised);
    }
    let (y, left) = (rect.center().y, rect.left() + 35.0);
    let room = rect.right() - left;
    let put = |x: f32, text: &str, color: Color32, width: f32| {
        kit::text_at(ui.painter(), pos2(x, y), Align2::LEFT_CENTER, text, 11.5, color, width - 8.0);
    };
    let (name, shape) = (room * 0.34, room * 0.24);
    put(left, &row.name, theme.text, name);
    put(left + name, &shapes(row), theme.weak, shape);
    put(left + name + shape, &why, theme.weak, room - name - shape);
    response.on_hover_text(whole);
}

/// `1000 × 512 → 2 × 512`, or one shape where both are the same.
fn shapes(row: &Row) -> String {
    let words = |shape: &[usize]| match shape {
        [] => "scalar".to_owned(),
        dims => dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × "),
    };
    match (&row.file_shape, &row.wanted_shape) {
        (Some(old), Some(new)) if old != new => format!("{} → {}", words(old), words(new)),
        (Some(shape), _) | (None, Some(shape)) => words(shape),
        (None, None) => String::new(),
    }
}
