//! How a grid is kept in a record: its numbers as they are in memory, little-endian, in base64. As decimal text they would
//! take twice the room, and ten metrics would not fit into a status. Grids of earlier records are lists of numbers.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{
    Deserializer, Serializer,
    de::{Error, SeqAccess, Visitor},
};

use super::grid::{POINTS, PerPoint};

/// The length of a number, in bytes.
const NUMBER: usize = size_of::<f64>();

/// Writes a grid.
pub fn serialize<S: Serializer>(grid: &PerPoint, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = grid.iter().flat_map(|number| number.to_le_bytes()).collect();
    serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
}

/// Reads a grid, of which no number is NaN.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PerPoint, D::Error> {
    let grid = deserializer.deserialize_any(Either)?;
    if grid.iter().any(|number| number.is_nan()) { Err(D::Error::custom("a grid with NaN")) } else { Ok(grid) }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = PerPoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{POINTS} numbers, or their bytes in base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PerPoint, E> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|error| E::custom(error.to_string()))?;
        let (numbers, rest) = bytes.as_chunks::<NUMBER>();
        let numbers: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        match PerPoint::try_from(numbers) {
            Ok(grid) if rest.is_empty() => Ok(grid),
            _ => Err(E::invalid_length(bytes.len(), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<PerPoint, A::Error> {
        let mut grid = [0.0; POINTS];
        for (index, slot) in grid.iter_mut().enumerate() {
            *slot = numbers.next_element()?.ok_or_else(|| A::Error::invalid_length(index, &self))?;
        }
        match numbers.next_element::<f64>()? {
            Some(_) => Err(A::Error::invalid_length(POINTS + 1, &self)),
            None => Ok(grid),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Record {
        #[serde(with = "super")]
        grid: PerPoint,
    }

    fn grid() -> PerPoint {
        std::array::from_fn(|index| (index as f64 - 7.0) * 1.1e-3_f64.powi(index as i32 % 5))
    }

    #[test]
    fn what_is_read_is_what_was_written_to_the_last_bit() {
        let text = serde_json::to_string(&Record { grid: grid() }).unwrap();
        assert_eq!(text.len(), 256 + r#"{"grid":""}"#.len());
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap().grid, grid());
    }

    #[test]
    fn a_list_of_an_earlier_version_is_read() {
        let record: Record = serde_json::from_value(json!({ "grid": grid() })).unwrap();
        assert_eq!(record.grid, grid());
    }

    #[test]
    fn anything_else_is_an_error() {
        let nan = STANDARD_NO_PAD.encode([f64::NAN.to_le_bytes(); POINTS].as_flattened());
        let short = STANDARD_NO_PAD.encode([0; 8 * POINTS - 1]);
        for wrong in [
            json!([1.0, 2.0]),
            json!(vec![0.0; POINTS + 1]),
            json!("AAAA"),
            json!("?"),
            json!(nan),
            json!(short),
            Value::Null,
        ] {
            assert!(serde_json::from_value::<Record>(json!({ "grid": wrong })).is_err(), "{wrong}");
        }
    }
}
