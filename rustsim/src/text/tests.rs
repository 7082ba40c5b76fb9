//! Pieces of text of every size, good and bad fields.

use super::*;

fn parser(columns: &str) -> TextColumns {
    let spec = format!(r#"{{"separator": 44, "columns": [{columns}]}}"#);
    TextColumns::new(serde_json::from_str(&spec).unwrap(), 1).unwrap()
}

const STEPS: &str = r#"{"kind": "steps", "numerator": 10, "denominator": 1}"#;

fn numbers(columns: &str, text: &str) -> Vec<i64> {
    let piece = parser(columns).push(text.as_bytes(), true).unwrap();
    match piece.values.into_iter().next().unwrap() {
        Values::Numbers(numbers) => numbers,
        other => panic!("numbers expected, found {other:?}"),
    }
}

#[test]
fn decimals_become_steps_exactly() {
    let text =
        "100.1\n-0.3\n+7\n5.\n.5\n100.30000000000001\n1e2\n\"12.0\"\n12.00000000000000000000\n";
    assert_eq!(
        numbers(STEPS, text),
        [1001, -3, 70, 50, 5, 1003, 1000, 120, 120]
    );
}

#[test]
fn what_is_no_step_is_marked() {
    let text = "100.15\nx\nnan\ninf\n1e300\n--1\n1.2.3\n\n";
    assert_eq!(numbers(STEPS, text), [BAD; 7]);
    let coarse = r#"{"kind": "steps", "numerator": 1, "denominator": 4}"#;
    assert_eq!(
        numbers(coarse, "8\n9\n99999999999999999999\n"),
        [2, BAD, BAD]
    );
}

#[test]
fn empty_fields_are_told_from_bad_ones() {
    let mut parser = parser(&format!("{STEPS}, {STEPS}"));
    let piece = parser.push(b"1,\n,2\n\"\",x\n", true).unwrap();
    assert_eq!(piece.values[0], Values::Numbers(vec![10, EMPTY, EMPTY]));
    assert_eq!(piece.values[1], Values::Numbers(vec![EMPTY, 20, BAD]));
    let bad = BadField {
        column: 1,
        row: 2,
        text: "x".to_owned(),
    };
    assert_eq!(piece.bad, [bad]);
}

#[test]
fn times_have_the_digits_of_their_unit() {
    let seconds = r#"{"kind": "time", "digits": 9}"#;
    let text = "1767573900.000000001\n1767573900\n1767573900.0000000001\n1767573900.1\n";
    let start = 1_767_573_900_000_000_000;
    assert_eq!(
        numbers(seconds, text),
        [start + 1, start, BAD, start + 100_000_000]
    );
    let nanos = r#"{"kind": "time", "digits": 0}"#;
    let text = "1767573900000000001\n9767573900000000001\n17675739000000000010\n1.5\n";
    assert_eq!(numbers(nanos, text), [start + 1, BAD, BAD, BAD]);
}

#[test]
fn iso_times_are_read_to_the_nanosecond() {
    let zoned = r#"{"kind": "iso_time", "has_offset": true}"#;
    let text = "2026-01-05T00:45:00Z\n2026-01-05 08:45:00.5+08:00\n2026-01-05T08:45:00.000000001+0800\n\
                1969-12-31T23:59:59Z\n2024-02-29T00:00:00Z\n2026-02-29T00:00:00Z\n2026-01-05T00:45:00\n\
                2026-13-05T00:45:00Z\n2026-01-05T24:45:00Z\n2026-01-05T00:45:00+8\n2026-01-05\n";
    let start = 1_767_573_900_000_000_000;
    assert_eq!(
        numbers(zoned, text),
        [
            start,
            start + 500_000_000,
            start + 1,
            -1_000_000_000,
            1_709_164_800_000_000_000,
            BAD,
            BAD,
            BAD,
            BAD,
            BAD,
            BAD
        ]
    );
    let plain = r#"{"kind": "iso_time", "has_offset": false}"#;
    assert_eq!(
        numbers(plain, "2026-01-05 00:45:00.25\n2026-01-05 00:45:00Z\n"),
        [start + 250_000_000, BAD]
    );
}

#[test]
fn codes_are_words_of_a_list() {
    let code = r#"{"kind": "code", "words": [["B", 0], ["S, short", 1], ["say \"x\"", 2]]}"#;
    let piece = parser(code)
        .push(
            b"B\r\n\"S, short\"\r\n\"say \"\"x\"\"\"\r\nb\r\n\"\"\r\n",
            true,
        )
        .unwrap();
    assert_eq!(
        piece.values[0],
        Values::Codes(vec![0, 1, 2, CODE_BAD, CODE_EMPTY])
    );
}

#[test]
fn a_word_without_letters_is_one_wherever_it_stands() {
    let code = r#"{"kind": "code", "words": [["", 3]]}"#;
    let mut parser = parser(&format!("{code}, {code}"));
    let piece = parser.push(b"x,\n,\"\"\n", true).unwrap();
    assert_eq!(piece.values[0], Values::Codes(vec![CODE_BAD, 3]));
    assert_eq!(piece.values[1], Values::Codes(vec![3, 3]));
}

#[test]
fn pieces_of_any_size_give_the_same_rows() {
    let columns = format!(r#"{STEPS}, {{"kind": "skip"}}, {STEPS}"#);
    let text = b"1,\"a,b\",2\r\n3,,4\n\"5\",zz,6.5\n7,x,8";
    let whole = parser(&columns).push(text, true).unwrap();
    assert_eq!(whole.rows, 4);
    for size in 1..text.len() {
        let mut parser = parser(&columns);
        let mut found = [Vec::new(), Vec::new()];
        let pieces: Vec<_> = text.chunks(size).collect();
        for (index, part) in pieces.iter().enumerate() {
            let piece = parser.push(part, index + 1 == pieces.len()).unwrap();
            for (slot, column) in [0, 2].into_iter().enumerate() {
                let Values::Numbers(numbers) = &piece.values[column] else {
                    panic!("numbers expected");
                };
                found[slot].extend_from_slice(numbers);
            }
        }
        assert_eq!(
            found,
            [vec![10, 30, 50, 70], vec![20, 40, 65, 80]],
            "{size}"
        );
    }
}

#[test]
fn lines_of_another_shape_are_refused_by_number() {
    let columns = format!("{STEPS}, {STEPS}");
    for (text, words) in [
        ("1,2\n3\n", "line 3: expected 2 fields, found 1"),
        ("1,2\n3,4,5\n", "line 3: expected 2 fields, found 3"),
        ("1,2\n\n3,4\n", "line 3: a blank line stands in front"),
        ("1,\"2\n", "line 2: field 2: the quote is not closed"),
        (
            "\"1\"x,2\n",
            "line 2: field 1: text follows the closing quote",
        ),
    ] {
        let error = parser(&columns).push(text.as_bytes(), true).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(parser(&columns).push(b"1,2\n\n\r\n", true).unwrap().rows, 1);
    let endless = vec![b'1'; LINE_BYTES_MAX + 1];
    let error = parser(&columns).push(&endless, false).unwrap_err();
    assert!(error.to_string().contains("no end within"), "{error}");
}

/// Numbers that depend on a seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| char::from(b"0123456789"[self.below(10)]))
            .collect()
    }

    fn number(&mut self) -> String {
        let (whole, places) = (1 + self.below(20), self.below(12));
        match self.below(6) {
            0 | 1 => format!("1{}", self.digits(18)),
            2 => self.digits(whole),
            3 => format!("{}.{}", self.digits(1 + whole % 10), self.digits(places)),
            4 => format!(
                "{}.{}",
                self.digits(2),
                self.one_of(&["5", "50", "25", "0", "00", ""])
            ),
            _ => self.digits(2),
        }
    }

    /// Returns a field that is none of its column, or looks like none.
    fn odd(&mut self) -> &'static str {
        self.one_of(&[
            "",
            "-",
            "+7",
            "-7",
            ".",
            ".5",
            "5.",
            "1.2.3",
            "1e3",
            "nan",
            "x",
            "\"7\"",
            "\"a,b\"",
            "7\"",
            " 7",
            "7 ",
            "\r",
            "7\r",
            "\u{e9}",
            "\0",
            "B\0",
            "2026-01-05T00:45:00",
            "2026-02-30 00:45:00Z",
            "12345678901234567890",
            "9999999999999999999",
            "0000000000000000001",
            "1.0000000000000000",
            "123456789012345678.",
            "12345678/",
            "1234567:",
            "/",
            ":",
            "0.30000000000000004",
            "1,1",
        ])
    }
}

