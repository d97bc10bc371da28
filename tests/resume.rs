//! Exact resume and determinism: the final weights are the same bytes, whatever happened on the way.

mod common;

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{Sandbox, last_step};

#[test]
fn the_same_seed_gives_the_same_weights_for_any_number_of_threads() {
    let sandbox = Sandbox::new(20);
    let weights = |precision: &str, threads: &str| {
        let (out, set) = (format!("{precision}-{threads}"), format!("encoder.precision={precision}"));
        sandbox.pretrain(&out, 20).args(["--threads", threads, "--set", &set]).assert().success();
        sandbox.weights(&out)
    };
    let [one, rounded] = ["f32", "bf16"].map(|precision| {
        let one = weights(precision, "1");
        assert_eq!(one, weights(precision, "2"));
        assert_eq!(one, weights(precision, "4"));
        one
    });
    assert_ne!(one, rounded, "another precision gives other weights");
    sandbox.pretrain("other-seed", 20).args(["--seed", "2"]).assert().success();
    assert_ne!(one, sandbox.weights("other-seed"), "another seed gives other weights");
}

#[test]
fn a_killed_run_continues_to_the_same_weights() {
    let sandbox = Sandbox::new(20);
    let steps = 60;
    sandbox.pretrain("whole", steps).args(["--checkpoint-every", "7"]).assert().success();
    // Kill at different moments, among them the start, then let the same command finish.
    for (i, wait) in [10, 150, 300, 450].into_iter().enumerate() {
        let mut child = kill_after(&sandbox, steps, Duration::from_millis(wait + 13 * i as u64));
        child.wait().expect("the killed process");
    }
    sandbox.pretrain("killed", steps).args(["--checkpoint-every", "7"]).assert().success();
    assert_eq!(sandbox.weights("whole"), sandbox.weights("killed"));
    let losses = |out: &str| -> Vec<(u64, f64)> {
        let pair = |r: &serde_json::Value| (r["step"].as_u64().expect("a step"), r["loss"].as_f64().expect("a loss"));
        sandbox.records(out, "metrics.jsonl").iter().map(pair).collect()
    };
    assert_eq!(losses("whole"), losses("killed"), "the log tells one undisturbed story");
}

fn kill_after(sandbox: &Sandbox, steps: u64, wait: Duration) -> std::process::Child {
    let command = sandbox.pretrain("killed", steps);
    let mut child = Command::new(command.get_program())
        .args(command.get_args())
        .args(["--checkpoint-every", "7"])
        .current_dir(sandbox.path(""))
        .env("XDG_CACHE_HOME", sandbox.path("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    sleep(wait);
    child.kill().expect("SIGKILL");
    child
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_the_same_command_continues() {
    let sandbox = Sandbox::new(20);
    sandbox.pretrain("whole", 200).assert().success();
    let command = sandbox.pretrain("stopped", 200);
    let mut child = Command::new(command.get_program())
        .args(command.get_args())
        .current_dir(sandbox.path(""))
        .env("XDG_CACHE_HOME", sandbox.path("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    while last_step(&sandbox.path("stopped")) < 3 {
        sleep(Duration::from_millis(5));
        assert!(child.try_wait().expect("a process").is_none(), "it ended before the signal");
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    let status = child.wait().expect("a process");
    assert_eq!(status.code(), Some(143));
    let reached = last_step(&sandbox.path("stopped"));
    assert!(reached < 200, "it stopped early");
    sandbox.pretrain("stopped", 200).assert().success();
    assert_eq!(sandbox.weights("whole"), sandbox.weights("stopped"));
}

#[test]
fn a_damaged_checkpoint_is_reported_and_the_run_still_ends_the_same() {
    let sandbox = Sandbox::new(20);
    sandbox.pretrain("whole", 30).assert().success();
    let damaged = sandbox.pretrain("damaged", 30).args(["--checkpoint-every", "10"]).assert().success();
    drop(damaged);
    let checkpoints = sandbox.path("damaged").join("checkpoints");
    std::fs::write(checkpoints.join("step-00000030").join("model.safetensors"), "damage").expect("written");
    std::fs::remove_file(sandbox.path("damaged").join("summary.json")).expect("removed");
    let again = sandbox.pretrain("damaged", 30).args(["--checkpoint-every", "10"]).assert().success();
    let message = String::from_utf8_lossy(&again.get_output().stderr).into_owned();
    assert!(message.contains("step-00000030 is passed over: model.safetensors is damaged"), "{message}");
    assert!(message.contains("continuing from step 20"), "{message}");
    assert_eq!(sandbox.weights("whole"), sandbox.weights("damaged"));
}

#[test]
fn a_run_killed_between_its_last_checkpoint_and_the_pointer_to_it_points_to_it_when_continued() {
    let sandbox = Sandbox::new(20);
    sandbox.pretrain("run", 30).args(["--checkpoint-every", "10"]).assert().success();
    let (folder, weights) = (sandbox.path("run"), sandbox.weights("run"));
    std::fs::write(folder.join("latest"), "step-00000020").expect("written");
    std::fs::remove_file(folder.join("summary.json")).expect("removed");
    assert_ne!(weights, sandbox.weights("run"), "the pointer is one checkpoint behind");
    sandbox.pretrain("run", 30).args(["--checkpoint-every", "10"]).assert().success();
    assert_eq!(weights, sandbox.weights("run"));
}
