//! The pictures of the set: only rows in sight are laid out and decoded, so that any number scrolls.

use super::super::boxes::Layer;
use super::super::live::Show;
use super::super::masks::{MaskView, Over};
use super::super::textures::Textures;
use super::super::{format, kit, samples};
use super::filter::in_set;
use super::{DataState, SPLITS};
use crate::data::{Dataset, Label, Sample, Split};
use crate::ui::{Action, Context};
use egui::{Align2, CursorIcon, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2};

/// Between pictures, in points.
const GAP: f32 = 8.0;

/// The filters, and the grid below them.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, data: &Dataset, state: &mut DataState, textures: &mut Textures) {
    tools(ui, cx, data, state);
    ui.add_space(6.0);
    let theme = cx.theme;
    if state.known.shown.is_empty() {
        kit::empty(ui, theme, "No picture matches", "Take a filter away to see more of the set.");
        return;
    }
    let width = ui.available_width() - ui.spacing().scroll.bar_width - 4.0;
    let columns = ((width + GAP) / (state.tile + GAP)).floor().max(1.0) as usize;
    let side = (width - GAP * (columns - 1) as f32) / columns as f32;
    let height = side * 0.82;
    ui.spacing_mut().item_spacing = vec2(GAP, GAP);
    let rows = state.known.shown.len().div_ceil(columns);
    let scroll = egui::ScrollArea::vertical().id_salt("pictures").auto_shrink(false);
    scroll.show_rows(ui, height, rows, |ui, seen| {
        for row in seen {
            ui.horizontal(|ui| {
                let first = row * columns;
                for index in first..(first + columns).min(state.known.shown.len()) {
                    if let Some(&sample) = state.known.shown.get(index) {
                        let column = state.filter.column;
                        tile(ui, cx, data, (textures, &mut state.masks), (sample, column), vec2(side, height));
                    }
                }
            });
        }
    });
}

fn tools(ui: &mut Ui, cx: &Context<'_>, data: &Dataset, state: &mut DataState) {
    let theme = cx.theme;
    // Where there is little room, the split is chosen at the left and the size stays.
    let roomy = ui.available_width() > 680.0;
    ui.horizontal(|ui| {
        let field = egui::TextEdit::singleline(&mut state.filter.search).hint_text("Search file names");
        ui.add(field.desired_width(if roomy { 170.0 } else { 120.0 })).accessible_name("Search file names");
        class_choice(ui, data, state);
        for split in SPLITS.into_iter().filter(|_| roomy) {
            let on = state.filter.split == Some(split);
            let there = !data.samples.is_empty() && state.known.splits[split_index(split)] > 0;
            if there && kit::chip(ui, theme, on, &split.to_string()).clicked() {
                state.filter.split = (!on).then_some(split);
            }
        }
        if state.known.issues.iter().sum::<usize>() > 0 {
            let chip = kit::chip(ui, theme, state.filter.issues, "with issues");
            if chip.on_hover_text("Only pictures that the report names").clicked() {
                state.filter.issues = !state.filter.issues;
            }
        }
        if !state.filter.is_open() && kit::link_button(ui, theme, "Show all").clicked() {
            state.filter = state.filter.opened();
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if roomy {
                ui.spacing_mut().slider_width = 80.0;
                let slider = egui::Slider::new(&mut state.tile, 80.0..=280.0).show_value(false);
                ui.add(slider).accessible_name("Size of the pictures").on_hover_text("Size of the pictures");
            }
            let text = format!("{} shown", format::count(state.known.shown.len()));
            ui.label(RichText::new(text).size(11.5).color(theme.weak));
        });
    });
}

fn split_index(split: Split) -> usize {
    SPLITS.iter().position(|known| *known == split).unwrap_or(0)
}

fn class_choice(ui: &mut Ui, data: &Dataset, state: &mut DataState) {
    let names = super::class_names(data, state.filter.column);
    let name = |class: u32| names.get(class as usize).map_or("?", String::as_str);
    let chosen = state.filter.class.map_or("All classes", name);
    let combo = egui::ComboBox::from_id_salt("class").selected_text(chosen).width(120.0);
    let shown = combo.show_ui(ui, |ui| {
        ui.selectable_value(&mut state.filter.class, None, "All classes");
        egui::ScrollArea::vertical().max_height(280.0).show_rows(ui, 18.0, names.len(), |ui, rows| {
            for class in rows {
                let id = u32::try_from(class).unwrap_or(u32::MAX);
                ui.selectable_value(&mut state.filter.class, Some(id), name(id));
            }
        });
    });
    shown.response.accessible_name("Class");
}

