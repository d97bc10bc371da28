//! Where tensors are computed: backends by name, and what each finds on this machine.

use std::fmt;

use burn::tensor::Device;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::exit::NoDevice;

/// Where tensors are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// burn-flex: every CPU.
    #[default]
    Cpu,
    /// Any GPU through wgpu and WGSL: Vulkan, Metal, DirectX 12.
    Wgpu,
    /// burn-ndarray: every CPU, slower than `cpu`.
    Ndarray,
    /// NVIDIA GPUs through CUDA.
    Cuda,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().expect("no variant is skipped").get_name())
    }
}

impl Backend {
    /// All of them, whether this build has them or not.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Wgpu, Self::Ndarray, Self::Cuda];

    /// Whether this build has it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// Opens the device, without autodiff, and computes something on it.
    ///
    /// # Errors
    /// When this build lacks the backend or the machine the device; says what was looked for.
    pub fn open(self) -> Result<Device, NoDevice> {
        let device = self.device()?;
        match device.sync() {
            Ok(()) => Ok(device),
            Err(error) => {
                Err(NoDevice(format!("backend {self}: the device was found but failed: {error}")))
            }
        }
    }

    /// The device's own name, where it has one.
    pub fn describe(self, device: &Device) -> String {
        match self {
            Self::Cpu | Self::Ndarray => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                format!("{cores} cores")
            }
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Self::Wgpu | Self::Cuda => device.identity().map_or_else(
                || "a device without a name".to_owned(),
                |identity| match identity.physical {
                    Some(_) => identity.name,
                    None => format!("{} (software: slow, for tests)", identity.name),
                },
            ),
            #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
            Self::Wgpu | Self::Cuda => format!("{device:?}"),
        }
    }

    fn device(self) -> Result<Device, NoDevice> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => wgpu::open(),
            #[cfg(feature = "ndarray")]
            Self::Ndarray => Ok(ndarray()),
            #[cfg(feature = "cuda")]
            Self::Cuda => cuda::open(),
            #[allow(
                unreachable_patterns,
                reason = "which backends are left depends on the features"
            )]
            missing => Err(NoDevice(format!(
                "this build has no backend {missing}; build it with `cargo build --release \
                 --features {missing}`"
            ))),
        }
    }
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "kept selectable on purpose, although burn-flex replaces it upstream")]
fn ndarray() -> Device {
    Device::ndarray()
}

#[cfg(feature = "wgpu")]
mod wgpu {
    //! The wgpu device of this process, opened once.

    use std::panic::catch_unwind;
    use std::sync::OnceLock;

    use burn::tensor::Device;

    use crate::exit::NoDevice;

    static OPENED: OnceLock<Result<Device, String>> = OnceLock::new();

    pub fn open() -> Result<Device, NoDevice> {
        let init = || {
            catch_unwind(look).unwrap_or_else(|_| {
                Err("the graphics library stopped while it looked for a GPU".to_owned())
            })
        };
        OPENED.get_or_init(init).clone().map_err(|error| {
            NoDevice(format!(
                "backend wgpu: no usable GPU. Looked for Vulkan, Metal and DirectX 12 \
                 adapters: {error}. Install the GPU's driver (on Linux its Vulkan part; \
                 mesa-vulkan-drivers gives a slow software one), or use --backend cpu"
            ))
        })
    }

    /// Looks for a GPU; the graphics library may panic on the way.
    fn look() -> Result<Device, String> {
        Device::wgpu_options().init().map_err(|error| error.to_string())
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    //! The first CUDA device.

    use std::panic::{AssertUnwindSafe, catch_unwind};

    use burn::tensor::{Device, Tensor};

    use crate::exit::NoDevice;

    pub fn open() -> Result<Device, NoDevice> {
        let probe = || {
            let device = Device::cuda(0);
            let _ = Tensor::<1>::ones([1], &device).into_data();
            device
        };
        catch_unwind(AssertUnwindSafe(probe)).map_err(|_| {
            NoDevice(
                "backend cuda: no usable NVIDIA GPU. Looked for the CUDA driver and \
                 device 0; check `nvidia-smi`, or use --backend cpu"
                    .to_owned(),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_a_missing_backend_says_how_to_get_it() {
        assert!(Backend::Cpu.open().is_ok());
        for backend in Backend::ALL.into_iter().filter(|backend| !backend.is_built()) {
            let error = backend.open().expect_err("not built").to_string();
            assert!(error.contains(&format!("--features {backend}")), "{error}");
        }
    }
}
