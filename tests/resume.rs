//! Exact resume and determinism: the final weights are the same bytes, whatever happened on the
//! way.

mod common;

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{Sandbox, json, last_step, stderr};

#[test]
fn the_same_seed_gives_the_same_weights_for_any_number_of_threads() {
    let sandbox = Sandbox::new(20);
    let weights = |precision: &str, threads: &str| {
        let (out, set) =
            (format!("{precision}-{threads}"), format!("encoder.precision={precision}"));
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
        let pair = |r: &serde_json::Value| {
            (r["step"].as_u64().expect("a step"), r["loss"].as_f64().expect("a loss"))
        };
        sandbox.records(out, "metrics.jsonl").iter().map(pair).collect()
    };
    assert_eq!(losses("whole"), losses("killed"), "the log tells one undisturbed story");
}

/// What changes over the budget goes on where it stood: rates of masks, sizes and lengths of steps,
/// Muon's momenta and the average of the weights.
#[test]
fn a_run_whose_steps_change_continues_to_the_same_weights() {
    let sandbox = Sandbox::new(20);
    let budgets = [("steps", "budget.steps=30"), ("tokens", "budget.tokens=9000")];
    for (name, budget) in budgets {
        let run = |out: &str| {
            let mut command = sandbox.pretrain(out, 30);
            command.args(["--checkpoint-every", "4", "--set", budget]);
            for set in [
                "optimizer.kind=muon",
                "optimizer.cautious_decay=true",
                "optimizer.average=0.9",
                "objective.masking.rate=0.4",
                "objective.masking.final_rate=0.15",
                "batch.initial_size=4",
                "batch.ramp=0.6",
                "batch.lengths=[[0.0, 16], [0.5, 32]]",
            ] {
                command.args(["--set", set]);
            }
            command.assert().success();
        };

        let (whole, part) = (format!("{name}-whole"), format!("{name}-part"));
        run(&whole);
        run(&part);
        let folder = sandbox.path(&part);
        let (last, steps) = (last_step(&folder), sandbox.records(&whole, "metrics.jsonl").len());
        assert!(steps > 0);
        std::fs::remove_dir_all(folder.join(format!("checkpoints/step-{last:08}")))
            .expect("removed");
        std::fs::remove_file(folder.join("summary.json")).expect("removed");
        run(&part);

        assert_eq!(sandbox.weights(&whole), sandbox.weights(&part), "{name}");
        assert_eq!(last_step(&folder), last);
    }
}

/// A frozen generator, and a head that nothing is asked of, have no gradient and so no state in the
/// optimizer.
#[test]
fn a_run_of_which_a_part_is_not_trained_continues_to_the_same_weights() {
    assert_continues(&["name=rtd", "generator.frozen=true", "generator.tying=none"]);
    assert_continues(&["name=sop", "labels=none"]);
}

/// The optimizer moves the difference of two tables, and the checkpoint holds their sum.
#[test]
fn a_run_with_disentangled_tables_continues_to_the_same_weights() {
    assert_continues(&["name=rtd", "generator.tying=disentangled"]);
}

/// Which tokens are chosen follows what was predicted, in batches that are made ahead.
#[test]
fn a_run_whose_masks_adapt_continues_to_the_same_weights() {
    let adapts = ["masking.adapt_every=8", "masking.rate=0.4"];
    for steps in [10, 20, 30] {
        assert_continues_to(&adapts, steps);
    }
}

/// Asserts that a run with these settings of its objective ends with the same weights when it goes
/// on from an earlier checkpoint.
fn assert_continues(settings: &[&str]) {
    assert_continues_to(settings, 10);
}

