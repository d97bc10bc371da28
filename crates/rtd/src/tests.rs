//! Samples, labels and losses by hand, and what reaches which parameter.

use ::objective::{Context, Example, Objective, Purpose, fixtures};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use corpus::Passage;
use kernels::Noise;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::EncoderConfig;

use crate::batch::Corrupted;
use crate::{GeneratorConfig, GeneratorKind, Rtd, RtdBatch, RtdConfig, RtdModel, Tying, Variant};

fn context() -> Context {
    Context {
        token_counts: (0..50).map(|id| if id < 5 { 0 } else { id }).collect(),
        ..fixtures::context(50, 32)
    }
}

fn encoder() -> EncoderConfig {
    EncoderConfig {
        vocabulary: 50,
        hidden: 16,
        feed_forward: 24,
        positions: 32,
        dropout: 0.0,
        attention_dropout: 0.0,
        ..EncoderConfig::default()
    }
}

fn examples() -> Vec<Example> {
    let passage = |number: u64| {
        let n = 14 + 3 * number as u32;
        let tokens = (0..n).map(|i| 5 + (i * 11 + number as u32) % 45).collect();
        Passage::of_words(number, tokens, vec![0])
    };
    (0..4).map(|n| fixtures::example(passage(n))).collect()
}

/// The examples as they are met in each of the first epochs.
fn examples_of(epochs: u64) -> Vec<Example> {
    (0..epochs)
        .flat_map(|epoch| examples().into_iter().map(move |example| Example { epoch, ..example }))
        .collect()
}

fn objective(config: RtdConfig) -> Rtd {
    Rtd::new(config, &context()).expect("an objective")
}

fn model(objective: &Rtd, device: &Device) -> RtdModel {
    objective.init(&encoder(), &mut ChaCha8Rng::seed_from_u64(1), device)
}

fn batch(objective: &Rtd) -> RtdBatch {
    objective.collate(&examples(), Purpose::Training)
}

#[test]
fn a_sample_that_equals_the_original_is_no_replacement() {
    let batch = batch(&objective(RtdConfig::default()));
    let mut samples = batch.mlm.labels.clone();
    samples[0] = if samples[0] == 7 { 8 } else { 7 };
    let corrupted = batch.corrupt(&samples);
    assert_eq!(corrupted.replaced.iter().filter(|replaced| **replaced).count(), 1);
    assert!(corrupted.replaced[0]);

    let original = batch.mlm.unmasked();
    let different =
        corrupted.sequences.tokens.iter().zip(&original.tokens).filter(|(a, b)| a != b).count();
    assert_eq!(different, 1, "every other token is the original, not a mask");

    let input = corrupted.sequences.input(&Device::flex());
    let (replaced, real) = corrupted.rows(&input);
    assert_eq!(replaced.iter().filter(|replaced| **replaced).count(), 1);
    assert!(real.iter().all(|real| *real));
    let special = |i: &usize| [2, 3].contains(&input.tokens[*i]);
    assert!(
        (0..replaced.len()).filter(special).all(|i| !replaced[i]),
        "special tokens are original"
    );
}

#[test]
fn several_samples_at_a_place_are_averaged_in_the_authors_way() {
    let mut batch = batch(&objective(RtdConfig { compat: true, ..RtdConfig::default() }));
    batch.mlm.positions = vec![3, 3, 5];
    batch.mlm.labels = vec![10, 10, 12];
    let corrupted = batch.corrupt(&[20, 25, 12]);
    assert_eq!(corrupted.positions, [3, 5]);
    assert_eq!(corrupted.sequences.tokens[3], 22, "(20 + 25) / 2, rounded down");
    assert_eq!(corrupted.replaced, [true, false]);
}

#[test]
fn padding_does_not_count_where_the_device_computes_it() {
    let batch = batch(&objective(RtdConfig::default()));
    let corrupted = batch.corrupt(&batch.mlm.labels.clone());
    let mut input = corrupted.sequences.input(&Device::flex());
    let lengths = vec![corrupted.sequences.len; corrupted.sequences.batch()];
    input.rows = kernels::Rows::of_lengths(&lengths);

    let (_, real) = corrupted.rows(&input);
    let count = real.iter().filter(|real| **real).count();
    assert_eq!(count, corrupted.sequences.real_tokens());
    assert!(count < real.len());
}

