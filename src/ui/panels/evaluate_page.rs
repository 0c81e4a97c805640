//! The evaluate page: what the model gets right and wrong, class by class and epoch by epoch.

use super::confusion::{self, Cell as Confused, Matrix};
use super::kit::Cell;
use super::scores::{ClassScores, class_scores};
use super::textures::Textures;
use super::{format, kit, samples};
use crate::session::{EpochNews, LiveSample, RunView};
use crate::ui::{Action, Context, Theme};
use egui::{
    Align2, CornerRadius, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui, UiBuilder, WidgetInfo, pos2, vec2,
};

/// The order of the classes in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As in the data set.
    Name,
    /// The lowest F1 first.
    #[default]
    Worst,
    /// The most pictures first.
    Support,
}

/// What the page remembers.
#[derive(Debug, Default)]
pub struct EvaluateState {
    /// The epoch that is shown; `None` is the best one.
    pub epoch: Option<u32>,
    /// The order of the classes in the table.
    pub order: Order,
    /// The cell of the matrix that was clicked.
    pub cell: Option<Confused>,
}

/// The epoch to show: the chosen one, else the best, else the last.
fn chosen<'a>(run: &'a RunView, state: &EvaluateState) -> Option<&'a EpochNews> {
    let wanted = state.epoch.or(run.best.as_ref().map(|best| best.epoch));
    run.epochs.iter().find(|news| Some(news.epoch) == wanted).or(run.epochs.last())
}

/// Draws the page over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut EvaluateState, textures: &mut Textures) {
    let (view, theme) = (cx.view, cx.theme);
    let found = view.run.as_ref().and_then(|run| chosen(run, state).map(|news| (run, news)));
    let Some((run, news)) = found else {
        let text = "After the first epoch of a run: scores of each class, the confusion matrix, the worst pictures.";
        kit::empty(ui, theme, "Nothing is measured yet", text);
        return;
    };
    let rect = ui.available_rect_before_wrap().shrink2(vec2(16.0, 12.0));
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        figures(ui, theme, run, news, state);
        ui.add_space(10.0);
        let area = ui.available_rect_before_wrap();
        let gap = 12.0;
        let rows = news.confusion.len() as f32;
        let middle = area.top() + (110.0 + 77.0 * rows).clamp(190.0, (area.height() * 0.58).max(190.0));
        let x = area.left() + area.width() * 0.47;
        let part = |ui: &mut Ui, rect: Rect, name: &str, add: &mut dyn FnMut(&mut Ui)| {
            let frame = kit::sheet(theme).inner_margin(0);
            ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(name), |ui| {
                ui.painter().add(frame.paint(rect));
                let inside = rect.shrink2(vec2(12.0, 8.0));
                ui.scope_builder(UiBuilder::new().max_rect(inside), |ui| {
                    ui.set_clip_rect(inside.expand(2.0).intersect(ui.clip_rect()));
                    add(ui);
                });
            });
        };
        let top_left = Rect::from_min_max(area.min, pos2(x, middle));
        let top_right = Rect::from_min_max(pos2(x + gap, area.top()), pos2(area.right(), middle));
        let low_left = Rect::from_min_max(pos2(area.left(), middle + gap), pos2(x, area.bottom()));
        let low_right = Rect::from_min_max(pos2(x + gap, middle + gap), area.max);
        part(ui, top_left, "classes", &mut |ui| classes(ui, theme, run, news, state));
        part(ui, top_right, "matrix", &mut |ui| matrix(ui, theme, textures, run, news, state));
        part(ui, low_left, "epochs", &mut |ui| epochs(ui, theme, run, news, state));
        part(ui, low_right, "worst", &mut |ui| worst(ui, cx, textures, run, news, state));
    });
}

fn figures(ui: &mut Ui, theme: &Theme, run: &RunView, news: &EpochNews, state: &mut EvaluateState) {
    ui.horizontal(|ui| {
        for (name, value) in news.metrics.iter().take(6) {
            let start = run.epochs.first().and_then(|first| first.metrics.get(name)).filter(|_| news.epoch > 0);
            let note = start.map_or(String::new(), |start| format!("{} before training", format::percent(*start)));
            kit::figure(ui, theme, &format::metric(name), &format::percent(*value), &note);
        }
        if let Some(loss) = news.val.get("total").or(news.val.values().next()) {
            let start = run.epochs.first().and_then(|first| first.val.get("total").or(first.val.values().next()));
            let note = start.map_or(String::new(), |start| format!("{} before training", format::number(*start)));
            kit::figure(ui, theme, "Validation loss", &format::number(*loss), &note);
        }
        let best = run.best.as_ref().is_some_and(|best| best.epoch == news.epoch);
        let note = if best { "★ best, its weights are kept" } else { "of the run" };
        kit::figure(ui, theme, "Epoch", &news.epoch.to_string(), note);
        kit::figure(ui, theme, "Pictures", &format::count(run.info.val_images), "for validation");
        if state.epoch.is_some() && kit::link_button(ui, theme, "Back to the best epoch").clicked() {
            state.epoch = None;
        }
    });
}

