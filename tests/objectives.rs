//! What holds for every objective, typed as a user would, and the tasks that belong to each.

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use bert_variants::registry::OBJECTIVES;
use common::{Sandbox, last_step};
use serde_json::Value;

/// Runs the command and reads its one JSON document.
fn json(command: &mut assert_cmd::Command) -> Value {
    common::json(&command.arg("--json").assert().success())
}

fn number(document: &Value, name: &str) -> f64 {
    document[name].as_f64().unwrap_or_else(|| panic!("{name} in {document}"))
}

#[test]
fn every_objective_gives_the_same_weights_for_any_number_of_threads_and_after_being_killed() {
    let sandbox = Sandbox::new(20);
    sandbox.pretrain("teacher", 5).assert().success();

    for entry in OBJECTIVES {
        let name = entry.name;
        let run = |out: &str| {
            let mut command = sandbox.pretrain(out, 25);
            command.args(["--objective", name, "--checkpoint-every", "4"]);
            if entry.needs_teacher {
                command.args(["--set", "teacher=teacher"]);
            }
            command
        };

        let whole = format!("{name}-whole");
        run(&whole).args(["--threads", "1"]).assert().success();
        for threads in ["2", "4"] {
            let out = format!("{name}-{threads}");
            run(&out).args(["--threads", threads]).assert().success();
            assert_eq!(sandbox.weights(&whole), sandbox.weights(&out), "{name}, {threads} threads");
        }

        let killed = format!("{name}-killed");
        let command = run(&killed);
        let mut child = Command::new(command.get_program())
            .args(command.get_args())
            .current_dir(sandbox.path(""))
            .env("XDG_CACHE_HOME", sandbox.path("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");

        while last_step(&sandbox.path(&killed)) < 6 {
            sleep(Duration::from_millis(2));
            assert!(
                child.try_wait().expect("a process").is_none(),
                "{name}: it ended before it was killed"
            );
        }

        child.kill().expect("SIGKILL");
        child.wait().expect("a process");
        run(&killed).assert().success();
        assert_eq!(sandbox.weights(&whole), sandbox.weights(&killed), "{name}: resumed");
    }
}

#[test]
fn pairs_are_judged_both_ways_by_a_model_trained_on_either() {
    let sandbox = Sandbox::new(20);

    for labels in ["none", "next-sentence", "sentence-order"] {
        let set = format!("objective.labels={labels}");
        sandbox.pretrain(labels, 15).args(["--objective", "sop", "--set", &set]).assert().success();
        for task in ["sop", "nsp"] {
            let found = json(sandbox.command("eval").args(["--model", labels, "--task", task]));
            let accuracy = number(&found, "accuracy");
            assert!(number(&found, "low") <= accuracy && accuracy <= number(&found, "high"));
            assert!(number(&found, "pairs") > 10.0 && (0.0..=1.0).contains(&accuracy));
            assert!(number(&found, "mlm/loss") > 0.0);
        }
    }

    fs::write(sandbox.path("alone.txt"), "The river runs.\n\nThe house falls.\n").expect("written");
    let alone = ["--model", "none", "--task", "sop", "--input", "alone.txt"];
    let wrong = sandbox.command("eval").args(alone).assert().code(3);
    assert!(
        String::from_utf8_lossy(&wrong.get_output().stderr).contains("they hold one sentence each")
    );

    fs::write(
        sandbox.path("lone.txt"),
        "The river runs over the bridge.\n\nThe house falls.\n\n".repeat(40),
    )
    .expect("written");
    let lone =
        ["--config", "small.toml", "--corpus", "lone.txt", "--objective", "sop", "--batch", "32"];

    let run = sandbox
        .command("pretrain")
        .args(lone)
        .args(["--steps", "10", "--out", "lone"])
        .assert()
        .success();
    assert!(
        String::from_utf8_lossy(&run.get_output().stderr)
            .contains("sop/loss has had nothing to predict")
    );
    assert!(sandbox.records("lone", "metrics.jsonl")[9]["sop/loss"].is_null());

    let wrong = sandbox.command("eval").args(["--model", "none", "--task", "rtd"]).assert().code(3);
    let message = String::from_utf8_lossy(&wrong.get_output().stderr).into_owned();
    assert!(
        message.contains("needs a model of the objective `rtd`; this one is `sop`"),
        "{message}"
    );
}

#[test]
fn what_a_variant_lacks_is_told() {
    let sandbox = Sandbox::new(20);
    let variant = ["--objective", "rtd", "--set", "objective.variant=replace-mlm"];
    sandbox.pretrain("replace", 5).args(variant).assert().success();

    fs::write(sandbox.path("lines.txt"), "the river runs\n").expect("written");
    for task in ["rtd", "rtd-scores"] {
        let input = if task == "rtd" { "valid.txt" } else { "lines.txt" };
        let asked = ["--model", "replace", "--task", task, "--input", input];
        let wrong = sandbox.command("eval").args(asked).assert().code(3);
        assert!(
            String::from_utf8_lossy(&wrong.get_output().stderr).contains("discriminator"),
            "{task}"
        );
    }
}

#[test]
fn a_discriminator_is_judged_without_padding_and_scores_every_token() {
    let sandbox = Sandbox::new(20);
    sandbox.pretrain("run", 30).args(["--objective", "rtd"]).assert().success();

    let found = json(sandbox.command("eval").args(["--model", "run", "--task", "rtd"]));
    for name in
        ["rtd/auc", "rtd/accuracy", "rtd/replaced", "generator/accuracy", "rtd/sampled_originals"]
    {
        assert!((0.0..=1.0).contains(&number(&found, name)), "{name}");
    }

    fs::write(sandbox.path("lines.txt"), "the river runs\nstone and wind\n").expect("written");
    let scores = [
        "--model",
        "run",
        "--task",
        "rtd-scores",
        "--input",
        "lines.txt",
        "--output",
        "scores.jsonl",
    ];
    sandbox.command("eval").args(scores).assert().success();

    let rows: Vec<Value> = fs::read_to_string(sandbox.path("scores.jsonl"))
        .expect("scores")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!((rows.len(), rows[1]["text"].as_str()), (2, Some("stone and wind")));
    for row in &rows {
        let (tokens, logits) =
            (row["tokens"].as_array().expect("tokens"), row["logits"].as_array().expect("logits"));
        assert_eq!((tokens.len(), tokens[0].as_str()), (logits.len(), Some("[CLS]")));
    }

    let shown = json(sandbox.command("inspect").args([
        "--model",
        "run",
        "--corpus",
        "train.txt",
        "--count",
        "3",
    ]));
    let tokens: Vec<&Value> = shown["passages"]
        .as_array()
        .expect("passages")
        .iter()
        .flat_map(|p| p["tokens"].as_array().expect("t"))
        .collect();

    let replaced: Vec<&&Value> =
        tokens.iter().filter(|token| token["mark"] == "replaced").collect();
    assert!(!replaced.is_empty() && replaced.iter().all(|token| token["token"] != token["label"]));
    assert!(
        tokens.iter().all(|token| token["token"] != "[MASK]"),
        "the model's own samples stand there"
    );
}

#[test]
fn span_boundaries_are_judged_by_offset_and_units_apart() {
    let sandbox = Sandbox::new(20);
    sandbox.pretrain("run", 15).args(["--objective", "sbo"]).assert().success();
    let found = json(sandbox.command("eval").args(["--model", "run", "--task", "sbo"]));
    for name in ["sbo/loss", "sbo/accuracy", "sbo/accuracy_01", "sbo/unigram_01", "sbo/accuracy_02"]
    {
        number(&found, name);
    }

    let units = json(sandbox.command("eval").args(["--model", "run", "--task", "units"]));
    for unit in ["token", "word", "n-gram", "span"] {
        assert!(
            number(&units[unit], "loss") > 0.0 && number(&units[unit], "targets") > 10.0,
            "{unit}"
        );
    }

    let masks = json(
        sandbox.command("eval").args(["--model", "run", "--task", "loss", "--masks", "roberta"]),
    );
    assert_ne!(number(&masks, "mlm/loss"), number(&found, "mlm/loss"));
}

/// Whatever a model learnt to predict, it is asked for the same masked tokens.
#[test]
fn every_masked_language_model_is_asked_for_the_same_units() {
    let sandbox = Sandbox::new(20);
    let units = |run: &str| {
        json(sandbox.command("eval").args([
            "--model",
            run,
            "--task",
            "units",
            "--output",
            "asked.jsonl",
        ]))
    };

    sandbox.pretrain("mlm", 10).assert().success();
    let plain = units("mlm");
    let masks =
        json(sandbox.command("eval").args(["--model", "mlm", "--task", "loss", "--masks", "bert"]));
    assert!(
        (number(&plain["token"], "loss") - number(&masks, "mlm/loss")).abs() < 1e-5,
        "{plain} {masks}"
    );

    let asked: Vec<Value> = sandbox.records("", "asked.jsonl");
    for unit in ["token", "word", "n-gram", "span"] {
        let rows = asked.iter().filter(|row| row["unit"] == unit);
        let labels = rows
            .flat_map(|row| row["labels"].as_array().expect("labels"))
            .filter(|label| label.is_u64());
        assert_eq!(labels.count() as f64, number(&plain[unit], "targets"), "{unit}");
    }

    for variant in ["electra", "replace-mlm", "all-tokens-mlm"] {
        let set = format!("objective.variant={variant}");
        sandbox
            .pretrain(variant, 10)
            .args(["--objective", "rtd", "--set", &set])
            .assert()
            .success();
        let found = units(variant);
        assert_eq!(found["token"]["targets"], plain["token"]["targets"], "{variant}");
        assert!(
            number(&found["token"], "loss") > 3.0,
            "{variant}: the originals are not shown: {found}"
        );
    }

    // A generator answers, and costs what it costs.
    let on = ["--task", "trade-off", "--input", "valid.txt", "--max-length", "32"];
    let costs = |run: &str| json(sandbox.command("eval").args(["--model", run]).args(on));
    sandbox.command("export").args(["--model", "electra", "--to", "there"]).assert().success();
    let (run, generator) = (costs("electra"), costs("there/generator"));
    assert_eq!(
        (&run["parameters"], &run["flops"]),
        (&generator["parameters"], &generator["flops"])
    );
}

/// A flag that would do nothing is refused.
#[test]
fn flags_that_a_task_does_nothing_with_are_refused() {
    let sandbox = Sandbox::new(12);
    sandbox.pretrain("run", 5).assert().success();
    fs::write(
        sandbox.path("lines.txt"),
        "the old river falls.\n".repeat(300) + &"falls ".repeat(40),
    )
    .expect("written");

    let refused = |flags: &[&str], code: i32| {
        common::stderr(
            &sandbox.command("eval").args(["--model", "run"]).args(flags).assert().code(code),
        )
    };

    for flags in [
        &["--task", "trade-off", "--output", "o.jsonl"][..],
        &["--task", "units", "--masks", "electra"],
        &["--task", "pll", "--input", "lines.txt", "--masks", "bert"],
        &["--task", "blimp", "--input", ".", "--output", "o.jsonl"],
    ] {
        let message = refused(flags, 2);
        assert!(message.contains("does nothing with it"), "{message}");
    }

    let long = refused(&["--task", "pll", "--input", "lines.txt"], 3);
    assert!(long.contains("lines.txt, line 301: "), "{long}");

    // The validation text of a run is read without that of its training.
    fs::rename(sandbox.path("train.txt"), sandbox.path("elsewhere.txt")).expect("moved");
    let loss = json(sandbox.command("eval").args(["--model", "run", "--task", "loss"]));
    assert!(number(&loss, "loss") > 0.0);

    fs::remove_file(sandbox.path("valid.txt")).expect("removed");
    let gone = refused(&["--task", "loss"], 3);
    assert!(gone.contains("valid.txt") && gone.contains("--input TEXT"), "{gone}");
}

/// Files of minimal pairs without BLiMP's tags, such as its supplement's, are named by themselves.
#[test]
fn minimal_pairs_of_any_file_are_scored_and_ties_are_told() {
    let sandbox = Sandbox::new(20);
    sandbox.pretrain("run", 5).assert().success();
    fs::create_dir(sandbox.path("pairs")).expect("a folder");
    let pair = |good: &str, bad: &str| {
        format!("{{\"sentence_good\": \"{good}\", \"sentence_bad\": \"{bad}\"}}\n")
    };
    let text = pair("the old house", "the old house") + &pair("it was late", "late it was");
    fs::write(sandbox.path("pairs/questions.jsonl"), text).expect("written");

    let mut command = sandbox.command("eval");
    let found = json(command.args(["--model", "run", "--task", "blimp", "--input", "pairs"]));
    let paradigm = &found["paradigms"]["questions"];
    assert_eq!((number(paradigm, "pairs"), number(paradigm, "ties")), (2.0, 0.5));
    assert_eq!(paradigm["phenomenon"], "questions");
    assert_eq!(number(&found, "ties"), 0.5);
    assert!(number(&found, "overall") <= 0.5, "a tie is not won");
}

/// What a run draws by the tokens' frequencies it draws by those of its training text, also when it
/// is judged later.
#[test]
fn a_model_is_judged_as_it_was_while_it_trained() {
    let sandbox = Sandbox::new(20);
    let unigram = ["--objective", "rtd", "--set", "objective.generator.kind=unigram"];
    sandbox.pretrain("unigram", 10).args(unigram).assert().success();
    sandbox.pretrain("spans", 10).args(["--objective", "sbo"]).assert().success();

    for (run, metric) in [("unigram", "rtd/auc"), ("spans", "mlm/loss"), ("spans", "sbo/loss")] {
        let found = json(sandbox.command("eval").args(["--model", run, "--task", "loss"]));
        let during = sandbox.records(run, "evals.jsonl").pop().expect("an evaluation");
        let (then, now) = (number(&during, metric), number(&found, metric));
        assert!((then - now).abs() < 1e-6, "{run}, {metric}: {then} and {now}");
    }

    fs::write(sandbox.path("unigram/token_counts.json"), "[1, 2").expect("written");
    let wrong =
        sandbox.command("eval").args(["--model", "unigram", "--task", "loss"]).assert().code(3);
    let message = String::from_utf8_lossy(&wrong.get_output().stderr).into_owned();
    assert!(message.contains("token_counts.json: expected"), "{message}");
}

#[test]
fn two_stages_are_two_runs() {
    let sandbox = Sandbox::new(20);
    sandbox.pretrain("generator", 10).assert().success();
    let frozen = [
        "--objective",
        "rtd",
        "--init",
        "generator",
        "--set",
        "objective.generator.frozen=true",
        "--set",
        "objective.generator.tying=none",
        "--set",
        "objective.generator.size=1.0",
    ];

    let run = sandbox.pretrain("second", 10).args(frozen).assert().success();
    let message = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(message.contains("new weights for discriminator.dense.bias"), "{message}");

    let read = |out: &str| {
        let bytes = sandbox.weights(out);
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
        let all = file.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec()));
        all.collect::<std::collections::BTreeMap<_, _>>()
    };

    let (first, second) = (read("generator"), read("second"));
    assert_eq!(
        first["encoder.embeddings.tokens"], second["generator.tokens"],
        "the generator was not trained"
    );
    assert_eq!(first["head.bias"], second["generator.head.bias"]);
    assert_ne!(
        first["encoder.embeddings.tokens"], second["encoder.embeddings.tokens"],
        "the encoder was"
    );

    // The tokenizer comes along, whatever text it goes on with, unless another is asked for, which
    // would mean nothing.
    let on_other = |out: &str| {
        let mut command = sandbox.command("pretrain");
        command.args([
            "--config",
            "small.toml",
            "--corpus",
            "valid.txt",
            "--out",
            out,
            "--steps",
            "1",
        ]);
        command.args(["--init", "generator"]);
        command
    };

    on_other("other-text").assert().success();
    let tokenizer =
        |out: &str| fs::read(sandbox.path(out).join("tokenizer.json")).expect("a tokenizer");
    assert_eq!(tokenizer("generator"), tokenizer("other-text"));

    let other = on_other("refused").args(["--tokenizer", "train:wordpiece:300"]).assert().code(3);
    assert!(String::from_utf8_lossy(&other.get_output().stderr).contains("its tokens are others"));

    let other = sandbox.pretrain("none", 1).args(["--init", "nowhere"]).assert().code(3);
    assert!(String::from_utf8_lossy(&other.get_output().stderr).contains("nowhere is no model"));
}