/// The gradient of the loss with respect to a parameter, or none.
fn gradient(
    objective: &Rtd,
    model: &RtdModel,
    term: usize,
    of: impl Fn(&RtdModel) -> Tensor<2>,
) -> Option<Vec<f32>> {
    let device = Device::flex().autodiff();
    let batch = batch(objective);
    let noise = &mut Noise::new(vec![0; 4]);
    let step = objective.forward(model, &batch, Some(noise), &device);
    let gradients = step.terms[term].tally.sum.clone().backward();
    let found = of(model).grad(&gradients)?;
    Some(found.into_data().iter::<f32>().collect())
}

#[test]
fn the_discriminator_reaches_the_generator_only_through_shared_tables() {
    let device = Device::flex().autodiff();
    for tying in [Tying::Embeddings, Tying::Tokens, Tying::None, Tying::Disentangled] {
        let generator = GeneratorConfig { tying, size: 0.5, ..GeneratorConfig::default() };
        let objective = objective(RtdConfig { generator, ..RtdConfig::default() });
        let model = model(&objective, &device);
        let stack = |m: &RtdModel| {
            m.generator.as_ref().and_then(|g| g.stack.as_ref()).expect("layers").attention[0]
                .query
                .weight
                .val()
        };

        assert!(
            gradient(&objective, &model, 1, stack).is_none(),
            "{tying:?}: samples carry no gradient"
        );
        assert!(gradient(&objective, &model, 0, stack).is_some());

        let table = |m: &RtdModel| m.encoder.embeddings.tokens.val();
        let positions = |m: &RtdModel| {
            let table = m.encoder.embeddings.places.positions.as_ref();
            table.expect("absolute positions").val()
        };
        let shares = |found: Option<Vec<f32>>| found.is_some_and(|g| g.iter().any(|x| *x != 0.0));
        assert_eq!(
            shares(gradient(&objective, &model, 0, table)),
            matches!(tying, Tying::Embeddings | Tying::Tokens),
            "{tying:?}"
        );
        assert_eq!(
            shares(gradient(&objective, &model, 0, positions)),
            tying == Tying::Embeddings,
            "{tying:?}"
        );
    }
}

#[test]
fn disentangled_tables_start_equal_and_move_together_with_the_generators() {
    let generator =
        GeneratorConfig { tying: Tying::Disentangled, size: 0.5, ..GeneratorConfig::default() };
    let objective = objective(RtdConfig { generator, ..RtdConfig::default() });
    let mut model = model(&objective, &Device::flex().autodiff());
    let host = |table: Tensor<2>| table.into_data().iter::<f32>().collect::<Vec<f32>>();
    let tables = |model: &RtdModel| {
        let generator = model.generator.as_ref().expect("one");
        let places = generator.places.as_ref().expect("its own");
        let own = &model.encoder.embeddings;
        let position = |table: &Option<burn::module::Param<Tensor<2>>>| {
            table.as_ref().expect("absolute positions").val()
        };
        let of_generator =
            [generator.tokens.as_ref().expect("its own").val(), position(&places.positions)];
        [[own.tokens.val(), position(&own.places.positions)], of_generator].map(|of| of.map(host))
    };
    let [encoder, of_generator] = tables(&model);
    assert_eq!(encoder, of_generator);

    // The optimizer moves the generator's tokens by 0.5 and the encoder's difference by 0.25.
    model = objective.before_update(model);
    assert!(tables(&model)[0].iter().flatten().all(|difference| *difference == 0.0));
    let moved = |param: burn::module::Param<Tensor<2>>, by: f32| {
        param.map(|table| trunk::as_parameter(table.clone().inner() + by, &table.device()))
    };
    let id = model.encoder.embeddings.tokens.id;
    let mut generator = model.generator.take().expect("one");
    generator.tokens = generator.tokens.map(|tokens| moved(tokens, 0.5));
    model.generator = Some(generator);
    model.encoder.embeddings.tokens = moved(model.encoder.embeddings.tokens, 0.25);
    model = objective.after_update(model);

    let [after, of_generator_after] = tables(&model);
    for ((old, new), of_generator) in encoder[0].iter().zip(&after[0]).zip(&of_generator_after[0]) {
        assert!((new - old - 0.75).abs() < 1e-6 && (of_generator - old - 0.5).abs() < 1e-6);
    }
    assert_eq!(after[1], encoder[1]);
    assert_eq!(model.encoder.embeddings.tokens.id, id, "the optimizer knows it by its id");
    assert!(model.encoder.embeddings.tokens.is_require_grad());
}

