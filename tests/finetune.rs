//! `finetune`, `predict`, `fill-mask`, `export` and `import` as a user types them.

mod common;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use common::{Sandbox, json, stderr, table};
use serde_json::Value;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(12);
    sandbox.pretrain("model", 10).assert().success();
    fs::write(sandbox.path("train.tsv"), table(60, 0)).expect("written");
    fs::write(sandbox.path("dev.tsv"), table(20, 7)).expect("written");
    sandbox
}

const CLASSES: [&str; 14] = [
    "--model",
    "model",
    "--task",
    "classification",
    "--train",
    "train.tsv",
    "--dev",
    "dev.tsv",
    "--epochs",
    "10",
    "--learning-rate",
    "3e-3",
    "--batch",
    "8",
];

#[test]
fn a_class_is_learnt_predicted_and_exported() {
    let sandbox = sandbox();
    let run = sandbox.command("finetune").args(CLASSES).args(["--out", "runs", "--seeds", "2", "--json"]).assert();
    let results = json(&run.success());
    let accuracy = results["mean"]["dev"]["accuracy"].as_f64().expect("an accuracy");
    assert!(accuracy > 0.9, "{results}");
    assert!(results["deviation"]["dev"]["accuracy"].is_f64(), "a spread over two seeds");
    fs::write(sandbox.path("new.txt"), "the old river falls near.\nthe new house falls under.\n").expect("written");
    let predict = ["--model", "runs/seed-1", "--input", "new.txt", "--output", "said.jsonl"];
    sandbox.command("predict").args(predict).assert().success();
    let said: Vec<Value> = sandbox.records("", "said.jsonl");
    assert_eq!(said.iter().map(|row| row["label"].as_str().expect("a label")).collect::<Vec<_>>(), ["wet", "dry"]);
    // A test set can be given later; nothing is trained again.
    let test = ["--out", "runs", "--seeds", "2", "--test", "dev.tsv", "--json"];
    let later = json(&sandbox.command("finetune").args(CLASSES).args(test).assert().success());
    assert_eq!(later["mean"]["test"]["accuracy"], results["mean"]["dev"]["accuracy"]);
    let eval = ["--model", "runs/seed-1", "--task", "loss"];
    assert!(stderr(&sandbox.command("eval").args(eval).assert().code(3)).contains("fine-tuned"));
    // The folder that transformers reads says the same, with the names of the classes.
    sandbox.command("export").args(["--model", "runs/seed-1", "--to", "there"]).assert().success();
    let config: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.path("there/config.json")).expect("read")).expect("JSON");
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    assert_eq!(config["id2label"]["1"], "wet");
    let again = ["--model", "there", "--input", "new.txt", "--output", "again.jsonl"];
    sandbox.command("predict").args(again).assert().success();
    assert_eq!(sandbox.records("", "again.jsonl"), said);
}

#[test]
fn a_killed_run_continues_to_the_same_weights_with_any_number_of_threads() {
    let sandbox = sandbox();
    let finetune = |out: &str, threads: &str| {
        let mut command = sandbox.command("finetune");
        command.args(CLASSES).args(["--set", "checkpoint.every=2", "--out", out, "--threads", threads]);
        command
    };
    finetune("whole", "1").assert().success();
    let program = assert_cmd::cargo::cargo_bin("bert-variants");
    let mut killed = std::process::Command::new(program)
        .arg("finetune")
        .args(CLASSES)
        .args(["--set", "checkpoint.every=2", "--out", "killed", "--threads", "2"])
        .current_dir(sandbox.path(""))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    while !sandbox.path("killed/latest").is_file() {
        std::thread::sleep(Duration::from_millis(5));
    }
    killed.kill().expect("killed");
    killed.wait().expect("ended");
    finetune("killed", "2").assert().success();
    assert!(sandbox.weights("whole") == sandbox.weights("killed"), "the weights differ");
    let finished = finetune("killed", "2").assert().success();
    assert!(stderr(&finished).contains("model: "), "a finished run is only measured again");
}

#[test]
fn tags_and_answers_are_learnt() {
    let sandbox = sandbox();
    let sentence = "the O\nold O\nriver B-WATER\nfalls O\n\nthe O\nhouse O\nfalls O\n\n";
    fs::write(sandbox.path("tags.txt"), sentence.repeat(20)).expect("written");
    let flags = ["--model", "model", "--task", "tagging", "--train", "tags.txt", "--dev", "tags.txt", "--text", "0"];
    let more = ["--label", "1", "--epochs", "12", "--learning-rate", "3e-3", "--out", "tags", "--json"];
    let results = json(&sandbox.command("finetune").args(flags).args(more).assert().success());
    let f1 = results["mean"]["dev"]["entity_f1"].as_f64().expect("F1");
    assert!(f1 > 0.9, "{results}");

    let question = |i: usize| {
        let (word, context) =
            if i.is_multiple_of(2) { ("river", "the river falls.") } else { ("house", "the house falls.") };
        let answer = serde_json::json!({"text": word, "answer_start": 4});
        serde_json::json!({"context": context, "qas": [{"id": i.to_string(), "question": "what falls?", "answers": [answer]}]})
    };
    let squad = serde_json::json!({"version": "1.1", "data": [{"title": "t", "paragraphs": (0..40).map(question).collect::<Vec<_>>()}]});
    fs::write(sandbox.path("squad.json"), squad.to_string()).expect("written");
    let flags = ["--model", "model", "--task", "qa", "--train", "squad.json", "--dev", "squad.json", "--out", "qa"];
    let more = ["--epochs", "12", "--learning-rate", "3e-3", "--set", "data.max_question=8", "--json"];
    let results = json(&sandbox.command("finetune").args(flags).args(more).assert().success());
    let exact = results["mean"]["dev"]["exact_match"].as_f64().expect("EM");
    assert!(exact > 90.0, "{results}");
    let answers: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.path("qa/answers-dev.json")).expect("read")).expect("JSON");
    assert_eq!((answers["0"].as_str(), answers.as_object().map(serde_json::Map::len)), (Some("river"), Some(40)));
}

