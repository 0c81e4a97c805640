//! Brings a theme's colors, fonts and sizes into egui.

use super::theme::Theme;
use egui::{CornerRadius, FontData, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle, vec2};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The family of headings and names.
const STRONG: &str = "strong";

/// The font of headings and names at this size.
#[must_use]
pub fn strong(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name(STRONG.into()))
}

/// The text font at this size.
#[must_use]
pub fn regular(size: f32) -> FontId {
    FontId::proportional(size)
}

/// Loads the program's fonts; egui's own stay behind them for symbols.
pub fn install_fonts(ctx: &egui::Context) {
    let mut fonts = egui::FontDefinitions::default();
    let regular = Arc::new(FontData::from_static(include_bytes!("fonts/Inter-Regular.otf")));
    let semibold = Arc::new(FontData::from_static(include_bytes!("fonts/Inter-SemiBold.otf")));
    fonts.font_data.insert("Inter".to_owned(), regular);
    fonts.font_data.insert("Inter SemiBold".to_owned(), semibold);
    let signs = FontData::from_static(include_bytes!("fonts/NotoEmoji-signs.ttf"));
    let signs = signs.tweak(egui::FontTweak { scale: 0.85, ..egui::FontTweak::default() });
    fonts.font_data.insert("signs".to_owned(), Arc::new(signs));
    for family in fonts.families.values_mut() {
        family.extend(["signs".to_owned(), "Hack".to_owned()]);
    }
    let fallback = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let with = |first: &str| std::iter::once(first.to_owned()).chain(fallback.iter().cloned()).collect::<Vec<_>>();
    fonts.families.insert(FontFamily::Proportional, with("Inter"));
    fonts.families.insert(FontFamily::Name(STRONG.into()), with("Inter SemiBold"));
    ctx.set_fonts(fonts);
}

/// Applies a theme to the whole window.
pub fn apply(ctx: &egui::Context, theme: &Theme) {
    let which = if theme.dark { egui::Theme::Dark } else { egui::Theme::Light };
    ctx.set_theme(which);
    ctx.style_mut_of(which, |style| {
        style.text_styles = BTreeMap::from([
            (TextStyle::Small, regular(11.0)),
            (TextStyle::Body, regular(12.5)),
            (TextStyle::Button, regular(12.5)),
            (TextStyle::Heading, strong(16.0)),
            (TextStyle::Monospace, FontId::monospace(11.5)),
        ]);
        let spacing = &mut style.spacing;
        spacing.item_spacing = vec2(8.0, 6.0);
        spacing.button_padding = vec2(9.0, 4.0);
        spacing.interact_size = vec2(32.0, 24.0);
        spacing.slider_width = 120.0;
        spacing.slider_rail_height = 4.0;
        spacing.combo_width = 96.0;
        spacing.icon_width = 15.0;
        spacing.icon_width_inner = 9.0;
        spacing.menu_margin = Margin::same(6);
        spacing.window_margin = Margin::same(16);
        spacing.tooltip_width = 320.0;
        spacing.scroll = egui::style::ScrollStyle::thin();
        style.interaction.selectable_labels = false;
        style.interaction.tooltip_delay = 0.35;
        style.visuals = visuals(theme);
    });
}

fn visuals(theme: &Theme) -> egui::Visuals {
    let mut visuals = if theme.dark { egui::Visuals::dark() } else { egui::Visuals::light() };
    let radius = CornerRadius::same(5);
    let line = Stroke::new(1.0, theme.border);
    visuals.panel_fill = theme.panel;
    visuals.window_fill = theme.panel;
    visuals.window_stroke = line;
    visuals.window_corner_radius = CornerRadius::same(9);
    visuals.menu_corner_radius = CornerRadius::same(7);
    visuals.extreme_bg_color = theme.background;
    visuals.faint_bg_color = theme.raised;
    visuals.code_bg_color = theme.raised;
    visuals.hyperlink_color = theme.accent;
    visuals.warn_fg_color = theme.amber;
    visuals.error_fg_color = theme.bad;
    visuals.weak_text_color = Some(theme.weak);
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = egui::style::HandleShape::Circle;
    visuals.selection.bg_fill = theme.accent.gamma_multiply(if theme.dark { 0.38 } else { 0.25 });
    visuals.selection.stroke = Stroke::new(1.0, theme.text);
    let shade = theme.shade();
    visuals.popup_shadow = Shadow { offset: [0, 4], blur: 14, spread: 0, color: shade };
    visuals.window_shadow = Shadow { offset: [0, 8], blur: 28, spread: 0, color: shade };
    let widgets = &mut visuals.widgets;
    for (state, fill, border, text) in [
        (&mut widgets.noninteractive, theme.panel, theme.border, theme.text),
        (&mut widgets.inactive, theme.raised, theme.border, theme.text),
        (&mut widgets.hovered, theme.hovered(), theme.weak, theme.text),
        (&mut widgets.active, theme.border, theme.accent, theme.text),
        (&mut widgets.open, theme.raised, theme.border, theme.text),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = Stroke::new(1.0, border);
        state.fg_stroke = Stroke::new(1.0, text);
        state.corner_radius = radius;
        state.expansion = 0.0;
    }
    visuals
}
