//! The parameters of a burn module by name, on the host and in safetensors files.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use half::{bf16, f16};
use safetensors::tensor::{TensorView, View};
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};

/// A tensor on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub values: Vec<f32>,
}

/// Parameters by the path of their fields, such as `encoder.stack.attention.0.query.weight`.
pub type Weights = BTreeMap<String, HostTensor>;

/// The parameters of `module`.
pub fn collect<M: Module>(module: &M) -> Weights {
    let mut weights = Weights::new();
    visit(module, |name, shape, flat| {
        let HostTensor { values, .. } = HostTensor::of(flat);
        weights.insert(name, HostTensor { shape: shape.to_vec(), values });
    });
    weights
}

/// Calls `f` with the name, the shape and the elements, flat and without a graph, of every
/// parameter of `module`.
pub fn visit<M: Module>(module: &M, f: impl FnMut(String, &[usize], Tensor<1>)) {
    module.visit(&mut Visitor { path: FieldPath::default(), f });
}

/// Replaces the parameters of `module`.
///
/// # Errors
/// Names a parameter that is missing, has another shape, or is unknown to the module.
pub fn load<M: Module>(module: M, weights: &Weights) -> Result<M> {
    let mut loader = Loader { path: FieldPath::default(), weights, loaded: 0, error: None };
    let module = module.map(&mut loader);
    if let Some(error) = loader.error {
        return Err(Error::Data(error));
    }
    if loader.loaded == weights.len() {
        return Ok(module);
    }

    let known = collect(&module);
    let unknown: Vec<&str> =
        weights.keys().filter(|name| !known.contains_key(*name)).map(String::as_str).collect();
    Err(Error::Data(format!("the weights are of another model: it has no {}", unknown.join(", "))))
}

/// The bytes of a safetensors file; the same weights give the same bytes.
///
/// # Errors
/// When the header cannot be made.
pub fn bytes(weights: &Weights) -> Result<Vec<u8>> {
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(weights, Some(format)).map_err(|error| Error::Data(error.to_string()))
}

impl View for &HostTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// Reads a safetensors file.
///
/// # Errors
/// When it cannot be read, is damaged, or holds elements other than 16- or 32-bit floats.
pub fn read(path: &Path) -> Result<Weights> {
    let bad = |error: &dyn std::fmt::Display| Error::Data(format!("{}: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| bad(&error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| bad(&error))?;

    file.tensors()
        .into_iter()
        .map(|(name, view)| Ok((name, HostTensor::read(&view).map_err(|e| bad(&e))?)))
        .collect()
}

/// Decodes little-endian floats of 16 or 32 bits.
///
/// # Errors
/// When `dtype` is of another kind.
pub fn decode(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>> {
    let half =
        |value: fn([u8; 2]) -> f32| bytes.chunks_exact(2).map(|b| value([b[0], b[1]])).collect();
    let single = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);

    match dtype {
        Dtype::F32 => Ok(bytes.chunks_exact(4).map(single).collect()),
        Dtype::F16 => Ok(half(|b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Ok(half(|b| bf16::from_le_bytes(b).to_f32())),
        other => Err(Error::Data(format!("holds {other:?}; known: F32, F16, BF16"))),
    }
}

impl HostTensor {
    /// A tensor of a safetensors file.
    ///
    /// # Errors
    /// When its elements are not floats of 16 or 32 bits.
    pub fn read(view: &TensorView<'_>) -> Result<Self> {
        Ok(Self { shape: view.shape().to_vec(), values: decode(view.dtype(), view.data())? })
    }

    /// The transpose of a matrix. Linear weights are `[out, in]` in Hugging Face files and
    /// `[in, out]` here.
    ///
    /// # Errors
    /// When the tensor does not have two dimensions.
    pub fn transposed(&self) -> Result<Self> {
        let [rows, columns] = self.shape[..] else {
            return Err(Error::Data(format!("a linear weight has two axes, not {:?}", self.shape)));
        };
        let at = |i: usize| self.values[(i % rows) * columns + i / rows];
        Ok(Self { shape: vec![columns, rows], values: (0..rows * columns).map(at).collect() })
    }

    /// Copies `tensor` to the host.
    pub fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        Self { shape, values: tensor.into_data().iter::<f32>().collect() }
    }

    /// Shape and values as burn takes them.
    pub fn data(&self) -> TensorData {
        TensorData::new(self.values.clone(), self.shape.clone())
    }
}

/// The path of the field that a visitor or mapper is in.
#[derive(Debug, Default)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// Enters a field.
    pub fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// Leaves the innermost field.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// The dotted path.
    pub fn name(&self) -> String {
        self.0.join(".")
    }
}

struct Visitor<F> {
    path: FieldPath,
    f: F,
}

impl<F: FnMut(String, &[usize], Tensor<1>)> ModuleVisitor for Visitor<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.dims();
        let flat = param.val().inner().reshape([shape.iter().product::<usize>()]);
        (self.f)(self.path.name(), &shape, flat);
    }
}

