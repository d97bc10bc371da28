//! The checkpoints of a run: each is written under another name, flushed, verified and renamed;
//! damaged ones are skipped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aside::write_aside;
use crate::error::{Error, Result};

/// The content of `manifest.json` of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// Version of this program.
    version: String,
    /// Hash and size of each other file.
    files: BTreeMap<String, FileDigest>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FileDigest {
    blake3: String,
    bytes: u64,
}

/// A verified checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Folder of the checkpoint.
    pub path: PathBuf,
    /// The step at which it was written.
    pub step: u64,
    /// The state of the run at that step.
    pub state: Value,
}

/// The newest good checkpoint of a run, and what is wrong with newer ones.
#[derive(Debug, Default)]
pub struct Newest {
    /// The checkpoint, if there is a good one.
    pub checkpoint: Option<Checkpoint>,
    /// One line for each checkpoint that was skipped.
    pub warnings: Vec<String>,
}

const FOLDER: &str = "checkpoints";
const MANIFEST: &str = "manifest.json";
const STATE: &str = "state.json";
const LATEST: &str = "latest";

/// Writes the checkpoint of `step` into the run's folder `run`, then points `latest` to it.
///
/// # Errors
/// When the disk is full or the folder cannot be written. Earlier checkpoints are then untouched,
/// and the unfinished one is removed.
pub fn write(
    run: &Path,
    step: u64,
    files: &[(&str, Vec<u8>)],
    state: &Value,
) -> Result<Checkpoint> {
    let folder = run.join(FOLDER);
    let path = folder.join(name(step));
    let aside = folder.join(format!(".{}.tmp", name(step)));

    let write = || -> io::Result<()> {
        remove_remains(&folder)?;
        write_folder(&aside, files, state)?;
        // A folder of this step that exists already was skipped as damaged.
        remove(&path)?;
        fs::rename(&aside, &path)?;
        sync_folder(&folder)
    };
    if let Err(error) = write() {
        let _ = remove(&aside);
        let message =
            format!("cannot write the checkpoint {}; earlier ones are untouched", path.display());
        return Err(Error::io(message)(error));
    }

    point_to(run, step)?;
    Ok(Checkpoint { path, step, state: state.clone() })
}

/// Points `latest` to the checkpoint of `step`. Needed for a run that was killed after it wrote its
/// last checkpoint and before it updated `latest`: it continues from that checkpoint and may have
/// no other to write.
///
/// # Errors
/// When the file cannot be written.
pub fn point_to(run: &Path, step: u64) -> Result<()> {
    write_aside(&run.join(LATEST), name(step).as_bytes())
}

/// The newest undamaged checkpoint. Changes nothing, so that a run can be evaluated during
/// training.
///
/// # Errors
/// When the folder cannot be listed.
pub fn latest_good(run: &Path) -> Result<Newest> {
    let folder = run.join(FOLDER);
    let mut steps = list(&folder)?;
    let mut newest = Newest { checkpoint: None, warnings: pointer_warnings(run, &steps) };

    while let Some(step) = steps.pop() {
        let path = folder.join(name(step));
        match verify(&path) {
            Ok(state) => {
                newest.checkpoint = Some(Checkpoint { path, step, state });
                break;
            }
            Err(error) => {
                let cause = error.with_cause();
                newest.warnings.push(format!("{} is passed over: {cause}", path.display()));
            }
        }
    }
    Ok(newest)
}

/// Warnings about the file `latest`, given the `steps` of the checkpoints that exist.
fn pointer_warnings(run: &Path, steps: &[u64]) -> Vec<String> {
    let pointer = run.join(LATEST);
    let named = fs::read_to_string(&pointer).ok();
    match named.as_deref().and_then(|name| step_of(name.trim())) {
        Some(step) if !steps.contains(&step) => {
            let missing = run.join(FOLDER).join(name(step));
            vec![format!("{}: the checkpoint is missing", missing.display())]
        }
        None if !steps.is_empty() => {
            vec![format!("{} is missing or damaged", pointer.display())]
        }
        _ => Vec::new(),
    }
}