fn head(ui: &mut Ui, theme: &Theme, title: &str, add: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(title).size(13.5).color(theme.text).strong());
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), add);
    });
}

/// Widths of a table with a name and `numbers` columns.
fn widths(ui: &Ui, numbers: usize, least: f32) -> (f32, f32) {
    let whole = ui.available_width() - 10.0;
    let number = ((whole * 0.62) / numbers as f32).clamp(least.min(whole / (numbers + 1) as f32), 92.0);
    ((whole - number * numbers as f32).max(60.0), number)
}

fn classes(ui: &mut Ui, theme: &Theme, run: &RunView, news: &EpochNews, state: &mut EvaluateState) {
    head(ui, theme, "Classes", |ui| {
        for (order, name) in
            [(Order::Support, "most pictures"), (Order::Worst, "worst first"), (Order::Name, "by name")]
        {
            if kit::chip(ui, theme, state.order == order, name).clicked() {
                state.order = order;
            }
        }
    });
    let scores = class_scores(&news.confusion);
    if scores.is_empty() {
        kit::empty(
            ui,
            theme,
            "No classes were counted",
            "The first head of this model says something else than one class.",
        );
        return;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let f1 = |class: &usize| scores.get(*class).and_then(|scores| scores.f1).unwrap_or(2.0);
    match state.order {
        Order::Name => {}
        Order::Worst => order.sort_by(|a, b| f1(a).total_cmp(&f1(b))),
        Order::Support => {
            order.sort_by_key(|&class| std::cmp::Reverse(scores.get(class).map_or(0, |scores| scores.support)));
        }
    }
    let (name, number) = widths(ui, 4, 56.0);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    let title = |text: &str| Cell::number(text, theme.weak, number);
    let row =
        [Cell::name("class", theme.weak, name), title("recall"), title("precision"), title("F1"), title("pictures")];
    kit::cells(ui.painter(), rect, &row);
    ui.spacing_mut().item_spacing.y = 1.0;
    let scroll = egui::ScrollArea::vertical().id_salt("class scores").auto_shrink(false);
    scroll.show_rows(ui, 24.0, order.len(), |ui, rows| {
        for &class in order.get(rows).unwrap_or_default() {
            if let Some(scores) = scores.get(class) {
                let title = run.info.classes.get(class).map_or("?", String::as_str);
                class_row(ui, theme, title, class, scores, (name, number));
            }
        }
    });
}

fn class_row(ui: &mut Ui, theme: &Theme, title: &str, class: usize, scores: &ClassScores, (name, number): (f32, f32)) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    let share = |value: Option<f64>| value.map_or("–".to_owned(), format::percent);
    let texts = [share(scores.recall), share(scores.precision), share(scores.f1)];
    let words =
        format!("{title}: recall {}, precision {}, F1 {}, {} pictures", texts[0], texts[1], texts[2], scores.support);
    response.widget_info(|| WidgetInfo::labeled(Role::Row, true, &words));
    if response.hovered() {
        ui.painter().rect_filled(rect, 3, theme.raised);
    }
    for (i, value) in [scores.recall, scores.precision, scores.f1].into_iter().enumerate() {
        let left = rect.left() + name + number * i as f32;
        let bar = Rect::from_min_size(pos2(left + 8.0, rect.bottom() - 5.0), vec2(number - 14.0, 3.0));
        let value = value.unwrap_or(0.0);
        let color = if value >= 0.8 {
            theme.good
        } else if value >= 0.5 {
            theme.amber
        } else {
            theme.bad
        };
        kit::bar(ui.painter(), bar, value as f32, color, theme.raised);
    }
    let color = samples::class_color(theme, u32::try_from(class).unwrap_or(0));
    ui.painter().circle_filled(rect.left_center() + vec2(8.0, -1.0), 4.0, color);
    let mut row = vec![Cell::name(format!("    {title}"), theme.text, name)];
    row.extend(texts.into_iter().map(|text| Cell::number(text, theme.text, number)));
    row.push(Cell::number(format::count(scores.support as usize), theme.weak, number));
    kit::cells(ui.painter(), rect.translate(vec2(0.0, -2.0)), &row);
}

