//! What a user could type, and what comes back.

mod common;

use std::fs;

use common::{Sandbox, json, stderr, stdout};

#[test]
fn a_run_leaves_everything_that_was_promised() {
    let sandbox = Sandbox::new(12);
    let flags = ["--eval-every", "10", "--checkpoint-every", "10", "--json"];
    let run = sandbox.pretrain("runs/a", 20).args(flags).assert().success();

    let summary = json(&run);
    assert_eq!(summary["step"], 20);

    let folder = sandbox.path("runs/a");
    for file in [
        "run.toml",
        "metrics.jsonl",
        "evals.jsonl",
        "summary.json",
        "latest",
        "tokenizer.json",
        "token_counts.json",
    ] {
        assert!(folder.join(file).is_file(), "{file}");
    }

    let metrics = sandbox.records("runs/a", "metrics.jsonl");
    assert_eq!(metrics.len(), 20);
    for key in
        ["step", "tokens", "seconds", "learning_rate", "loss", "mlm/loss", "waiting", "padding"]
    {
        assert!(metrics[5].get(key).is_some(), "{key}");
    }

    let evals = sandbox.records("runs/a", "evals.jsonl");
    assert_eq!(
        evals.iter().map(|e| e["step"].as_u64().expect("a step")).collect::<Vec<_>>(),
        [10, 20]
    );

    let rows = fs::read_to_string(sandbox.path("runs/runs.csv")).expect("runs.csv");
    assert_eq!(rows.lines().count(), 2, "a header and a row");

    // The resolved configuration can be run again, to the same weights.
    let again = sandbox
        .command("pretrain")
        .args(["--config", "runs/a/run.toml", "--out", "runs/b"])
        .assert();
    again.success();
    assert_eq!(sandbox.weights("runs/a"), sandbox.weights("runs/b"));
}

#[test]
fn the_loss_falls_and_eval_agrees_with_the_log() {
    let sandbox = Sandbox::new(30);
    sandbox.pretrain("run", 150).args(["--eval-every", "25"]).assert().success();

    let evals = sandbox.records("run", "evals.jsonl");
    let loss = |i: usize| evals[i]["loss"].as_f64().expect("a loss");
    let first = sandbox.records("run", "metrics.jsonl")[0]["loss"].as_f64().expect("a loss");

    // From about ln(vocabulary) to below the entropy of the words, which were drawn evenly.
    let last = loss(evals.len() - 1);
    assert!(last < loss(0) && last < first - 1.0, "{first}, {}, {last}", loss(0));

    let eval = sandbox
        .command("eval")
        .args(["--model", "run", "--task", "loss", "--json"])
        .assert()
        .success();
    let again = json(&eval)["loss"].as_f64().expect("a loss");
    assert!((again - last).abs() < 1e-5, "{again} is not {last}");

    let pll = sandbox.path("sentences.txt");
    fs::write(&pll, "the old house falls.\na cold river runs under the bridge.\n")
        .expect("written");

    let mut eval = sandbox.command("eval");
    eval.args([
        "--model",
        "run/checkpoints/step-00000150",
        "--task",
        "pll",
        "--input",
        "sentences.txt",
    ]);
    eval.args(["--output", "scores.jsonl"]).assert().success();

    let scores = fs::read_to_string(sandbox.path("scores.jsonl")).expect("scores");
    let first: serde_json::Value =
        serde_json::from_str(scores.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["text"], "the old house falls.");
    assert!(first["pll"].as_f64().expect("pll") < 0.0);
    assert_eq!(scores.lines().count(), 2);
}

#[test]
fn accumulated_micro_batches_train_like_one_batch() {
    let sandbox = Sandbox::new(20);
    let losses = |out: &str, micro: &str| -> Vec<f64> {
        sandbox
            .pretrain(out, 10)
            .args(["--batch", "32", "--micro-batch", micro])
            .assert()
            .success();
        let loss = |record: &serde_json::Value| record["loss"].as_f64().expect("a loss");
        sandbox.records(out, "metrics.jsonl").iter().map(loss).collect()
    };

    for (a, b) in losses("one", "32").iter().zip(losses("four", "8")) {
        // The same masks and the same dropout; only the order of sums differs.
        assert!((a - b).abs() < 1e-4, "{a} is not {b}");
    }
}

