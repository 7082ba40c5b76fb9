//! Recorded latencies: rows (time, delay) of one kind of message, looked up by the time at which a message is sent.
//!
//! The rows lie in a mapped file that all workers of a machine share. Layout, everything little-endian: the 8 bytes `RSTRACE1`, five `u64` counts of rows (place,
//! cancel, amend, report, feed), then for each of them its times and after these its delays, `i64` nanoseconds. Times do not fall, delays are 0 to 60 seconds.
//! Opening checks the rows that are asked for: about a nanosecond per row. A lookup is a binary search, two rows and one multiplication.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::tape::map::FileMap;
use crate::types::Nanos;

use super::{Family, LatencySpec, MEAN_NS_MAX};

/// What such a file starts with.
const MAGIC: [u8; 8] = *b"RSTRACE1";
/// Whose rows a file holds, in the order of the file.
const OPERATIONS: [&str; 5] = ["place", "cancel", "amend", "report", "feed"];
/// Most rows of a file.
const ROWS_MAX: u64 = 1 << 28;
const HEADER_BYTES: usize = MAGIC.len() + OPERATIONS.len() * 8;

/// `L(t) = floor + scale (d0 + (d1 - d0) (t - t0) / (t1 - t0))` between the rows `(t0, d0)` and `(t1, d1)`, the nearest row outside of them; of rows of
/// one time the last one holds from then on. Draws nothing: seed, replication, weather and regime do not touch it.
///
/// Wrong where a recording is from another day than the ticks, or too thin to show the bursts; its messages are those of whoever recorded it, at that
/// one's load. Worked number: rows (0, 100), (10, 300), (10, 50): 100 before 0, 180 at 4, 50 from 10 on; with floor 7 and scale 2 it is 367 at 4.
#[derive(Clone, Debug)]
pub struct Trace {
    map: Arc<FileMap>,
    /// Where the times and the delays start, and how many rows there are.
    times_at: usize,
    delays_at: usize,
    rows: usize,
    floor_ns: f64,
    scale: f64,
}

impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let rows = |trace: &Self| {
            (0..trace.rows)
                .map(|row| trace.row(row))
                .collect::<Vec<_>>()
        };
        same(self.floor_ns, other.floor_ns)
            && same(self.scale, other.scale)
            && rows(self) == rows(other)
    }
}

impl Family for Trace {
    const SHAPE: super::Shape = super::Shape::Rows;

    fn new(spec: &LatencySpec) -> Result<Self> {
        let missing = |key: &str| Error::Spec(format!("{key}: missing"));
        let file = spec.file.as_deref().ok_or_else(|| missing("file"))?;
        let operation = spec
            .operation
            .as_deref()
            .ok_or_else(|| missing("operation"))?;
        let number = OPERATIONS
            .iter()
            .position(|&name| name == operation)
            .ok_or_else(|| {
                Error::Spec(format!(
                    "operation: found {operation:?}, allowed {}",
                    OPERATIONS.join(", ")
                ))
            })?;
        let mut trace = open(Path::new(file), number)
            .map_err(|fault| Error::Spec(format!("file: {file}: {fault}")))?;
        trace.floor_ns = spec.floor_ns;
        trace.scale = spec.scale()?;
        Ok(trace)
    }

    /// Returns the quantile over the rows, each with the same weight.
    fn quantile_ns(&self, u: f64) -> f64 {
        self.quantiles_ns(&[u])[0]
    }
}