#[test]
fn equal_compute_can_be_asked_for() {
    let sandbox = Sandbox::new(20);
    let flops = |objective: &str| {
        let mut command = sandbox.command("pretrain");
        command.args([
            "--config",
            "small.toml",
            "--corpus",
            "train.txt",
            "--valid",
            "valid.txt",
            "--out",
            objective,
        ]);
        command.args(["--objective", objective, "--flops", "2e9"]);
        let summary = json(&mut command);
        (number(&summary, "flops"), number(&summary, "step"))
    };

    let (mlm, rtd) = (flops("mlm"), flops("rtd"));
    assert!(mlm.0 >= 2e9 && rtd.0 >= 2e9 && mlm.0 < 2.2e9 && rtd.0 < 2.2e9, "{mlm:?} {rtd:?}");
    assert!(rtd.1 < mlm.1, "two networks make fewer steps of the same compute");
}

#[test]
fn runs_are_compared_over_seeds_in_every_form() {
    let sandbox = Sandbox::new(20);

    for (arm, rate) in [("plain", "1e-3"), ("fast", "4e-3")] {
        for seed in ["1", "2", "3"] {
            let out = format!("{arm}-seed{seed}");
            let flags = ["--seed", seed, "--learning-rate", rate, "--eval-every", "5"];
            sandbox.pretrain(&out, 10).args(flags).assert().success();
        }
    }

    let folders =
        ["plain-seed1", "plain-seed2", "plain-seed3", "fast-seed3", "fast-seed1", "fast-seed2"];
    let found = json(sandbox.command("compare").args(folders).args(["--metric", "loss"]));

    let arms = found["arms"].as_array().expect("arms");
    assert_eq!(
        arms.iter().map(|arm| arm["arm"].as_str().expect("a name")).collect::<Vec<_>>(),
        ["plain", "fast"]
    );

    let loss = &arms[1]["metrics"]["loss"];
    let last = sandbox.records("fast-seed1", "evals.jsonl")[1]["loss"].as_f64().expect("a loss");
    assert_eq!(loss["values"][0].as_f64(), Some(last), "by seed, from the last evaluation");
    let difference = number(loss, "mean") - number(&arms[0]["metrics"]["loss"], "mean");
    assert!((number(loss, "difference") - difference).abs() < 1e-12);
    let (low, high) =
        (loss["interval"][0].as_f64().expect("low"), loss["interval"][1].as_f64().expect("high"));
    assert!(low < difference && difference < high);

    let files = ["--csv", "table.csv", "--html", "page.html", "--baseline", "fast"];
    let text = sandbox.command("compare").args(folders).args(files).assert().success();
    let text = String::from_utf8_lossy(&text.get_output().stdout).into_owned();
    let first = text
        .lines()
        .find(|line| line.contains(" fast ") || line.contains(" plain "))
        .expect("a row");
    assert!(first.contains("fast") && first.contains('±'), "{text}");

    let table = fs::read_to_string(sandbox.path("table.csv")).expect("written");
    assert!(table.starts_with("arm,runs,loss:mean,") && table.lines().count() == 3, "{table}");

    let page = fs::read_to_string(sandbox.path("page.html")).expect("written");
    assert!(
        page.contains("<polyline") && page.contains("fast-seed2") && !page.contains("http"),
        "one file, no links"
    );

    // The folder they lie in stands for them, and the file of all runs beside them is none.
    let parent =
        json(sandbox.command("compare").args([".", "runs.csv"]).args(["--metric", "loss"]));
    assert_eq!(
        parent["arms"].as_array().map(Vec::len),
        found["arms"].as_array().map(Vec::len),
        "{parent}"
    );

    let twice = sandbox
        .command("compare")
        .args(["plain-seed1", "./plain-seed1", "plain-seed2"])
        .assert()
        .success();
    assert!(
        String::from_utf8_lossy(&twice.get_output().stderr)
            .contains("./plain-seed1 was named before")
    );

    fs::remove_file(sandbox.path("fast-seed1/summary.json")).expect("removed");
    let left = sandbox.command("compare").args(folders).assert().success();
    assert!(
        String::from_utf8_lossy(&left.get_output().stderr)
            .contains("fast-seed1 is not finished and is left out")
    );

    fs::write(sandbox.path("plain-seed1/eval-sop.json"), "{\"cut\":").expect("written");
    let wrong = sandbox.command("compare").args(["plain-seed1"]).assert().code(3);
    assert!(
        String::from_utf8_lossy(&wrong.get_output().stderr).contains("eval-sop.json is damaged")
    );

    fs::remove_file(sandbox.path("plain-seed1/eval-sop.json")).expect("removed");
    let wrong =
        sandbox.command("compare").args(["plain-seed1", "--metric", "los"]).assert().code(2);
    assert!(String::from_utf8_lossy(&wrong.get_output().stderr).contains("known: bits, loss"));
}
