//! `distill` and `augment` as a user types them.

mod common;

use std::collections::HashSet;
use std::fs;

use common::{Sandbox, json, stderr, table};
use serde_json::Value;

/// A pretrained model of four layers, and the data of a task.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(12);
    sandbox.pretrain("teacher", 60).args(["--set", "encoder.layers=4"]).assert().success();
    fs::write(sandbox.path("train.tsv"), table(60, 0)).expect("written");
    fs::write(sandbox.path("dev.tsv"), table(20, 7)).expect("written");
    sandbox
}

/// `distill` from text, with the settings of the small runs but the encoder's.
fn distill(sandbox: &Sandbox, method: &str, out: &str) -> assert_cmd::Command {
    let mut command = sandbox.command("distill");
    command.args([
        "--method",
        method,
        "--teacher",
        "teacher",
        "--out",
        out,
        "--corpus",
        "train.txt",
    ]);
    command.args([
        "--valid",
        "valid.txt",
        "--max-length",
        "32",
        "--batch",
        "8",
        "--learning-rate",
        "3e-3",
    ]);
    command
}

#[test]
fn a_distilbert_starts_from_its_teacher_comes_nearer_to_it_and_is_exported() {
    let sandbox = sandbox();
    let run = distill(&sandbox, "distilbert", "student")
        .args(["--steps", "60", "--eval-every", "1", "--set", "objective.mlm=0"])
        .assert()
        .success();
    assert!(
        stderr(&run).contains("new weights for head.norm"),
        "the transform is new: {}",
        stderr(&run)
    );

    let evals = sandbox.records("student", "evals.jsonl");
    for name in ["distilbert/divergence", "distilbert/cosine"] {
        let at =
            |record: &Value| record[name].as_f64().unwrap_or_else(|| panic!("{name} in {record}"));
        let (first, last) = (at(&evals[0]), at(&evals[evals.len() - 1]));
        assert!(last < 0.8 * first, "{name}: from {first} to {last}");
    }

    let config = fs::read_to_string(sandbox.path("student/run.toml")).expect("a configuration");
    assert!(
        config.contains("layers = 2") && config.contains("segments = 0"),
        "half of the layers: {config}"
    );

    sandbox.command("export").args(["--model", "student", "--to", "exported"]).assert().success();
    let exported =
        fs::read_to_string(sandbox.path("exported/config.json")).expect("a configuration");
    assert!(exported.contains("DistilBertForMaskedLM"));

    let shown = [
        "--objective",
        "distilbert",
        "--set",
        "teacher=teacher",
        "--tokenizer",
        "teacher/tokenizer.json",
    ];
    let text = ["--corpus", "train.txt", "--config", "small.toml"];
    sandbox.command("inspect").args(shown).args(text).assert().success();

    // Without its teacher it is still a masked language model.
    fs::rename(sandbox.path("teacher"), sandbox.path("gone")).expect("moved");
    let eval = sandbox
        .command("eval")
        .args(["--model", "student", "--task", "loss", "--json"])
        .assert()
        .success();
    assert!(json(&eval)["mlm/loss"].is_f64() && json(&eval)["distilbert/divergence"].is_null());
}

