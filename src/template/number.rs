//! Floats as Go's `strconv.FormatFloat` writes them.
//!
//! The shortest `%g` takes the exponent notation below 1e-4 and from 1e+06 on, however many digits there are: a value of a
//! million is `1e+06` in a template, as in Prometheus.

/// From this power of ten on the shortest `%g` is written with an exponent (`strconv/ftoa.go`, `eprec`).
const SHORTEST_EXPONENT: i32 = 6;

/// `%e`, `%f` and `%g` with a precision, or the shortest text that reads back as the same number.
pub fn format(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    match verb {
        'e' | 'E' => exponent(value, precision, verb),
        'f' | 'F' => match precision {
            Some(precision) => format!("{value:.precision$}"),
            None => format!("{value}"),
        },
        _ => general(value, precision, if verb == 'G' { 'E' } else { 'e' }),
    }
}

/// `%v`: what printing a float64 gives.
pub fn shortest(value: f64) -> String {
    format(value, 'g', None)
}

fn exponent(value: f64, precision: Option<usize>, letter: char) -> String {
    let text = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (mantissa, power) = split(&text);
    join(mantissa, power, letter)
}

fn general(value: f64, precision: Option<usize>, letter: char) -> String {
    let text = match precision {
        Some(precision) => format!("{value:.*e}", precision.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, power) = split(&text);
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
    let before_point = power + 1;
    let threshold = match precision {
        None => SHORTEST_EXPONENT,
        Some(precision) => {
            let wanted = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
            if wanted > digits && digits >= before_point { digits } else { wanted }
        }
    };
    if power < -4 || power >= threshold {
        return join(mantissa, power, letter);
    }
    let decimals = usize::try_from(digits - before_point).unwrap_or(0);
    format!("{value:.decimals$}")
}

fn split(text: &str) -> (&str, i32) {
    let (mantissa, power) = text.split_once('e').expect("the e format writes an e");
    (mantissa, power.parse().expect("the exponent is a small number"))
}

/// Go writes the exponent's sign always and at least two digits of it.
fn join(mantissa: &str, power: i32, letter: char) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}{letter}{sign}{:02}", power.abs())
}