/// One picture with what the column that is looked at says of it.
fn tile(
    ui: &mut Ui,
    cx: &mut Context<'_>,
    data: &Dataset,
    (textures, masks): (&mut Textures, &mut MaskView),
    (index, column): (usize, usize),
    size: egui::Vec2,
) {
    let Some(sample) = data.samples.get(index) else { return };
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let words = words(data, sample);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &words));
    if !ui.is_rect_visible(rect) {
        return;
    }
    samples::paint_cover(ui.painter(), cx, textures, Some(&sample.image), rect, kit::RADIUS);
    let label = sample.target.label(column);
    if let Some(told) = data.columns.get(column).and_then(|column| column.told(label)) {
        chip(ui, cx, &told, label, rect);
    } else if let Some(boxes) = &sample.target.boxes {
        let layer = Layer {
            show: Show::Truth,
            truth: Some(boxes),
            found: &[],
            classes: data.classes(),
            size_px: sample.size_px,
            named: false,
        };
        layer.paint_cover(ui.painter(), theme, rect);
        let text = crate::format::plural(boxes.len(), "object");
        let at = rect.left_bottom() + vec2(4.0, -4.0);
        kit::plate(ui.painter(), theme, at, Align2::LEFT_BOTTOM, &text, theme.text, rect.width() - 8.0);
    }
    if let Some(target) = &sample.target.mask {
        match cx.thumbs.mask(target) {
            Some(Ok(truth)) => {
                let over = Over { show: Show::Truth, truth: Some(&truth), said: None, place: index as u64 };
                masks.paint_cover(ui.painter(), theme, over, rect);
            }
            Some(Err(_)) => {
                let at = rect.left_bottom() + vec2(4.0, -4.0);
                kit::plate(
                    ui.painter(),
                    theme,
                    at,
                    Align2::LEFT_BOTTOM,
                    "mask unreadable",
                    theme.bad,
                    rect.width() - 8.0,
                );
            }
            None => {}
        }
    }
    if sample.split != Split::Train {
        let at = rect.right_top() + vec2(-4.0, 4.0);
        kit::plate(ui.painter(), theme, at, Align2::RIGHT_TOP, &sample.split.to_string(), theme.weak, 50.0);
    }
    let active = response.hovered() || response.has_focus();
    let stroke = if active { Stroke::new(2.0, theme.accent) } else { Stroke::new(1.0, theme.border) };
    ui.painter().rect_stroke(rect, kit::RADIUS, stroke, StrokeKind::Inside);
    if response.clicked() {
        cx.push(Action::ShowImage(Some(index)));
    }
    response.on_hover_text(words).on_hover_cursor(CursorIcon::PointingHand);
}

fn chip(ui: &Ui, cx: &Context<'_>, told: &str, label: &Label, rect: Rect) {
    let theme = cx.theme;
    let at = rect.left_bottom() + vec2(4.0, -4.0);
    let painter = ui.painter();
    let Some(class) = label.class() else {
        kit::plate(painter, theme, at, Align2::LEFT_BOTTOM, told, theme.text, rect.width() - 8.0);
        return;
    };
    // The dot and the name say the class: color is never alone.
    let plate =
        kit::plate(painter, theme, at, Align2::LEFT_BOTTOM, &format!("    {told}"), theme.text, rect.width() - 8.0);
    painter.circle_filled(plate.left_center() + vec2(9.0, 0.0), 3.5, samples::class_color(theme, class));
}

fn words(data: &Dataset, sample: &Sample) -> String {
    let [width, height] = sample.size_px;
    let split = format!("{}, {width} × {height} pixels", sample.split);
    let told = samples::labels(data, sample);
    [vec![in_set(data, &sample.image.name())], told, vec![split]].concat().join(", ")
}
