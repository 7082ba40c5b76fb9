//! Known answers of every family, and the table against the exact quantile.

use super::*;

fn spec(model: &str, mean_ns: f64, cv: f64, floor_ns: f64) -> LatencySpec {
    LatencySpec {
        model: model.to_owned(),
        mean_ns,
        cv,
        floor_ns,
        ..LatencySpec::default()
    }
}

/// Families that are given by mean, cv and floor.
fn by_mean() -> impl Iterator<Item = &'static str> {
    LatencyModel::NAMES
        .iter()
        .copied()
        .filter(|name| LatencyModel::shape(name) == Ok(Shape::Mean))
}

fn build(model: &str, mean_ns: f64, cv: f64, floor_ns: f64) -> LatencyModel {
    LatencyModel::build(&spec(model, mean_ns, cv, floor_ns)).unwrap()
}

#[test]
fn quantiles_match_the_worked_numbers() {
    let table = [
        ("constant", 0.5, [5000.0; 4]),
        ("gamma", 0.5, [4590.1, 8351.0, 12556.4, 16327.8]),
        ("lognormal", 0.5, [4472.1, 8192.7, 13420.6, 19252.3]),
        ("pareto", 0.5, [4280.2, 7038.1, 14337.4, 29207.1]),
        ("uniform", 0.5, [5000.0, 8464.1, 9243.5, 9321.5]),
        ("gamma", 1.0, [3465.7, 11512.9, 23025.9, 34538.8]),
        ("lognormal", 1.0, [3535.5, 10276.2, 24524.6, 46323.6]),
        ("pareto", 1.0, [3903.0, 7601.9, 19730.4, 51209.4]),
    ];
    for (model, cv, expected) in table {
        for (u, value) in [0.5, 0.9, 0.99, 0.999].into_iter().zip(expected) {
            let found = build(model, 5000.0, cv, 0.0).quantile_ns(u);
            assert!(
                (found - value).abs() <= 0.05 + 1e-9,
                "{model} cv {cv} u {u}: found {found}, expected {value}"
            );
        }
    }
}

#[test]
fn families_of_one_mean_and_cv_differ_in_the_tail_by_half() {
    let at = |model| build(model, 5000.0, 1.0, 0.0).quantile_ns(0.999);
    assert!((at("pareto") / at("gamma") - 1.5).abs() < 0.05);
}

/// The parameters that mean 5000 and cv come to, seen through the quantiles.
#[test]
fn parameters_match_the_worked_numbers() {
    for (cv, mu, sigma) in [(0.5, 8.405_621, 0.472_381), (1.0, 8.170_620, 0.832_555)] {
        let model = build("lognormal", 5000.0, cv, 0.0);
        let at = |z: f64| libm::log(model.quantile_ns(normal::cdf(z)));
        assert!((at(0.0) - mu).abs() < 1e-6, "cv {cv}: mu {}", at(0.0));
        let found = at(1.0) - at(0.0);
        assert!((found - sigma).abs() < 1e-6, "cv {cv}: sigma {found}");
    }
    for (cv, alpha, least) in [(0.5, 3.236_068, 3454.915), (1.0, 2.414_214, 2928.932)] {
        let model = build("pareto", 5000.0, cv, 0.0);
        assert!((model.quantile_ns(1e-15) / least - 1.0).abs() < 1e-6);
        let found = libm::log(10.0) / libm::log(model.quantile_ns(0.99) / model.quantile_ns(0.9));
        assert!((found / alpha - 1.0).abs() < 1e-6, "cv {cv}: alpha {found}");
    }
    for (cv, shape, scale) in [(0.5, 4, 1250.0), (1.0, 1, 5000.0)] {
        let model = build("gamma", 5000.0, cv, 0.0);
        for u in [0.1, 0.5, 0.999] {
            // For a whole shape k, P(X > x) is the Poisson probability of fewer than k events in x / scale.
            let x = model.quantile_ns(u) / scale;
            let mut term = libm::exp(-x);
            let mut tail = term;
            for n in 1..shape {
                term *= x / f64::from(n);
                tail += term;
            }
            assert!(
                (1.0 - tail - u).abs() < 1e-9,
                "cv {cv} u {u}: {}",
                1.0 - tail
            );
        }
    }
}

/// Values of scipy 1.x `gamma.ppf(u, k) / k` (and `isf` above one half).
#[test]
fn gamma_quantiles_match_an_independent_implementation() {
    for (cv, u, value) in GAMMA_REFERENCE {
        let found = build("gamma", 1e9, cv, 0.0).quantile_ns(u);
        assert!(
            (found / (1e9 * value) - 1.0).abs() <= 1e-9,
            "cv {cv} u {u}: found {found}, expected {}",
            1e9 * value
        );
    }
}

