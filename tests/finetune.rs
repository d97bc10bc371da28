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
    let run = sandbox
        .command("finetune")
        .args(CLASSES)
        .args(["--out", "runs", "--seeds", "2", "--json"])
        .assert();

    let results = json(&run.success());
    let accuracy = results["mean"]["dev"]["accuracy"].as_f64().expect("an accuracy");
    assert!(accuracy > 0.9, "{results}");
    assert!(results["deviation"]["dev"]["accuracy"].is_f64(), "a spread over two seeds");

    fs::write(sandbox.path("new.txt"), "the old river falls near.\nthe new house falls under.\n")
        .expect("written");
    let predict = ["--model", "runs/seed-1", "--input", "new.txt", "--output", "said.jsonl"];
    sandbox.command("predict").args(predict).assert().success();
    let said: Vec<Value> = sandbox.records("", "said.jsonl");
    assert_eq!(
        said.iter().map(|row| row["label"].as_str().expect("a label")).collect::<Vec<_>>(),
        ["wet", "dry"]
    );

    // A test set can be given later; nothing is trained again.
    let test = ["--out", "runs", "--seeds", "2", "--test", "dev.tsv", "--json"];
    let later = json(&sandbox.command("finetune").args(CLASSES).args(test).assert().success());
    assert_eq!(later["mean"]["test"]["accuracy"], results["mean"]["dev"]["accuracy"]);

    fs::write(
        sandbox.path("gap.txt"),
        "the old river falls near.\n\nthe new house falls under.\n\n",
    )
    .expect("written");
    let gap = sandbox
        .command("predict")
        .args(["--model", "runs/seed-1", "--input", "gap.txt"])
        .assert()
        .code(3);
    assert!(stderr(&gap).contains("gap.txt, line 2: it is empty"));

    let none = ["--model", "runs/seed-1", "--input", "new.txt", "--batch", "0"];
    assert!(
        stderr(&sandbox.command("predict").args(none).assert().code(2))
            .contains("--batch 0: must be at least 1")
    );

    let none = sandbox
        .command("finetune")
        .args(CLASSES)
        .args(["--out", "none", "--set", "batch.size=0"])
        .assert()
        .code(3);
    assert!(stderr(&none).contains("batch.size = 0: must be at least 1"));

    let eval = ["--model", "runs/seed-1", "--task", "loss"];
    assert!(stderr(&sandbox.command("eval").args(eval).assert().code(3)).contains("fine-tuned"));

    // The folder that transformers reads says the same, with the names of the classes.
    sandbox.command("export").args(["--model", "runs/seed-1", "--to", "there"]).assert().success();
    let config: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.path("there/config.json")).expect("read"))
            .expect("JSON");
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
        command.args(CLASSES).args([
            "--set",
            "checkpoint.every=2",
            "--out",
            out,
            "--threads",
            threads,
        ]);
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
    let flags = [
        "--model", "model", "--task", "tagging", "--train", "tags.txt", "--dev", "tags.txt",
        "--text", "0",
    ];
    let more =
        ["--label", "1", "--epochs", "12", "--learning-rate", "3e-3", "--out", "tags", "--json"];

    let results = json(&sandbox.command("finetune").args(flags).args(more).assert().success());
    let f1 = results["mean"]["dev"]["entity_f1"].as_f64().expect("F1");
    assert!(f1 > 0.9, "{results}");

    let question = |i: usize| {
        let (word, context) = if i.is_multiple_of(2) {
            ("river", "the river falls.")
        } else {
            ("house", "the house falls.")
        };
        let answer = serde_json::json!({"text": word, "answer_start": 4});
        let question = serde_json::json!({
            "id": i.to_string(), "question": "what falls?", "answers": [answer],
        });
        serde_json::json!({"context": context, "qas": [question]})
    };

    let paragraphs: Vec<Value> = (0..40).map(question).collect();
    let data = serde_json::json!({"title": "t", "paragraphs": paragraphs});
    let squad = serde_json::json!({"version": "1.1", "data": [data]});
    fs::write(sandbox.path("squad.json"), squad.to_string()).expect("written");

    let flags = [
        "--model",
        "model",
        "--task",
        "qa",
        "--train",
        "squad.json",
        "--dev",
        "squad.json",
        "--out",
        "qa",
    ];
    let more =
        ["--epochs", "12", "--learning-rate", "3e-3", "--set", "data.max_question=8", "--json"];

    let results = json(&sandbox.command("finetune").args(flags).args(more).assert().success());
    let exact = results["mean"]["dev"]["exact_match"].as_f64().expect("EM");
    assert!(exact > 90.0, "{results}");

    let answers: Value = serde_json::from_str(
        &fs::read_to_string(sandbox.path("qa/answers-dev.json")).expect("read"),
    )
    .expect("JSON");
    assert_eq!(
        (answers["0"].as_str(), answers.as_object().map(serde_json::Map::len)),
        (Some("river"), Some(40))
    );
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
        message.contains("class")
            && message.contains("sentence, label")
            && message.contains("--label"),
        "{message}"
    );

    let message =
        refuse(&[("--dev", "odd.tsv")], &[("odd.tsv", "sentence\tlabel\na river.\tsalty\n")], 3);
    assert!(
        message.contains("odd.tsv")
            && message.contains("`salty`")
            && message.contains("known: dry, wet"),
        "{message}"
    );

    let message = refuse(&[("--train", "none.tsv")], &[], 3);
    assert!(message.contains("none.tsv"), "{message}");

    let message =
        refuse(&[("--train", "one.tsv")], &[("one.tsv", "sentence\tlabel\na\twet\nb\twet\n")], 3);
    assert!(message.contains("every label is `wet`"), "{message}");

    let message = refuse(&[("--task", "pair")], &[], 2);
    assert!(message.contains("--pair"), "{message}");

    let message = refuse(&[("--max-length", "999")], &[], 3);
    assert!(message.contains("corpus.max_length = 999: the position table has"), "{message}");

    let message = refuse(&[("--model", "train.tsv")], &[], 3);
    assert!(message.contains("is no model"), "{message}");

    let predict = sandbox
        .command("predict")
        .args(["--model", "model", "--input", "dev.tsv"])
        .assert()
        .code(3);
    assert!(stderr(&predict).contains("fine-tune it first"), "{}", stderr(&predict));
}