#[test]
fn tinybert_goes_from_text_to_the_inside_of_a_task_to_its_predictions() {
    let sandbox = sandbox();
    let layers = ["--set", "encoder.layers=2", "--steps", "20"];
    distill(&sandbox, "tinybert-general", "general").args(layers).assert().success();
    sandbox
        .command("inspect")
        .args(["--model", "general", "--corpus", "train.txt"])
        .assert()
        .success();

    for task in ["units", "trade-off"] {
        let eval =
            sandbox.command("eval").args(["--model", "general", "--task", task]).assert().code(3);
        assert!(stderr(&eval).contains("predicts no"), "{task}: {}", stderr(&eval));
    }

    sandbox
        .command("export")
        .args(["--model", "general", "--to", "general-exported"])
        .assert()
        .success();
    let exported =
        fs::read_to_string(sandbox.path("general-exported/config.json")).expect("a configuration");
    assert!(exported.contains("\"BertModel\""), "{exported}");

    tune(&sandbox);
    let run = sandbox
        .command("distill")
        .args([
            "--method",
            "tinybert-task",
            "--teacher",
            "tuned",
            "--student",
            "general",
            "--out",
            "student",
        ])
        .args(["--epochs", "10", "--intermediate-epochs", "5", "--learning-rate", "3e-3"])
        .args(["--intermediate-learning-rate", "3e-3", "--json"])
        .args(TASK)
        .assert()
        .success();

    let results = json(&run);
    for metric in ["accuracy", "agreement"] {
        let value = results["mean"]["dev"][metric].as_f64().expect("a metric");
        assert!(value > 0.9, "{metric}: {results}");
    }

    let inside = sandbox.records("student-intermediate", "evals.jsonl");
    let loss = |record: &Value| record["loss"].as_f64().expect("a loss");
    assert!(loss(&inside[inside.len() - 1]) < loss(&inside[0]));
    let export = ["--model", "student", "--to", "exported"];
    sandbox.command("export").args(export).assert().success();

    distill(&sandbox, "distilbert", "halved").args(layers).assert().success();
    let again = [
        "--method",
        "tinybert-task",
        "--stage",
        "prediction",
        "--teacher",
        "tuned",
        "--student",
        "halved",
    ];
    sandbox.command("distill").args(again).args(["--out", "adapted"]).args(TASK).assert().success();

    sandbox
        .command("export")
        .args(["--model", "adapted", "--to", "adapted-exported"])
        .assert()
        .success();
    let exported =
        fs::read_to_string(sandbox.path("adapted-exported/config.json")).expect("a configuration");
    assert!(exported.contains("\"DistilBertForSequenceClassification\""), "{exported}");

    let untuned = sandbox
        .command("distill")
        .args(["--method", "bilstm", "--teacher", "teacher", "--out", "none"])
        .args(TASK)
        .assert()
        .code(3);
    assert!(stderr(&untuned).contains("run finetune on the task first"), "{}", stderr(&untuned));
}

/// Flags of the small task.
const TASK: [&str; 8] =
    ["--train", "train.tsv", "--dev", "dev.tsv", "--batch", "8", "--max-length", "32"];

/// Fine-tunes `teacher` into `tuned`.
fn tune(sandbox: &Sandbox) {
    let flags = [
        "--model",
        "teacher",
        "--task",
        "classification",
        "--epochs",
        "10",
        "--learning-rate",
        "3e-3",
    ];
    sandbox.command("finetune").args(flags).args(TASK).args(["--out", "tuned"]).assert().success();
}

/// `eval --task trade-off`.
fn trade_off(sandbox: &Sandbox, model: &str, flags: &[&str]) -> Value {
    let mut command = sandbox.command("eval");
    command.args(["--model", model, "--task", "trade-off", "--json"]).args(flags);
    json(&command.assert().success())
}

#[test]
fn a_masked_language_model_is_put_beside_its_teacher() {
    let sandbox = sandbox();
    distill(&sandbox, "distilbert", "student").args(["--steps", "20"]).assert().success();

    let itself = trade_off(&sandbox, "teacher", &["--teacher", "teacher"]);
    for name in ["parameters", "megabytes", "flops", "loss", "accuracy"] {
        assert_eq!(itself["ratio"][name], 1.0, "{name}");
    }
    assert_eq!(itself["agreement"], 1.0);

    let megabytes = itself["parameters"].as_f64().expect("a number") * 4e-6;
    let file = itself["megabytes"].as_f64().expect("a size");
    assert!(
        file > megabytes && file < megabytes + 0.02,
        "four bytes a parameter and a header: {file}"
    );

    let loss = ["--model", "teacher", "--task", "loss", "--json"];
    let loss = json(&sandbox.command("eval").args(loss).assert().success());
    let (one, other) =
        (itself["loss"].as_f64().expect("a loss"), loss["mlm/loss"].as_f64().expect("a loss"));
    assert!((one - other).abs() < 1e-4, "{one} is not {other}");

    let student = trade_off(&sandbox, "student", &["--teacher", "teacher"]);
    // Two layers of four; the rest is the token table and the head.
    let layer = 4 * (32 * 32 + 32) + 2 * 32 * 64 + 64 + 32 + 4 * 32;
    let parameters = |document: &Value| document["parameters"].as_u64().expect("a number");
    assert_eq!(
        parameters(&itself) - parameters(&student),
        2 * layer + 2 * 32,
        "two layers and two segments"
    );
    assert!(student["ratio"]["flops"].as_f64().expect("a ratio") < 1.0, "{student}");
    assert!(student["latency_ms"].as_f64().expect("a time") > 0.0);
    assert_eq!(student["teacher"]["loss"], itself["loss"], "the same questions");
}

