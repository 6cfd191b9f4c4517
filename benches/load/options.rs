//! What the command line asks for.

/// Words that are no option, in order, and the options.
pub(crate) struct Options {
    /// The load's name; empty when none was asked for.
    pub(crate) load: String,
    /// Factor of the load's size.
    pub(crate) scale: f64,
    /// OTLP/gRPC instead of OTLP/HTTP.
    pub(crate) grpc: bool,
    /// Connections that push at once.
    pub(crate) connections: usize,
    /// Points a series of the metrics load.
    pub(crate) points: u64,
}

impl Options {
    pub(crate) fn of_command_line() -> Options {
        let mut options = Options { load: String::new(), scale: 1.0, grpc: false, connections: 2, points: 480 };
        let mut words = 0;
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut number = |what: &str| -> u64 {
                let text = args.next().unwrap_or_default();
                text.parse().unwrap_or_else(|_| panic!("{what} takes a number, not {text:?}"))
            };
            match arg.as_str() {
                // Cargo says it to every bench.
                "--bench" => {}
                "--grpc" => options.grpc = true,
                "--connections" => options.connections = number("--connections").max(1) as usize,
                "--points" => options.points = number("--points").max(1),
                option if option.starts_with("--") => panic!("no option {option}; see benches/README.md"),
                word if words == 0 => (options.load, words) = (word.into(), 1),
                word => options.scale = word.parse().expect("the second word is a factor of the load's size"),
            }
        }
        options
    }
}