#[test]
fn budgets_end_runs_in_their_own_unit() {
    let sandbox = Sandbox::new(12);
    let summary = |out: &str, budget: [&str; 2]| {
        let mut command = sandbox.command("pretrain");
        command
            .args(["--config", "small.toml", "--corpus", "train.txt", "--out", out, "--json"])
            .args(budget);
        json(&command.assert().success())
    };

    let tokens = summary("tokens", ["--tokens", "3000"])["tokens"].as_u64().expect("tokens");
    assert!((3000..3300).contains(&tokens), "{tokens}");

    let epochs = summary("epochs", ["--epochs", "2"])["epochs"].as_f64().expect("epochs");
    assert!((2.0..2.5).contains(&epochs), "{epochs}");

    let seconds = summary("minutes", ["--minutes", "0.02"])["seconds"].as_f64().expect("seconds");
    assert!((1.2..10.0).contains(&seconds), "{seconds}");
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let sandbox = Sandbox::new(12);
    let run = sandbox.pretrain("dry", 50).arg("--dry-run").assert().success();
    let text = stdout(&run);
    for word in ["parameters", "flops", "memory_megabytes", "minutes", "[MASK](", "[CLS]"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!sandbox.path("dry").exists());
}

#[test]
fn a_folder_of_another_run_is_refused() {
    let sandbox = Sandbox::new(12);
    sandbox.pretrain("run", 5).assert().success();

    let other = sandbox.pretrain("run", 5).args(["--seed", "9"]).assert().code(3);
    assert!(stderr(&other).contains("these differ: seed"), "{}", stderr(&other));
    sandbox.pretrain("run", 5).args(["--resume", "never"]).assert().code(3);

    let done = sandbox.pretrain("run", 5).assert().success();
    assert!(stderr(&done).contains("finished"), "{}", stderr(&done));

    fs::create_dir(sandbox.path("full")).expect("made");
    fs::write(sandbox.path("full/notes"), "mine").expect("written");
    let full = sandbox.pretrain("full", 5).assert().code(3);
    assert!(stderr(&full).contains("not empty"), "{}", stderr(&full));
}

