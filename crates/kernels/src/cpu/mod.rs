//! Forward and backward passes on slices of 32-bit floats: rows of equal width, one after another.
//!
//! Work is cut into parts whose number does not depend on the threads, and partial sums are added
//! in the order of the parts, so the bits of a result are the same for any number of threads.

pub mod activation;
pub mod adam;
pub mod attention;
pub mod bf16;
pub mod divergence;
pub mod dropout;
pub mod embedding;
pub mod gate;
pub mod lstm;
pub mod matmul;
pub mod matrix;
pub mod muon;
pub mod norm;
pub mod orthogonal;
pub mod parts;
pub mod product;
pub mod rms;
pub mod rotary;
pub mod scores;
pub mod softmax;
pub mod vectors;
pub mod vocabulary;
