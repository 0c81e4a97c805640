//! `FROSTLINE_SHOT=file.png[,WIDTHxHEIGHT][,page][,light][,start]`: the window draws itself into a file and closes; with
//! `start` it presses Start first and waits for the middle of the run.

use crate::session::View;
use crate::ui::action::Page;
use egui::{ColorImage, Context, ViewportCommand};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Frames before the picture: layouts and fonts have settled.
const FRAMES: u32 = 12;
/// The picture is taken after this time even if the session is still busy.
const LATEST: Duration = Duration::from_secs(20);

/// The same with a run.
const LATEST_WITH_RUN: Duration = Duration::from_secs(300);

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    /// The PNG file.
    pub file: PathBuf,
    /// Size of the window.
    pub size: Option<[f32; 2]>,
    /// The page.
    pub page: Option<Page>,
    /// Whether the light theme is used.
    pub light: bool,
    /// Whether a run is started first.
    pub start: bool,
}

impl Shot {
    /// Reads the variable.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        std::env::var("FROSTLINE_SHOT").ok().as_deref().and_then(Self::parse)
    }

    /// Reads the variable's text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',').map(str::trim);
        let file = parts.next().filter(|file| !file.is_empty())?;
        let mut shot = Self { file: PathBuf::from(file), size: None, page: None, light: false, start: false };
        for part in parts {
            let size = part.split_once('x').and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
            match (size, part) {
                (Some(size), _) => shot.size = Some(size),
                (None, "light") => shot.light = true,
                (None, "start") => shot.start = true,
                (None, name) => shot.page = page(name).or(shot.page),
            }
        }
        Some(shot)
    }
}

/// The page with this name.
#[must_use]
pub fn page(name: &str) -> Option<Page> {
    Some(match name {
        "data" => Page::Data,
        "model" => Page::Model,
        "train" => Page::Train,
        "evaluate" => Page::Evaluate,
        "predict" => Page::Predict,
        "export" => Page::Export,
        _ => return None,
    })
}

/// Takes the picture when everything has settled.
#[derive(Debug)]
pub struct Camera {
    shot: Shot,
    frames: u32,
    started: Instant,
    asked: bool,
    pressed: bool,
    done: Arc<AtomicBool>,
}

impl Camera {
    /// A camera for a shot.
    #[must_use]
    pub fn new(shot: Shot) -> Self {
        Self { shot, frames: 0, started: Instant::now(), asked: false, pressed: false, done: Arc::default() }
    }

    /// Whether the picture is taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Called each frame; whether Start is to be pressed now.
    pub fn tick(&mut self, ctx: &Context, view: &View) -> bool {
        ctx.request_repaint();
        self.frames += 1;
        if self.is_done() {
            ctx.send_viewport_cmd(ViewportCommand::Close);
            return false;
        }
        let settled = self.frames >= FRAMES && view.busy.is_none() && self.started.elapsed() > Duration::from_secs(2);
        if self.shot.start && !self.pressed {
            self.pressed = settled && view.data.is_some();
            return self.pressed;
        }
        let halfway = view.run.as_ref().is_some_and(|run| 2.0 * run.position() >= f64::from(run.info.plan.epochs));
        let (ready, latest) = if self.shot.start { (halfway, LATEST_WITH_RUN) } else { (settled, LATEST) };
        if !self.asked && (ready || self.started.elapsed() > latest) {
            self.asked = true;
            let (file, done) = (self.shot.file.clone(), Arc::clone(&self.done));
            ctx.request_screenshot(move |image| {
                if let Err(error) = write(&file, &image) {
                    // Nobody sees the window in this mode.
                    use std::io::Write as _;
                    writeln!(std::io::stderr(), "Cannot write {}: {error}", file.display()).ok();
                }
                done.store(true, Ordering::Release);
            });
        }
        false
    }
}

fn write(file: &Path, image: &ColorImage) -> Result<(), image::ImageError> {
    let [width, height] = image.size;
    let bytes: Vec<u8> = image.pixels.iter().flat_map(egui::Color32::to_array).collect();
    image::save_buffer(file, &bytes, width as u32, height as u32, image::ColorType::Rgba8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_read_in_any_order() {
        let shot = Shot::parse("out/a.png,1100x700,model,light").unwrap();
        assert_eq!(shot.file, Path::new("out/a.png"));
        assert_eq!(shot.size, Some([1100.0, 700.0]));
        assert_eq!(shot.page, Some(Page::Model));
        assert!(shot.light && !shot.start);
        assert!(Shot::parse("a.png,start").unwrap().start);
        assert_eq!(Shot::parse("a.png,light").unwrap().size, None);
        assert!(Shot::parse("").is_none());
    }
}
