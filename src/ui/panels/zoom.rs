//! How a picture is looked at closely: wheel and pinch about the pointer, drags, keys.

use egui::{Key, Rect, Response, Ui, Vec2};

/// The closest look.
const MOST: f32 = 40.0;
/// Points of a wheel for a factor of e.
const WHEEL: f32 = 300.0;

/// How much larger than fitting a picture is drawn, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zoom {
    scale: f32,
    /// Shift of the middle, in points.
    pan: Vec2,
}

impl Default for Zoom {
    fn default() -> Self {
        Self { scale: 1.0, pan: Vec2::ZERO }
    }
}

impl Zoom {
    /// How much larger than fitting.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Where a picture lies that would lie at `fitted` in the middle of `area`.
    #[must_use]
    pub fn rect(&self, area: Rect, fitted: Rect) -> Rect {
        Rect::from_center_size(area.center() + self.pan, fitted.size() * self.scale)
    }

    /// Fits the picture again.
    pub fn fit(&mut self) {
        *self = Self::default();
    }

    /// Follows wheel and pinch about the pointer, plus, minus and zero by key where `keys` are free, and a drag by `moved`
    /// points.
    pub fn follow(&mut self, ui: &Ui, response: &Response, area: Rect, keys: bool, moved: Vec2) {
        let (mut factor, mut about) = (1.0, area.center());
        if let Some(at) = response.hover_pos() {
            let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
            factor = pinch * (scroll / WHEEL).exp();
            about = at;
        }
        for (key, by) in [(Key::Plus, 1.25), (Key::Equals, 1.25), (Key::Minus, 0.8)] {
            let presses = if keys { ui.input(|input| input.num_presses(key)) } else { 0 };
            factor *= f32::powi(by, presses as i32);
        }
        let scale = (self.scale * factor).clamp(1.0, MOST);
        let offset = about - area.center();
        self.pan = offset - (offset - self.pan) * (scale / self.scale) + moved;
        self.scale = scale;
        if scale <= 1.0 || keys && ui.input(|input| input.key_pressed(Key::Num0)) {
            self.fit();
        }
    }
}