impl Trace {
    /// Returns the latency of a message of this time, in whole nanoseconds.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "delays are bounded, and times between two rows fit 53 bits unless they lie 100 days apart"
    )]
    pub(crate) fn latency_ns(&self, at_ns: Nanos) -> Nanos {
        let after = self.first_after(at_ns);
        let delay = if after == 0 {
            self.row(0).1 as f64
        } else {
            let (t0, d0) = self.row(after - 1);
            if after == self.rows {
                d0 as f64
            } else {
                let (t1, d1) = self.row(after);
                d0 as f64 + (d1 - d0) as f64 * (at_ns - t0) as f64 / (t1 - t0) as f64
            }
        };
        (self.floor_ns + self.scale * delay).round() as Nanos
    }

    /// Returns the quantiles over the rows.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "numbers of rows and delays fit 53 bits"
    )]
    pub(super) fn quantiles_ns(&self, uniforms: &[f64]) -> Vec<f64> {
        let mut delays: Vec<Nanos> = (0..self.rows).map(|row| self.row(row).1).collect();
        delays.sort_unstable();
        let rank = |u: f64| ((u * self.rows as f64) as usize).min(self.rows - 1);
        uniforms
            .iter()
            .map(|&u| self.floor_ns + self.scale * delays[rank(u)] as f64)
            .collect()
    }

    fn row(&self, row: usize) -> (Nanos, Nanos) {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&self.map.bytes()[at..at + 8]);
            Nanos::from_le_bytes(bytes)
        };
        (
            word(self.times_at + 8 * row),
            word(self.delays_at + 8 * row),
        )
    }

    /// Returns the first row after a time.
    fn first_after(&self, at_ns: Nanos) -> usize {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle).0 <= at_ns {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn check(&self) -> core::result::Result<(), String> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a minute in nanoseconds is a whole number"
        )]
        let delays = 0..=MEAN_NS_MAX as Nanos;
        let mut last = Nanos::MIN;
        for row in 0..self.rows {
            let (time, delay) = self.row(row);
            if time < last {
                return Err(format!("row {row}: the time {time} is before {last}"));
            }
            if !delays.contains(&delay) {
                return Err(format!(
                    "row {row}: the delay is {delay} ns, allowed 0 to {}",
                    delays.end()
                ));
            }
            last = time;
        }
        Ok(())
    }
}