struct Loader<'a> {
    path: FieldPath,
    weights: &'a Weights,
    loaded: usize,
    error: Option<String>,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let shape = param.dims();

        match self.weights.get(&name) {
            Some(tensor) if tensor.shape == shape => {
                self.loaded += 1;
                param.map(|old| {
                    let new = Tensor::from_data(tensor.data(), &old.device());
                    new.set_require_grad(old.is_require_grad())
                })
            }
            Some(tensor) => {
                let message =
                    format!("`{name}` has the shape {:?}, the model needs {shape:?}", tensor.shape);
                self.error.get_or_insert(message);
                param
            }
            None => {
                self.error.get_or_insert(format!("the weights have no `{name}`"));
                param
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use trunk::Linear;

    fn layer(seed: u64) -> Linear {
        let device = Device::flex().autodiff();
        Linear::init(2, 3, 0.1, &mut ChaCha8Rng::seed_from_u64(seed), &device)
    }

    #[test]
    fn weights_survive_a_file_bit_for_bit_and_stay_trainable() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.safetensors");
        let weights = collect(&layer(1));
        std::fs::write(&path, bytes(&weights).expect("bytes")).expect("written");
        let read = read(&path).expect("read");
        assert_eq!(read, weights);

        let loaded = load(layer(2), &read).expect("loaded");
        assert_eq!(collect(&loaded), weights);

        let x = Tensor::<2>::ones([1, 2], &Device::flex().autodiff());
        let grads = loaded.forward(x).sum().backward();
        assert!(loaded.weight.grad(&grads).is_some(), "a loaded parameter has a gradient");
    }

    #[test]
    fn linear_weights_are_transposed() {
        let tensor = HostTensor { shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let transposed = tensor.transposed().expect("two dimensions");
        assert_eq!(transposed.shape, [3, 2]);
        assert_eq!(transposed.values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(transposed.transposed().expect("two dimensions"), tensor);
    }

    #[test]
    fn half_precision_is_read() {
        // 1.5 is 0x3e00 in binary16 and 0x3fc0 in bfloat16.
        assert_eq!(decode(Dtype::F16, &[0x00, 0x3e]).expect("floats"), [1.5]);
        assert_eq!(decode(Dtype::BF16, &[0xc0, 0x3f]).expect("floats"), [1.5]);
        assert!(
            decode(Dtype::I64, &[0; 8]).expect_err("refused").to_string().contains("known: F32")
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message = |change: fn(&mut Weights)| {
            let mut weights = collect(&layer(1));
            change(&mut weights);
            load(layer(2), &weights).expect_err("refused").to_string()
        };

        assert_eq!(message(|w| drop(w.remove("bias"))), "the weights have no `bias`");
        let shape = message(|w| w.get_mut("bias").expect("there").shape = vec![1, 3]);
        assert_eq!(shape, "`bias` has the shape [1, 3], the model needs [3]");

        let unknown = message(|w| {
            drop(w.insert("pooler".into(), HostTensor { shape: vec![1], values: vec![0.0] }))
        });
        assert!(unknown.ends_with("it has no pooler"), "{unknown}");
    }
}
