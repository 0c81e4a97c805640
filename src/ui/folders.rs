//! Where runs are written.

use crate::weights::hub;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where runs of a project are written: beside it, or in the user's data folder while there is no project file.
///
/// # Errors
/// A sentence, when there is no folder to write to.
pub fn home(project: Option<&Path>) -> Result<PathBuf, String> {
    Ok(match project.and_then(Path::parent) {
        Some(folder) => folder.join("runs"),
        None => data_folder()?.join("frostline").join("runs"),
    })
}

/// `2026-11-23 16:53` in UTC.
#[must_use]
pub fn date(time: SystemTime) -> String {
    let stamp = stamp(time.duration_since(UNIX_EPOCH).unwrap_or_default());
    let part = |range: std::ops::Range<usize>| stamp.get(range).unwrap_or_default();
    format!("{} {}:{} UTC", part(0..10), part(11..13), part(13..15))
}

/// A folder for a new run: beside the project, or in the user's data folder while there is no project file.
///
/// # Errors
/// A sentence, when there is no folder to write to.
pub fn new_run(project: Option<&Path>, model: &str) -> Result<PathBuf, String> {
    let home = home(project)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("{}-{model}", stamp(now));
    let free = (1..1000).map(|n| if n == 1 { home.join(&name) } else { home.join(format!("{name}-{n}")) });
    free.into_iter().find(|path| !path.exists()).ok_or_else(|| format!("No free name for a run in {}.", home.display()))
}

fn data_folder() -> Result<PathBuf, String> {
    hub::data_folder().map_err(|none| format!("{none} to write runs to; save the project first."))
}

/// `2026-11-23-165301` in UTC (days to a date after Howard Hinnant's `civil_from_days`).
fn stamp(since_1970: Duration) -> String {
    let secs = since_1970.as_secs();
    let (days, rest) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02}-{hours:02}{minutes:02}{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_dates() {
        // `date -u -d @951827696` and `@1795453981`.
        assert_eq!(stamp(Duration::from_secs(951_827_696)), "2000-02-29-123456");
        assert_eq!(date(UNIX_EPOCH + Duration::from_secs(951_827_696)), "2000-02-29 12:34 UTC");
        assert_eq!(stamp(Duration::from_secs(1_795_453_981)), "2026-11-23-171301");
    }

    #[test]
    fn runs_stand_beside_the_project_and_never_share_a_folder() {
        let home = tempfile::tempdir().unwrap();
        let project = home.path().join("p.frostline.json");
        let first = new_run(Some(&project), "resnet18").unwrap();
        assert!(first.starts_with(home.path().join("runs")));
        std::fs::create_dir_all(&first).unwrap();
        let second = new_run(Some(&project), "resnet18").unwrap();
        assert_ne!(first, second);
    }
}