#[test]
fn bad_data_is_refused_with_what_to_do() {
    let sandbox = sandbox();
    let refuse = |change: &[(&str, &str)], files: &[(&str, &str)], code: i32| {
        for (name, text) in files {
            fs::write(sandbox.path(name), text).expect("written");
        }
        let mut flags: Vec<&str> = CLASSES.to_vec();
        flags.extend(["--out", "refused"]);
        for (flag, value) in change {
            match flags.iter().position(|given| given == flag) {
                Some(at) => flags[at + 1] = value,
                None => flags.extend([flag, value]),
            }
        }
        let refused = sandbox.command("finetune").args(&flags).assert().code(code);
        assert!(!sandbox.path("refused").exists(), "nothing is written");
        stderr(&refused)
    };
    let message = refuse(&[("--label", "class")], &[], 3);
    assert!(
        message.contains("class") && message.contains("sentence, label") && message.contains("--label"),
        "{message}"
    );
    let message = refuse(&[("--dev", "odd.tsv")], &[("odd.tsv", "sentence\tlabel\na river.\tsalty\n")], 3);
    assert!(
        message.contains("odd.tsv") && message.contains("`salty`") && message.contains("known: dry, wet"),
        "{message}"
    );
    let message = refuse(&[("--train", "none.tsv")], &[], 3);
    assert!(message.contains("none.tsv"), "{message}");
    let message = refuse(&[("--train", "one.tsv")], &[("one.tsv", "sentence\tlabel\na\twet\nb\twet\n")], 3);
    assert!(message.contains("every label is `wet`"), "{message}");
    let message = refuse(&[("--task", "pair")], &[], 2);
    assert!(message.contains("--pair"), "{message}");
    let message = refuse(&[("--model", "train.tsv")], &[], 3);
    assert!(message.contains("is no model"), "{message}");
    let predict = sandbox.command("predict").args(["--model", "model", "--input", "dev.tsv"]).assert().code(3);
    assert!(stderr(&predict).contains("fine-tune it first"), "{}", stderr(&predict));
}

#[test]
fn masks_are_filled_and_a_text_without_one_is_refused() {
    let sandbox = sandbox();
    let fill = ["--model", "model", "--text", "the [MASK] river [MASK].", "--top", "3", "--json"];
    let filled = json(&sandbox.command("fill-mask").args(fill).assert().success());
    let masks = filled[0]["masks"].as_array().expect("masks");
    assert_eq!((masks.len(), masks[0].as_array().map(Vec::len)), (2, Some(3)));
    let probability = |i: usize| masks[0][i]["probability"].as_f64().expect("a number");
    assert!(probability(0) >= probability(1) && probability(0) <= 1.0);
    let refused = sandbox.command("fill-mask").args(["--model", "model", "--text", "the river."]).assert().code(3);
    assert!(stderr(&refused).contains("has no [MASK]"), "{}", stderr(&refused));
}

#[test]
fn an_exported_model_scores_as_the_run_does() {
    let sandbox = sandbox();
    fs::write(sandbox.path("lines.txt"), "the old river falls.\n").expect("written");
    let score = |model: &str| {
        let flags = ["--task", "pll", "--input", "lines.txt", "--json"];
        json(&sandbox.command("eval").args(["--model", model]).args(flags).assert().success())["pll"].as_f64()
    };
    sandbox.command("export").args(["--model", "model", "--to", "there"]).assert().success();
    sandbox.command("import").args(["--from", "there", "--to", "here"]).assert().success();
    let first = score("model");
    assert!(first.is_some());
    assert_eq!((score("there"), score("here")), (first, first));
    let full = sandbox.command("export").args(["--model", "model", "--to", "there"]).assert().code(3);
    assert!(stderr(&full).contains("is not empty"), "{}", stderr(&full));
    // Any objective continues from it; what it lacks is new, and named.
    let continued = sandbox.pretrain("more", 2).args(["--objective", "sop", "--init", "there"]).assert().success();
    assert!(stderr(&continued).contains("new weights for pair."), "{}", stderr(&continued));
}