/// Outputs belong to the classes they were learnt for: where these are others, the head starts
/// anew.
#[test]
fn a_model_of_other_classes_gives_its_encoder_and_not_its_answers() {
    let sandbox = sandbox();
    sandbox.command("finetune").args(CLASSES).args(["--out", "first"]).assert().success();

    for (file, rows) in [("train.tsv", 60), ("dev.tsv", 20)] {
        // The same rows, whose classes now sort the other way round, and a third one.
        let renamed = table(rows, 0).replace("\tdry", "\tz-dry").replace("\twet", "\ta-wet");
        fs::write(sandbox.path(&format!("renamed-{file}")), &renamed).expect("written");
        fs::write(sandbox.path(&format!("three-{file}")), renamed + "the sun is out.\tneither\n")
            .expect("written");
    }

    let from = |model: &str, data: &str, out: &str| {
        let [train, dev] = ["train", "dev"].map(|split| format!("{data}{split}.tsv"));
        let mut command = sandbox.command("finetune");
        command.args([
            "--model",
            model,
            "--task",
            "classification",
            "--train",
            &train,
            "--dev",
            &dev,
        ]);
        command.args(["--epochs", "1", "--batch", "8", "--out", out, "--learning-rate", "1e-6"]);
        stderr(&command.assert().success())
    };

    for data in ["renamed-", "three-"] {
        let told = from("first", data, data);
        assert!(told.contains("new weights for task.output.bias, task.output.weight"), "{told}");
    }

    let told = from("first", "", "same");
    assert!(!told.contains("new weights"), "{told}");
}