#[test]
fn bad_input_is_named_with_its_exit_code() {
    let sandbox = Sandbox::new(12);
    fs::write(sandbox.path("empty.txt"), "\n \n").expect("written");
    fs::write(sandbox.path("latin.txt"), b"caf\xe9 au lait\n").expect("written");
    fs::write(sandbox.path("cut.txt.gz"), b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x4b")
        .expect("written");
    fs::write(sandbox.path("a-file"), "x").expect("written");

    let cases: &[(&[&str], i32, &str)] = &[
        (&["--corpus", "none.txt"], 3, "no such file or folder: none.txt"),
        (&["--corpus", "empty.txt"], 3, "empty"),
        (&["--corpus", "latin.txt"], 3, "latin.txt is not UTF-8 at byte 3"),
        (&["--corpus", "cut.txt.gz"], 3, "cut.txt.gz ends early"),
        (&["--set", "encoder.hiden=3"], 3, "unknown key `encoder.hiden`; did you mean `hidden`?"),
        (&["--set", "objective.masking.rat=0.3"], 3, "did you mean `rate`?"),
        (&["--set", "encoder.vocabulary=50"], 3, "encoder.vocabulary = 50: the tokenizer has"),
        (&["--max-length", "64"], 3, "corpus.max_length = 64: the position table has 32 rows"),
        (&["--tokenizer", "train:words:100"], 3, "write train:MODEL:SIZE"),
        (&["--tokenizer", "train:wordpiece:20"], 3, "too small"),
        (&["--tokenizer", "missing.json"], 3, "cannot read the tokenizer missing.json"),
        (&["--out", "a-file/run"], 3, "a-file/run"),
        (&["--steps", "0"], 3, "budget.steps = 0: must be above 0"),
        (&["--learning-rate", "0"], 3, "optimizer.learning_rate = 0: must be above 0"),
        (&["--learning-rate", "-1"], 3, "optimizer.learning_rate = -1: must be above 0"),
        (&["--threads", "100000"], 3, "threads = 100000: must be at most 1024"),
        (&["--eval-blimp", "nowhere"], 3, "cannot open the BLiMP folder nowhere"),
        (
            &["--backend", "wgpu", "--set", "encoder.precision=bf16"],
            3,
            "only the backend cpu computes in it",
        ),
        #[cfg(target_os = "linux")]
        (&["--set", "encoder.hidden=1000000", "--dry-run"], 5, "GB of memory"),
        (&["--stepz", "3"], 2, "--steps"),
        (&["--objective", "nsp"], 2, "mlm"),
    ];

    for (arguments, code, message) in cases {
        let mut command = sandbox.command("pretrain");
        command.args(["--config", "small.toml"]);
        for default in [["--corpus", "train.txt"], ["--out", "bad"], ["--steps", "3"]] {
            if !arguments.contains(&default[0]) {
                command.args(default);
            }
        }

        let run = command.args(*arguments).assert().code(*code);
        let error = stderr(&run);
        assert!(error.contains(message), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let sandbox = Sandbox::new(12);
    let mut command = sandbox.pretrain("diverged", 200);
    let flags = [
        "--checkpoint-every",
        "5",
        "--set",
        "optimizer.clip_norm=0.0",
        "--set",
        "schedule.warmup=0.5",
    ];
    let lamb = ["--set", "optimizer.learning_rate=1e30", "--set", "checkpoint.keep=2"];
    let run = command.args(flags).args(lamb).assert().code(4);

    let error = stderr(&run);
    assert!(error.contains("not finite at step") && error.contains("passages ["), "{error}");
    assert!(error.contains("learning rate"), "{error}");

    // A checkpoint is there although the last evaluation came after it.
    let mut command = sandbox.pretrain("later", 200);
    let flags = ["--checkpoint-every", "5", "--eval-every", "7", "--learning-rate", "1e3"];
    let rising = ["--set", "optimizer.clip_norm=0.0", "--set", "schedule.warmup=0.99"];
    let error = stderr(&command.args(flags).args(rising).assert().code(4));
    assert!(error.contains("the last good checkpoint, step"), "{error}");
}

#[test]
fn a_damaged_shard_is_named_and_built_again() {
    let sandbox = Sandbox::new(12);
    sandbox.pretrain("one", 5).assert().success();

    let cache = sandbox.path("cache/bert-variants");
    let folders =
        fs::read_dir(&cache).expect("a cache").map(|entry| entry.expect("an entry").path());
    for folder in folders.filter(|path| path.is_dir()) {
        let shard = folder.join("tokens-00000.bin");
        let mut bytes = fs::read(&shard).expect("a shard");
        bytes[7] ^= 0xff;
        fs::write(&shard, bytes).expect("written");
    }

    let run = sandbox.pretrain("two", 5).assert().success();
    assert!(
        stderr(&run).contains("tokens-00000.bin is damaged; it is built again"),
        "{}",
        stderr(&run)
    );
    assert_eq!(sandbox.weights("one"), sandbox.weights("two"));
}

#[test]
fn the_other_commands_answer() {
    let sandbox = Sandbox::new(12);
    let devices = json(&sandbox.command("devices").arg("--json").assert().success());
    assert_eq!(devices["backends"][0]["backend"], "cpu");
    assert_eq!(devices["backends"][0]["usable"], true);

    let small = ["--tokenizer", "train:wordpiece:300", "--corpus", "train.txt"];
    let stats =
        json(&sandbox.command("corpus").arg("stats").args(small).arg("--json").assert().success());
    assert_eq!(stats["documents"], 12);
    assert!(stats["unigram_entropy"].as_f64().expect("entropy") > 1.0);

    let mut train = sandbox.command("tokenizer");
    train.arg("train").args(small).args(["--out", "t.json"]).assert().success();
    assert!(sandbox.path("t.json").is_file());

    let inspect =
        sandbox.command("inspect").args(small).args(["--max-length", "32"]).assert().success();
    assert!(stdout(&inspect).contains("[MASK]("), "{}", stdout(&inspect));

    let man = stdout(&sandbox.command("man").assert().success());
    assert!(man.contains(".TH") && man.contains(".SH BERT-VARIANTS CORPUS STATS"), "{man}");

    sandbox.command("man").args(["--to", "pages"]).assert().success();
    let page = fs::read_to_string(sandbox.path("pages/bert-variants-corpus-stats.1"))
        .expect("a page for each command");
    assert!(page.contains("bert\\-variants\\-corpus\\-stats"), "{page}");

    let bash = stdout(&sandbox.command("completions").arg("bash").assert().success());
    assert!(bash.contains("bert-variants"));
}

#[test]
fn ngrams_of_a_text_are_learnt_and_masked_together() {
    let sandbox = Sandbox::new(12);
    let learn = |out: &str, least: &str| {
        let mut command = sandbox.command("corpus");
        command.args(["ngrams", "--corpus", "train.txt", "--tokenizer", "train:wordpiece:300"]);
        command.args(["--out", out, "--min-count", least, "--json"]);
        json(&command.assert().success())
    };
    let learnt = learn("ngrams.jsonl", "3");
    assert!(learnt["of_2_words"].as_u64().expect("a count") > 0, "{learnt}");
    let lines = fs::read_to_string(sandbox.path("ngrams.jsonl")).expect("a file");
    assert_eq!(lines.lines().count() as u64, 1 + learnt["ngrams"].as_u64().expect("a count"));

    let pmi = ["--set", "objective.masking.family=pmi", "--checkpoint-every", "2"];
    let without = sandbox.pretrain("without", 2).args(pmi).assert().code(3);
    assert!(stderr(&without).contains("corpus ngrams"), "{}", stderr(&without));

    let with = ["--tokenizer", "train:wordpiece:300", "--set", "corpus.ngrams=ngrams.jsonl"];
    let run = || sandbox.pretrain("run", 4).args(pmi).args(with).assert();
    run().success();

    // A run goes on with the same n-grams only, and its evaluation needs none.
    fs::remove_dir_all(sandbox.path("run/checkpoints/step-00000004")).expect("removed");
    fs::remove_file(sandbox.path("run/summary.json")).expect("removed");
    learn("ngrams.jsonl", "5");
    let changed = stderr(&run().code(3));
    assert!(changed.contains("its file of n-grams changed"), "{changed}");
    fs::remove_file(sandbox.path("ngrams.jsonl")).expect("removed");
    let mut eval = sandbox.command("eval");
    eval.args(["--model", "run", "--task", "loss"]).assert().success();

    let mut other = sandbox.pretrain("other", 2);
    learn("others.jsonl", "3");
    other.args(pmi).args(["--tokenizer", "train:bpe:300"]);
    let other = other.args(["--set", "corpus.ngrams=others.jsonl"]).assert().code(3);
    assert!(stderr(&other).contains("another tokenizer"), "{}", stderr(&other));
}

#[test]
fn a_probe_stands_beside_random_weights_and_lengths() {
    let sandbox = Sandbox::new(40);
    sandbox.pretrain("run", 2).assert().success();
    let probe = |arguments: &[&str]| {
        let mut command = sandbox.command("eval");
        command.args(["--task", "probe", "--model", "run", "--limit", "200", "--json"]);
        command.args(arguments).assert()
    };

    let assert = probe(&["--input", "train.txt", "--output", "questions.jsonl"]).success();
    let document = json(&assert);
    let shifts = &document["bigram-shift"];
    assert_eq!(shifts["majority"], 0.5);
    for weights in ["random", "trained"] {
        let layers = shifts[weights]["layers"].as_array().expect("layers").len();
        let accuracy = shifts[weights]["accuracy"].as_f64().expect("an accuracy");
        assert!(layers == 3 && (0.2..0.8).contains(&accuracy), "{shifts}");
    }
    // The text has too few words for one question, and too few lengths for another.
    for question in ["word-content", "sentence-length"] {
        assert!(document[question].is_null() && stderr(&assert).contains(question), "{question}");
    }

    let texts = fs::read_to_string(sandbox.path("questions.jsonl")).expect("a file");
    let record: serde_json::Value =
        serde_json::from_str(texts.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&record["question"], &record["split"]), (&"bigram-shift".into(), &"train".into()));

    // A label that is a word of the text.
    let table = |first: usize| -> String {
        let row = |i: usize| {
            let (word, label) = [("river", "wet"), ("stone", "dry")][i % 2];
            format!("the old {word} runs {} house\t{label}\n", ["under", "over", "beside"][i % 3])
        };
        let rows: String = (first..first + 60).map(row).collect();
        format!("sentence\tlabel\n{rows}")
    };
    fs::write(sandbox.path("learn.tsv"), table(0)).expect("written");
    fs::write(sandbox.path("measure.tsv"), table(61)).expect("written");
    let labelled = json(&probe(&["--train", "learn.tsv", "--test", "measure.tsv"]).success());
    assert_eq!(labelled["labels"]["trained"]["accuracy"], 1.0, "{labelled}");

    fs::write(sandbox.path("short.txt"), "One short line.\n").expect("written");
    let none = stderr(&probe(&["--input", "short.txt"]).code(3));
    assert!(none.contains("answers none of the questions"), "{none}");
}

#[test]
fn spans_of_an_annotation_are_masked() {
    let sandbox = Sandbox::new(12);
    // The second word of every line that has two.
    let annotate = |name: &str| {
        let text = fs::read_to_string(sandbox.path(name)).expect("a text");
        let span = |line: &str| {
            let mut blanks = line.char_indices().filter(|(_, c)| *c == ' ').map(|(at, _)| at);
            match (blanks.next(), blanks.next()) {
                (Some(start), Some(end)) => format!("{}:{end}\n", start + 1),
                _ => "\n".to_owned(),
            }
        };
        let spans: String = text.lines().map(span).collect();
        fs::write(sandbox.path(&format!("{name}.spans")), spans).expect("written");
    };

    let flags = ["--set", "corpus.annotations=spans", "--set", "objective.masking.unit=annotated"];
    let missing = sandbox.pretrain("run", 2).args(flags).assert().code(3);
    assert!(stderr(&missing).contains("train.txt.spans"), "{}", stderr(&missing));

    annotate("train.txt");
    annotate("valid.txt");
    sandbox.pretrain("run", 2).args(flags).assert().success();

    let without = sandbox.pretrain("other", 2).args(&flags[2..]).assert().code(3);
    assert!(stderr(&without).contains("corpus.annotations = \"spans\""), "{}", stderr(&without));
}