/// The checkpoint of a step.
///
/// # Errors
/// When it is missing or damaged.
pub fn of_step(run: &Path, step: u64) -> Result<PathBuf> {
    let path = run.join(FOLDER).join(name(step));
    verify(&path).map_err(|error| {
        let cause = error.with_cause();
        Error::Data(format!("the checkpoint {} is damaged: {cause}", path.display()))
    })?;
    Ok(path)
}

/// Checks every file of the checkpoint in `path` against its manifest and returns its state.
///
/// # Errors
/// Names the first file that is missing or differs.
pub fn verify(path: &Path) -> Result<Value> {
    let manifest: Manifest = read_json(&path.join(MANIFEST))?;
    for (file, written) in &manifest.files {
        let found = digest(&path.join(file))
            .map_err(|error| Error::io(format!("{file} cannot be read"))(error))?;
        if found != *written {
            let message = format!("{file} is damaged: its content is not what was written");
            return Err(Error::Data(message));
        }
    }

    if !manifest.files.contains_key(STATE) {
        return Err(Error::Data(format!("{MANIFEST} does not list {STATE}")));
    }
    read_json(&path.join(STATE))
}

/// Removes all checkpoints up to the step `current` except the last `keep` and that of the step
/// `best`. Also removes later ones, which were skipped as damaged before the run came to `current`.
///
/// # Errors
/// When a folder cannot be removed.
pub fn prune(run: &Path, keep: usize, current: u64, best: Option<u64>) -> Result<()> {
    let folder = run.join(FOLDER);
    let (past, later): (Vec<u64>, Vec<u64>) =
        list(&folder)?.into_iter().partition(|step| *step <= current);
    let old = past.iter().rev().skip(keep).filter(|step| Some(**step) != best);
    for step in old.chain(&later) {
        let path = folder.join(name(*step));
        remove(&path).map_err(Error::io(format!("cannot remove {}", path.display())))?;
    }
    Ok(())
}

fn name(step: u64) -> String {
    format!("step-{step:08}")
}

fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.parse().ok()
}

/// The steps of the checkpoints in `folder`, ascending.
fn list(folder: &Path) -> Result<Vec<u64>> {
    let failed = || Error::io(format!("cannot list {}", folder.display()));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed()(error)),
    };

    let mut steps = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed())?;
        steps.extend(step_of(&entry.file_name().to_string_lossy()));
    }
    steps.sort_unstable();
    Ok(steps)
}

/// Removes what interrupted writes left behind.
fn remove_remains(folder: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".tmp") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Writes the files, reads each back, and adds the manifest.
fn write_folder(folder: &Path, files: &[(&str, Vec<u8>)], state: &Value) -> io::Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder)?;

    let state = serde_json::to_vec_pretty(state)?;
    let mut manifest =
        Manifest { version: env!("CARGO_PKG_VERSION").to_owned(), files: BTreeMap::new() };
    let files = files.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    for (name, bytes) in files.chain([(STATE, state.as_slice())]) {
        let path = folder.join(name);
        write_file(&path, bytes)?;

        let blake3 = blake3::hash(bytes).to_hex().to_string();
        let written = FileDigest { blake3, bytes: bytes.len() as u64 };
        if digest(&path)? != written {
            let message = format!("{name} reads back differently from what was written");
            return Err(io::Error::other(message));
        }
        manifest.files.insert(name.to_owned(), written);
    }

    write_file(&folder.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    sync_folder(folder)
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Flushes the directory entries of a folder. Windows has no such operation.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn digest(path: &Path) -> io::Result<FileDigest> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(FileDigest { blake3: hasher.finalize().to_hex().to_string(), bytes: hasher.count() })
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(path)
        .map_err(|error| Error::io(format!("{name} cannot be read"))(error))?;
    serde_json::from_str(&text).map_err(|error| Error::Data(format!("{name} is damaged: {error}")))
}