const EACH_KIND: &str = r#"
    {"kind": "time", "digits": 0}, {"kind": "time", "digits": 9}, {"kind": "steps", "numerator": 10, "denominator": 1}, {"kind": "skip"},
    {"kind": "code", "words": [["B", 0], ["S", 1], ["bid", 2], ["ask", 3], ["seven77", 4], ["snapshot", 5], ["\u00e9", 6], ["", 7]]},
    {"kind": "iso_time", "has_offset": true}, {"kind": "steps", "numerator": 4, "denominator": 3}"#;

fn some_text(random: &mut Random, oddities: usize) -> String {
    let mut text = String::new();
    let end = random.one_of(&["\n", "\n", "\r\n"]);
    let lines = random.below(700);
    for _ in 0..lines {
        let mut fields = [
            random.number(),
            format!("1767573900.{}", random.digits(9)),
            format!("{}.{}", random.digits(5), random.digits(1)),
            random.one_of(&["", "anything", "else"]).to_owned(),
            random
                .one_of(&["B", "S", "bid", "ask", "seven77", "snapshot", "\u{e9}", ""])
                .to_owned(),
            format!("2026-01-05 00:45:00.{}+08:00", random.digits(6)),
            format!("{}", 4 * random.below(1_000_000)),
        ];
        // Numbers of any kind give few plain stretches: most texts have times of one length.
        if oddities < 9 {
            fields[0] = format!("17675739{}", random.digits(11));
            fields[6] = format!("{}", 3 * random.below(1_000_000));
        }
        if random.below(1_000) < oddities {
            fields[random.below(7)] = random.odd().to_owned();
        }
        text += &fields.join(",");
        text += end;
    }
    if random.below(8) == 0 {
        text.truncate(
            (0..=text.len())
                .rev()
                .find(|at| *at + 7 < text.len() && text.is_char_boundary(*at))
                .unwrap_or(0),
        );
    }
    if random.below(8) == 0 {
        text += random.one_of(&["\n", "\r\n\n", "\n1,2\n"]);
    }
    text
}