fn matrix(
    ui: &mut Ui,
    theme: &Theme,
    textures: &mut Textures,
    run: &RunView,
    news: &EpochNews,
    state: &mut EvaluateState,
) {
    head(ui, theme, "Confusion", |ui| {
        if state.cell.is_some() && kit::link_button(ui, theme, "Show all pictures").clicked() {
            state.cell = None;
        }
        ui.label(RichText::new("shaded by the share of each row").size(11.0).color(theme.weak));
    });
    let key = format!("confusion {} {}", run.info.folder.display(), news.epoch);
    let matrix = Matrix { counts: &news.confusion, classes: &run.info.classes, chosen: state.cell, key };
    let rect = ui.available_rect_before_wrap();
    let side = if rect.width() > 460.0 { 200.0 } else { 0.0 };
    if let Some(cell) = confusion::ui(ui, theme, textures, &matrix, rect.with_max_x(rect.right() - side)) {
        state.cell = (state.cell != Some(cell)).then_some(cell);
    }
    if side > 0.0 {
        let at = rect.with_min_x(rect.right() - side + 10.0).with_min_y(rect.top() + 6.0);
        ui.scope_builder(UiBuilder::new().max_rect(at), |ui| {
            if let Some(cell) = confusion::mistakes(ui, theme, &matrix) {
                state.cell = Some(cell);
            }
        });
    }
}

fn epochs(ui: &mut Ui, theme: &Theme, run: &RunView, chosen: &EpochNews, state: &mut EvaluateState) {
    head(ui, theme, "Epochs", |ui| {
        ui.label(RichText::new("click one to see its scores").size(11.0).color(theme.weak));
    });
    let metrics: Vec<&String> = run.metrics.keys().take(3).collect();
    let (name, number) = widths(ui, metrics.len() + 4, 58.0);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    let title = |text: &str| Cell::number(text, theme.weak, number);
    let mut row = vec![Cell::name("epoch", theme.weak, name), title("train loss"), title("val loss")];
    row.extend(metrics.iter().map(|metric| title(&format::metric(metric))));
    row.extend([title("seconds"), title("frozen")]);
    kit::cells(ui.painter(), rect, &row);
    ui.spacing_mut().item_spacing.y = 1.0;
    let scroll = egui::ScrollArea::vertical().id_salt("epoch table").auto_shrink(false);
    scroll.show_rows(ui, 22.0, run.epochs.len(), |ui, rows| {
        for news in run.epochs.get(rows).unwrap_or_default() {
            if epoch_row(ui, theme, run, news, &metrics, (name, number), news.epoch == chosen.epoch) {
                state.epoch = Some(news.epoch);
            }
        }
    });
}

fn epoch_row(
    ui: &mut Ui,
    theme: &Theme,
    run: &RunView,
    news: &EpochNews,
    metrics: &[&String],
    (name, number): (f32, f32),
    chosen: bool,
) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::click());
    let best = run.best.as_ref().is_some_and(|best| best.epoch == news.epoch);
    let loss = |losses: &std::collections::BTreeMap<String, f64>| {
        losses.get("total").or(losses.values().next()).map_or("–".to_owned(), |loss| format::number(*loss))
    };
    let title = if best { format!("{}  ★ best", news.epoch) } else { news.epoch.to_string() };
    let color = if best { theme.good } else { theme.text };
    let mut row = vec![Cell::name(title.clone(), color, name)];
    row.push(Cell::number(loss(&news.train), theme.text, number));
    row.push(Cell::number(loss(&news.val), theme.text, number));
    let metric = |name: &&String| news.metrics.get(*name).map_or("–".to_owned(), |value| format::percent(*value));
    row.extend(metrics.iter().map(|name| Cell::number(metric(name), color, number)));
    row.push(Cell::number(format!("{:.1}", news.seconds), theme.weak, number));
    let (frozen, color) = match (news.frozen_tensors, news.frozen_verified) {
        (0, _) => ("–".to_owned(), theme.weak),
        (count, true) => (format!("✓ {count}"), theme.ice),
        (count, false) => (format!("✗ {count}"), theme.bad),
    };
    row.push(Cell::number(frozen, color, number));
    let words = row.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join(", ");
    response.widget_info(|| WidgetInfo::selected(Role::Row, true, chosen, format!("epoch {words}")));
    if chosen || response.hovered() {
        ui.painter().rect_filled(rect, 3, theme.raised);
    }
    kit::focus_ring(ui, theme, &response);
    kit::cells(ui.painter(), rect, &row);
    let hint = match (news.frozen_tensors, news.frozen_verified) {
        (0, _) => "nothing was frozen".to_owned(),
        (count, true) => format!("{count} frozen tensors were compared with the start and found unchanged"),
        (count, false) => format!("{count} frozen tensors, not compared"),
    };
    response.on_hover_text(hint).clicked()
}

