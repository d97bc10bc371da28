//! The operands of a matrix product.

/// A matrix that is read: element (i, j) at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after another.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Rows that begin `row_stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        let matrix = Self { data, rows, columns, row_stride, column_stride: 1 };
        assert!(matrix.last() <= data.len(), "the matrix lies within its slice");
        matrix
    }

    /// The same elements with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn last(&self) -> usize {
        match self.rows.min(self.columns) {
            0 => 0,
            _ => (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1,
        }
    }
}

/// A matrix that is written, with rows `row_stride` apart.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// Rows of `columns` elements one after another.
    pub fn new(data: &'a mut [f32], columns: usize) -> Self {
        Self { data, row_stride: columns }
    }

    /// Rows that begin `row_stride` elements apart.
    pub fn strided(data: &'a mut [f32], row_stride: usize) -> Self {
        Self { data, row_stride }
    }

    /// Panics unless `a b` fits in.
    pub(super) fn assert_holds(&self, a: Matrix<'_>, b: Matrix<'_>) {
        assert_eq!(a.columns, b.rows, "inner dimensions");
        let end = a.rows.saturating_sub(1) * self.row_stride + b.columns;
        assert!(
            end <= self.data.len() && b.columns <= self.row_stride,
            "the output lies within its slice"
        );
    }
}

/// What becomes of the values that stand in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// They are overwritten.
    Replace,
    /// The product is added to them.
    Add,
}

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread.
    One,
    /// The threads of the surrounding pool.
    Pool,
}