#[test]
fn a_student_of_a_task_is_put_beside_its_teacher_and_into_the_page() {
    let sandbox = sandbox();
    tune(&sandbox);
    let distilled =
        ["--method", "bag", "--teacher", "tuned", "--out", "bag", "--epochs", "10", "--seeds", "2"];
    sandbox
        .command("distill")
        .args(distilled)
        .args(TASK)
        .args(["--learning-rate", "3e-3"])
        .assert()
        .success();

    for seed in ["bag/seed-1", "bag/seed-2"] {
        let found = trade_off(&sandbox, seed, &["--teacher", "tuned", "--limit", "15"]);
        assert_eq!(found["rows"], 15);
        assert!(found["accuracy"].as_f64().expect("an accuracy") > 0.9, "{found}");
        assert!(found["agreement"].as_f64().expect("a share") > 0.9, "{found}");
        assert!(
            found["ratio"]["flops"].as_f64().expect("a ratio") < 0.5,
            "a bag only adds: {found}"
        );
        fs::write(sandbox.path(seed).join("eval-trade-off.json"), found.to_string())
            .expect("written");
    }

    let compare = ["bag/seed-1", "bag/seed-2", "--html", "page.html", "--json"];
    let compared = json(&sandbox.command("compare").args(compare).assert().success());
    assert_eq!(compared["arms"][0]["arm"], "bag", "seeds of one folder are an arm: {compared}");
    let metrics = &compared["arms"][0]["metrics"];
    assert!(
        metrics["eval/trade-off/agreement"]["mean"].is_f64()
            && metrics["dev/accuracy"]["mean"].is_f64()
    );

    let page = fs::read_to_string(sandbox.path("page.html")).expect("a page");
    assert!(
        page.contains("What quality costs") && page.contains("fill=\"#000000\""),
        "the teacher is a black dot"
    );

    let unlike = ["--model", "teacher", "--task", "trade-off", "--teacher", "tuned"];
    let refused = sandbox.command("eval").args(unlike).assert().code(3);
    assert!(stderr(&refused).contains("give two of a kind"), "{}", stderr(&refused));
}

#[test]
fn simple_networks_learn_what_a_teacher_says_and_predict() {
    let sandbox = sandbox();
    tune(&sandbox);

    for method in ["bilstm", "textcnn", "bag"] {
        let run = |out: &str, threads: &str| {
            let mut command = sandbox.command("distill");
            command.args([
                "--method",
                method,
                "--teacher",
                "tuned",
                "--out",
                out,
                "--threads",
                threads,
            ]);
            command
                .args(["--epochs", "10", "--learning-rate", "3e-3", "--set", "objective.width=16"])
                .args(TASK);
            command
        };

        let staged = stderr(&run("staged", "1").args(["--stage", "prediction"]).assert().code(2));
        assert!(staged.contains("only tinybert-task has stages"), "{staged}");
        let deeper =
            stderr(&run("deeper", "1").args(["--set", "encoder.layers=2"]).assert().code(2));
        assert!(deeper.contains("a simple network has no encoder"), "{deeper}");

        let (one, two) = (format!("{method}-1"), format!("{method}-2"));
        let found = json(&run(&one, "1").args(["--seeds", "1", "--json"]).assert().success());
        let accuracy = found["mean"]["dev"]["accuracy"].as_f64().expect("an accuracy");
        assert!(accuracy > 0.9, "{method}: {found}");
        run(&two, "2").assert().success();
        assert_eq!(sandbox.weights(&one), sandbox.weights(&two), "{method}: one thread and two");

        let predict = ["--model", one.as_str(), "--input", "dev.tsv", "--output", "said.jsonl"];
        sandbox.command("predict").args(predict).assert().success();
        assert_eq!(sandbox.records("", "said.jsonl").len(), 20);
    }

    // Embeddings from a file, of the width that the configuration says.
    fs::write(sandbox.path("vectors.txt"), "river 1 2 3\nhouse 3 2 1\n").expect("written");
    let with = |width: &str| {
        let mut command = sandbox.command("distill");
        command.args([
            "--method",
            "bag",
            "--teacher",
            "tuned",
            "--out",
            &format!("vectors-{width}"),
        ]);
        command
            .args(["--embeddings", "vectors.txt", "--set", &format!("objective.embedding={width}")])
            .args(TASK);
        command.assert()
    };

    assert!(stderr(&with("3").success()).contains("tokens have a vector"));
    assert!(stderr(&with("4").code(3)).contains("have 3 numbers"));
}

