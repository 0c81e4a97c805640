//! Every color, size and font of the window. No other file names a color.

use egui::Color32;

/// The colors of one theme. Ice blue means frozen, amber means trains; never color alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Whether this is the dark theme.
    pub dark: bool,
    /// Behind everything.
    pub background: Color32,
    /// Panels.
    pub panel: Color32,
    /// Cards and fields on panels.
    pub raised: Color32,
    /// Lines between things.
    pub border: Color32,
    /// Text.
    pub text: Color32,
    /// Text of less weight.
    pub weak: Color32,
    /// Frozen: border, text, icons.
    pub ice: Color32,
    /// Frozen: fill.
    pub ice_fill: Color32,
    /// Trains: border, text, icons.
    pub amber: Color32,
    /// Trains: fill.
    pub amber_fill: Color32,
    /// Good: verified, correct.
    pub good: Color32,
    /// Bad: errors, random weights, wrong predictions.
    pub bad: Color32,
    /// What is chosen.
    pub accent: Color32,
    /// Curves, in order.
    pub series: [Color32; 8],
}

/// A color that files have too, such as a class's in saved overlays: the same in both themes.
#[must_use]
pub fn of_file([red, green, blue]: [u8; 3]) -> Color32 {
    Color32::from_rgb(red, green, blue)
}

impl Theme {
    /// The dark theme.
    #[must_use]
    pub fn dark() -> Self {
        let rgb = Color32::from_rgb;
        Self {
            dark: true,
            background: rgb(16, 20, 25),
            panel: rgb(23, 28, 35),
            raised: rgb(32, 38, 46),
            border: rgb(48, 55, 65),
            text: rgb(230, 235, 241),
            weak: rgb(139, 149, 161),
            ice: rgb(125, 200, 255),
            ice_fill: rgb(26, 47, 66),
            amber: rgb(255, 176, 74),
            amber_fill: rgb(53, 40, 24),
            good: rgb(126, 211, 133),
            bad: rgb(255, 107, 107),
            accent: rgb(125, 200, 255),
            series: [
                rgb(125, 200, 255),
                rgb(255, 176, 74),
                rgb(192, 132, 252),
                rgb(126, 211, 133),
                rgb(255, 121, 168),
                rgb(94, 234, 212),
                rgb(250, 224, 94),
                rgb(160, 174, 192),
            ],
        }
    }

    /// The color of a share between 0 and 1: dark to bright, so that it can be read without telling hues apart.
    #[must_use]
    pub fn heat(&self, share: f32) -> Color32 {
        const STOPS: [[u8; 3]; 5] = [[12, 8, 38], [96, 18, 110], [197, 54, 78], [247, 140, 20], [252, 250, 160]];
        let at = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 } * (STOPS.len() - 1) as f32;
        let first = (at as usize).min(STOPS.len() - 2);
        let [low, high] = [STOPS[first], STOPS[first + 1]];
        let mix = |i: usize| egui::lerp(f32::from(low[i])..=f32::from(high[i]), at - first as f32).round() as u8;
        Color32::from_rgb(mix(0), mix(1), mix(2))
    }

    /// The light theme.
    #[must_use]
    pub fn light() -> Self {
        let rgb = Color32::from_rgb;
        Self {
            dark: false,
            background: rgb(238, 241, 245),
            panel: rgb(250, 251, 253),
            raised: rgb(233, 237, 242),
            border: rgb(205, 212, 221),
            text: rgb(24, 30, 38),
            weak: rgb(96, 106, 119),
            ice: rgb(18, 103, 168),
            ice_fill: rgb(218, 236, 250),
            amber: rgb(166, 95, 0),
            amber_fill: rgb(255, 240, 214),
            good: rgb(28, 122, 52),
            bad: rgb(196, 37, 37),
            accent: rgb(18, 103, 168),
            series: [
                rgb(18, 103, 168),
                rgb(194, 110, 0),
                rgb(124, 58, 190),
                rgb(28, 122, 52),
                rgb(190, 40, 100),
                rgb(0, 122, 116),
                rgb(140, 116, 0),
                rgb(90, 100, 115),
            ],
        }
    }

    /// Under the pointer.
    #[must_use]
    pub fn hovered(&self) -> Color32 {
        self.raised.lerp_to_gamma(self.text, 0.08)
    }

    /// Text on a filled accent.
    #[must_use]
    pub fn on_accent(&self) -> Color32 {
        if self.dark { self.background } else { self.panel }
    }

    /// Under menus and windows.
    #[must_use]
    pub fn shade(&self) -> Color32 {
        Color32::from_black_alpha(if self.dark { 110 } else { 40 })
    }

    /// A color of the user's own pictures, as it is.
    #[must_use]
    pub fn of_pixel([r, g, b]: [u8; 3]) -> Color32 {
        Color32::from_rgb(r, g, b)
    }

    /// Behind the graph.
    #[must_use]
    pub fn canvas(&self) -> Color32 {
        self.background
    }

    /// A lane of the graph.
    #[must_use]
    pub fn lane(&self) -> Color32 {
        self.background.lerp_to_gamma(self.panel, 0.55)
    }

    /// Edges of the graph.
    #[must_use]
    pub fn edge(&self) -> Color32 {
        self.border.lerp_to_gamma(self.weak, 0.45)
    }
}