#[test]
fn the_generators_loss_counts_every_chosen_place_also_where_the_original_was_kept() {
    let objective = objective(RtdConfig::default());
    let device = Device::flex();
    let model = model(&objective, &device);
    let batch = objective.collate(&examples_of(10), Purpose::Training);
    assert!(batch.mlm.replacements.contains(&mlm::Replacement::Keep));

    let predicted = {
        let generator = model.generator.as_ref().expect("one");
        let hidden = generator.hidden(
            &model.encoder,
            &batch.mlm.sequences.input(&device),
            &batch.mlm.positions,
            None,
        );
        generator.head.logits(hidden, generator.table(&model.encoder))
    };

    let losses = kernels::cross_entropy(predicted, &batch.mlm.labels);
    let term = &objective.forward(&model, &batch, None, &device).terms[0].tally;

    let (want, got) = (losses.sum().into_scalar::<f32>(), term.sum.clone().into_scalar::<f32>());
    assert!((got - want).abs() < 1e-4 * want, "{got} is not {want}");
    assert_eq!(term.count, batch.mlm.labels.len() as f64);
}

#[test]
fn a_frozen_generator_has_no_gradient_and_no_loss() {
    let generator = GeneratorConfig {
        tying: Tying::None,
        size: 1.0,
        frozen: true,
        ..GeneratorConfig::default()
    };
    let objective = objective(RtdConfig { generator, ..RtdConfig::default() });
    let device = Device::flex().autodiff();
    let model = model(&objective, &device);

    assert_eq!(objective.target_counts(&batch(&objective)).len(), 1);
    assert!(!model.generator.as_ref().expect("one").head.transform.weight.is_require_grad());

    assert_eq!(
        objective.init_sources("generator.stack.attention.0.query.weight")[1],
        "encoder.stack.attention.0.query.weight"
    );
    assert_eq!(
        objective.init_sources("generator.places.norm.gamma")[1],
        "encoder.embeddings.places.norm.gamma"
    );
    assert_eq!(objective.init_sources("generator.tokens")[1], "encoder.embeddings.tokens");
    assert_eq!(objective.init_sources("generator.head.bias")[1], "head.bias");
}

#[test]
fn samples_by_frequency_follow_the_counts_and_uniform_ones_do_not() {
    let share = |kind: GeneratorKind| {
        let generator = GeneratorConfig { kind, ..GeneratorConfig::default() };
        let objective = objective(RtdConfig { generator, ..RtdConfig::default() });
        let drawn = objective.collate(&examples_of(800), Purpose::Training).drawn;
        assert!(drawn.iter().all(|id| *id >= 5), "no special token");
        drawn.iter().filter(|id| **id >= 40).count() as f64 / drawn.len() as f64
    };

    let generator = GeneratorConfig { kind: GeneratorKind::Uniform, ..GeneratorConfig::default() };
    let authors = objective(RtdConfig { generator, compat: true, ..RtdConfig::default() });
    let drawn = authors.collate(&examples_of(200), Purpose::Training).drawn;
    let special = drawn.iter().filter(|id| **id < 5).count() as f64 / drawn.len() as f64;
    assert!((special - 0.1).abs() < 0.03, "five of fifty ids in the authors' way, {special}");

    // Counts are the ids: (40 + ... + 49) / (5 + ... + 49) = 445 / 1215; ten of 45 ids.
    assert!((share(GeneratorKind::Unigram) - 445.0 / 1215.0).abs() < 0.02);
    assert!((share(GeneratorKind::Uniform) - 10.0 / 45.0).abs() < 0.02);
}