#[test]
fn augmented_files_are_the_same_for_any_number_of_threads_and_repeat_no_variant() {
    let sandbox = sandbox();
    fs::write(sandbox.path("tags.tsv"), "river\tN\nhouse\tN\nold\tA\ncold\tA\nnew\tA\nfalls\tV\n")
        .expect("written");

    for (method, tags) in [("tinybert", &[][..]), ("tang", &["--tags", "tags.tsv"])] {
        let run = |output: &str, threads: &str| {
            let mut command = sandbox.command("augment");
            command.args([
                "--method",
                method,
                "--model",
                "teacher",
                "--input",
                "train.tsv",
                "--output",
                output,
            ]);
            command.args(["--copies", "5", "--threads", threads]).args(tags);
            command.assert().success();
            fs::read_to_string(sandbox.path(output)).expect("a file")
        };

        let [one, two, four] =
            ["1", "2", "4"].map(|threads| run(&format!("{method}-{threads}.tsv"), threads));
        assert!(one == two && one == four, "{method}");

        let lines: Vec<&str> = one.lines().collect();
        assert_eq!(lines[0], "sentence\tlabel");
        let originals: Vec<String> = table(60, 0).lines().skip(1).map(str::to_owned).collect();

        let (mut rest, mut seen) = (originals.as_slice(), HashSet::new());
        let (mut label, mut copies) = (None, 0);
        for line in &lines[1..] {
            (label, copies) = match rest.split_first() {
                Some((next, others)) if line == next => {
                    rest = others;
                    (line.split('\t').nth(1), 0)
                }
                _ => {
                    assert!(
                        seen.insert(line) && !originals.iter().any(|row| row == line),
                        "{method}: {line} twice"
                    );
                    assert_eq!(line.split('\t').nth(1), label);
                    (label, copies + 1)
                }
            };
            assert!(copies <= 5, "{method}: five copies at most");
        }

        assert!(rest.is_empty(), "{method}: every row is there");
        assert!(lines.len() > 2 * originals.len(), "{method}: {} lines", lines.len());
    }

    fs::write(sandbox.path("commas.tsv"), "sentence\tlabel\nthe old, \"cold\" river\twet\n")
        .expect("written");
    for output in ["commas.csv", "commas.jsonl"] {
        let varied =
            ["--method", "tang", "--model", "teacher", "--input", "commas.tsv", "--output", output];
        sandbox.command("augment").args(varied).args(["--tags", "tags.tsv"]).assert().success();

        let table =
            ["--model", "teacher", "--method", "tang", "--tags", "tags.tsv", "--copies", "1"];
        let back = ["--input", output, "--output", &format!("{output}.tsv")];
        sandbox.command("augment").args(table).args(back).assert().success();
        let lines = fs::read_to_string(sandbox.path(&format!("{output}.tsv"))).expect("a table");
        assert_eq!(
            lines.lines().nth(1),
            Some("the old, \"cold\" river\twet"),
            "{output} is read back"
        );
    }

    let again = [
        "--method",
        "tang",
        "--model",
        "teacher",
        "--input",
        "train.tsv",
        "--output",
        "tang-1.tsv",
    ];
    let refused =
        sandbox.command("augment").args(again).args(["--tags", "tags.tsv"]).assert().code(3);
    assert!(stderr(&refused).contains("there already"), "{}", stderr(&refused));
}

#[test]
fn a_teacher_that_is_missing_or_does_not_fit_is_named() {
    let sandbox = sandbox();
    let none = sandbox.pretrain("none", 5).args(["--objective", "distilbert"]).assert().code(3);
    assert!(stderr(&none).contains("give --teacher DIR"), "{}", stderr(&none));

    let wide = distill(&sandbox, "distilbert", "wide")
        .args(["--set", "encoder.hidden=16", "--steps", "5"])
        .assert()
        .code(3);
    assert!(stderr(&wide).contains("make them equal"), "{}", stderr(&wide));

    let table =
        distill(&sandbox, "distilbert", "wrong").args(["--train", "train.tsv"]).assert().code(2);
    assert!(stderr(&table).contains("learns from --corpus"), "{}", stderr(&table));
}