#[test]
fn the_quick_way_gives_what_care_gives() {
    let mut random = Random(7);
    let (mut whole, mut refused, mut marked) = (0, 0, 0);
    for _ in 0..400 {
        let oddities = random.one_of(&["0", "1", "5", "400"]).parse().unwrap();
        let text = some_text(&mut random, oddities);
        let size = 1 + random.below(60_000);
        let mut quick = parser(EACH_KIND);
        let mut careful = quick.clone().with_care();
        let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let is_last = index + 1 == pieces.len();
            let found = quick
                .push(piece, is_last)
                .map_err(|error| error.to_string());
            let expected = careful
                .push(piece, is_last)
                .map_err(|error| error.to_string());
            assert!(found == expected, "the two ways differ:\n{text}");
            let Ok(piece) = found else {
                refused += 1;
                break;
            };
            whole += 1;
            marked += piece.bad.len();
        }
    }
    assert!(whole > 300, "{whole} pieces are read");
    assert!(refused > 50, "{refused} texts are refused");
    assert!(marked > 100, "{marked} fields are marked as bad");
}

#[test]
fn plain_stretches_go_the_quick_way() {
    let mut random = Random(8);
    let text = some_text(&mut random, 0);
    let spec = format!(r#"{{"separator": 44, "columns": [{EACH_KIND}]}}"#);
    let spec: TextSpec = serde_json::from_str(&spec).unwrap();
    let mut values: Vec<_> = spec.columns.iter().map(|column| column.empty(0)).collect();
    let mut quick = Quick::new(&spec).unwrap();
    let start = text.find('\n').unwrap() + 1;
    let stop = Quick::stretch(text.as_bytes(), start).unwrap();
    let lines = quick.read(
        &spec.columns,
        text.as_bytes(),
        (start, stop),
        &mut values,
        0,
    );
    assert_eq!(lines, Some(text[start..stop].lines().count()));
}

#[test]
fn contradictory_descriptions_are_refused() {
    for columns in [
        r#"{"kind": "code", "words": [["B", 0], ["B", 1]]}"#,
        r#"{"kind": "code", "words": [["B", 254]]}"#,
        r#"{"kind": "steps", "numerator": 0, "denominator": 1}"#,
        r#"{"kind": "time", "digits": 10}"#,
    ] {
        let spec = format!(r#"{{"separator": 44, "columns": [{columns}]}}"#);
        assert!(TextColumns::new(serde_json::from_str(&spec).unwrap(), 0).is_err());
    }
}
