//! How exact matrix products are.

use serde::{Deserialize, Serialize};

/// What the factors of a matrix product are rounded to. Products are always summed, and everything
/// else is always computed and kept, in 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Nothing: 32 bits, a significand of 24.
    #[default]
    F32,
    /// bfloat16: 16 bits, a significand of 8 and the range of 32-bit floats. On the CPU backend
    /// only, where linear layers and output layers take it, forward and backward; attention's own
    /// products do not.
    Bf16,
}

impl Precision {
    /// Whether the processor has instructions for it. Without them the same is computed, more
    /// slowly than in 32 bits.
    pub fn is_native(self) -> bool {
        match self {
            Self::F32 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Bf16 => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Bf16 => false,
        }
    }
}