/// (cv, u, quantile over mean).
const GAMMA_REFERENCE: [(f64, f64, f64); 36] = [
    (0.02, 1e-12, 0.865_706_904_250_660_5),
    (0.02, 0.000_1, 0.927_324_705_091_506_1),
    (0.02, 0.05, 0.967_331_898_014_465_2),
    (0.02, 0.5, 0.999_866_669_827_622),
    (0.02, 0.6, 1.004_941_779_275_799_5),
    (0.02, 0.99, 1.047_114_367_626_022_2),
    (0.1, 1e-12, 0.448_860_220_300_175_14),
    (0.1, 0.000_1, 0.670_077_382_355_439),
    (0.1, 0.05, 0.841_392_772_183_141_9),
    (0.1, 0.5, 0.996_668_649_193_154_9),
    (0.1, 0.6, 1.022_168_414_068_673_5),
    (0.1, 0.99, 1.247_225_614_907_208),
    (0.5, 1e-12, 0.000_553_586_062_547_723_3),
    (0.5, 0.000_1, 0.057_949_223_793_204_49),
    (0.5, 0.05, 0.341_579_599_187_457_7),
    (0.5, 0.5, 0.918_015_187_212_724_2),
    (0.5, 0.6, 1.043_815_683_469_207_4),
    (0.5, 0.99, 2.511_279_378_707_904),
    (1.0, 1e-12, 1.000_000_000_000_5e-12),
    (1.0, 0.000_1, 0.000_100_005_000_333_358_4),
    (1.0, 0.05, 0.051_293_294_387_550_53),
    (1.0, 0.5, 0.693_147_180_559_945_5),
    (1.0, 0.6, 0.916_290_731_874_155_1),
    (1.0, 0.99, 4.605_170_185_988_09),
    (1.7, 1e-12, 4.333_486_397_122_826_5e-35),
    (1.7, 0.000_1, 5.712_647_644_458_113_4e-12),
    (1.7, 0.05, 0.000_360_496_453_516_685_77),
    (1.7, 0.5, 0.302_013_546_425_781_3),
    (1.7, 0.6, 0.542_635_412_394_180_3),
    (1.7, 0.99, 8.127_365_877_924_097),
    (3.0, 1e-12, 5.511_239_677_496_154e-108),
    (3.0, 0.000_1, 5.511_239_677_496_074e-36),
    (3.0, 0.05, 1.076_413_999_512_122_3e-11),
    (3.0, 0.5, 0.010_775_742_443_992_76),
    (3.0, 0.6, 0.055_851_254_944_477_39),
    (3.0, 0.99, 15.060_393_837_156_063),
];

#[test]
fn gamma_table_agrees_with_the_exact_quantile() {
    for cv in [
        0.01, 0.03, 0.1, 0.3, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0, 5.0, 10.0,
    ] {
        let model = gamma::Gamma::new(&spec("gamma", 5e6, cv, 0.0)).unwrap();
        let mut worst = (0.0, 0.0);
        for step in 0..3_300 {
            // Off the nodes, from one end of the uniforms to the other.
            let z = -8.2 + f64::from(step) * 16.4 / 3_300.0;
            let u = normal::cdf(z).clamp(f64::EPSILON / 4.0, 1.0 - f64::EPSILON / 2.0);
            let exact = model.quantile_ns(u);
            let error = (model.draw_ns(u) / exact - 1.0).abs();
            if exact > f64::MIN_POSITIVE && error > worst.0 {
                worst = (error, u);
            }
        }
        assert!(
            worst.0 <= 1e-8,
            "cv {cv}: error {:e} at u {:e}",
            worst.0,
            worst.1
        );
    }
}

#[test]
fn quantiles_rise_and_the_mean_is_the_mean() {
    for model in by_mean() {
        let model = build(model, 5000.0, 0.5, 1000.0);
        let count = 200_000;
        let mut sum = 0.0;
        let mut last = 0.0;
        for step in 0..count {
            let value = model.quantile_ns((f64::from(step) + 0.5) / f64::from(count));
            assert!(value >= last, "{model:?}");
            assert!(value >= 1000.0, "{model:?}");
            last = value;
            sum += value;
        }
        assert!(
            (sum / f64::from(count) - 5000.0).abs() < 5.0,
            "{model:?}: mean {}",
            sum / f64::from(count)
        );
    }
}

