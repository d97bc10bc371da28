//! The identity of a text: the hashes of its files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::observer::{ProgressObserver, check};
use crate::text::Text;

impl Text {
    /// blake3 of every file as stored on disk, in hexadecimal. Computed once.
    ///
    /// # Errors
    /// When a file cannot be read or the caller stops.
    pub fn content_hashes(&self, observer: &dyn ProgressObserver) -> Result<&[String]> {
        if let Some(hashes) = self.hashes.get() {
            return Ok(hashes);
        }

        observer.stage("reading", Some(self.bytes()));
        let hashes =
            self.inputs.iter().map(|input| hash(&input.path, observer)).collect::<Result<_>>()?;
        observer.finish();
        Ok(self.hashes.get_or_init(|| hashes))
    }

    /// blake3 of every file of spans beside the text, in hexadecimal.
    ///
    /// # Errors
    /// When a file cannot be read or the caller stops.
    pub(crate) fn span_hashes(&self, observer: &dyn ProgressObserver) -> Result<Vec<String>> {
        observer.stage("reading spans", None);
        let paths = self.inputs.iter().filter_map(|input| input.spans.as_ref());
        let hashes = paths.map(|path| hash(path, observer)).collect::<Result<_>>()?;
        observer.finish();
        Ok(hashes)
    }
}

fn hash(path: &Path, observer: &dyn ProgressObserver) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];

    loop {
        check(observer)?;
        let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..read]);
        observer.advance(read as u64);
    }
}
