//! How long frames take while a session is busy. Printed, not asserted: other work shares the machine.

use super::stage::{dataset, epoch, open, run_info, step};
use frostline::session::Event;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn frames_of_a_busy_session() {
    let mut stage = open([1400.0, 900.0], true, false);
    stage.prepare();
    let plan = stage.plan().clone();
    stage.say(Event::RunStarted(Arc::new(run_info(&plan))));
    let mut times: Vec<Duration> = Vec::new();
    let mut taken = 0;
    for burst in 0..60_u64 {
        for i in 0..200 {
            stage.events.send(step(burst * 200 + i + 1)).unwrap();
        }
        stage.events.send(epoch(burst as u32, &["stem"])).unwrap();
        let start = Instant::now();
        stage.window.step();
        times.push(start.elapsed());
        taken += stage.window.state().frame_events();
    }
    assert_eq!(taken, 60 * 201, "each frame takes everything that waits");
    assert_eq!(stage.window.state().view().run.as_ref().unwrap().train_losses["cls"].points().len(), 12_000);
    times.sort();
    let ms = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    eprintln!(
        "frames with 200 steps each, {} images in the set: median {:.2} ms, 95 % {:.2} ms, worst {:.2} ms",
        dataset().samples.len(),
        ms(0.5),
        ms(0.95),
        ms(1.0)
    );
}
