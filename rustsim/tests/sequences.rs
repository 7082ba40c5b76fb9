//! Short random sequences of rows and requests under every queue model: volume is conserved, and fills lie between those of `back` and `front`.
//!
//! `cargo test` plays a few; `make properties` plays a million, built for speed. A failing seed is named; `make properties SEEDS=17..18` repeats it
//! and `SEEDS=400000..1000000` goes on where a run was stopped.

mod draws;
mod sequence;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustsim::queue::{Mode, QueueDecay, QueueSpec};
use sequence::{Play, Sequence};

/// What `cargo test` plays, without asking for more.
const SEEDS: Range<u64> = 0..400;
/// Seeds between two lines of progress.
const STRIDE: u64 = 50_000;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("RUSTSIM_SEEDS") else {
        return SEEDS;
    };
    let (first, last) = text.split_once("..").expect("RUSTSIM_SEEDS=first..last");
    first.parse().expect("a number")..last.parse().expect("a number")
}

/// Every model in every mode, with parameters that depend on the seed.
fn models(seed: u64) -> Vec<QueueSpec> {
    let mut specs = Vec::new();
    // `l3` draws nothing and has no bounds: rows with joins say where lots left, and these have none.
    for &name in QueueDecay::NAMES.iter().filter(|name| **name != "l3") {
        for mode in [Mode::Expected, Mode::Sampled] {
            specs.push(QueueSpec {
                model: name.into(),
                n: [1.0, 1.5, 2.0, 3.0, 8.0][(seed % 5) as usize],
                alpha: [-1.81, 0.0, 1.2][(seed % 3) as usize],
                beta: [0.59, 1.0][(seed % 2) as usize],
                gamma: [-3.0, 0.0, 2.0][(seed % 3) as usize],
                mode,
            });
        }
    }
    specs
}

/// Plays one sequence under all models; returns whether `back` and `front` differ.
fn check(seed: u64) -> Result<bool, String> {
    let sequence = Sequence::random(seed);
    let bound = |name: &str| {
        let spec = QueueSpec {
            model: name.into(),
            ..QueueSpec::default()
        };
        Play::run(&sequence, &spec, seed).map_err(|fault| format!("seed {seed}, {name}: {fault}"))
    };
    let (back, front) = (bound("back")?, bound("front")?);
    for spec in models(seed) {
        let name = format!("seed {seed}, {} {:?}", spec.model, spec.mode);
        let play = Play::run(&sequence, &spec, seed).map_err(|fault| format!("{name}: {fault}"))?;
        back.is_within(&play)
            .and_then(|()| play.is_within(&front))
            .map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(back.fills != front.fills)
}

#[test]
#[allow(clippy::print_stderr, reason = "a run of minutes says how far it is")]
fn volume_is_conserved_and_back_and_front_bound_every_model() {
    let range = seeds();
    let next = AtomicU64::new(range.start);
    let differing = AtomicU64::new(0);
    let faults: Vec<String> = thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= range.end {
                    return None;
                }
                match check(seed) {
                    Ok(differs) => differing.fetch_add(u64::from(differs), Ordering::Relaxed),
                    Err(fault) => {
                        next.store(range.end, Ordering::Relaxed);
                        return Some(fault);
                    }
                };
                if (seed + 1).is_multiple_of(STRIDE) {
                    eprintln!("seeds {}..{} hold", range.start, seed + 1);
                }
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().expect("a check does not panic"))
            .collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let (differing, count) = (differing.into_inner(), range.end - range.start);
    eprintln!(
        "{count} sequences, seeds {range:?}, {} models and modes: the bounds differ in {differing}",
        models(0).len()
    );
    assert!(
        count < 100 || differing * 10 > count,
        "the bounds differ in {differing} of {count} sequences only: the test shows nothing"
    );
}