#[test]
fn a_floor_shifts_the_rest_of_the_distribution() {
    for model in by_mean() {
        let shifted = build(model, 6000.0, 0.5, 1000.0).quantile_ns(0.9);
        let plain = build(model, 5000.0, 0.5, 0.0).quantile_ns(0.9);
        assert!(
            (shifted - plain - 1000.0).abs() < 1e-6,
            "{model}: {shifted} {plain}"
        );
    }
}

/// Measured confirmations of orders through a broker, in milliseconds: the shape that a gamma misses.
#[test]
fn a_shifted_lognormal_has_its_worked_numbers() {
    let model = LatencyModel::build(&LatencySpec {
        model: "shifted_lognormal".to_owned(),
        floor_ns: 174.0,
        median_ns: Some(27.8),
        sigma: Some(1.26),
        ..LatencySpec::default()
    })
    .unwrap();
    for (u, expected) in [
        (0.5, 201.8),
        (0.95, 394.8),
        (0.99, 695.1),
        (1.0 - 1.0 / 600.0, 1294.0),
    ] {
        let found = model.quantile_ns(u);
        assert!(
            (found / expected - 1.0).abs() < 2e-3,
            "u {u}: found {found}, expected {expected}"
        );
    }
}

/// Published round trips (Eurex 2013, microseconds): fitted to mean and median alone, p99 over p50 as predicted.
#[test]
fn a_lognormal_predicts_published_tails() {
    for (mean, median, predicted) in [
        (233.0_f64, 93.5_f64, 23.2),
        (463.8, 273.0, 11.0),
        (977.4, 300.7, 35.6),
    ] {
        let cv = libm::sqrt((mean / median) * (mean / median) - 1.0);
        let model = build("lognormal", mean * 1e3, cv, 0.0);
        assert!((model.quantile_ns(0.5) / (median * 1e3) - 1.0).abs() < 1e-9);
        let ratio = model.quantile_ns(0.99) / model.quantile_ns(0.5);
        assert!((ratio - predicted).abs() < 0.05, "{ratio} {predicted}");
    }
}

