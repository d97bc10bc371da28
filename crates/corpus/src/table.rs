//! Documents from the rows of a Parquet file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use crate::error::{Error, Result};

/// Reads the text column of a Parquet file row by row.
pub struct Rows {
    rows: RowIter<'static>,
    /// Size of the file.
    bytes: u64,
    /// Number of rows, at least 1.
    total: u64,
    consumed: Arc<AtomicU64>,
}

impl Rows {
    pub fn open(file: File, path: &Path, column: &str, consumed: Arc<AtomicU64>) -> Result<Self> {
        let bytes = file.metadata().map_err(Error::io("open", path))?.len();
        let damaged = |error: &dyn std::fmt::Display| {
            Error::data(format!("{} is no whole Parquet file: {error}", path.display()))
        };

        let reader = SerializedFileReader::new(file).map_err(|error| damaged(&error))?;
        let total = reader.metadata().file_metadata().num_rows().max(1) as u64;
        let schema = reader.metadata().file_metadata().schema();
        let Some(field) = schema.get_fields().iter().find(|field| field.name() == column) else {
            let names: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
            return Err(Error::data(format!(
                "{} has no column `{column}`; it has: {}. Name the right one with --text-field",
                path.display(),
                names.join(", ")
            )));
        };

        refuse_codec(reader.metadata(), path, column)?;
        let projection = Type::group_type_builder(schema.name())
            .with_fields(vec![field.clone()])
            .build()
            .map_err(|error| damaged(&error))?;
        let rows = RowIter::from_file_into(Box::new(reader)).project(Some(projection));
        Ok(Self { rows: rows.map_err(|error| damaged(&error))?, bytes, total, consumed })
    }

    /// The next document; none at the end. A row without a value is an empty document.
    pub fn next(&mut self, path: &Path) -> Result<Option<String>> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        self.consumed.fetch_add(self.bytes / self.total, Ordering::Relaxed);
        let row =
            row.map_err(|error| Error::data(format!("{} is damaged: {error}", path.display())))?;

        match row.get_column_iter().next() {
            Some((_, Field::Str(text))) => Ok(Some(text.clone())),
            Some((_, Field::Bytes(bytes))) => match std::str::from_utf8(bytes.data()) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(error) => {
                    Err(Error::data(format!("{}: a row is not UTF-8: {error}", path.display())))
                }
            },
            Some((_, Field::Null)) | None => Ok(Some(String::new())),
            Some((name, _)) => Err(Error::data(format!(
                "{}: the column `{name}` does not hold text",
                path.display()
            ))),
        }
    }
}

/// Refuses a column whose pages are compressed in a way that is not known.
fn refuse_codec(metadata: &ParquetMetaData, path: &Path, column: &str) -> Result<()> {
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let of_column = |parts: &[String]| parts.first().is_some_and(|first| first.as_str() == column);
    let mut chunks = chunks.filter(|chunk| of_column(chunk.column_path().parts()));
    if chunks.any(|chunk| chunk.compression() == Compression::LZO) {
        return Err(Error::data(format!(
            "{} is compressed with LZO, which is not known here; write it with another codec, such \
             as with pyarrow's `write_table(table, FILE, compression=\"zstd\")`",
            path.display()
        )));
    }
    Ok(())
}
