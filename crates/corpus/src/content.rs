//! The identity of a text: the hashes of its files.

use std::fs::File;
use std::io::Read;

use crate::error::{Error, Result};
use crate::text::Text;
use crate::watch::{Watch, check};

impl Text {
    /// blake3 of every file as it lies on disk, in hexadecimal. Computed once.
    ///
    /// # Errors
    /// When a file cannot be read or the caller stops.
    pub fn content(&self, watch: &dyn Watch) -> Result<&[String]> {
        if let Some(hashes) = self.hashes.get() {
            return Ok(hashes);
        }
        watch.stage("reading", Some(self.bytes()));
        let mut hashes = Vec::new();
        let mut buffer = vec![0; 1 << 20];
        for input in &self.inputs {
            let mut file = File::open(&input.path).map_err(Error::io("open", &input.path))?;
            let mut hasher = blake3::Hasher::new();
            loop {
                check(watch)?;
                let read = file.read(&mut buffer).map_err(Error::io("read", &input.path))?;
                if read == 0 {
                    break;
                }
                hasher.update(&buffer[..read]);
                watch.advance(read as u64);
            }
            hashes.push(hasher.finalize().to_hex().to_string());
        }
        watch.finish();
        Ok(self.hashes.get_or_init(|| hashes))
    }
}
