//! Labelled files, their labels and predictions: joined by name, and told where something is left
//! out or cannot be measured.

mod common;

use std::fs;
use std::path::Path;

use checkpoint::{HostTensor, weights};
use common::{Sandbox, json, stderr, stdout, table};
use corpus::Tokenizer;
use finetune::{DataConfig, TaskData, TaskKind, TextEncoder};
use objective::Label;
use serde_json::Value;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(12);
    sandbox.pretrain("model", 5).assert().success();
    fs::write(sandbox.path("train.tsv"), table(60, 0)).expect("written");
    fs::write(sandbox.path("dev.tsv"), table(20, 7)).expect("written");
    sandbox
}

/// `finetune` of `model` for an epoch.
fn finetune(sandbox: &Sandbox, task: &str, flags: &[&str]) -> assert_cmd::Command {
    let mut command = sandbox.command("finetune");
    command.args(["--model", "model", "--task", task, "--epochs", "1", "--batch", "8"]);
    command.args(flags);
    command
}

#[test]
fn predictions_are_joined_to_their_rows_and_scored_where_labels_are_there() {
    let sandbox = sandbox();
    let files = ["--train", "train.tsv", "--dev", "dev.tsv", "--out", "run", "--json"];
    let results = json(&finetune(&sandbox, "classification", &files).assert().success());
    let accuracy = results["mean"]["dev"]["accuracy"].as_f64().expect("an accuracy");

    let predict = |name: &str, content: &str| {
        fs::write(sandbox.path(name), content).expect("written");
        let input = ["--model", "run", "--input", name];
        let run = sandbox.command("predict").args(input).assert().success();
        let lines = stdout(&run);
        let rows: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (rows, stderr(&run))
    };

    let (rows, told) = predict("again.tsv", &table(20, 7));
    assert!(told.contains(&format!("accuracy: {accuracy:.4}")), "{told}");
    for (number, (row, line)) in rows.iter().zip(table(20, 7).lines().skip(1)).enumerate() {
        let (text, label) = line.split_once('\t').expect("two columns");
        assert_eq!(row["row"], number + 1);
        assert_eq!((row["text"].as_str(), row["gold"].as_str()), (Some(text), Some(label)));
    }

    let (rows, told) = predict("new.csv", "id,sentence\nx7,the old river falls.\nx9,a house.\n");
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, ["x7", "x9"]);
    assert!(rows.iter().all(|row| row.get("gold").is_none()) && !told.contains("accuracy"));

    let (rows, told) = predict("odd.tsv", "sentence\tlabel\nthe river.\tlake\na house.\tdry\n");
    assert_eq!((rows.len(), rows[0]["gold"].as_str()), (2, Some("lake")));
    assert!(told.contains("not scored: 1 of 2 labels are missing or not among"), "{told}");
}

#[test]
fn the_classes_of_a_glue_task_are_those_of_the_same_name_in_a_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = "index\tsentence1\tsentence2\tgold_label\n\
                0\tA mill.\tA house.\tentailment\n\
                1\tA mill.\tA river.\tcontradiction\n\
                2\tA mill.\tA sail.\t-\n\
                3\tA mill.\tA wheel.\tneutral\n";
    for name in ["train.tsv", "dev_matched.tsv", "dev_mismatched.tsv"] {
        fs::write(folder.path().join(name), rows).expect("written");
    }

    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert");
    let tokenizer = Tokenizer::open(&fixture).expect("a tokenizer");
    let read = |known: &[&str]| {
        let config = DataConfig {
            glue: "MNLI".to_owned(),
            folder: folder.path().to_owned(),
            ..DataConfig::default()
        };
        let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
        let encoder = TextEncoder::new(&tokenizer, 32);
        TaskData::read(&config, TaskKind::Classification, encoder, &known)
    };

    let names = |data: &TaskData| -> Vec<String> {
        let name = |class: u32| data.labels[class as usize].to_lowercase();
        let rows = data.train.iter().chain(&data.dev[0].rows);
        rows.map(|row| match row.label {
            Some(Label::Class(class)) => name(class),
            _ => panic!("a class"),
        })
        .collect()
    };
    let expected = ["entailment", "contradiction", "neutral"].repeat(2);
    let orders: [&[&str]; 3] = [
        &[],
        &["entailment", "neutral", "contradiction"],
        &["CONTRADICTION", "NEUTRAL", "ENTAILMENT"],
    ];
    for known in orders {
        let data = read(known).expect("read");
        assert_eq!(names(&data), expected, "{known:?}");
        assert!(known.is_empty() || data.labels == known);
    }

    let message = read(&["LABEL_0", "LABEL_1", "LABEL_2"]).expect_err("refused").to_string();
    assert!(message.contains("name them in `id2label`"), "{message}");
}