/// Score that the model gave to the truth; low is worse.
fn truth_score(sample: &LiveSample) -> Option<f32> {
    let scores = samples::class_scores(&sample.prediction)?;
    scores.iter().find(|score| Some(score.class) == sample.class()).map(|score| score.score)
}

fn worst(
    ui: &mut Ui,
    cx: &mut Context<'_>,
    textures: &mut Textures,
    run: &RunView,
    news: &EpochNews,
    state: &EvaluateState,
) {
    let theme = cx.theme;
    head(ui, theme, "Worst first", |ui| {
        ui.label(RichText::new("live samples by the score of their true class").size(11.0).color(theme.weak));
    });
    let samples =
        run.samples.range(..=news.epoch).next_back().map(|(_, samples)| samples.as_slice()).unwrap_or_default();
    let in_cell = |sample: &&LiveSample| {
        state.cell.is_none_or(|(truth, said)| {
            sample.class() == Some(truth) && sample.prediction.top().is_some_and(|top| top.class == said)
        })
    };
    let mut listed: Vec<(&LiveSample, f32)> =
        samples.iter().filter(in_cell).filter_map(|sample| Some((sample, truth_score(sample)?))).collect();
    listed.sort_by(|a, b| a.1.total_cmp(&b.1));
    if listed.is_empty() {
        kit::empty(
            ui,
            theme,
            "No live sample is in this cell",
            "Only a few of the validation pictures are shown live.",
        );
        return;
    }
    ui.spacing_mut().item_spacing.y = 4.0;
    let scroll = egui::ScrollArea::vertical().id_salt("worst").auto_shrink(false);
    scroll.show_rows(ui, 46.0, listed.len(), |ui, rows| {
        for &(sample, score) in listed.get(rows).unwrap_or_default() {
            worst_row(ui, cx, textures, run, sample, score);
        }
    });
}

fn worst_row(
    ui: &mut Ui,
    cx: &mut Context<'_>,
    textures: &mut Textures,
    run: &RunView,
    sample: &LiveSample,
    score: f32,
) {
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 46.0), Sense::click());
    let name = |class: u32| run.info.classes.get(class as usize).map_or("?", String::as_str);
    let truth = sample.class().map_or("?", name);
    let said = sample.prediction.top();
    let right = super::live::is_right(sample) == Some(true);
    let file = format::file_name(&sample.prediction.image);
    let words = format!(
        "{file}, truth {truth} {:.1} %, predicted {}",
        score * 100.0,
        said.map_or("?", |top| top.name.as_str())
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &words));
    if response.hovered() {
        ui.painter().rect_filled(rect, kit::RADIUS, theme.raised);
    }
    kit::focus_ring(ui, theme, &response);
    let picture = Rect::from_min_size(rect.min + vec2(2.0, 1.0), vec2(60.0, 44.0));
    samples::paint_cover(
        ui.painter(),
        cx,
        textures,
        samples::source(cx.view, sample).as_ref(),
        picture,
        CornerRadius::same(3),
    );
    let (sign, color) = if right { ("✓", theme.good) } else { ("✗", theme.bad) };
    ui.painter().rect_stroke(picture, 3, Stroke::new(1.5, color), StrokeKind::Inside);
    let left = picture.right() + 10.0;
    let width = rect.right() - left - 150.0;
    let said = said.map_or(String::new(), |top| format!("called {} {:.1} %", top.name, top.score * 100.0));
    let line = format!("{sign} truth {truth}, {said}");
    kit::text_at(ui.painter(), pos2(left, rect.center().y - 8.0), Align2::LEFT_CENTER, &line, 12.5, theme.text, width);
    kit::text_at(ui.painter(), pos2(left, rect.center().y + 9.0), Align2::LEFT_CENTER, file, 11.0, theme.weak, width);
    let bar = Rect::from_center_size(pos2(rect.right() - 96.0, rect.center().y), vec2(80.0, 5.0));
    kit::bar(ui.painter(), bar, score, color, theme.raised);
    let text = format!("{:.1} %", score * 100.0);
    kit::text_at(
        ui.painter(),
        rect.right_center() - vec2(4.0, 0.0),
        Align2::RIGHT_CENTER,
        &text,
        12.0,
        theme.text,
        50.0,
    );
    if response.clicked() {
        cx.push(Action::ShowImage(Some(sample.index)));
    }
}