/// What is learnt from must not change under a run.
#[test]
fn a_run_is_not_continued_with_other_data() {
    let sandbox = sandbox();
    let cut = |out: &str, step: &str| {
        fs::remove_dir_all(sandbox.path(out).join("checkpoints").join(step)).expect("removed");
    };
    let finetune = || {
        let mut command = sandbox.command("finetune");
        command.args(CLASSES).args([
            "--set",
            "checkpoint.every=10",
            "--set",
            "checkpoint.keep=9",
            "--out",
            "tuned",
        ]);
        command
    };

    finetune().assert().success();
    let weights = sandbox.weights("tuned");
    cut("tuned", "step-00000075");

    let rows = fs::read_to_string(sandbox.path("train.tsv")).expect("read");
    let swapped =
        rows.replace("\twet", "\tWET").replace("\tdry", "\twet").replace("\tWET", "\tdry");
    fs::write(sandbox.path("train.tsv"), swapped).expect("written");
    assert!(stderr(&finetune().assert().code(3)).contains("the run was begun with other data"));

    fs::write(sandbox.path("train.tsv"), table(40, 0)).expect("written");
    let fewer = stderr(&finetune().assert().code(3));
    assert!(fewer.contains("with 40 training rows, an epoch of 5 steps"), "{fewer}");
    assert!(fewer.contains("these differ: evaluation.every"), "{fewer}");

    fs::write(sandbox.path("train.tsv"), rows).expect("written");
    let told = stderr(&finetune().assert().success());
    assert!(told.contains("its last checkpoint is gone or damaged"), "{told}");
    assert_eq!(sandbox.weights("tuned"), weights, "what was missing is trained again");

    let pretrain = || {
        let mut command = sandbox.pretrain("text", 10);
        command.args(["--checkpoint-every", "5"]);
        command
    };
    pretrain().assert().success();
    cut("text", "step-00000010");

    let tokenizer = fs::read(sandbox.path("text/tokenizer.json")).expect("read");
    let text = fs::read_to_string(sandbox.path("train.txt")).expect("read");
    fs::write(sandbox.path("train.txt"), text.replace("river", "brook")).expect("written");
    assert!(stderr(&pretrain().assert().code(3)).contains("the run was begun with other data"));
    assert_eq!(
        fs::read(sandbox.path("text/tokenizer.json")).expect("read"),
        tokenizer,
        "nothing was overwritten"
    );
}

/// A head with a table of its own is none of ours, and must not pass as one.
#[test]
fn an_untied_output_layer_is_refused() {
    let sandbox = sandbox();
    sandbox.command("export").args(["--model", "model", "--to", "there"]).assert().success();

    let path = sandbox.path("there/model.safetensors");
    let bytes = fs::read(&path).expect("read");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");

    let with = |change: f32| {
        let table = file.tensor("bert.embeddings.word_embeddings.weight").expect("the table");
        let mut own = table.data().to_vec();
        let first = f32::from_le_bytes(own[..4].try_into().expect("four bytes"));
        own[..4].copy_from_slice(&(first + change).to_le_bytes());
        let own = safetensors::tensor::TensorView::new(table.dtype(), table.shape().to_vec(), &own)
            .expect("a tensor");
        let all =
            file.tensors().into_iter().chain([("cls.predictions.decoder.weight".to_owned(), own)]);
        fs::write(&path, safetensors::serialize(all, None).expect("bytes")).expect("written");
        let mut command = sandbox.command("fill-mask");
        command.args(["--model", "there", "--text", "the old [MASK] falls."]);
        command
    };

    let import = |to: &str| {
        let mut command = sandbox.command("import");
        command.args(["--from", "there", "--to", to]);
        command
    };

    with(0.0).assert().success();
    import("imported").assert().success();
    assert!(stderr(&with(0.5).assert().code(3)).contains("tie_word_embeddings = false"));

    // What could not be used afterwards is not imported either.
    let config = sandbox.path("there/config.json");
    let text = fs::read_to_string(&config).expect("read");
    fs::write(&config, text.replace("\"intermediate_size\": 64", "\"intermediate_size\": 48"))
        .expect("written");
    with(0.0);
    import("other").assert().code(3);
    assert!(!sandbox.path("other").exists());
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

    let refused = sandbox
        .command("fill-mask")
        .args(["--model", "model", "--text", "the river."])
        .assert()
        .code(3);
    assert!(stderr(&refused).contains("has no [MASK]"), "{}", stderr(&refused));
}

#[test]
fn an_exported_model_scores_as_the_run_does() {
    let sandbox = sandbox();
    fs::write(sandbox.path("lines.txt"), "the old river falls.\n").expect("written");

    let score = |model: &str| {
        let flags = ["--task", "pll", "--input", "lines.txt", "--json"];
        let mut command = sandbox.command("eval");
        let scored = command.args(["--model", model]).args(flags).assert().success();
        json(&scored)["pll"].as_f64()
    };

    sandbox.command("export").args(["--model", "model", "--to", "there"]).assert().success();
    sandbox.command("import").args(["--from", "there", "--to", "here"]).assert().success();

    let first = score("model");
    assert!(first.is_some());
    assert_eq!((score("there"), score("here")), (first, first));

    let full =
        sandbox.command("export").args(["--model", "model", "--to", "there"]).assert().code(3);
    assert!(stderr(&full).contains("is not empty"), "{}", stderr(&full));

    // Any objective continues from it; what it lacks is new, and named.
    let continued = sandbox
        .pretrain("more", 2)
        .args(["--objective", "sop", "--init", "there"])
        .assert()
        .success();
    assert!(stderr(&continued).contains("new weights for pair."), "{}", stderr(&continued));
}