#[test]
fn the_copy_gates_loss_is_the_mixture_and_so_is_its_gradient() {
    let generator = GeneratorConfig { kind: GeneratorKind::Uniform, ..GeneratorConfig::default() };
    let objective =
        objective(RtdConfig { variant: Variant::AllTokensMlm, generator, ..RtdConfig::default() });
    let device = Device::flex().autodiff();
    let model = model(&objective, &device);
    let batch = batch(&objective);

    // The same from all logits at once: p = D [input is original] + (1 - D) softmax.
    let corrupted = batch.corrupt(&batch.drawn);
    let input = corrupted.sequences.input(&device);
    let (replaced, _) = corrupted.rows(&input);
    let hidden = model.encoder.forward(&input, None);
    let (head, gate) = (model.head.as_ref().expect("a head"), model.gate.as_ref().expect("a gate"));
    let table = model.encoder.embeddings.tokens.val();
    let softmax = burn::tensor::activation::softmax(head.logits(hidden.clone(), table), 1);
    let original: Vec<u32> = batch.mlm.unmasked().input(&device).tokens;
    let labels: Vec<i32> = original.iter().map(|id| *id as i32).collect();
    let n = labels.len();
    let labels = Tensor::<1, burn::tensor::Int>::from_data(labels.as_slice(), &device);
    let p = softmax.gather(1, labels.unsqueeze_dim(1)).reshape([n]);
    let copies: Vec<f32> = replaced.iter().map(|replaced| f32::from(u8::from(!replaced))).collect();
    let copies = Tensor::<1>::from_data(copies.as_slice(), &device);
    let d = burn::tensor::activation::sigmoid(gate.forward(hidden)).reshape([n]);
    let want = (d.clone() * copies + (d.neg() + 1.0) * p).log().sum().neg();

    let step = objective.forward(&model, &batch, Some(&mut Noise::new(vec![0; 4])), &device);
    let got = step.terms[0].tally.sum.clone();
    let number = |x: &Tensor<1>| x.clone().into_scalar::<f32>();
    assert!(
        (number(&got) - number(&want)).abs() < 1e-4 * number(&want),
        "{} is not {}",
        number(&got),
        number(&want)
    );

    let (got, want) = (got.backward(), want.backward());
    let table = &model.encoder.embeddings.tokens;
    let query = &model.encoder.stack.attention[0].query.weight;
    for parameter in [table, query, &gate.weight, &head.transform.weight] {
        let values = |gradients| -> Vec<f32> {
            let gradient: Tensor<2> = parameter.val().grad(gradients).expect("a gradient");
            gradient.into_data().iter::<f32>().collect()
        };
        let (got, want) = (values(&got), values(&want));
        let largest = want.iter().fold(1e-6f32, |most, x| most.max(x.abs()));
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() < 1e-4 * largest, "{got} is not {want} of {largest}");
        }
    }
}

/// What the mixture of All-Tokens MLM consists of at the chosen positions.
struct Mixture {
    /// The softmax, row by row.
    softmax: Vec<f32>,
    /// The gate's `D`.
    gates: Vec<f32>,
}

impl Mixture {
    fn new(model: &RtdModel, corrupted: &Corrupted, device: &Device) -> Self {
        let input = corrupted.sequences.input(device);
        let hidden = model.encoder.forward_at(&input, &corrupted.positions, None);
        let (head, gate) =
            (model.head.as_ref().expect("a head"), model.gate.as_ref().expect("a gate"));
        let logits = head.logits(hidden.clone(), model.encoder.embeddings.tokens.val());

        let to_host = |values: Tensor<2>| values.into_data().iter::<f32>().collect();
        Self {
            softmax: to_host(burn::tensor::activation::softmax(logits, 1)),
            gates: to_host(burn::tensor::activation::sigmoid(gate.forward(hidden))),
        }
    }

    /// `(1 - D) softmax` of the `i`th position.
    fn predicted(&self, i: usize) -> Vec<f32> {
        self.softmax[i * 50..][..50].iter().map(|p| (1.0 - self.gates[i]) * p).collect()
    }
}