/// Removes a folder, if it exists, with its content.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tempfile::TempDir;

    fn run(steps: &[u64]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for step in steps {
            let files = [("model.safetensors", vec![*step as u8; 100])];
            write(folder.path(), *step, &files, &json!({ "step": step })).expect("written");
        }
        folder
    }

    /// The step of the newest good checkpoint, and the warnings.
    fn newest(run: &TempDir) -> (Option<u64>, String) {
        let newest = latest_good(run.path()).expect("listed");
        (newest.checkpoint.map(|checkpoint| checkpoint.step), newest.warnings.join("\n"))
    }

    fn file(run: &TempDir, step: u64, file: &str) -> PathBuf {
        run.path().join(FOLDER).join(name(step)).join(file)
    }

    #[test]
    fn the_newest_checkpoint_is_found_with_its_state() {
        let run = run(&[3, 12]);
        let newest = latest_good(run.path()).expect("listed");
        assert!(newest.warnings.is_empty());
        assert_eq!(newest.checkpoint.expect("good").state, json!({"step": 12}));
        assert_eq!(fs::read_to_string(run.path().join(LATEST)).expect("there"), "step-00000012");
    }

    #[test]
    fn a_run_without_checkpoints_has_none() {
        assert_eq!(newest(&run(&[])), (None, String::new()));
    }

    #[test]
    fn a_damaged_checkpoint_is_named_and_the_one_before_is_taken() {
        type Damage = fn(&Path);
        let damages: [(&str, Damage); 5] = [
            ("model.safetensors is damaged", |model| {
                let mut bytes = fs::read(model).expect("read");
                bytes[50] ^= 1;
                fs::write(model, bytes).expect("written");
            }),
            ("model.safetensors is damaged", |model| fs::write(model, [12; 99]).expect("written")),
            ("model.safetensors cannot be read", |model| fs::remove_file(model).expect("removed")),
            ("manifest.json is damaged", |model| {
                fs::write(model.with_file_name(MANIFEST), "{").expect("written");
            }),
            ("manifest.json cannot be read", |model| {
                fs::remove_file(model.with_file_name(MANIFEST)).expect("removed");
            }),
        ];

        for (message, damage) in damages {
            let run = run(&[3, 12]);
            damage(&file(&run, 12, "model.safetensors"));
            let (step, warnings) = newest(&run);
            assert_eq!(step, Some(3), "{message}");
            assert!(warnings.contains("step-00000012") && warnings.contains(message), "{warnings}");
        }
    }

    #[test]
    fn a_wrong_pointer_is_reported_and_does_not_hide_the_checkpoints() {
        for (content, message) in
            [("", "latest is missing or damaged"), ("step-00000099", "is missing")]
        {
            let run = run(&[3]);
            fs::write(run.path().join(LATEST), content).expect("written");
            let (step, warnings) = newest(&run);
            assert_eq!(step, Some(3));
            assert!(warnings.contains(message), "{warnings}");
        }
    }

    #[test]
    fn what_an_interrupted_write_left_is_ignored_and_removed() {
        let run = run(&[3]);
        let remains = run.path().join(FOLDER).join(".step-00000004.tmp");
        fs::create_dir(&remains).expect("made");
        fs::write(remains.join("model.safetensors"), "half").expect("written");
        assert_eq!(newest(&run), (Some(3), String::new()));
        assert!(remains.exists(), "reading changes nothing");

        write(run.path(), 5, &[("model.safetensors", vec![5])], &json!({})).expect("written");
        assert!(!remains.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_leaves_the_others_untouched() {
        let run = run(&[3]);
        // A file stands where the folder would be made.
        let aside = run.path().join(FOLDER).join(".step-00000004.tmp");
        fs::write(&aside, "in the way").expect("written");
        let error = write(run.path(), 4, &[("model.safetensors", vec![1])], &json!({}))
            .expect_err("refused");
        assert!(error.to_string().contains("step-00000004"), "{error}");
        assert_eq!(newest(&run).0, Some(3));
    }

    #[test]
    fn the_last_and_the_best_are_kept() {
        let run = run(&[1, 2, 3, 4, 5]);
        prune(run.path(), 2, 5, Some(2)).expect("pruned");
        assert_eq!(list(&run.path().join(FOLDER)).expect("listed"), [2, 4, 5]);
    }

    #[test]
    fn a_damaged_later_checkpoint_does_not_push_out_the_one_just_written() {
        let run = run(&[3, 8, 12]);
        fs::write(file(&run, 12, "model.safetensors"), "damaged").expect("written");
        prune(run.path(), 1, 8, None).expect("pruned");
        assert_eq!(list(&run.path().join(FOLDER)).expect("listed"), [8]);
    }
}
