//! What is taken for what: the matrix, or the most frequent mistakes where there are too many classes for one.

use super::super::confusion::{self, Matrix};
use super::super::textures::Textures;
use super::super::{format, kit, samples};
use super::classes::{Column, Sort, order};
use super::findings::{Findings, Pick};
use super::{EvaluateState, head, help};
use crate::ui::Theme;
use egui::{Align2, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

/// Up to this many classes the matrix comes first.
const READABLE: usize = 24;

/// The order of rows and columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As in the set.
    #[default]
    Set,
    /// The lowest F1 first.
    Worst,
    /// The most pictures first.
    Pictures,
}

const ORDERS: [(Order, &str); 3] =
    [(Order::Set, "in the set's order"), (Order::Worst, "worst first"), (Order::Pictures, "most pictures first")];

/// What the panel remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatrixState {
    /// Whether mistakes are listed; none while that follows the number of classes.
    pub listed: Option<bool>,
    /// Shares of the row instead of counts.
    pub shares: bool,
    /// The order of rows and columns.
    pub order: Order,
}

/// Draws the panel.
pub fn ui(ui: &mut Ui, theme: &Theme, textures: &mut Textures, findings: &Findings, state: &mut EvaluateState) {
    let listed = state.matrix.listed.unwrap_or(findings.classes.len() > READABLE);
    head(ui, theme, "Confusion", help::MATRIX, |ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        if !listed {
            tools(ui, theme, state);
        }
        for (choice, text) in [(true, "mistakes"), (false, "matrix")] {
            if kit::chip(ui, theme, listed == choice, text).clicked() {
                state.matrix.listed = Some(choice);
            }
        }
    });
    if findings.confusion.is_empty() {
        let text =
            "A picture can have several labels here, so that none is taken for another; the table counts each label.";
        let text = if findings.pixels {
            "Pixels are counted for each class, not by what they are taken for; the table has IoU and Dice."
        } else if findings.scores.is_empty() {
            "The matrix belongs to heads that give a picture one class."
        } else {
            text
        };
        kit::empty(ui, theme, "No confusion", text);
        return;
    }
    if listed {
        list(ui, theme, findings, state);
        return;
    }
    let places = match state.matrix.order {
        Order::Set => Vec::new(),
        Order::Worst => order(&findings.scores, Sort { by: Column::F1, reversed: false }),
        Order::Pictures => order(&findings.scores, Sort { by: Column::Pictures, reversed: false }),
    };
    let chosen = match state.pick {
        Pick::Cell(truth, said) => Some((truth, said)),
        _ => None,
    };
    let (folder, epoch, pointer, head) = &findings.key;
    let matrix = Matrix {
        counts: &findings.confusion,
        classes: &findings.classes,
        chosen,
        key: format!("confusion {} {epoch:?} {pointer} {head} {:?}", folder.display(), state.matrix.order),
        order: &places,
        shares: state.matrix.shares,
    };
    let rect = ui.available_rect_before_wrap();
    if let Some((truth, said)) = confusion::ui(ui, theme, textures, &matrix, rect) {
        let pick = Pick::Cell(truth, said);
        state.pick = if state.pick == pick { Pick::Worst } else { pick };
    }
}

fn tools(ui: &mut Ui, theme: &Theme, state: &mut EvaluateState) {
    let shown = ORDERS.iter().find(|(order, _)| *order == state.matrix.order).map_or("", |(_, text)| text);
    let combo = egui::ComboBox::from_id_salt("matrix order").selected_text(shown).width(128.0);
    let combo = combo.show_ui(ui, |ui| {
        for (order, text) in ORDERS {
            ui.selectable_value(&mut state.matrix.order, order, text);
        }
    });
    combo.response.accessible_name("Order of the classes");
    for (shares, text, hint) in [
        (true, "%", "The share of each row: how often a class is called this or that"),
        (false, "counts", "How many pictures"),
    ] {
        if kit::chip(ui, theme, state.matrix.shares == shares, text).on_hover_text(hint).clicked() {
            state.matrix.shares = shares;
        }
    }
}

/// The most frequent mistakes, each with its share of the class.
fn list(ui: &mut Ui, theme: &Theme, findings: &Findings, state: &mut EvaluateState) {
    if findings.pairs.is_empty() {
        kit::empty(ui, theme, "No mistakes", "Every picture got its true class.");
        return;
    }
    let most = findings.pairs.first().map_or(1, |pair| pair.2).max(1);
    ui.spacing_mut().item_spacing.y = 1.0;
    let scroll = egui::ScrollArea::vertical().id_salt("pairs").auto_shrink(false);
    scroll.show_rows(ui, 22.0, findings.pairs.len(), |ui, rows| {
        for &(truth, said, count) in findings.pairs.get(rows).unwrap_or_default() {
            let pick = Pick::Cell(truth as u32, said as u32);
            if pair(ui, theme, findings, (truth, said), count, (most, state.pick == pick)) {
                state.pick = if state.pick == pick { Pick::Worst } else { pick };
            }
        }
    });
}

fn pair(
    ui: &mut Ui,
    theme: &Theme,
    findings: &Findings,
    (truth, said): (usize, usize),
    count: u32,
    (most, on): (u32, bool),
) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::click());
    let support = findings.scores.get(truth).map_or(0, |scores| scores.support).max(1);
    let share = f64::from(count) / support as f64;
    let (of, called) = (findings.class(truth as u32), findings.class(said as u32));
    let words = format!("{of} called {called}: {count}, {:.0} % of {of}", share * 100.0);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &words));
    if on || response.hovered() {
        ui.painter().rect_filled(rect, 3, theme.raised);
    }
    kit::focus_ring(ui, theme, &response);
    let numbers = 150.0_f32.min(rect.width() * 0.4);
    let half = (rect.width() - numbers) / 2.0;
    let painter = ui.painter();
    for (i, (class, name)) in [(truth, of), (said, called)].into_iter().enumerate() {
        let left = rect.left() + half * i as f32;
        painter.circle_filled(pos2(left + 8.0, rect.center().y), 4.0, samples::class_color(theme, class as u32));
        let text = if i == 0 { name.to_owned() } else { format!("→ {name}") };
        let at = pos2(left + 17.0, rect.center().y);
        kit::text_at(painter, at, Align2::LEFT_CENTER, &text, 12.0, theme.text, half - 22.0);
    }
    let bar = Rect::from_min_size(pos2(rect.right() - numbers, rect.center().y - 3.0), vec2(numbers - 84.0, 6.0));
    kit::bar(painter, bar, count as f32 / most as f32, theme.bad, theme.raised);
    let at = rect.right_center() - vec2(44.0, 0.0);
    kit::text_at(painter, at, Align2::RIGHT_CENTER, &format::count(count as usize), 12.0, theme.text, 40.0);
    let at = rect.right_center() - vec2(6.0, 0.0);
    kit::text_at(painter, at, Align2::RIGHT_CENTER, &format!("{:.0} %", share * 100.0), 11.0, theme.weak, 38.0);
    response.on_hover_text(words).clicked()
}
