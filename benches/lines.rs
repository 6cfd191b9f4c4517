//! Log records like those of real services: few shapes of lines, fresh numbers and ids in them.

use model::{AnyValue, LogRecord};

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// `count` records 37 ms apart, the same for the same seed.
pub(crate) fn records(seed: u64, count: usize) -> Vec<LogRecord> {
    let mut random = Random(seed);
    (0..count)
        .map(|at| {
            let draw = random.next();
            let number = draw % 100_000;
            let body = match draw >> 60 {
                0..=5 => format!("PacketResponder {} for block blk_{} terminating", number % 4, random.next() as i64),
                6..=9 => format!(
                    "Received block blk_{} of size 67108864 from /10.251.{}.{}",
                    random.next() as i64,
                    number % 256,
                    number % 199
                ),
                10..=12 => format!("Connection from 10.0.{}.{} closed after {number} ms", number % 256, number % 97),
                13 => format!("GET /api/orders/{number} HTTP/1.1 200 in {} ms", number % 900),
                _ => {
                    format!("error: request {:016x} failed: connection refused (attempt {})", random.next(), number % 5)
                }
            };
            let failed = body.starts_with("error");
            LogRecord {
                time_ns: 1_795_226_400_000_000_000 + at as i64 * 37_000_000 + (draw % 1_000_000) as i64,
                observed_time_ns: 1_795_226_400_000_000_000 + at as i64 * 37_000_000 + 5_000_000,
                severity_number: if failed { 17 } else { 9 },
                severity_text: if failed { "ERROR" } else { "INFO" }.into(),
                body: AnyValue::Str(body),
                attributes: vec![
                    ("thread.name".into(), AnyValue::Str(format!("worker-{}", draw % 16))),
                    ("request.id".into(), AnyValue::Str(format!("{:016x}", random.next()))),
                    ("http.response.status_code".into(), AnyValue::Int(if failed { 500 } else { 200 })),
                ],
                trace_id: draw
                    .is_multiple_of(5)
                    .then(|| (u128::from(random.next()) << 64 | u128::from(random.next())).to_be_bytes()),
                ..LogRecord::default()
            }
        })
        .collect()
}