/// As [`assert_continues`], to this number of steps.
fn assert_continues_to(settings: &[&str], steps: u64) {
    let sandbox = Sandbox::new(20);
    let run = |out: &str| {
        let mut command = sandbox.pretrain(out, steps);
        command.args(["--checkpoint-every", "4"]);
        for set in settings {
            command.args(["--set", &format!("objective.{set}")]);
        }
        command.assert().success();
    };

    run("whole");
    run("part");
    let last = format!("part/checkpoints/step-{steps:08}");
    std::fs::remove_dir_all(sandbox.path(&last)).expect("removed");
    std::fs::remove_file(sandbox.path("part/summary.json")).expect("removed");
    run("part");

    assert_eq!(sandbox.weights("whole"), sandbox.weights("part"), "{settings:?}");
    assert_eq!(last_step(&sandbox.path("part")), steps);
}

/// A signal during an evaluation saves the step without it; the evaluation is made up for.
#[test]
fn an_evaluation_that_was_cut_short_is_made_up_for() {
    let sandbox = Sandbox::new(20);
    let run = || {
        sandbox
            .pretrain("run", 10)
            .args(["--eval-every", "5", "--checkpoint-every", "5"])
            .assert()
            .success()
    };

    run();
    let all = sandbox.records("run", "evals.jsonl");
    let file = sandbox.path("run/evals.jsonl");
    let text = std::fs::read_to_string(&file).expect("evaluations");

    for left in [1, 0] {
        let lines: Vec<&str> = text.lines().take(left).collect();
        std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            .expect("written");
        std::fs::remove_file(sandbox.path("run/summary.json")).expect("removed");

        // With the checkpoint of step 5 the evaluation of step 5 is missing; with that of step 10
        // the one of step 10.
        if left == 0 {
            std::fs::remove_dir_all(sandbox.path("run/checkpoints/step-00000010"))
                .expect("removed");
        }

        run();
        let again = sandbox.records("run", "evals.jsonl");
        let losses = |records: &[serde_json::Value]| -> Vec<_> {
            records.iter().map(|record| (record["step"].clone(), record["loss"].clone())).collect()
        };
        assert_eq!(losses(&again), losses(&all), "{left} of two evaluations were left");

        let summary = std::fs::read_to_string(sandbox.path("run/summary.json")).expect("a summary");
        let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
        assert_eq!(summary["valid_loss"], all[1]["loss"]);
    }
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
    let damaged =
        sandbox.pretrain("damaged", 30).args(["--checkpoint-every", "10"]).assert().success();
    drop(damaged);

    let checkpoints = sandbox.path("damaged").join("checkpoints");
    std::fs::write(checkpoints.join("step-00000030").join("model.safetensors"), "damage")
        .expect("written");
    std::fs::remove_file(sandbox.path("damaged").join("summary.json")).expect("removed");

    let again =
        sandbox.pretrain("damaged", 30).args(["--checkpoint-every", "10"]).assert().success();
    let message = String::from_utf8_lossy(&again.get_output().stderr).into_owned();
    assert!(
        message.contains("step-00000030 is passed over: model.safetensors is damaged"),
        "{message}"
    );
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

/// `--resume DIR`: the weights, the optimizer and the place in the text are the other run's, its
/// evaluations are not.
#[test]
fn a_run_from_the_checkpoint_of_another_goes_on_with_its_text_and_is_judged_by_itself() {
    let sandbox = Sandbox::new(20);
    let run = |out: &str, steps: u64, more: &[&str]| {
        let mut command = sandbox.pretrain(out, steps);
        command.args([
            "--set",
            "schedule.shape=constant",
            "--set",
            "schedule.warmup=0",
            "--eval-every",
            "5",
            "--json",
        ]);
        json(&command.args(more).assert().success())
    };
    run("whole", 20, &[]);
    let begun = run("begun", 10, &[]);
    run("continued", 20, &["--resume", "begun"]);
    assert_eq!(sandbox.weights("whole"), sandbox.weights("continued"));

    let text = std::fs::read_to_string(sandbox.path("valid.txt")).expect("read");
    std::fs::write(sandbox.path("scrambled.txt"), text.replace(" the ", " zzz ")).expect("written");
    let other =
        run("other", 20, &["--resume", "begun", "--batch", "16", "--valid", "scrambled.txt"]);
    let epochs = |summary: &serde_json::Value| summary["epochs"].as_f64().expect("epochs");
    assert!((epochs(&other) - epochs(&begun) * (80.0 + 160.0) / 80.0).abs() < 1e-9, "{other}");
    let own: Vec<f64> = sandbox
        .records("other", "evals.jsonl")
        .iter()
        .map(|record| record["loss"].as_f64().expect("a loss"))
        .collect();
    let best = own.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(other["best_loss"].as_f64(), Some(best), "{other}");
    let step = other["best_step"].as_u64().expect("a step");
    assert!(sandbox.path(&format!("other/checkpoints/step-{step:08}")).is_dir());
}

/// What a run is judged by must not change under it.
#[test]
fn a_run_is_not_continued_with_other_validation_text() {
    let sandbox = Sandbox::new(20);
    let run = || {
        let mut command = sandbox.pretrain("run", 10);
        command.args(["--checkpoint-every", "5"]);
        command.assert()
    };

    run().success();
    std::fs::remove_dir_all(sandbox.path("run/checkpoints/step-00000010")).expect("removed");

    let text = std::fs::read_to_string(sandbox.path("valid.txt")).expect("read");
    std::fs::write(sandbox.path("valid.txt"), text.replace("river", "brook")).expect("written");
    let message = stderr(&run().code(3));
    assert!(message.contains("its validation text or rows changed since"), "{message}");

    std::fs::write(sandbox.path("valid.txt"), text).expect("written");
    run().success();
}

/// A larger budget has another schedule. From the step at which a finished run is extended, its
/// rates are those of a run that had this budget from its start; where they jump, it is told.
#[test]
fn a_finished_run_is_extended_and_a_jump_of_its_rate_is_told() {
    let sandbox = Sandbox::new(20);
    let run =
        |out: &str, steps: u64, more: &[&str]| sandbox.pretrain(out, steps).args(more).assert();
    let rates = |out: &str| -> Vec<f64> {
        let records = sandbox.records(out, "metrics.jsonl");
        records.iter().map(|it| it["learning_rate"].as_f64().expect("a rate")).collect()
    };

    run("whole", 20, &[]).success();
    run("short", 10, &[]).success();
    let refused = stderr(&run("short", 20, &[]).code(3));
    assert!(refused.contains("budget.steps") && refused.contains("--extend"), "{refused}");
    let smaller = stderr(&run("short", 5, &["--extend"]).code(3));
    assert!(smaller.contains("a budget that is not smaller"), "{smaller}");
    let other = stderr(&run("short", 20, &["--extend", "--batch", "4"]).code(3));
    assert!(other.contains("batch.size"), "{other}");
    let none = stderr(&run("nothing", 20, &["--extend"]).code(3));
    assert!(none.contains("holds no run to extend"), "{none}");

    let extended = run("short", 20, &["--extend"]).success();
    assert!(stderr(&extended).contains("the learning rate jumps from"), "{}", stderr(&extended));
    let (short, whole) = (rates("short"), rates("whole"));
    assert_eq!((short.len(), &short[10..]), (20, &whole[10..]));
    let again = stderr(&run("short", 20, &[]).success());
    assert!(again.contains("is finished"), "{again}");
}

/// Without a jump, an extended run is the run that had the budget from its start.
#[test]
fn a_run_of_a_constant_rate_is_extended_to_the_same_weights() {
    let sandbox = Sandbox::new(20);
    let constant = ["--set", "schedule.shape=constant", "--set", "schedule.warmup=0"];
    let run = |out: &str, steps: u64, more: &[&str]| {
        let run = sandbox.pretrain(out, steps).args(constant).args(more).assert().success();
        stderr(&run)
    };
    run("whole", 20, &[]);
    run("short", 10, &[]);
    assert!(!run("short", 20, &["--extend"]).contains("jumps"));
    assert_eq!(sandbox.weights("whole"), sandbox.weights("short"));
}