#[test]
fn a_table_is_inverted_linearly() {
    let model = |quantiles| {
        LatencyModel::build(&LatencySpec {
            model: "empirical".to_owned(),
            quantiles,
            ..LatencySpec::default()
        })
    };
    let table = model(vec![(0.0, 10.0), (0.5, 20.0), (1.0, 100.0)]).unwrap();
    for (u, expected) in [
        (1e-17, 10.0),
        (0.25, 15.0),
        (0.5, 20.0),
        (0.6, 36.0),
        (1.0 - 1e-16, 100.0),
    ] {
        assert!((table.quantile_ns(u) - expected).abs() < 1e-9, "{u}");
    }
    let scaled = LatencyModel::build(&LatencySpec {
        model: "empirical".to_owned(),
        quantiles: vec![(0.0, 10.0), (0.5, 20.0), (1.0, 100.0)],
        floor_ns: 5.0,
        scale: Some(2.0),
        ..LatencySpec::default()
    })
    .unwrap();
    assert!((scaled.quantile_ns(0.6) - 77.0).abs() < 1e-9);
    for wrong in [
        vec![],
        vec![(0.0, 1.0)],
        vec![(0.1, 1.0), (1.0, 2.0)],
        vec![(0.0, 1.0), (0.9, 2.0)],
        vec![(0.0, 2.0), (1.0, 1.0)],
        vec![(0.0, 1.0), (0.5, 1.0), (0.5, 2.0), (1.0, 2.0)],
        vec![(0.0, f64::NAN), (1.0, 2.0)],
        vec![(0.0, -1.0), (1.0, 2.0)],
    ] {
        assert!(
            matches!(model(wrong.clone()), Err(Error::Spec(_))),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_mixture_splits_the_uniform() {
    let mode = |weight, latency| ModeSpec { weight, latency };
    let model = |modes| {
        LatencyModel::build(&LatencySpec {
            model: "mixture".to_owned(),
            modes,
            ..LatencySpec::default()
        })
    };
    let constants = model(vec![
        mode(3.0, spec("constant", 10.0, 0.5, 0.0)),
        mode(1.0, spec("constant", 100.0, 0.5, 0.0)),
    ])
    .unwrap();
    assert_eq!(constants.sample_ns(0.7), 10);
    assert_eq!(constants.sample_ns(0.8), 100);
    let further = LatencyModel::build(&LatencySpec {
        model: "mixture".to_owned(),
        floor_ns: 7.0,
        modes: vec![mode(1.0, spec("constant", 10.0, 0.5, 0.0))],
        ..LatencySpec::default()
    });
    assert_eq!(further.unwrap().sample_ns(0.7), 17);
    // Half of the uniforms of a mode are below its median.
    let gammas = model(vec![
        mode(1.0, spec("gamma", 5000.0, 0.5, 0.0)),
        mode(1.0, spec("gamma", 5000.0, 1.0, 0.0)),
    ])
    .unwrap();
    assert_eq!(gammas.sample_ns(0.25), 4590);
    assert_eq!(gammas.sample_ns(0.75), 3466);
    let nested = LatencySpec {
        model: "mixture".to_owned(),
        modes: vec![mode(1.0, spec("constant", 1.0, 0.5, 0.0))],
        ..LatencySpec::default()
    };
    for wrong in [
        vec![],
        vec![mode(0.0, spec("constant", 1.0, 0.5, 0.0))],
        vec![mode(f64::NAN, spec("constant", 1.0, 0.5, 0.0))],
        vec![mode(1.0, spec("gamma", -1.0, 0.5, 0.0))],
        vec![mode(1.0, nested)],
    ] {
        assert!(
            matches!(model(wrong.clone()), Err(Error::Spec(_))),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_key_that_a_family_does_not_read_is_refused() {
    let with = |model: &str, change: fn(&mut LatencySpec)| {
        let mut spec = spec(model, 0.0, 0.5, 0.0);
        change(&mut spec);
        LatencyModel::build(&spec)
    };
    let message = |text: &str| Err(Error::Spec(text.to_owned()));
    assert_eq!(
        with("gamma", |spec| spec.sigma = Some(1.0)),
        message("sigma: the model gamma does not read it")
    );
    assert_eq!(
        with("shifted_lognormal", |spec| spec.mean_ns = 1.0),
        message("mean_ns: the model shifted_lognormal does not read it")
    );
    assert_eq!(
        with("empirical", |spec| spec.mean_ns = 1.0),
        message("mean_ns: the model empirical does not read it")
    );
    assert_eq!(
        with("gamma", |spec| spec.scale = Some(2.0)),
        message("scale: the model gamma does not read it")
    );
    assert_eq!(
        with("constant", |spec| spec.file = Some("x".into())),
        message("file: the model constant does not read it")
    );
    assert_eq!(
        with("mixture", |spec| spec.operation = Some("place".into())),
        message("operation: the model mixture does not read it")
    );
    assert_eq!(
        with("shifted_lognormal", |_| ()),
        message("median_ns: missing")
    );
    assert_eq!(
        LatencyModel::build(&spec("uniform", 5.0, 0.6, 0.0)),
        message(
            "cv: found 0.6, allowed at most 0.5773502691896258 (1 / sqrt 3) for the model uniform"
        )
    );
}

#[test]
fn samples_are_rounded_quantiles() {
    assert_eq!(build("gamma", 5000.0, 0.5, 0.0).sample_ns(0.5), 4590);
    assert_eq!(build("constant", 0.5, 0.5, 0.0).sample_ns(0.5), 1);
    assert_eq!(
        build("gamma", 5000.0, 0.5, 5000.0).is_constant(),
        Some(5000)
    );
    assert_eq!(build("gamma", 5000.0, 0.5, 0.0).is_constant(), None);
}

#[test]
fn wrong_numbers_are_refused_by_key() {
    let names = format!(
        "model: found \"gama\", allowed {}",
        LatencyModel::NAMES.join(", ")
    );
    let table = [
        (
            spec("gamma", -1.0, 0.5, 0.0),
            "mean_ns: found -1, allowed 0 to 60000000000",
        ),
        (
            spec("gamma", f64::NAN, 0.5, 0.0),
            "mean_ns: found NaN, allowed 0 to 60000000000",
        ),
        (
            spec("gamma", f64::INFINITY, 0.5, 0.0),
            "mean_ns: found inf, allowed 0 to 60000000000",
        ),
        (
            spec("gamma", 61e9, 0.5, 0.0),
            "mean_ns: found 61000000000, allowed 0 to 60000000000",
        ),
        (
            spec("gamma", 5.0, 0.0, 0.0),
            "cv: found 0, allowed 0.01 to 10",
        ),
        (
            spec("gamma", 5.0, -0.5, 0.0),
            "cv: found -0.5, allowed 0.01 to 10",
        ),
        (
            spec("gamma", 5.0, 0.5, -1.0),
            "floor_ns: found -1, allowed 0 to 60000000000",
        ),
        (
            spec("gamma", 5.0, 0.5, 6.0),
            "floor_ns: found 6, allowed at most mean_ns = 5",
        ),
        (spec("gama", 5.0, 0.5, 0.0), names.as_str()),
    ];
    for (spec, message) in table {
        assert_eq!(
            LatencyModel::build(&spec),
            Err(Error::Spec(message.to_owned()))
        );
    }
}
