//! Columns of whole or floating-point numbers in forms that pack better than the numbers themselves.
//!
//! In *planes* the lowest bytes of all numbers lie together, then those above them. In *steps* each number is what it is
//! more than the one before, modulo its width. Either can be undone, and neither changes a column's length.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::{refused, Outcome};

fn check(data: &[u8], width: usize) -> Outcome<usize> {
    match width {
        1 | 2 | 4 | 8 if data.len().is_multiple_of(width) => Ok(data.len() / width),
        _ => Err(format!(
            "{} bytes are no numbers of {width} bytes",
            data.len()
        )),
    }
}

fn number(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(whole)
}

fn fold(data: &[u8], width: usize, in_steps: bool) -> Outcome<Vec<u8>> {
    let rows = check(data, width)?;
    let mut folded = vec![0; data.len()];
    let mut before = 0;
    for (row, bytes) in data.chunks_exact(width).enumerate() {
        let here = number(bytes);
        let told = here
            .wrapping_sub(if in_steps { before } else { 0 })
            .to_le_bytes();
        before = here;
        for (plane, byte) in told[..width].iter().enumerate() {
            folded[plane * rows + row] = *byte;
        }
    }
    Ok(folded)
}

fn unfold(folded: &[u8], width: usize, in_steps: bool) -> Outcome<Vec<u8>> {
    let rows = check(folded, width)?;
    let mut data = vec![0; folded.len()];
    let mut before = 0u64;
    for (row, bytes) in data.chunks_exact_mut(width).enumerate() {
        for (plane, byte) in bytes.iter_mut().enumerate() {
            *byte = folded[plane * rows + row];
        }
        if in_steps {
            before = before.wrapping_add(number(bytes));
            bytes.copy_from_slice(&before.to_le_bytes()[..width]);
        }
    }
    Ok(data)
}

/// A column of numbers of so many bytes in planes, of the numbers or of their steps.
#[pyfunction]
pub fn column_fold<'py>(
    python: Python<'py>,
    data: &[u8],
    width: usize,
    in_steps: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let folded = python
        .detach(|| fold(data, width, in_steps))
        .map_err(refused)?;
    Ok(PyBytes::new(python, &folded))
}

/// The column again.
#[pyfunction]
pub fn column_unfold<'py>(
    python: Python<'py>,
    folded: &[u8],
    width: usize,
    in_steps: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let data = python
        .detach(|| unfold(folded, width, in_steps))
        .map_err(refused)?;
    Ok(PyBytes::new(python, &data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_comes_back_in_every_form() {
        let data: Vec<u8> = (0..96u32).map(|at| (at * at * 37) as u8).collect();
        for width in [1, 2, 4, 8] {
            for in_steps in [false, true] {
                let folded = fold(&data, width, in_steps).unwrap();
                assert_eq!(unfold(&folded, width, in_steps).unwrap(), data);
            }
        }
    }

    #[test]
    fn numbers_that_grow_evenly_are_one_step() {
        let data: Vec<u8> = (1..=4u32).flat_map(|at| (at * 300).to_le_bytes()).collect();
        let folded = fold(&data, 4, true).unwrap();
        assert_eq!(folded, [44, 44, 44, 44, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_column_is_refused() {
        assert!(fold(&[0; 6], 4, false).is_err());
        assert!(unfold(&[0; 6], 3, true).is_err());
        assert!(fold(&[], 0, true).is_err());
    }
}
