//! Small controls that egui does not have: each sizes, allocates, interacts, paints.

use super::icons::Icon;
use super::style::strong;
use super::theme::Theme;
use egui::accesskit::Role;
use egui::text::{LayoutJob, TextWrapping};
use egui::{
    Align, Align2, Color32, CursorIcon, FontId, Frame, Galley, Layout, Margin, Painter, Rect, Response, RichText,
    Sense, Stroke, StrokeKind, TextStyle, Ui, WidgetInfo, vec2,
};
use std::sync::Arc;

/// A heading of a section: small capitals.
pub fn section(ui: &mut Ui, theme: &Theme, text: &str) {
    ui.add_space(4.0);
    ui.label(RichText::new(text.to_uppercase()).font(strong(10.5)).color(theme.weak));
}

/// Bold text.
pub fn bold(text: impl Into<String>, size: f32) -> RichText {
    RichText::new(text).font(strong(size))
}

/// A name at the left, its value at the right; `help` on hover.
pub fn fact(ui: &mut Ui, theme: &Theme, name: &str, value: impl Into<String>, help: &str) {
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 16.0;
        row(ui, theme, name, help, |ui| {
            ui.label(RichText::new(value).color(theme.text));
        });
    });
}

/// A name at the left, controls at the right.
pub fn row(ui: &mut Ui, theme: &Theme, name: &str, help: &str, controls: impl FnOnce(&mut Ui)) {
    row_with(ui, theme, name, help, controls, |_| ());
}

/// The same with something that has a name of its own left of the controls.
pub fn row_with(
    ui: &mut Ui,
    theme: &Theme,
    name: &str,
    help: &str,
    controls: impl FnOnce(&mut Ui),
    beside: impl FnOnce(&mut Ui),
) {
    ui.horizontal(|ui| {
        let label = ui.label(RichText::new(name).color(theme.weak));
        let label_id = label.id;
        if !help.is_empty() {
            label.on_hover_text(help);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label_inputs_by(label_id, controls);
            beside(ui);
        });
    });
}

/// Text on one line, cut with an ellipsis where it is wider than `room`.
#[must_use]
pub fn elided(painter: &Painter, text: String, font: FontId, color: Color32, room: f32) -> Arc<Galley> {
    let mut job = LayoutJob::simple_singleline(text, font, color);
    job.wrap = TextWrapping { max_width: room.max(1.0), max_rows: 1, break_anywhere: true, ..TextWrapping::default() };
    painter.layout_job(job)
}

/// One of several choices side by side, over the whole width. Returns the choice that was clicked.
pub fn segmented(
    ui: &mut Ui,
    theme: &Theme,
    name: &str,
    choices: &[(&str, &str)],
    selected: Option<usize>,
    tint: Color32,
) -> Option<usize> {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
    ui.painter().rect_filled(rect, 6.0, theme.raised);
    let width = rect.width() / choices.len().max(1) as f32;
    let mut clicked = None;
    for (i, (text, help)) in choices.iter().enumerate() {
        let part = Rect::from_min_size(rect.min + vec2(width * i as f32, 0.0), vec2(width, rect.height()));
        let id = ui.scope_id().with((name, i));
        let response = ui.interact(part, id, Sense::click()).on_hover_cursor(CursorIcon::PointingHand);
        let chosen = selected == Some(i);
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, chosen, format!("{name}: {text}")));
        let color = match (chosen, response.hovered()) {
            (true, _) => {
                let fill = theme.raised.lerp_to_gamma(tint, 0.14);
                ui.painter().rect(part, 6.0, fill, Stroke::new(1.4, tint), StrokeKind::Inside);
                theme.text
            }
            (false, true) => theme.text,
            (false, false) => theme.weak,
        };
        focus_ring(ui, theme, &response);
        ui.painter().text(part.center(), Align2::CENTER_CENTER, text, TextStyle::Body.resolve(ui.style()), color);
        if response.clicked() {
            clicked = Some(i);
        }
        if !help.is_empty() {
            response.on_hover_text(*help);
        }
    }
    clicked
}

/// A button that shows an icon; its name is its tooltip and what a screen reader says.
pub fn icon_button(ui: &mut Ui, theme: &Theme, icon: Icon, name: &str) -> Response {
    icon_button_tinted(ui, theme, icon, name, theme.weak, true)
}

/// The same in a color of its own; one that is off says why in its name.
pub fn icon_button_tinted(ui: &mut Ui, theme: &Theme, icon: Icon, name: &str, color: Color32, on: bool) -> Response {
    let sense = if on { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(26.0, 24.0), sense);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, on, name));
    let color = match (on, response.hovered()) {
        (false, _) => color.gamma_multiply(0.35),
        (true, true) => {
            ui.painter().rect_filled(rect, 5.0, theme.hovered());
            if color == theme.weak { theme.text } else { color }
        }
        (true, false) => color,
    };
    focus_ring(ui, theme, &response);
    icon.paint(ui.painter(), rect.center(), 7.0, color);
    response.on_hover_text(name)
}

