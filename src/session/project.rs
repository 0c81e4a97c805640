//! The project file: what a person has set up, human-readable, with paths relative to the file, versioned.

use crate::train::{DataSource, Plan, ValChoice, WeightsSource, sample_plan};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// The newest version of the file's form.
const VERSION: u32 = 1;

/// Everything that reopens the workbench where it was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Version of the file's form.
    pub version: u32,
    /// What the next run does.
    pub plan: Plan,
    /// Runs made from this project, newest last.
    #[serde(default)]
    pub runs: Vec<PathBuf>,
    /// Runs that were taken off the list; their files stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden_runs: Vec<PathBuf>,
    /// The page that was open.
    #[serde(default)]
    pub page: String,
    /// The node that was selected.
    #[serde(default)]
    pub selected: Option<String>,
    /// Stages that were folded.
    #[serde(default)]
    pub folded: Vec<String>,
}

impl Default for Project {
    fn default() -> Self {
        Self {
            version: VERSION,
            plan: Plan::default(),
            runs: Vec::new(),
            hidden_runs: Vec::new(),
            page: String::new(),
            selected: None,
            folded: Vec::new(),
        }
    }
}

impl Project {
    /// A new project: the built-in sample, ready to train.
    #[must_use]
    pub fn sample() -> Self {
        Self { plan: sample_plan(), ..Self::default() }
    }

    /// Reads a project file; its relative paths become absolute.
    ///
    /// # Errors
    /// A sentence with the file and the cause.
    pub fn load(path: &Path) -> Result<Self, String> {
        let fail = |cause: String| format!("Cannot open the project {}: {cause}.", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let mut project: Self = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        if project.version > VERSION {
            return Err(fail(format!("it was written by a newer version of Frostline (form {})", project.version)));
        }
        let folder = absolute(path).parent().map(Path::to_path_buf).unwrap_or_default();
        project.map_paths(&|file| normal(&folder.join(file)));
        Ok(project)
    }

    /// Writes the project file whole or not at all; paths become relative to it where they can.
    ///
    /// # Errors
    /// A sentence with the file and the cause.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let fail = |cause: String| format!("Cannot write the project {}: {cause}.", path.display());
        let folder = absolute(path).parent().map(Path::to_path_buf).unwrap_or_default();
        let mut project = self.clone();
        project.map_paths(&|file| relative(&absolute(file), &folder));
        let text = serde_json::to_string_pretty(&project).map_err(|error| fail(error.to_string()))?;
        write_whole(path, text.as_bytes()).map_err(|error| fail(error.to_string()))
    }

    fn map_paths(&mut self, map: &dyn Fn(&Path) -> PathBuf) {
        if let DataSource::Path(path) = &mut self.plan.data {
            *path = map(path);
        }
        if let ValChoice::Path(path) = &mut self.plan.val {
            *path = map(path);
        }
        if let WeightsSource::File(path) = &mut self.plan.weights {
            *path = map(path);
        }
        for run in self.runs.iter_mut().chain(&mut self.hidden_runs) {
            *run = map(run);
        }
    }
}

/// Projects that were opened lately, kept in the user's configuration folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Project files, newest first.
    pub projects: Vec<PathBuf>,
}

impl Recent {
    /// Reads the list; an unreadable one counts as empty, since nothing depends on it.
    #[must_use]
    pub fn load() -> Self {
        let text = config_file().and_then(|file| std::fs::read_to_string(file).ok());
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Puts a project first and writes the list.
    ///
    /// # Errors
    /// When the configuration folder cannot be written.
    pub fn add(&mut self, project: &Path) -> std::io::Result<()> {
        let project = absolute(project);
        self.projects.retain(|known| *known != project);
        self.projects.insert(0, project);
        self.projects.truncate(12);
        let Some(file) = config_file() else { return Ok(()) };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        write_whole(&file, &serde_json::to_vec_pretty(self)?)
    }
}

fn config_file() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder =
        var("XDG_CONFIG_HOME").or_else(|| var("APPDATA")).or_else(|| var("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("frostline").join("recent.json"))
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = std::fs::File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Resolves `.` and `..` by name only.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.parent().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// `path` as seen from `folder`; unchanged where the two share no root.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let (path, folder) = (normal(path), normal(folder));
    let shared = path.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    if shared == 0 {
        return path;
    }
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(path.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_on_disk_and_survive_a_move_of_the_whole_folder() {
        let home = tempfile::tempdir().unwrap();
        let (old, new) = (home.path().join("Ünïcode 路径"), home.path().join("moved"));
        std::fs::create_dir_all(old.join("data")).unwrap();
        let mut project = Project::default();
        project.plan.data = DataSource::Path(old.join("data"));
        project.plan.weights = WeightsSource::File(home.path().join("outside.pth"));
        project.plan.freeze.set("layer1.0", true);
        project.save(&old.join("p.frostline.json")).unwrap();
        let text = std::fs::read_to_string(old.join("p.frostline.json")).unwrap();
        assert!(text.contains("\"data\": {\n      \"path\": \"data\""), "{text}");
        assert!(text.contains("../outside.pth"), "{text}");
        std::fs::rename(&old, &new).unwrap();
        let reopened = Project::load(&new.join("p.frostline.json")).unwrap();
        assert_eq!(reopened.plan.data, DataSource::Path(new.join("data")));
        assert_eq!(reopened.plan.weights, WeightsSource::File(home.path().join("outside.pth")));
        assert!(reopened.plan.freeze.is_frozen("layer1.0"));
    }

    #[test]
    fn a_newer_or_broken_file_is_refused_by_name() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("p.json");
        std::fs::write(&file, "{\"version\": 99, \"plan\": {}}").unwrap();
        let error = Project::load(&file).unwrap_err();
        assert!(error.contains("p.json") && error.contains("newer version"), "{error}");
        std::fs::write(&file, "{\"version\": 1").unwrap();
        assert!(Project::load(&file).unwrap_err().contains("EOF"));
    }
}