fn open(path: &Path, operation: usize) -> core::result::Result<Trace, String> {
    let file = File::open(path).map_err(|fault| format!("cannot open: {fault}"))?;
    let size = file
        .metadata()
        .map_err(|fault| format!("cannot read the size: {fault}"))?
        .len();
    if size < HEADER_BYTES as u64 {
        return Err(format!("{size} bytes are no recorded latencies"));
    }
    let map = FileMap::new(&file).map_err(|fault| format!("cannot map: {fault}"))?;
    let bytes = map.bytes();
    if bytes[..MAGIC.len()] != MAGIC {
        return Err("not a file of recorded latencies".to_owned());
    }
    let count = |number: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[MAGIC.len() + 8 * number..][..8]);
        u64::from_le_bytes(word)
    };
    let counts: [u64; OPERATIONS.len()] = core::array::from_fn(count);
    if counts.iter().any(|&rows| rows > ROWS_MAX)
        || size != HEADER_BYTES as u64 + 16 * counts.iter().sum::<u64>()
    {
        return Err(format!(
            "{size} bytes do not fit the numbers of rows {counts:?}"
        ));
    }
    let too_large = |_| "too large for this machine".to_owned();
    let before = usize::try_from(counts[..operation].iter().sum::<u64>()).map_err(too_large)?;
    let rows = usize::try_from(counts[operation]).map_err(too_large)?;
    if rows == 0 {
        return Err(format!(
            "no row is of the operation {}",
            OPERATIONS[operation]
        ));
    }
    let times_at = HEADER_BYTES + 16 * before;
    let trace = Trace {
        map: Arc::new(map),
        times_at,
        delays_at: times_at + 8 * rows,
        rows,
        floor_ns: 0.0,
        scale: 1.0,
    };
    trace.check()?;
    Ok(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{LatencyModel, ModeSpec};

    type Rows<'a> = &'a [(Nanos, Nanos)];

    fn image(operations: [Rows<'_>; 5]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(operations.iter().flat_map(|rows| (rows.len() as u64).to_le_bytes()));
        for rows in operations {
            bytes.extend(rows.iter().flat_map(|row| row.0.to_le_bytes()));
            bytes.extend(rows.iter().flat_map(|row| row.1.to_le_bytes()));
        }
        bytes
    }

    fn write(name: &str, bytes: &[u8]) -> LatencySpec {
        let path =
            std::env::temp_dir().join(format!("rustsim-{}-{name}.trace", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        LatencySpec {
            model: "trace".to_owned(),
            file: Some(path.to_str().unwrap().to_owned()),
            operation: Some("cancel".to_owned()),
            ..LatencySpec::default()
        }
    }

    fn build(spec: &LatencySpec) -> core::result::Result<Trace, String> {
        let built = LatencyModel::build(spec);
        let _ = std::fs::remove_file(spec.file.as_deref().unwrap_or_default());
        built
            .map(|model| model.trace().unwrap().clone())
            .map_err(|error| error.to_string())
    }

    const ROWS: Rows<'_> = &[(0, 100), (10, 300), (10, 50)];

    #[test]
    fn rows_are_joined_by_lines_and_held_outside() {
        let spec = write("lines", &image([&[(5, 1)], ROWS, &[], &[], &[(1, 2)]]));
        let trace = build(&spec).unwrap();
        for (at, latency) in [(-9, 100), (0, 100), (4, 180), (9, 280), (10, 50), (99, 50)] {
            assert_eq!(trace.latency_ns(at), latency, "at {at}");
        }
        assert_eq!(trace.quantiles_ns(&[0.1, 0.5, 0.9]), [50.0, 100.0, 300.0]);
        let spec = write("scaled", &image([&[], ROWS, &[], &[], &[]]));
        let scaled = LatencySpec {
            scale: Some(2.0),
            floor_ns: 7.0,
            ..spec
        };
        assert_eq!(build(&scaled).unwrap().latency_ns(4), 367);
    }

    #[test]
    fn files_that_are_no_traces_are_refused() {
        let good = image([&[], ROWS, &[], &[], &[]]);
        let cancels = |rows| image([&[], rows, &[], &[], &[]]);
        let cases: [(&str, Vec<u8>, &str); 7] = [
            ("short", good[..20].to_vec(), "20 bytes are no recorded"),
            ("cut", good[..good.len() - 1].to_vec(), "do not fit"),
            ("magic", [b"x", &good[1..]].concat(), "not a file of recorded"),
            ("none", image([ROWS, &[], &[], &[], &[]]), "no row is of the operation cancel"),
            ("fall", cancels(&[(5, 1), (4, 1)]), "row 1: the time 4 is before 5"),
            ("negative", cancels(&[(5, -1)]), "row 0: the delay is -1 ns"),
            ("slow", cancels(&[(5, 60_000_000_001)]), "allowed 0 to 60000000000"),
        ];
        for (name, bytes, message) in cases {
            let found = build(&write(name, &bytes)).unwrap_err();
            assert!(found.contains(message), "{name}: {found}");
        }
    }

    #[test]
    fn wrong_keys_are_refused() {
        let spec = write("keys", &image([&[], ROWS, &[], &[], &[]]));
        let with = |change: fn(&mut LatencySpec)| {
            let mut spec = spec.clone();
            change(&mut spec);
            LatencyModel::build(&spec).unwrap_err().to_string()
        };
        for (found, message) in [
            (with(|spec| spec.operation = Some("plcae".into())), "operation: found \"plcae\""),
            (with(|spec| spec.operation = None), "operation: missing"),
            (with(|spec| spec.scale = Some(0.0)), "scale: found 0"),
            (with(|spec| spec.mean_ns = 1.0), "mean_ns: the model trace does not read it"),
            (with(|spec| spec.file = None), "file: missing"),
        ] {
            assert!(found.contains(message), "{found}");
        }
        assert!(build(&spec).is_ok());
        assert!(build(&spec).unwrap_err().contains("cannot open"));
    }

    #[test]
    fn a_trace_is_no_part_of_anything() {
        let spec = write("parts", &image([&[], ROWS, &[], &[], &[]]));
        let gamma = LatencySpec {
            model: "gamma".into(),
            mean_ns: 5.0,
            ..LatencySpec::default()
        };
        let stressed = |of: &LatencySpec, part: &LatencySpec| LatencySpec {
            stressed: Some(Box::new(part.clone())),
            ..of.clone()
        };
        for pair in [stressed(&spec, &gamma), stressed(&gamma, &spec)] {
            assert!(
                LatencyModel::build_both(&pair)
                    .unwrap_err()
                    .to_string()
                    .starts_with("stressed:")
            );
        }
        let mode = ModeSpec {
            weight: 1.0,
            latency: spec.clone(),
        };
        let mixture = LatencySpec {
            model: "mixture".into(),
            modes: vec![mode],
            ..LatencySpec::default()
        };
        assert!(
            LatencyModel::build(&mixture)
                .unwrap_err()
                .to_string()
                .contains("no mode")
        );
        assert!(build(&spec).is_ok());
    }
}