/// A frame around what has the keyboard.
pub fn focus_ring(ui: &Ui, theme: &Theme, response: &Response) {
    if response.has_focus() {
        let rect = response.rect.expand(1.0);
        ui.painter().rect_stroke(rect, 6.0, Stroke::new(1.5, theme.accent), StrokeKind::Outside);
    }
}

/// The one button that matters most.
pub fn primary_button(ui: &mut Ui, theme: &Theme, text: &str, on: bool) -> Response {
    let sense = if on { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 34.0), sense);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, on, text));
    let (fill, color) = match (on, response.hovered()) {
        (false, _) => (theme.raised, theme.weak),
        (true, true) => (theme.accent.lerp_to_gamma(theme.text, 0.2), theme.on_accent()),
        (true, false) => (theme.accent, theme.on_accent()),
    };
    ui.painter().rect_filled(rect, 7.0, fill);
    focus_ring(ui, theme, &response);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), strong(13.5), color);
    let width = galley.size().x + 20.0;
    let left = rect.center().x - width / 2.0;
    Icon::Play.paint(ui.painter(), egui::pos2(left + 6.0, rect.center().y), 6.0, color);
    ui.painter().galley(egui::pos2(left + 20.0, rect.center().y - galley.size().y / 2.0), galley, color);
    if on { response.on_hover_cursor(CursorIcon::PointingHand) } else { response }
}

/// A card on a panel.
pub fn card(theme: &Theme) -> Frame {
    Frame::new().fill(theme.raised).corner_radius(7).inner_margin(Margin::symmetric(10, 9))
}

/// The frame of a question over everything.
pub fn sheet(ui: &Ui) -> Frame {
    Frame::popup(ui.style()).inner_margin(Margin::same(20)).corner_radius(10)
}

/// A thin progress bar.
pub fn progress(ui: &mut Ui, theme: &Theme, width: f32, share: f32, name: &str) -> Response {
    progress_on(ui, theme, width, share, name, theme.raised)
}

/// The same over a ground that it has to stand out from.
pub fn progress_on(ui: &mut Ui, theme: &Theme, width: f32, share: f32, name: &str, ground: Color32) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(width, 16.0), Sense::hover());
    let bar = Rect::from_center_size(rect.center(), vec2(width, 6.0));
    ui.painter().rect_filled(bar, 3.0, ground);
    let done = Rect::from_min_size(bar.min, vec2(width * share.clamp(0.0, 1.0), bar.height()));
    ui.painter().rect_filled(done, 3.0, theme.accent);
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, name);
        info.value = Some(f64::from(share));
        info
    });
    response
}

/// A sign that something is going on. It moves once a second: each drawing takes time from what goes on.
pub fn waiting(ui: &mut Ui, theme: &Theme) -> Response {
    let (rect, response) = ui.allocate_exact_size(egui::Vec2::splat(16.0), Sense::hover());
    let (center, radius) = (rect.center(), 6.0);
    ui.painter().circle_stroke(center, radius, Stroke::new(2.0, theme.raised));
    // An eighth of a turn each second, a quarter of the circle long.
    let start = ui.input(|input| input.time).floor() % 8.0 / 8.0;
    let on = |i: u8| center + radius * egui::Vec2::angled(std::f32::consts::TAU * (start as f32 + f32::from(i) / 32.0));
    ui.painter().line((0..=8).map(on).collect(), Stroke::new(2.0, theme.accent));
    response.widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, "Working"));
    ui.ctx().request_repaint_after(std::time::Duration::from_secs(1));
    response
}

/// Text that leads somewhere.
pub fn link(ui: &mut Ui, theme: &Theme, text: &str, color: Color32) -> Response {
    let font = FontId::proportional(11.5);
    let galley = ui.painter().layout(text.to_owned(), font, color, ui.available_width());
    let (rect, response) = ui.allocate_exact_size(galley.size(), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Link, true, text));
    if response.hovered() {
        let under = rect.bottom();
        ui.painter().hline(rect.x_range(), under, Stroke::new(1.0, color));
    }
    focus_ring(ui, theme, &response);
    ui.painter().galley(rect.min, galley, color);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// Rates in the shortest form: `0.01`, `3e-5`.
#[must_use]
pub fn rate(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) {
        let text = egui::emath::format_with_decimals_in_range(value, 0..=5);
        return if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
    }
    format!("{value:e}")
}

/// Reads what [`rate`] writes, a decimal comma included.
#[must_use]
pub fn parse_rate(text: &str) -> Option<f64> {
    text.trim().replace(',', ".").parse().ok()
}