/// In evaluation the most probable token is that of the mixture, and what stands there has the
/// gate's share.
#[test]
fn the_copy_gate_counts_in_accuracy_and_in_probabilities() {
    let generator = GeneratorConfig { kind: GeneratorKind::Uniform, ..GeneratorConfig::default() };
    let objective =
        objective(RtdConfig { variant: Variant::AllTokensMlm, generator, ..RtdConfig::default() });
    let device = Device::flex();
    let (mut copied, mut changed) = (0, 0);
    // Gates from closed to open.
    for bias in [-9.0, -4.0, -3.0, 0.0] {
        let mut model = model(&objective, &device);
        let gate = model.gate.as_mut().expect("a gate");
        gate.bias = Some(burn::module::Param::from_tensor(Tensor::from_data([bias], &device)));

        let mut batch = batch(&objective);
        // A sample that is right, so that there is something to copy.
        batch
            .drawn
            .iter_mut()
            .zip(&batch.mlm.labels)
            .step_by(2)
            .for_each(|(drawn, label)| *drawn = *label);
        let corrupted = batch.corrupt(&batch.drawn);
        let mixture = Mixture::new(&model, &corrupted, &device);

        let mut hits = 0;
        let mut others = Vec::new();
        for (i, (flat, original)) in
            corrupted.positions.iter().zip(&corrupted.originals).enumerate()
        {
            let mut p = mixture.predicted(i);
            let input = corrupted.sequences.tokens[*flat as usize];
            let other = if input == 20 { 21 } else { 20 };
            others.push((other, p[other as usize].ln()));
            p[input as usize] += mixture.gates[i];

            let best = (0..50).max_by(|a, b| p[*a].total_cmp(&p[*b])).expect("tokens");
            hits += usize::from(best == *original as usize);
            copied += usize::from(best == input as usize);
            changed += usize::from(best != input as usize);
        }

        let step = objective.forward(&model, &batch, None, &device);
        let accuracy = step.tallies.iter().find(|tally| tally.name == "mlm/accuracy").expect("one");
        assert_eq!(accuracy.sum.clone().into_scalar::<f32>(), hits as f32, "a gate of {bias}");
        assert_eq!(accuracy.count, corrupted.positions.len() as f64);

        let predicted = objective
            .predict(&model, &corrupted.sequences, &corrupted.positions, &device)
            .expect("tokens");
        let (tokens, want): (Vec<u32>, Vec<f32>) = others.into_iter().unzip();
        for (got, want) in predicted.log_probabilities(&tokens).into_data().iter::<f32>().zip(want)
        {
            assert!((got - want).abs() < 1e-4, "{got} is not {want}");
        }
    }
    assert!(copied > 10 && changed > 10, "{copied} {changed}");
}

#[test]
fn tied_embeddings_take_the_gradients_of_both_networks() {
    let objective = objective(RtdConfig::default());
    let device = Device::flex().autodiff();
    let model = model(&objective, &device);
    let table = |m: &RtdModel| m.encoder.embeddings.tokens.val();
    let [generator, discriminator] =
        [0, 1].map(|term| gradient(&objective, &model, term, table).expect("a gradient"));

    let batch = batch(&objective);
    let step = objective.forward(&model, &batch, Some(&mut Noise::new(vec![0; 4])), &device);
    let both = step.terms[0].tally.sum.clone() + step.terms[1].tally.sum.clone();
    let gradients = both.backward();
    let both: Vec<f32> =
        table(&model).grad(&gradients).expect("a gradient").into_data().iter::<f32>().collect();

    for ((a, b), both) in generator.iter().zip(&discriminator).zip(&both) {
        assert!((a + b - both).abs() < 1e-4, "{a} + {b} is not {both}");
    }
}

#[test]
fn every_variant_and_generator_learns_a_batch() {
    let mut configs = Vec::new();
    for variant in
        [Variant::Electra, Variant::Electra15, Variant::ReplaceMlm, Variant::AllTokensMlm]
    {
        configs.push(RtdConfig { variant, ..RtdConfig::default() });
    }
    for kind in [GeneratorKind::Unigram, GeneratorKind::Uniform] {
        let generator = GeneratorConfig { kind, ..GeneratorConfig::default() };
        configs.push(RtdConfig { generator, ..RtdConfig::default() });
    }
    let all = GeneratorConfig { tying: Tying::All, size: 1.0, ..GeneratorConfig::default() };
    configs.push(RtdConfig { generator: all, ..RtdConfig::default() });
    configs.push(RtdConfig { compat: true, ..RtdConfig::default() });

    for config in configs {
        let name = format!("{config:?}");
        let objective = objective(config);
        let bench = ::objective::trials::Bench {
            objective: &objective,
            encoder: encoder(),
            examples: examples(),
            device: Device::flex(),
        };
        println!("{name}");
        bench.run();
        assert!(model(&objective, &Device::flex()).num_params() > 0);
    }
}