/// Fine-tuning goes on with a model's classes in the model's order, so that its outputs keep their
/// meaning.
#[test]
fn a_classifier_of_the_same_classes_in_another_order_is_continued() {
    let sandbox = sandbox();
    let files = ["--train", "train.tsv", "--out", "run"];
    finetune(&sandbox, "classification", &files).assert().success();
    sandbox.command("export").args(["--model", "run", "--to", "there"]).assert().success();

    // The same model with its two outputs exchanged.
    let path = sandbox.path("there/model.safetensors");
    let mut tensors = weights::read(&path).expect("read");
    for name in ["classifier.weight", "classifier.bias"] {
        let HostTensor { values, .. } = tensors.get_mut(name).expect("it is there");
        let half = values.len() / 2;
        values.rotate_left(half);
    }
    fs::write(&path, weights::bytes(&tensors).expect("bytes")).expect("written");
    let path = sandbox.path("there/config.json");
    let mut config: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("read")).expect("JSON");
    config["id2label"] = serde_json::json!({"0": "wet", "1": "dry"});
    fs::write(&path, config.to_string()).expect("written");

    let mut command = sandbox.command("finetune");
    command.args(["--model", "there", "--task", "classification", "--train", "train.tsv"]);
    let run = command.args(["--epochs", "1", "--out", "again"]).assert().success();
    assert!(!stderr(&run).contains("new weights"), "{}", stderr(&run));
    let toml = fs::read_to_string(sandbox.path("again/run.toml")).expect("read");
    assert!(
        toml.contains("labels = [\n    \"wet\",\n    \"dry\",\n]")
            || toml.contains("labels = [\"wet\", \"dry\"]"),
        "{toml}"
    );
}

#[test]
fn words_beyond_the_longest_sequence_are_told_and_have_no_prediction() {
    let sandbox = sandbox();
    let tags = "the O\nold O\nriver B-WATER\nfalls O\n\nthe O\nhouse O\nfalls O\n\n".repeat(4);
    fs::write(sandbox.path("tags.txt"), tags).expect("written");
    let flags = [
        "--train",
        "tags.txt",
        "--dev",
        "tags.txt",
        "--text",
        "0",
        "--label",
        "1",
        "--max-length",
        "8",
        "--out",
        "run",
    ];
    finetune(&sandbox, "tagging", &flags).assert().success();

    let long = format!("{}\n", "river B-WATER\n".repeat(9));
    fs::write(sandbox.path("long.txt"), &long).expect("written");
    let input = ["--model", "run", "--input", "long.txt"];
    let run = sandbox.command("predict").args(input).assert().success();
    assert!(stderr(&run).contains("1 of 1 sentences have more than 8 tokens"), "{}", stderr(&run));
    let row: Value = serde_json::from_str(&stdout(&run)).expect("JSON");
    let predicted: Vec<bool> =
        row["tags"].as_array().expect("tags").iter().map(Value::is_string).collect();
    assert_eq!(predicted, [[true; 6].as_slice(), &[false; 3]].concat());
    assert_eq!(row["gold"].as_array().map(Vec::len), Some(9));
}

#[test]
fn questions_without_any_answer_are_not_learnt_and_not_scored() {
    let sandbox = sandbox();
    let squad = |answers: Value| {
        let question = |id: &str| serde_json::json!({"id": id, "question": "what falls?", "answers": answers.clone()});
        let paragraph = serde_json::json!({
            "context": "the river falls.", "qas": [question("a"), question("b")],
        });
        serde_json::json!({"data": [{"title": "t", "paragraphs": [paragraph]}]}).to_string()
    };
    let answer = |text: &str| serde_json::json!([{"text": text, "answer_start": 4}]);
    fs::write(sandbox.path("lost.json"), squad(answer("bridge"))).expect("written");
    fs::write(sandbox.path("good.json"), squad(answer("river"))).expect("written");
    fs::write(sandbox.path("none.json"), squad(serde_json::json!([]))).expect("written");

    let short = ["--max-length", "32", "--set", "data.max_question=8"];
    let run = |train: &str, dev: &str, out: &str| {
        let flags = ["--train", train, "--dev", dev, "--out", out, "--json"];
        finetune(&sandbox, "qa", &[&flags[..], &short].concat()).assert()
    };
    let refused = stderr(&run("lost.json", "good.json", "lost").code(3));
    assert!(refused.contains("no question has an answer that its context contains"), "{refused}");

    let results = json(&run("good.json", "good.json", "good").success());
    let dev = &results["runs"][0]["dev"];
    assert_eq!(dev["examples"], 2);
    assert!(dev["exact_match"].is_f64() && dev["window_exact"].is_f64(), "{dev}");
    let results = json(&run("good.json", "none.json", "none").success());
    assert!(results["runs"][0]["dev"].get("exact_match").is_none(), "{results}");
}

#[test]
fn the_correlation_of_a_constant_is_told_to_be_undefined() {
    let sandbox = sandbox();
    let rows = |score: fn(usize) -> f64| -> String {
        let row = |i: usize| format!("the old river falls {i}.\t{}\n", score(i));
        std::iter::once("sentence\tscore\n".to_owned()).chain((0..16).map(row)).collect()
    };
    fs::write(sandbox.path("scores.tsv"), rows(|i| i as f64)).expect("written");
    fs::write(sandbox.path("flat.tsv"), rows(|_| 2.5)).expect("written");

    let files = ["--train", "scores.tsv", "--dev", "flat.tsv", "--out", "run"];
    let run = finetune(&sandbox, "regression", &files).assert().success();
    assert!(stderr(&run).contains("flat.tsv: every score is 2.5"), "{}", stderr(&run));
    assert!(stderr(&run).contains("dev: correlations are undefined"), "{}", stderr(&run));
    assert!(stdout(&run).contains("undefined"), "{}", stdout(&run));
    let task = fs::read_to_string(sandbox.path("run/task.json")).expect("read");
    let task: Value = serde_json::from_str(&task).expect("JSON");
    assert_eq!(task["dev"]["pearson"], Value::Null);
    assert!(task["dev"].get("spearman").is_some());
}
