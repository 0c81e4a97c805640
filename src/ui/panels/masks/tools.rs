//! The controls of masks: how opaque, how sure, which classes, what the colors of a difference mean.

use super::super::kit;
use super::super::live::Show;
use super::{MaskView, color, difference_colors};
use crate::train::segmentation::Mask;
use crate::ui::Theme;
use egui::{Popup, PopupCloseBehavior, RichText, Sense, Ui, vec2};

/// The probability of the second of two classes from which it is the likelier one.
const EVEN: f32 = 0.5;

impl MaskView {
    /// Sliders and the choice of classes; `said` is an answer that stands for all, where there is one.
    pub fn tools(&mut self, ui: &mut Ui, theme: &Theme, said: Option<&Mask>, classes: &[String]) {
        ui.spacing_mut().slider_width = 60.0;
        let name = |ui: &mut Ui, text: &str| ui.label(RichText::new(text).size(11.5).color(theme.weak));
        name(ui, "opacity");
        let slider = egui::Slider::new(&mut self.opacity, 0.0..=1.0).show_value(false).trailing_fill(true);
        ui.add(slider).accessible_name("opacity").on_hover_text("How much of the picture the colors cover.");
        if classes.len() == 2 && said.is_some_and(|said| said.has_scores(1)) {
            let mut least = self.least.unwrap_or(EVEN);
            name(ui, "threshold");
            let slider = egui::Slider::new(&mut least, 0.01..=0.99).max_decimals(2).trailing_fill(true);
            let help = format!("A pixel is {} from this probability on.", classes.get(1).map_or("", String::as_str));
            if ui.add(slider).accessible_name("threshold").on_hover_text(help).changed() {
                self.least = ((least - EVEN).abs() > 0.004).then_some(least);
            }
            if self.least.is_some() && kit::link_button(ui, theme, "Reset").clicked() {
                self.least = None;
            }
        }
        let count = classes.len().saturating_sub(1);
        let seen = (1..classes.len()).filter(|id| !self.hidden.contains(&(*id as u8))).count();
        let text = match self.heat.and_then(|class| classes.get(usize::from(class))) {
            Some(class) => format!("probability of {class}"),
            None if seen == count => "classes".to_owned(),
            None => format!("{seen} of {count} classes"),
        };
        let button = kit::chip(ui, theme, self.heat.is_some() || seen < count, &format!("{text}…"));
        let popup = Popup::menu(&button).close_behavior(PopupCloseBehavior::CloseOnClickOutside);
        popup.show(|ui| self.choices(ui, theme, said, classes));
    }

    /// Which classes are shown, and whose probability.
    fn choices(&mut self, ui: &mut Ui, theme: &Theme, said: Option<&Mask>, classes: &[String]) {
        ui.set_min_width(190.0);
        egui::ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
            kit::caps(ui, theme, "Shown");
            for (id, class) in (1_u8..).zip(classes.iter().skip(1)) {
                ui.horizontal(|ui| {
                    let mut on = !self.hidden.contains(&id);
                    let (dot, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
                    ui.painter().rect_filled(dot.shrink(1.0), 2, color(id));
                    if ui.checkbox(&mut on, class).changed() {
                        let _ = if on { self.hidden.remove(&id) } else { self.hidden.insert(id) };
                    }
                });
            }
            ui.add_space(4.0);
            let help = "Each connected part has a color of its own; parts of one class that touch are one.";
            ui.checkbox(&mut self.apart, "color objects apart").on_hover_text(help);
            let known: Vec<u8> = (0..classes.len().min(255) as u8)
                .filter(|class| said.is_some_and(|said| said.has_scores(*class)))
                .collect();
            if !known.is_empty() {
                ui.add_space(4.0);
                kit::caps(ui, theme, "Probability of");
                ui.radio_value(&mut self.heat, None, "none: the classes");
                for class in known {
                    let name = classes.get(usize::from(class)).map_or("?", String::as_str);
                    ui.radio_value(&mut self.heat, Some(class), name);
                }
            }
        });
    }
}

/// What the colors of a difference mean, in a row.
pub fn legend(ui: &mut Ui, theme: &Theme, show: Show, classes: usize) {
    if show != Show::Difference {
        return;
    }
    let kinds = if classes > 2 { 4 } else { 3 };
    for (color, name) in difference_colors(theme).into_iter().take(kinds) {
        let (dot, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
        ui.painter().rect_filled(dot.shrink(0.5), 2, color);
        ui.label(RichText::new(name).size(11.5).color(theme.weak));
    }
}