/// transformers counts a RoBERTa's positions from the padding id on, wherever the tokenizer has it.
#[test]
fn a_roberta_of_any_tokenizer_scores_as_it_did_before_its_export() {
    let sandbox = Sandbox::new(12);
    fs::write(sandbox.path("lines.txt"), "the old river falls near.\nthe new house.\n")
        .expect("written");

    for tokenizer in ["train:wordpiece:300", "train:bpe:400", "train:unigram:300"] {
        let name = tokenizer.replace(':', "-");
        let mut pretrain = sandbox.pretrain(&name, 5);
        pretrain
            .args(["--tokenizer", tokenizer, "--set", "encoder.position_offset=2"])
            .assert()
            .success();

        let there = format!("{name}-there");
        sandbox.command("export").args(["--model", &name, "--to", &there]).assert().success();

        let pll = |model: &str| {
            let eval = ["--model", model, "--task", "pll", "--input", "lines.txt", "--json"];
            json(&sandbox.command("eval").args(eval).assert().success())["pll"]
                .as_f64()
                .expect("a number")
        };
        assert!(
            (pll(&name) - pll(&there)).abs() < 1e-3,
            "{tokenizer}: {} and {}",
            pll(&name),
            pll(&there)
        );
    }
}

/// A file is read as those of training were: as a table with its columns and header, or as one of a
/// task of GLUE.
#[test]
fn a_file_is_predicted_as_it_is_read_in_training() {
    let sandbox = sandbox();
    let predict = |model: &str, input: &str, flags: &[&str]| {
        let files = ["--model", model, "--input", input, "--output", "said.jsonl"];
        sandbox.command("predict").args(files).args(flags).assert().success();
        sandbox.records("", "said.jsonl")
    };

    let tune = |data: &[&str], out: &str| {
        let mut command = sandbox.command("finetune");
        command.args([
            "--model",
            "model",
            "--task",
            "classification",
            "--epochs",
            "1",
            "--batch",
            "8",
            "--out",
            out,
        ]);
        command.args(data).assert().success();
        sandbox.records(out, "predictions-dev.jsonl")
    };

    // The label first, in a text file without header.
    let swap = |table: String| -> String {
        let row =
            |line: &str| line.split_once('\t').map(|(text, label)| format!("{label}\t{text}\n"));
        table.lines().skip(1).filter_map(row).collect()
    };
    fs::write(sandbox.path("train.txt"), swap(table(60, 0))).expect("written");
    fs::write(sandbox.path("dev.txt"), swap(table(20, 7))).expect("written");

    let columns =
        ["--train", "train.txt", "--dev", "dev.txt", "--no-header", "--text", "1", "--label", "0"];
    let dev = tune(&columns, "txt");
    assert_eq!(predict("txt", "dev.txt", &[]), dev);
    assert_eq!(predict("txt", "dev.txt", &["--text", "1"]), dev);

    // A line of text is a sentence, tabs included.
    tune(&["--train", "train.tsv", "--dev", "dev.tsv"], "tsv");
    fs::write(sandbox.path("tab.txt"), "the old river\tfalls near.\n").expect("written");
    fs::write(sandbox.path("space.txt"), "the old river falls near.\n").expect("written");
    let probabilities = |input| predict("tsv", input, &[])[0]["probabilities"].clone();
    assert_eq!(probabilities("tab.txt"), probabilities("space.txt"));

    // Pairs in the columns of their task.
    fs::create_dir(sandbox.path("qnli")).expect("made");
    let row = |i: usize| {
        format!(
            "{i}\twhat falls?\tthe {} falls.\t{}\n",
            ["river", "house"][i % 2],
            ["entailment", "not_entailment"][i % 2]
        )
    };
    let rows: String = (0..20).map(row).collect();
    for name in ["train", "dev"] {
        let text = format!("index\tquestion\tsentence\tlabel\n{rows}");
        fs::write(sandbox.path(&format!("qnli/{name}.tsv")), text).expect("written");
    }

    let dev = tune(&["--glue", "QNLI", "--data", "qnli"], "glue");
    assert_eq!(predict("glue", "qnli/dev.tsv", &[]), dev);

    let flops = |flags: &[&str]| {
        let eval = ["--model", "glue", "--task", "trade-off", "--json"];
        json(&sandbox.command("eval").args(eval).args(flags).assert().success())["flops"]
            .as_f64()
            .expect("a number")
    };
    assert_eq!(flops(&["--input", "qnli/dev.tsv"]), flops(&[]));
}
