//! Opening the window.

use super::app::{App, Shot};
use super::repaint::Repaint;
use crate::session::{Notify, Project, Recent, Session};
use crate::train::DeviceChoice;
use eframe::egui_wgpu::{WgpuSetup, WgpuSetupCreateNew, wgpu};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Opens the workbench with a project, or with the built-in sample, and stays until its window is closed.
///
/// # Errors
/// A sentence, when the project cannot be read, or when there is no display or no graphics adapter for a window.
pub fn run(project: Option<PathBuf>, device: DeviceChoice) -> anyhow::Result<()> {
    let file = project;
    let project = match &file {
        Some(path) => Project::load(path).map_err(anyhow::Error::msg)?,
        None => Project::sample(),
    };
    let shot = Shot::from_env();
    let size = shot.as_ref().and_then(|shot| shot.size).unwrap_or([1400.0, 900.0]);
    let options = options(size);
    let create = move |creation: &eframe::CreationContext<'_>| {
        let ctx = creation.egui_ctx.clone();
        let session = Session::spawn(device, notify(creation))?;
        let mut app = App::new(&ctx, session, project, file)?;
        app.set_recent(Recent::load());
        if let Some(shot) = shot {
            app.set_shot(&ctx, shot);
        }
        Ok(Box::new(app) as Box<dyn eframe::App>)
    };
    eframe::run_native("frostline", options, Box::new(create)).map_err(|error| anyhow::anyhow!(explain(&error)))
}

/// What the session calls when it has news.
fn notify(creation: &eframe::CreationContext<'_>) -> Notify {
    let adapter = creation.wgpu_render_state.as_ref().map(|state| state.adapter.get_info());
    let repaint = if adapter.is_some_and(|adapter| adapter.device_type == wgpu::DeviceType::Cpu) {
        Repaint::by_processor(std::thread::available_parallelism().map_or(1, usize::from))
    } else {
        Repaint::by_adapter()
    };
    let ctx = creation.egui_ctx.clone();
    Arc::new(move |haste| {
        if let Some(after) = repaint.due(haste, Instant::now()) {
            // (Without any delay egui draws twice.)
            ctx.request_repaint_after(after.max(Duration::from_millis(1)));
        }
    })
}

fn options(size: [f32; 2]) -> eframe::NativeOptions {
    let viewport = egui::ViewportBuilder::default()
        .with_title("Frostline")
        .with_app_id("frostline")
        .with_inner_size(size)
        .with_min_inner_size([1100.0, 700.0])
        .with_drag_and_drop(true)
        .with_icon(icon());
    // An adapter and a device of its own, the thrifty one where there are two: the other one trains.
    let mut setup = WgpuSetupCreateNew::without_display_handle();
    setup.power_preference = wgpu::PowerPreference::from_env().unwrap_or(wgpu::PowerPreference::LowPower);
    let renderer = eframe::Renderer::Wgpu;
    // (Dithering is for gradients. This window has none, and a software renderer computes it for each pixel.)
    let mut options = eframe::NativeOptions { viewport, renderer, dithering: false, ..Default::default() };
    options.wgpu_options.wgpu_setup = WgpuSetup::CreateNew(setup);
    options
}

/// One sentence for what kept the window from opening.
fn explain(error: &eframe::Error) -> String {
    let cause = error.to_string();
    // winit puts its source file before the cause.
    let cause =
        cause.rsplit(".rs:").next().and_then(|text| text.split_once(": ")).map_or(cause.as_str(), |pair| pair.1);
    let cause = cause.trim_end_matches([')', '.']);
    match error {
        eframe::Error::Wgpu(_) => format!(
            "Cannot open the window: no graphics adapter (Vulkan, Metal, DirectX 12 or OpenGL) can draw it ({cause}); \
             the command line works without one, see `frostline --help`."
        ),
        _ => format!(
            "Cannot open the window ({cause}); the command line works without a display, see `frostline --help`."
        ),
    }
}

/// The snow crystal as the window's icon, 64 × 64.
fn icon() -> egui::IconData {
    const SIDE: usize = 64;
    let (ice, ground) = ([125, 200, 255, 255], [23, 28, 35, 255]);
    let center = (SIDE as f32 - 1.0) / 2.0;
    let pixel = |i: usize| {
        let at = egui::vec2((i % SIDE) as f32 - center, (i / SIDE) as f32 - center) / center;
        let arm = (0..6).any(|arm| {
            let direction = egui::Vec2::angled(std::f32::consts::FRAC_PI_3 * (arm as f32 + 0.5));
            let along = at.dot(direction);
            let aside = at.dot(direction.rot90()).abs();
            let branch = (along - 0.45 - aside).abs() < 0.08 && aside < 0.24;
            ((0.0..0.82).contains(&along) && aside < 0.065) || (branch && along > 0.3)
        });
        if arm {
            ice
        } else if at.length() < 0.99 {
            ground
        } else {
            [0, 0, 0, 0]
        }
    };
    egui::IconData { rgba: (0..SIDE * SIDE).flat_map(pixel).collect(), width: SIDE as u32, height: SIDE as u32 }
}
